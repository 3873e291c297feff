//! What is wrong with an MX set and its hosts. Pure.

use std::net::IpAddr;
use std::time::Duration;

use crate::mx::{MOST_HOSTS, MxHost};
use crate::names::canonical::{difference, listed, of_answer as canonical};
use crate::names::special_purpose;
use crate::net::{Answer, Question, Record, RecordData, answer_failure, end_of_chain};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::setting::Period;

/// What the records must be. The default: some record that is not a null MX.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// In canonical form.
    pub(super) hosts: Option<Vec<String>>,
    pub(super) ttl_at_most: Option<Duration>,
}

/// The MX records that an answer gives for `domain`, in canonical form, sorted.
pub(super) fn records(domain: &str, answer: &Answer) -> Vec<String> {
    let mut records: Vec<String> = mx_records(domain, answer)
        .map(|record| canonical("MX", &record.data))
        .collect();
    records.sort();
    records
}

fn mx_records<'a>(domain: &'a str, answer: &'a Answer) -> impl Iterator<Item = &'a Record> {
    let owner = end_of_chain(domain, &answer.records);
    answer
        .records
        .iter()
        .filter(move |record| record.name == owner && matches!(record.data, RecordData::Mx { .. }))
}

/// Everything that an answer breaks; of the rules the ones with `true` are preferences.
pub(super) fn of_answer(rules: &[(Wanted, bool)], domain: &str, answer: &Answer) -> Vec<Finding> {
    let found = records(domain, answer);
    let expected = || rules.iter().filter_map(|(wanted, _)| wanted.hosts.as_ref());
    let none_is_right = expected().any(Vec::is_empty);
    let question = Question::new(domain, "MX", Duration::ZERO);
    if let Some(failure) = answer_failure(answer, &question) {
        return match none_is_right && answer.rcode == "NXDOMAIN" {
            true => Vec::new(),
            false => vec![failure],
        };
    }
    let mut findings = Vec::new();
    for (wanted, is_preference) in rules {
        let broken = wanted
            .hosts
            .as_ref()
            .and_then(|hosts| difference(hosts, &found))
            .map(mismatch)
            .into_iter()
            .chain(
                wanted
                    .ttl_at_most
                    .and_then(|limit| too_long(limit, domain, answer)),
            );
        findings.extend(broken.map(|finding| match is_preference {
            true => finding.as_preference(),
            false => finding,
        }));
    }
    if found.is_empty() && expected().next().is_none() {
        findings.push(Finding::new(
            Reason::DnsNxdomain,
            format!("{domain} has no MX record: senders try the domain's own address"),
        ));
    }
    let null_is_right = expected().any(|hosts| hosts.iter().any(|host| is_null(host)));
    findings.extend(null(&found, domain, null_is_right));
    findings
}

fn is_null(record: &str) -> bool {
    record.ends_with(" .")
}

/// RFC 7505 §3: one record, preference 0, an empty name.
fn null(found: &[String], domain: &str, is_right: bool) -> Option<Finding> {
    let nulls = found.iter().filter(|record| is_null(record)).count();
    match (nulls, found) {
        (0, _) => None,
        (_, [record]) if is_right && record == "0 ." => None,
        (_, [record]) if is_right => Some(
            mismatch(format!(
                "the null MX of {domain} is `{record}`; its preference is to be 0"
            ))
            .as_preference(),
        ),
        (1, [_]) => Some(mismatch(format!(
            "{domain} publishes a null MX: it accepts no mail"
        ))),
        _ => Some(mismatch(format!(
            "{domain} publishes a null MX beside other MX records"
        ))),
    }
}

fn mismatch(message: String) -> Finding {
    Finding::new(Reason::DnsMismatch, message)
}

fn too_long(limit: Duration, domain: &str, answer: &Answer) -> Option<Finding> {
    let seconds = |record: &Record| Duration::from_secs(u64::from(record.ttl));
    let longest = mx_records(domain, answer).map(seconds).max()?;
    (longest > limit).then(|| {
        mismatch(format!(
            "the MX records may be kept for {}, at most {} is wanted",
            Period(longest),
            Period(limit)
        ))
    })
}

/// Everything that is wrong with the hosts of a set of `count` records.
pub(super) fn of_hosts(
    domain: &str,
    hosts: &[MxHost],
    count: usize,
    allow_private: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if count > MOST_HOSTS {
        findings.push(
            mismatch(format!(
                "{domain} has {count} MX records; only the {MOST_HOSTS} most preferred are looked at"
            ))
            .as_preference(),
        );
    }
    findings.extend(
        hosts
            .iter()
            .flat_map(|host| of_host(domain, host, allow_private)),
    );
    findings
}

fn of_host(domain: &str, host: &MxHost, allow_private: bool) -> Vec<Finding> {
    let who = format!("{} (MX of {domain})", host.name);
    let mut findings = Vec::new();
    if let Some(target) = &host.cname {
        findings.push(mismatch(format!(
            "{who} is an alias of {target}; an MX must not be a CNAME"
        )));
    }
    if !host.unusable.is_empty() {
        findings.push(mismatch(format!(
            "{who} has the address {}, which no host can have",
            shown(&host.unusable, |_| None)
        )));
    }
    let special: Vec<IpAddr> = host
        .addresses
        .iter()
        .copied()
        .filter(|address| !allow_private && special_purpose(*address).is_some())
        .collect();
    if !special.is_empty() {
        findings.push(mismatch(format!(
            "{who} has the address {}, which the world cannot reach",
            shown(&special, special_purpose)
        )));
    }
    match &host.failure {
        Some(failure) => findings.push(Failure {
            message: format!("{who}: {}", failure.message),
            ..failure.clone()
        }),
        None if host.addresses.is_empty() && host.unusable.is_empty() => {
            findings.push(Finding::new(
                Reason::DnsNxdomain,
                format!("{who} has no address"),
            ));
        }
        None => {}
    }
    findings
}

/// `10.0.0.1 (private), ::1 (loopback)`.
fn shown(addresses: &[IpAddr], what: fn(IpAddr) -> Option<&'static str>) -> String {
    let words: Vec<String> = addresses
        .iter()
        .map(|address| match what(*address) {
            Some(what) => format!("{address} ({what})"),
            None => address.to_string(),
        })
        .collect();
    listed(&words)
}

#[cfg(test)]
mod tests;
