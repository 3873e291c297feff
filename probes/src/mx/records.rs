//! What an MX answer says. Pure.

use std::net::IpAddr;

use crate::mx::MxHost;
use crate::net::{Answer, RecordData, end_of_chain};
use crate::observation::{Observation, What};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// The hosts that an MX answer names, still without addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) hosts: Vec<MxHost>,
    pub(super) findings: Vec<Finding>,
    /// There are no MX records: the domain itself is the host.
    pub(super) implicit: bool,
}

/// The MX records as they stand in the answer; none for the implicit MX.
pub(super) fn seen(domain: &str, answer: &Answer) -> Observation {
    let name = domain.trim_end_matches('.').to_ascii_lowercase();
    let owner = end_of_chain(&name, &answer.records);
    let records = answer.records.iter().filter(|record| record.name == owner);
    let records = records.filter_map(|record| match &record.data {
        RecordData::Mx { preference, host } => Some(format!("{preference} {host}")),
        _ => None,
    });
    Observation::new(What::Mx, domain, records)
}

/// Reads the answer to the MX question.
///
/// # Errors
/// When the domain publishes that it accepts no mail.
pub(super) fn listed(domain: &str, answer: &Answer) -> Result<Listed, Failure> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let owner = end_of_chain(&domain, &answer.records);
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

fn host(name: &str, preference: u16) -> MxHost {
    MxHost {
        name: name.to_owned(),
        preference,
        addresses: Vec::new(),
        unusable: Vec::new(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::Record;

    fn answer(records: &[(&str, RecordData)]) -> Answer {
        Answer {
            rcode: "NOERROR".to_owned(),
            records: records
                .iter()
                .map(|(name, data)| Record {
                    name: (*name).to_owned(),
                    record_type: match data {
                        RecordData::Mx { .. } => "MX",
                        _ => "CNAME",
                    }
                    .to_owned(),
                    ttl: 60,
                    data: data.clone(),
                })
                .collect(),
            authoritative: false,
            server: ([127, 0, 0, 1], 53).into(),
            took: Duration::ZERO,
        }
    }

    fn mx(preference: u16, host: &str) -> (&'static str, RecordData) {
        let host = host.to_owned();
        ("example.test", RecordData::Mx { preference, host })
    }

    fn alias(name: &'static str, target: &str) -> (&'static str, RecordData) {
        (name, RecordData::Name(target.to_owned()))
    }

    /// `10 mx1, 20 mx2 (why not)`, then the findings.
    fn shown(records: &[(&str, RecordData)]) -> String {
        let listed = match listed("Example.test.", &answer(records)) {
            Ok(listed) => listed,
            Err(failure) => return failure.line(),
        };
        let hosts = listed.hosts.iter().map(|host| match &host.failure {
            Some(failure) => format!("{} {} ({})", host.preference, host.name, failure.message),
            None => format!("{} {}", host.preference, host.name),
        });
        let findings = listed.findings.iter().map(Finding::line);
        let implicit = listed.implicit.then(|| "implicit".to_owned());
        hosts
            .chain(implicit)
            .chain(findings)
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn an_mx_answer_is_read_as_rfc_5321_says() {
        for (records, wanted) in [
            (vec![], "0 example.test, implicit"),
            (
                vec![mx(20, "mx2.test"), mx(10, "mx1.test")],
                "10 mx1.test, 20 mx2.test",
            ),
            // Equal ones keep the resolver's order.
            (
                vec![mx(10, "b.test"), mx(5, "c.test"), mx(10, "a.test")],
                "5 c.test, 10 b.test, 10 a.test",
            ),
            (
                vec![mx(0, ".")],
                "dns-mismatch: example.test publishes a null MX: it accepts no mail",
            ),
            // Preference 0 alone is not a null MX, and a null MX need not have preference 0.
            (vec![mx(0, "mx1.test")], "0 mx1.test"),
            (
                vec![mx(10, ".")],
                "dns-mismatch: example.test publishes a null MX: it accepts no mail",
            ),
            (
                vec![mx(0, "."), mx(10, "mx1.test")],
                "10 mx1.test, dns-mismatch: example.test publishes a null MX beside other MX records",
            ),
            (vec![mx(20, "mx1.test"), mx(10, "mx1.test")], "10 mx1.test"),
            (
                vec![mx(10, "192.0.2.1")],
                "10 192.0.2.1 (an address stands where a host name must be)",
            ),
            (
                vec![mx(10, "[192.0.2.1]")],
                "10 [192.0.2.1] (an address stands where a host name must be)",
            ),
            (
                vec![mx(10, "mx 1.test")],
                "10 mx 1.test (this is no host name)",
            ),
            // The domain itself may be an alias: its target's records count.
            (
                vec![
                    alias("example.test", "other.test"),
                    ("other.test", mx(10, "mx1.other.test").1),
                ],
                "10 mx1.other.test",
            ),
            // Records of somebody else do not.
            (
                vec![("other.test", mx(10, "mx1.other.test").1)],
                "0 example.test, implicit",
            ),
            (
                vec![
                    alias("example.test", "a.test"),
                    alias("a.test", "example.test"),
                ],
                "0 example.test, implicit",
            ),
        ] {
            assert_eq!(shown(&records), wanted, "{records:?}");
        }
    }
}
