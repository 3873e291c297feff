//! What an answer says that is compared with the answer before. Pure.

use std::net::IpAddr;

use crate::kinds::dns::judge::records;
use crate::net::{Answer, Question};
use crate::observation::{Observation, What, of_family_subject};

/// The record set of an answer, for the types that are remembered; `from`: whom it was asked, when that is not the usual
/// resolver. A failure is no answer.
pub(super) fn seen(
    question: &Question,
    answer: &Answer,
    from: Option<&str>,
) -> Option<Observation> {
    if !["NOERROR", "NXDOMAIN"].contains(&answer.rcode.as_str()) {
        return None;
    }
    let name = question.name.trim_end_matches('.').to_ascii_lowercase();
    let (what, subject) = match question.record_type.as_str() {
        "MX" => (What::Mx, name),
        "NS" => (What::Ns, name),
        "A" => (What::Addresses, of_family_subject(&name, true)),
        "AAAA" => (What::Addresses, of_family_subject(&name, false)),
        "PTR" => {
            let address = address_of(&name).map(|address| address.to_string());
            (What::Ptr, address.unwrap_or(name))
        }
        _ => return None,
    };
    let subject = match from {
        Some(from) => format!("{subject} at {from}"),
        None => subject,
    };
    Some(Observation::new(what, subject, records(question, answer)))
}

/// The address of a reverse name.
fn address_of(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<&str> = digits.split('.').rev().collect();
        return parts.join(".").parse().ok().map(IpAddr::V4);
    }
    let nibbles: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').rev().collect();
    let is_nibble = |part: &&str| part.len() == 1;
    if nibbles.len() != 32 || !nibbles.iter().all(is_nibble) {
        return None;
    }
    let groups: Vec<String> = nibbles.chunks(4).map(|group| group.concat()).collect();
    groups.join(":").parse().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::{Record, RecordData};

    fn answer(rcode: &str, record_type: &str, data: Vec<RecordData>) -> Answer {
        Answer {
            rcode: rcode.to_owned(),
            records: data
                .into_iter()
                .map(|data| Record {
                    name: "example.test".to_owned(),
                    record_type: record_type.to_owned(),
                    ttl: 60,
                    data,
                })
                .collect(),
            authoritative: true,
            server: ([127, 0, 0, 1], 53).into(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_sets_of_five_types_are_remembered() {
        let address = |text: &str| RecordData::Address(text.parse().unwrap());
        let name = |text: &str| RecordData::Name(text.to_owned());
        let mx = |preference, host: &str| RecordData::Mx {
            preference,
            host: host.to_owned(),
        };
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        for (asked, record_type, rcode, data, from, wanted) in [
            (
                "Example.test.",
                "MX",
                "NOERROR",
                vec![mx(20, "b.test"), mx(10, "a.test")],
                None,
                "mx of example.test: 10 a.test, 20 b.test",
            ),
            (
                "example.test",
                "A",
                "NOERROR",
                vec![address("192.0.2.1")],
                None,
                "addresses of example.test (IPv4): \"192.0.2.1\"",
            ),
            (
                "example.test",
                "AAAA",
                "NXDOMAIN",
                vec![],
                None,
                "addresses of example.test (IPv6): nothing",
            ),
            (
                "example.test",
                "NS",
                "NOERROR",
                vec![name("ns1.test")],
                Some("its name servers"),
                "ns of example.test at its name servers: \"ns1.test\"",
            ),
            (
                "1.2.0.192.in-addr.arpa",
                "PTR",
                "NOERROR",
                vec![name("a.test")],
                None,
                "ptr of 192.0.2.1: \"a.test\"",
            ),
            (
                v6,
                "PTR",
                "NOERROR",
                vec![name("a.test")],
                None,
                "ptr of 2001:db8::1: \"a.test\"",
            ),
            (
                "2.0.192.in-addr.arpa",
                "PTR",
                "NOERROR",
                vec![],
                None,
                "ptr of 2.0.192.in-addr.arpa: nothing",
            ),
            ("example.test", "TXT", "NOERROR", vec![], None, ""),
            ("example.test", "MX", "SERVFAIL", vec![], None, ""),
        ] {
            let question = Question::new(asked, record_type, Duration::ZERO);
            let told = seen(&question, &answer(rcode, record_type, data), from);
            let told = told.map_or(String::new(), |seen| {
                format!("{} of {}: {}", seen.what, seen.subject, seen.values)
            });
            assert_eq!(told, wanted, "{asked} {record_type}");
        }
    }
}
