//! What records and certificates mean together. Pure.

use std::net::SocketAddr;

use postrider_wire::text::RemoteText;
use postrider_wire::tlsa::Tlsa;

use super::inspect::Shown;
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::tls::dane::{self, Presented, Verdict};

/// Records beyond these are not quoted in a finding.
const MOST_QUOTED: usize = 6;

/// A record, and what it says of what was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    record: Tlsa,
    verdict: Verdict,
    /// What the record would have to hold.
    found: Option<String>,
}

/// The records that SMTP can use; and the others, each with the reason.
pub(super) fn usable(texts: &[String]) -> (Vec<Tlsa>, Vec<(String, String)>) {
    let mut usable = Vec::new();
    let mut others = Vec::new();
    for text in texts {
        match text.parse::<Tlsa>() {
            Ok(record) => match dane::unusable(&record) {
                None => usable.push(record),
                Some(why) => others.push((record.short(), why)),
            },
            Err(problem) => {
                let shown = RemoteText::new(text.as_bytes(), RemoteText::LINE);
                others.push((shown.to_string(), problem.to_string()));
            }
        }
    }
    (usable, others)
}

/// Senders then go on without authentication (RFC 7672 §2.2): what was promised proves nothing.
pub(super) fn nothing_usable(owner: &str, unusable: &[(String, String)]) -> Failure {
    let list: Vec<String> = unusable
        .iter()
        .take(MOST_QUOTED)
        .map(|(record, why)| format!("{record}: {why}"))
        .collect();
    Failure::new(
        Reason::DaneMismatch,
        format!(
            "no TLSA record of {owner} can be used: {} (tlsa-invalid)",
            list.join("; ")
        ),
    )
}

pub(super) fn verdicts(records: &[Tlsa], shown: &Shown, names: &[String]) -> Vec<Judged> {
    let presented = Presented {
        chain: &shown.chain,
        now: shown.time,
        names,
    };
    records
        .iter()
        .map(|record| Judged {
            record: record.clone(),
            verdict: dane::judge(record, &presented),
            found: match record.usage {
                3 => shown
                    .chain
                    .first()
                    .and_then(|leaf| dane::found(record, leaf)),
                _ => None,
            },
        })
        .collect()
}

/// One that matches is enough: while a key is changed, the old record and the new one are published (RFC 7671 §8.1).
pub(super) fn judge(owner: &str, to: SocketAddr, judged: &[Judged]) -> Option<Finding> {
    if judged.iter().any(|one| one.verdict == Verdict::Matches) {
        return None;
    }
    let mut word = "validation-failure";
    let mut list = Vec::new();
    for one in judged {
        let record = one.record.short();
        let line = match &one.verdict {
            Verdict::Matches => continue,
            Verdict::Differs => match &one.found {
                Some(found) => format!("{record} (found {found})"),
                None => format!("{record} (no such authority in the chain)"),
            },
            Verdict::Faulty {
                fault,
                word: of_fault,
            } => {
                word = of_fault;
                format!("{record}: that authority is there, and the certificate {fault}")
            }
        };
        list.push(line);
    }
    let more = list.len().saturating_sub(MOST_QUOTED);
    list.truncate(MOST_QUOTED);
    if more > 0 {
        list.push(format!("{more} more"));
    }
    Some(Finding::new(
        Reason::DaneMismatch,
        format!(
            "{} presents a certificate that no TLSA record of {owner} matches: {} ({word})",
            to.ip(),
            list.join("; ")
        ),
    ))
}

/// What matched, and that others did not.
pub(super) fn note(judged: &[Judged]) -> Option<String> {
    let matching: Vec<&Judged> = judged
        .iter()
        .filter(|one| one.verdict == Verdict::Matches)
        .collect();
    let Tlsa {
        usage,
        selector,
        matching: how,
        ..
    } = &matching.first()?.record;
    let numbers = format!("DANE {usage} {selector} {how}");
    Some(match judged.len() {
        1 => numbers,
        all => format!("{numbers}, {} of {all} records match", matching.len()),
    })
}
