//! Whether an answer is what was wanted. Pure.

use std::time::Duration;

use crate::kinds::dns::canonical::{difference, listed, of_answer};
use crate::net::{Answer, Question, answer_failure};
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
