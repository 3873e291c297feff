//! Every address of every name server of the name's zone, asked one by one, and what each of them says.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::kinds::dns::judge::records;
use crate::kinds::dns::{Asked, observe};
use crate::names::canonical::listed;
use crate::names::zone::{BySaying, Way, Zone, views};
use crate::names::{MOST_LINES, zone};
use crate::net::ask_failure;
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;

/// The longest time in units of one question's.
pub(super) const MOST_ROUNDS: u32 = zone::MOST_ROUNDS;

/// Asks them all; whether everything holds.
pub(super) async fn ask(asked: &Asked, port: u16, cx: &Context<'_>) -> Result<bool, Failure> {
    let question = asked.question();
    let way = Way {
        resolver: asked.resolver,
        port,
        within: asked.within,
    };
    let (zone, replies) = cx
        .phase(Phase::Dns, async {
            let zone = Zone::of(&asked.name, way, cx.around.net).await?;
            zone.tell(cx);
            let replies = zone.ask(&question, way, cx.around.net).await;
            Ok::<_, Failure>((zone, replies))
        })
        .await?;

    let mut said = BySaying::default();
    let mut sets: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut seen = Vec::new();
    for (server, reply) in zone.servers.iter().zip(&replies) {
        let label = server.label();
        match reply {
            Err(error) => {
                let failure = ask_failure(error, &question, false);
                cx.evidence(|evidence| evidence.answers.push(format!("{label}: {error}")));
                said.add(&label, failure);
            }
            Ok(answer) => {
                let found = records(&question, answer);
                let shown = match found.is_empty() {
                    true => answer.rcode.clone(),
                    false => listed(&found),
                };
                cx.evidence(|evidence| evidence.answers.push(format!("{label}: {shown}")));
                let knows = ["NOERROR", "NXDOMAIN"].contains(&answer.rcode.as_str());
                let judged = asked.judged(answer);
                match zone.lame(answer) {
                    // A refusal may be what is expected.
                    Some(lame) if knows || !judged.is_empty() => said.add(&label, lame),
                    _ => {
                        for finding in judged {
                            said.add(&label, finding);
                        }
                        if knows {
                            let whose = observe::seen(&question, answer, Some("its name servers"));
                            seen.extend(whose);
                            sets.entry(found).or_default().push(label);
                        }
                    }
                }
            }
        }
    }
    let note = zone.note();
    let mut findings = zone.findings;
    findings.extend(said.into_findings(zone.servers.len()));
    // While they differ there is no one value to remember.
    if sets.len() == 1 {
        cx.observe_all(seen);
    }
    if !asked.is_exact() {
        // Without an expected set the servers have at least to agree.
        findings.extend(views(&sets).map(|views| {
            Finding::new(
                Reason::DnsDisagreement,
                format!("the name servers differ: {views}"),
            )
        }));
    }
    cx.evidence(|evidence| evidence.answers.truncate(MOST_LINES));
    let good = findings.is_empty();
    for finding in findings {
        cx.find(finding);
    }
    cx.note(note);
    Ok(good)
}
