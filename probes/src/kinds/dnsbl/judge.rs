//! What an answer of a block list means. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::{Code, List};
use crate::names::canonical;
use crate::net::{
    Answer, AskError, Question, RecordData, answer_failure, ask_failure, end_of_chain,
};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::setting::Parsed;

/// What a list says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    NotListed,
    /// With these answers, each in 127.0.0.0/8.
    Listed(Vec<Ipv4Addr>),
    /// Nothing that counts; why.
    Unclear(Failure),
}

/// What the big lists answer instead of a verdict: 127.255.255.0/24, and the last number tells why.
fn refusal(code: Ipv4Addr) -> Option<&'static str> {
    match code.octets() {
        [127, 255, 255, 252] => Some("its name is mistyped"),
        [127, 255, 255, 254] => Some("it is asked through a public resolver"),
        [127, 255, 255, 255] => Some("it is asked too often"),
        [127, 255, 255, _] => Some("it gives no reason"),
        // RFC 5782 §2.1 keeps it free; some lists use it to refuse.
        [127, 0, 0, 1] => Some("it answers 127.0.0.1 to everybody it does not serve"),
        _ => None,
    }
}

/// Reads the answer to an A question.
pub(super) fn verdict(
    reply: &Result<Answer, AskError>,
    question: &Question,
    by_resolver: bool,
) -> Verdict {
    let answer = match reply {
        Err(error) => {
            let failure = ask_failure(error, question, by_resolver);
            // That our own resolver is dead is not the list's fault.
            return Verdict::Unclear(match failure.reason {
                Reason::VantageDns => failure,
                _ => cannot_ask(failure.message),
            });
        }
        Ok(answer) => answer,
    };
    match answer_failure(answer, question) {
        Some(failure) if failure.reason == Reason::DnsNxdomain => return Verdict::NotListed,
        Some(failure) => return Verdict::Unclear(cannot_ask(failure.message)),
        None => {}
    }
    let owner = end_of_chain(&question.name, &answer.records);
    let mut codes = Vec::new();
    for record in answer.records.iter().filter(|record| record.name == owner) {
        match record.data {
            RecordData::Address(IpAddr::V4(code)) if !code.is_loopback() => {
                return Verdict::Unclear(cannot_ask(format!(
                    "it answered {code}, which is not in 127.0.0.0/8: the answer is rewritten on the way, or the list is gone"
                )));
            }
            RecordData::Address(IpAddr::V4(code)) => match refusal(code) {
                Some(why) => {
                    return Verdict::Unclear(cannot_ask(format!("it refuses with {code}: {why}")));
                }
                None if !codes.contains(&code) => codes.push(code),
                None => {}
            },
            _ => {}
        }
    }
    codes.sort();
    match codes.is_empty() {
        true => Verdict::NotListed,
        false => Verdict::Listed(codes),
    }
}

fn cannot_ask(why: String) -> Failure {
    Failure::new(Reason::CannotAsk, why)
}

/// Whether the test entries are as RFC 5782 §5 wants them: one is listed, the other is not.
pub(super) fn test(
    zone: &str,
    (present, present_is): (IpAddr, &Verdict),
    (absent, absent_is): (IpAddr, &Verdict),
) -> Result<(), Finding> {
    let why = match (present_is, absent_is) {
        (Verdict::Listed(_), Verdict::NotListed) => return Ok(()),
        (Verdict::Unclear(failure), _) | (_, Verdict::Unclear(failure)) => {
            return Err(Failure {
                message: format!("{zone} cannot be asked: {}", failure.message),
                ..failure.clone()
            });
        }
        (_, Verdict::Listed(_)) => {
            format!("it lists {absent}, which no list may: it lists everything")
        }
        (Verdict::NotListed, _) => match present {
            IpAddr::V4(_) => format!("its test entry {present} is not listed"),
            IpAddr::V6(_) => format!(
                "its test entry {present} is not listed; `family: ipv4` if it has no IPv6 addresses"
            ),
        },
    };
    Err(cannot_ask(format!("{zone} cannot be asked: {why}")))
}

/// The finding for an address on a list, with the meaning of each answer and the list's own words.
pub(super) fn listed(
    label: &str,
    zone: &str,
    codes: &[Ipv4Addr],
    list: &List,
    words: Option<&str>,
) -> Finding {
    let codes: Vec<String> = codes
        .iter()
        .map(|code| match list.meanings.get(&Parsed(Code(*code))) {
            Some(meaning) => format!("{code} ({meaning})"),
            None => code.to_string(),
        })
        .collect();
    let words = words.map_or_else(String::new, |words| format!("; it says: {words}"));
    Finding::new(
        Reason::DnsblListed,
        format!("{label} is on {zone}: {}{words}", canonical::listed(&codes)),
    )
}

/// The finding for an address of which nothing can be said.
pub(super) fn unclear(zone: &str, label: &str, why: &Failure) -> Finding {
    Failure {
        message: format!("{zone} cannot be asked for {label}: {}", why.message),
        ..why.clone()
    }
}

/// More than three addresses of which nothing can be said are one finding.
pub(super) fn joined(findings: &mut Vec<Finding>) {
    let is_unclear = |finding: &Finding| finding.reason != Reason::DnsblListed;
    let count = findings
        .iter()
        .filter(|finding| is_unclear(finding))
        .count();
    if count <= 3 {
        return;
    }
    let mut first = true;
    findings.retain_mut(|finding| {
        let keeps = !is_unclear(finding) || std::mem::take(&mut first);
        if keeps && is_unclear(finding) {
            finding.message = format!("{} (and so for {} more)", finding.message, count - 1);
        }
        keeps
    });
}

#[cfg(test)]
mod tests;
