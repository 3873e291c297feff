//! What an MX answer and an address answer say. Pure.

use std::net::IpAddr;

use crate::mx::MxHost;
use crate::net::{Answer, Record, RecordData};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// Aliases of aliases are followed so far.
const LONGEST_CHAIN: usize = 16;

/// The hosts that an MX answer names, still without addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) hosts: Vec<MxHost>,
    pub(super) findings: Vec<Finding>,
    /// There are no MX records: the domain itself is the host.
    pub(super) implicit: bool,
}

/// Reads the answer to the MX question.
///
/// # Errors
/// When the domain publishes that it accepts no mail.
pub(super) fn listed(domain: &str, answer: &Answer) -> Result<Listed, Failure> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let (owner, _) = end_of_chain(&domain, &answer.records);
    let mut records: Vec<(u16, &str)> = answer
        .records
        .iter()
        .filter(|record| record.name == owner)
        .filter_map(|record| match &record.data {
            RecordData::Mx { preference, host } => Some((*preference, host.as_str())),
            _ => None,
        })
        .collect();
    if records.is_empty() {
        return Ok(Listed {
            hosts: vec![host(&domain, 0)],
            findings: Vec::new(),
            implicit: true,
        });
    }
    if records.iter().all(|(_, host)| *host == ".") {
        return Err(Failure::new(
            Reason::DnsMismatch,
            format!("{domain} publishes a null MX: it accepts no mail"),
        ));
    }

    // Stable: equal preferences keep the resolver's order.
    records.sort_by_key(|(preference, _)| *preference);
    let mut listed = Listed {
        hosts: Vec::new(),
        findings: Vec::new(),
        implicit: false,
    };
    for (preference, name) in records {
        if name == "." {
            listed.findings.push(Finding::new(
                Reason::DnsMismatch,
                format!("{domain} publishes a null MX beside other MX records"),
            ));
        } else if !listed.hosts.iter().any(|known| known.name == name) {
            // A host that is listed twice counts with its lowest preference.
            listed.hosts.push(match no_host_name(name) {
                Some(why) => MxHost {
                    failure: Some(Failure::new(Reason::DnsMismatch, why)),
                    ..host(name, preference)
                },
                None => host(name, preference),
            });
        }
    }
    Ok(listed)
}

/// The addresses that an answer gives for a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) cname: Option<String>,
}

/// Reads the answer to an A or AAAA question.
pub(super) fn addresses_of(host: &str, answer: &Answer) -> Found {
    let (owner, is_alias) = end_of_chain(host, &answer.records);
    Found {
        addresses: answer
            .records
            .iter()
            .filter(|record| record.name == owner)
            .filter_map(|record| match record.data {
                RecordData::Address(address) => Some(address),
                _ => None,
            })
            .collect(),
        cname: is_alias.then(|| owner.to_owned()),
    }
}

/// Follows the aliases within one answer; a loop ends where it is noticed.
fn end_of_chain<'a>(name: &'a str, records: &'a [Record]) -> (&'a str, bool) {
    let mut owner = name;
    for _ in 0..LONGEST_CHAIN {
        let next = records.iter().find_map(|record| match &record.data {
            RecordData::Name(target) if record.record_type == "CNAME" && record.name == owner => {
                Some(target.as_str())
            }
            _ => None,
        });
        match next {
            Some(target) => owner = target,
            None => break,
        }
    }
    (owner, owner != name)
}

fn host(name: &str, preference: u16) -> MxHost {
    MxHost {
        name: name.to_owned(),
        preference,
        addresses: Vec::new(),
        cname: None,
        failure: None,
    }
}

/// Why a name cannot be a host; RFC 5321 §5.1 wants a domain name that has addresses.
fn no_host_name(name: &str) -> Option<String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.strip_prefix("ipv6:").unwrap_or(bare);
    if bare.parse::<IpAddr>().is_ok() {
        return Some("an address stands where a host name must be".to_owned());
    }
    let is_host = name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    });
    (!is_host).then(|| "this is no host name".to_owned())
}
