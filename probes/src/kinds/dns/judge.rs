//! Whether an answer is what was wanted. Pure.

use std::time::Duration;

use crate::kinds::dns::Dnssec;
use crate::names::canonical::{difference, listed, of_answer};
use crate::net::{Answer, Question, Security, answer_failure};
use crate::outcome::Finding;
use crate::reason::Reason;
use crate::setting::Period;

/// The response codes that can be expected.
pub(super) const RCODES: [&str; 6] = [
    "NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP",
];

/// What an answer must be. The default: some record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// In canonical form.
    pub(super) answers: Option<Vec<String>>,
    pub(super) rcode: Option<String>,
    pub(super) ttl_at_most: Option<Duration>,
    pub(super) dnssec: Option<Dnssec>,
}

/// Whether the proof is the wanted one; what is neither secure nor insecure is judged elsewhere.
pub(super) fn judge_proof(
    wanted: Dnssec,
    question: &Question,
    security: &Security,
) -> Option<Finding> {
    let is = match (wanted, security) {
        (Dnssec::Secure, Security::Insecure) => {
            "is insecure: its zone is proven to be unsigned (expected secure)"
        }
        (Dnssec::Insecure, Security::Secure) => "is secure (expected insecure)",
        _ => return None,
    };
    Some(Finding::new(
        Reason::DnsMismatch,
        format!("{question} {is}"),
    ))
}

/// Everything that does not hold.
pub(super) fn judge(wanted: &Wanted, question: &Question, answer: &Answer) -> Vec<Finding> {
    let nothing_wanted = wanted.answers.as_ref().is_some_and(Vec::is_empty);
    match &wanted.rcode {
        Some(rcode) if *rcode != answer.rcode => {
            let finding = answer_failure(answer, question).unwrap_or_else(|| {
                Finding::new(
                    Reason::DnsMismatch,
                    format!("the response code for {question} is {}", answer.rcode),
                )
            });
            return vec![Finding {
                message: format!("{} (expected {rcode})", finding.message),
                ..finding
            }];
        }
        // That there is nothing can be said in two ways.
        None if nothing_wanted && answer.rcode == "NXDOMAIN" => {}
        None => {
            if let Some(failure) = answer_failure(answer, question) {
                return vec![failure];
            }
        }
        Some(_) => {}
    }

    let found = records(question, answer);
    let mut findings = Vec::new();
    if let Some(expected) = &wanted.answers {
        findings.extend(
            difference(expected, &found)
                .map(|difference| Finding::new(Reason::DnsMismatch, difference)),
        );
    } else if found.is_empty() && wanted.rcode.is_none() {
        findings.push(Finding::new(
            Reason::DnsNxdomain,
            format!("{} has no {} record", question.name, question.record_type),
        ));
    }
    findings.extend(
        wanted
            .ttl_at_most
            .and_then(|limit| too_long(limit, question, answer)),
    );
    findings
}

/// The records of the asked type in canonical form, sorted.
pub(super) fn records(question: &Question, answer: &Answer) -> Vec<String> {
    let mut records: Vec<String> = answer
        .records
        .iter()
        .filter(|record| is_asked_for(question, &record.record_type))
        .map(|record| of_answer(&record.record_type, &record.data))
        .collect();
    records.sort();
    records
}

fn is_asked_for(question: &Question, record_type: &str) -> bool {
    question.record_type == "ANY" || question.record_type == record_type
}

fn too_long(limit: Duration, question: &Question, answer: &Answer) -> Option<Finding> {
    let seconds = |ttl: u32| Duration::from_secs(u64::from(ttl));
    let mut long: Vec<_> = answer
        .records
        .iter()
        .filter(|record| is_asked_for(question, &record.record_type) && seconds(record.ttl) > limit)
        .collect();
    long.sort_by_key(|record| std::cmp::Reverse(record.ttl));
    let longest = long.first()?;
    let names: Vec<String> = long
        .iter()
        .map(|record| of_answer(&record.record_type, &record.data))
        .collect();
    Some(Finding::new(
        Reason::DnsMismatch,
        format!(
            "the time to live is {}, at most {} is wanted: {}",
            Period(seconds(longest.ttl)),
            Period(limit),
            listed(&names)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Record, RecordData};

    fn answer(rcode: &str, hosts: &[(&str, u32)]) -> Answer {
        Answer {
            rcode: rcode.to_owned(),
            records: hosts
                .iter()
                .map(|(host, ttl)| Record {
                    name: "example.test".to_owned(),
                    record_type: "NS".to_owned(),
                    ttl: *ttl,
                    data: RecordData::Name((*host).to_owned()),
                })
                .collect(),
            authoritative: true,
            server: ([127, 0, 0, 1], 53).into(),
            took: Duration::ZERO,
        }
    }

    fn wanted(answers: Option<&[&str]>, rcode: Option<&str>, ttl: Option<u64>) -> Wanted {
        Wanted {
            answers: answers.map(|answers| answers.iter().map(ToString::to_string).collect()),
            rcode: rcode.map(str::to_owned),
            ttl_at_most: ttl.map(Duration::from_secs),
            dnssec: None,
        }
    }

    #[test]
    fn an_answer_is_judged_by_code_records_and_life_time() {
        let question = Question::new("example.test", "NS", Duration::ZERO);
        let two = [("ns1.test", 300), ("ns2.test", 60)];
        for (wanted, answer, lines) in [
            (
                wanted(Some(&["ns2.test", "ns1.test"]), None, None),
                answer("NOERROR", &two),
                "",
            ),
            (
                wanted(Some(&["ns1.test", "ns3.test"]), None, None),
                answer("NOERROR", &two),
                "dns-mismatch: missing ns3.test; not expected ns2.test",
            ),
            (wanted(None, None, None), answer("NOERROR", &two), ""),
            (
                wanted(None, None, None),
                answer("NOERROR", &[]),
                "dns-nxdomain: example.test has no NS record",
            ),
            (
                wanted(None, Some("NOERROR"), None),
                answer("NOERROR", &[]),
                "",
            ),
            (
                wanted(None, None, None),
                answer("NXDOMAIN", &[]),
                "dns-nxdomain: example.test does not exist, says 127.0.0.1",
            ),
            (
                wanted(None, Some("NXDOMAIN"), None),
                answer("NXDOMAIN", &[]),
                "",
            ),
            (
                wanted(None, Some("NXDOMAIN"), None),
                answer("NOERROR", &two),
                "dns-mismatch: the response code for example.test NS is NOERROR (expected NXDOMAIN)",
            ),
            (
                wanted(Some(&["ns1.test"]), Some("NOERROR"), None),
                answer("SERVFAIL", &[]),
                "dns-servfail: 127.0.0.1 answered SERVFAIL for example.test NS (expected NOERROR)",
            ),
            (wanted(Some(&[]), None, None), answer("NXDOMAIN", &[]), ""),
            (wanted(Some(&[]), None, None), answer("NOERROR", &[]), ""),
            (
                wanted(Some(&[]), None, None),
                answer("NOERROR", &two),
                "dns-mismatch: not expected ns1.test, ns2.test",
            ),
            (wanted(None, None, Some(300)), answer("NOERROR", &two), ""),
            (
                wanted(None, None, Some(60)),
                answer("NOERROR", &two),
                "dns-mismatch: the time to live is 5m, at most 1m is wanted: ns1.test",
            ),
        ] {
            let found: Vec<String> = judge(&wanted, &question, &answer)
                .iter()
                .map(Finding::line)
                .collect();
            assert_eq!(found.join(", "), lines, "{wanted:?} {answer:?}");
        }
    }
}
