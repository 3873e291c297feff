//! Every address of every name server of a zone, asked one by one without recursion: resolvers show one of them, and
//! caches hide what changed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::context::Context;
use crate::kinds::deliver::Family;
use crate::kinds::dns::canonical::listed;
use crate::kinds::dns::judge::records;
use crate::kinds::dns::{Asked, MOST_LINES, line, observe};
use crate::net::{Answer, AskError, Net, Question, RecordData, addresses, ask_failure, lookup};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;

/// The longest time in units of one question's: finding the zone, the servers' addresses, and the servers in turns.
pub(super) const MOST_ROUNDS: u32 = 10;
/// Of these, for finding the zone.
const ZONE_ROUNDS: u32 = 4;
/// Name servers and addresses beyond these are not asked.
const MOST_SERVERS: usize = 16;
const MOST_ADDRESSES: usize = 50;
/// Questions on the way at the same time.
const AT_ONCE: usize = 16;

/// The name servers of a zone.
#[derive(Debug)]
struct Zone {
    name: String,
    servers: Vec<String>,
}

/// One address of one name server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    name: String,
    address: IpAddr,
}

impl Server {
    fn label(&self) -> String {
        line(&format!("{} ({})", self.name, self.address))
    }
}

/// Asks them all; whether everything holds.
pub(super) async fn ask(asked: &Asked, port: u16, cx: &Context<'_>) -> Result<bool, Failure> {
    let net = cx.around.net;
    let (zone, servers, replies, mut findings) = cx
        .phase(Phase::Dns, async {
            let zone = zone_of(asked, net).await?;
            let (servers, findings) = servers_of(&zone, asked, cx).await?;
            let question = asked.question().without_recursion();
            let questions: Vec<_> = servers
                .iter()
                .map(|server| SocketAddr::new(server.address, port))
                .map(|server| net.ask(Some(server), question.clone()))
                .collect();
            let replies: Vec<Result<Answer, AskError>> = futures_util::stream::iter(questions)
                .buffered(AT_ONCE)
                .collect()
                .await;
            Ok::<_, Failure>((zone, servers, replies, findings))
        })
        .await?;

    let question = asked.question();
    let mut said = BySaying::default();
    let mut sets: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut seen = Vec::new();
    for (server, reply) in servers.iter().zip(&replies) {
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
                if knows && !answer.authoritative {
                    said.add(&label, lame(&zone));
                } else {
                    for finding in asked.judged(answer) {
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
    // While they differ there is no one value to remember.
    if sets.len() == 1 {
        cx.observe_all(seen);
    }
    findings.extend(said.into_findings(servers.len()));
    if !asked.is_exact() {
        findings.extend(disagreement(&sets));
    }
    cx.evidence(|evidence| evidence.answers.truncate(MOST_LINES));
    let good = findings.is_empty();
    for finding in findings {
        cx.find(finding);
    }
    cx.note(match servers.len() {
        1 => "1 server".to_owned(),
        count => format!("{count} servers"),
    });
    Ok(good)
}

/// The nearest name at or above the asked one that has name servers.
async fn zone_of(asked: &Asked, net: &dyn Net) -> Result<Zone, Failure> {
    let deadline = Instant::now() + asked.within * ZONE_ROUNDS;
    let whole = asked.name.trim_end_matches('.').to_ascii_lowercase();
    let mut name = whole.as_str();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let question = Question::new(name, "NS", asked.within.min(left));
        match lookup(net, asked.resolver, question).await {
            Ok(answer) => {
                let mut servers: Vec<String> = answer
                    .records
                    .iter()
                    .filter(|record| record.name == name && record.record_type == "NS")
                    .filter_map(|record| match &record.data {
                        RecordData::Name(server) => Some(server.clone()),
                        _ => None,
                    })
                    .collect();
                servers.sort();
                servers.dedup();
                if !servers.is_empty() {
                    return Ok(Zone {
                        name: name.to_owned(),
                        servers,
                    });
                }
            }
            // The asked name itself need not exist.
            Err(failure) if failure.reason == Reason::DnsNxdomain => {}
            Err(failure) => return Err(failure),
        }
        match name.split_once('.') {
            Some((_, parent)) => name = parent,
            None => {
                return Err(Failure::new(
                    Reason::DnsNxdomain,
                    format!("no name servers are known for {whole}"),
                ));
            }
        }
    }
}

/// Their addresses, and what is wrong with the name servers themselves.
async fn servers_of(
    zone: &Zone,
    asked: &Asked,
    cx: &Context<'_>,
) -> Result<(Vec<Server>, Vec<Finding>), Failure> {
    let net = cx.around.net;
    let mut findings = Vec::new();
    if zone.servers.len() > MOST_SERVERS {
        findings.push(
            Finding::new(
                Reason::DnsMismatch,
                format!(
                    "{} has {} name servers; only {MOST_SERVERS} are asked",
                    zone.name,
                    zone.servers.len()
                ),
            )
            .as_preference(),
        );
    }
    let questions: Vec<_> = zone
        .servers
        .iter()
        .take(MOST_SERVERS)
        .map(|name| addresses(net, asked.resolver, name, Family::Both, asked.within))
        .collect();
    let resolved: Vec<_> = futures_util::stream::iter(questions)
        .buffered(AT_ONCE)
        .collect()
        .await;

    let mut servers: Vec<Server> = Vec::new();
    let mut unreachable = Vec::new();
    for (name, found) in zone.servers.iter().zip(resolved) {
        if let Some(failure) = found.failure {
            findings.push(Failure {
                message: format!("name server {name}: {}", failure.message),
                ..failure
            });
        } else if let Some(address) = found.unusable.first() {
            findings.push(Finding::new(
                Reason::DnsMismatch,
                format!("name server {name} has the address {address}, which no host can have"),
            ));
        } else if found.addresses.is_empty() {
            findings.push(Finding::new(
                Reason::DnsNxdomain,
                format!("name server {name} has no address"),
            ));
        }
        for address in found.addresses {
            let server = Server {
                name: name.clone(),
                address,
            };
            if address.is_ipv6() && !net.has_route(address) {
                cx.evidence(|evidence| {
                    let label = server.label();
                    evidence.answers.push(format!(
                        "{label}: not asked, there is no IPv6 route from here"
                    ));
                });
                unreachable.push(server);
            } else if !servers.iter().any(|known| known.address == address)
                && servers.len() < MOST_ADDRESSES
            {
                servers.push(server);
            }
        }
    }
    // Half of the answer is an answer; none is the vantage's fault.
    if let (true, Some(server)) = (servers.is_empty(), unreachable.first()) {
        return Err(Failure::new(
            Reason::VantageNoIpv6,
            format!("no IPv6 route from here to {}", server.label()),
        ));
    }
    if !unreachable.is_empty() {
        cx.note("IPv4 servers only");
    }
    Ok((servers, findings))
}

fn lame(zone: &Zone) -> Finding {
    Finding::new(
        Reason::DnsMismatch,
        format!("not authoritative for {} (lame)", zone.name),
    )
}

/// Without an expected set the servers have at least to agree.
fn disagreement(sets: &BTreeMap<Vec<String>, Vec<String>>) -> Option<Finding> {
    if sets.len() < 2 {
        return None;
    }
    let views: Vec<String> = sets
        .iter()
        .map(|(records, servers)| {
            let records = match records.is_empty() {
                true => "nothing".to_owned(),
                false => listed(records),
            };
            format!("{} has {records}", servers.join(", "))
        })
        .collect();
    Some(Finding::new(
        Reason::DnsMismatch,
        format!("the name servers differ: {}", views.join("; ")),
    ))
}

/// Servers by what is to be said of them, so that ten servers with one fault are one finding.
#[derive(Debug, Default)]
struct BySaying(Vec<(Finding, Vec<String>)>);

impl BySaying {
    fn add(&mut self, label: &str, finding: Finding) {
        match self.0.iter_mut().find(|(known, _)| *known == finding) {
            Some((_, labels)) => labels.push(label.to_owned()),
            None => self.0.push((finding, vec![label.to_owned()])),
        }
    }

    fn into_findings(self, servers: usize) -> Vec<Finding> {
        self.0
            .into_iter()
            .map(|(finding, labels)| {
                let who = match labels.len() {
                    count if count == servers && count > 2 => format!("all {count} name servers"),
                    _ => labels.join(", "),
                };
                Finding {
                    message: format!("{who}: {}", finding.message),
                    ..finding
                }
            })
            .collect()
    }
}
