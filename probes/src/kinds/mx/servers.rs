//! What each server of the zone says, and whether they say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Asked, judge, resolver_words};
use crate::context::Context;
use crate::names::canonical::listed;
use crate::names::line;
use crate::names::zone::{BySaying, Zone, views};
use crate::net::{Answer, Question, RecordData, ask_failure};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::setting::Period;

/// Asks every server of the zone that `owner` is in, and judges their answers. `resolved` is the resolver's.
pub(super) async fn ask(
    asked: &Asked,
    owner: &str,
    resolved: &Answer,
    cx: &Context<'_>,
) -> Result<Vec<Finding>, Failure> {
    let net = cx.around.net;
    let zone = Zone::of(owner, asked.way, net).await?;
    zone.tell(cx);
    let question = asked.question(owner);
    let of_zone = Question::new(&*zone.name, "SOA", asked.way.within);
    let (replies, sources) = tokio::join!(
        zone.ask(&question, asked.way, net),
        zone.ask(&of_zone, asked.way, net)
    );
    let note = zone.note();

    let mut said = BySaying::default();
    let mut sets: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut serials: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut answers: Vec<(String, &Answer)> = Vec::new();
    for ((server, reply), source) in zone.servers.iter().zip(&replies).zip(&sources) {
        let label = server.label();
        let serial = source.as_ref().ok().and_then(serial);
        let shown = match (reply, &serial) {
            (Err(error), _) => error.to_string(),
            (Ok(answer), serial) => {
                let records = judge::records(owner, answer);
                let records = match records.is_empty() {
                    true => answer.rcode.clone(),
                    false => listed(&records),
                };
                match serial {
                    Some(serial) => format!("{records} (serial {serial})"),
                    None => records,
                }
            }
        };
        cx.evidence(|evidence| evidence.answers.push(line(&format!("{label}: {shown}"))));
        match reply {
            Err(error) => said.add(&label, ask_failure(error, &question, false)),
            Ok(answer) => match zone.lame(answer) {
                Some(lame) => said.add(&label, lame),
                None => {
                    if answer.rcode == "NOERROR" || answer.rcode == "NXDOMAIN" {
                        let records = judge::records(owner, answer);
                        sets.entry(records).or_default().push(label.clone());
                        if let Some(serial) = serial {
                            serials.entry(vec![serial]).or_default().push(label.clone());
                        }
                    }
                    answers.push((label, answer));
                }
            },
        }
    }
    // Who differs is told once. If nobody has the expected set, that is another thing.
    let one_is_right = asked.rules.iter().any(|(wanted, _)| {
        let mut hosts = wanted.hosts.clone().unwrap_or_default();
        hosts.sort();
        sets.contains_key(&hosts)
    });
    let differ = views(&sets);
    for (label, answer) in &answers {
        for finding in judge::of_answer(&asked.rules, owner, answer) {
            let is_told = differ.is_some() && one_is_right && is_about_the_set(&finding);
            if !is_told {
                said.add(label, finding);
            }
        }
    }

    if answers.is_empty() {
        // Then at least what the resolver says is judged.
        for finding in judge::of_answer(&asked.rules, owner, resolved) {
            said.add(&resolver_words(resolved.server), finding);
        }
    }

    let mut findings: Vec<Finding> = differ
        .map(|views| disagreement(format!("the name servers differ: {views}")))
        .into_iter()
        .collect();
    findings.extend(against(&sets, owner, resolved));
    findings.extend(zone.findings);
    findings.extend(said.into_findings(zone.servers.len()));
    findings.extend(views(&serials).map(|views| {
        disagreement(format!(
            "the serial numbers of {} differ: {views}",
            zone.name
        ))
        .as_preference()
    }));
    cx.note(note);
    Ok(findings)
}

fn disagreement(message: String) -> Finding {
    Finding::new(Reason::DnsDisagreement, message)
}

fn is_about_the_set(finding: &Finding) -> bool {
    matches!(finding.reason, Reason::DnsMismatch | Reason::DnsNxdomain)
}

/// The third field of the SOA record (RFC 1035 §3.3.13), of a server that holds the zone.
fn serial(answer: &Answer) -> Option<String> {
    let record = answer
        .records
        .iter()
        .find(|record| record.record_type == "SOA" && answer.authoritative)?;
    match &record.data {
        RecordData::Other(text) => text.split_whitespace().nth(2).map(str::to_owned),
        _ => None,
    }
}

/// The resolver against all the zone's servers together.
fn against(
    sets: &BTreeMap<Vec<String>, Vec<String>>,
    owner: &str,
    resolved: &Answer,
) -> Option<Finding> {
    let records = judge::records(owner, resolved);
    if sets.is_empty() || sets.contains_key(&records) {
        return None;
    }
    let shown = |records: &[String]| match records.is_empty() {
        true => "nothing".to_owned(),
        false => listed(records),
    };
    let longest = resolved.records.iter().map(|record| record.ttl).max();
    let old = match longest {
        Some(seconds) => format!(
            "; an old answer is forgotten within {}",
            Period(Duration::from_secs(u64::from(seconds)))
        ),
        None => String::new(),
    };
    let zone: Vec<String> = sets.keys().map(|records| shown(records)).collect();
    Some(disagreement(format!(
        "{} has {}, and the zone's servers have {}{old}",
        resolver_words(resolved.server),
        shown(&records),
        zone.join(" or ")
    )))
}
