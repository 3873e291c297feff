//! The name servers of a zone, asked one by one without recursion: resolvers show one of them, and caches hide what
//! changed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::context::Context;
use crate::kinds::deliver::Family;
use crate::names::canonical::listed;
use crate::names::line;
use crate::net::{Answer, AskError, Net, Question, RecordData, addresses, lookup, name_problem};
use crate::observation::What;
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// The longest time in units of one question's: finding the zone, the servers' addresses, and the servers in turns.
pub(crate) const MOST_ROUNDS: u32 = 10;
/// Of these, for asking the servers in turns.
pub(crate) const ASK_ROUNDS: u32 = 4;
/// Of these, for finding the zone.
const ZONE_ROUNDS: u32 = 4;
/// Name servers and addresses beyond these are not asked.
const MOST_SERVERS: usize = 16;
const MOST_ADDRESSES: usize = 50;
/// Questions on the way at the same time.
pub(crate) const AT_ONCE: usize = 16;

/// How the servers of a zone are found and asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Who knows the name servers; `None` means the configured resolver.
    pub(crate) resolver: Option<SocketAddr>,
    /// The name servers' port.
    pub(crate) port: u16,
    /// For each question.
    pub(crate) within: Duration,
}

/// A zone, and every address of its name servers.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) name: String,
    /// The names of its name servers.
    names: Vec<String>,
    /// They were found by the configured resolver.
    is_usual: bool,
    pub(crate) servers: Vec<Server>,
    /// Those that no route leads to.
    skipped: Vec<Server>,
    /// What is wrong with the name servers themselves.
    pub(crate) findings: Vec<Finding>,
}

/// One address of one name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    name: String,
    address: IpAddr,
}

impl Server {
    /// `ns1.example.net (192.0.2.1)`.
    pub(crate) fn label(&self) -> String {
        line(&format!("{} ({})", self.name, self.address))
    }
}

impl Zone {
    /// The nearest zone at or above `name`, and its servers' addresses.
    ///
    /// # Errors
    /// When nobody knows name servers for the name, or none of them can be reached from here.
    pub(crate) async fn of(name: &str, way: Way, net: &dyn Net) -> Result<Self, Failure> {
        let (zone, names) = name_servers(name, way, net).await?;
        addressed(zone, names, way, net).await
    }

    /// Tells who is asked, and who is not.
    pub(crate) fn tell(&self, cx: &Context<'_>) {
        if self.is_usual {
            cx.observe(What::Ns, &self.name, &self.names);
        }
        if self.skipped.is_empty() {
            return;
        }
        cx.note("IPv4 servers only");
        cx.evidence(|evidence| {
            evidence.answers.extend(self.skipped.iter().map(|server| {
                format!(
                    "{}: not asked, there is no IPv6 route from here",
                    server.label()
                )
            }));
        });
    }

    /// What each server replies, in the order of [`servers`](Self::servers).
    pub(crate) async fn ask(
        &self,
        question: &Question,
        way: Way,
        net: &dyn Net,
    ) -> Vec<Result<Answer, AskError>> {
        let question = question.clone().without_recursion();
        let questions: Vec<_> = self
            .servers
            .iter()
            .map(|server| SocketAddr::new(server.address, way.port))
            .map(|server| net.ask(Some(server), question.clone()))
            .collect();
        futures_util::stream::iter(questions)
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// Why an answer is not one of a server that holds the zone (RFC 9499, "lame delegation").
    pub(crate) fn lame(&self, answer: &Answer) -> Option<Finding> {
        let why = match answer.rcode.as_str() {
            "NOERROR" | "NXDOMAIN" if answer.authoritative => return None,
            "NOERROR" | "NXDOMAIN" => String::new(),
            refusal @ ("REFUSED" | "NOTAUTH") => format!(": it answered {refusal}"),
            _ => return None,
        };
        Some(Finding::new(
            Reason::DnsLame,
            format!("not authoritative for {} (lame){why}", self.name),
        ))
    }

    /// `3 servers`.
    pub(crate) fn note(&self) -> String {
        match self.servers.len() {
            1 => "1 server".to_owned(),
            count => format!("{count} servers"),
        }
    }
}

/// The nearest name at or above the asked one that has name servers.
async fn name_servers(
    asked: &str,
    way: Way,
    net: &dyn Net,
) -> Result<(String, Vec<String>), Failure> {
    let deadline = Instant::now() + way.within * ZONE_ROUNDS;
    let whole = asked.trim_end_matches('.').to_ascii_lowercase();
    let mut name = whole.as_str();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let question = Question::new(name, "NS", way.within.min(left));
        match lookup(net, way.resolver, question).await {
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
                    return Ok((name.to_owned(), servers));
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

/// Adds the servers' addresses, and what is wrong with the name servers themselves.
async fn addressed(
    zone: String,
    names: Vec<String>,
    way: Way,
    net: &dyn Net,
) -> Result<Zone, Failure> {
    let mut findings = Vec::new();
    if names.len() > MOST_SERVERS {
        findings.push(
            Finding::new(
                Reason::DnsMismatch,
                format!(
                    "{zone} has {} name servers; only {MOST_SERVERS} are asked",
                    names.len()
                ),
            )
            .as_preference(),
        );
    }
    let questions: Vec<_> = names
        .iter()
        .take(MOST_SERVERS)
        .map(|name| addresses(net, way.resolver, name, Family::Both, way.within))
        .collect();
    let resolved: Vec<_> = futures_util::stream::iter(questions)
        .buffered(AT_ONCE)
        .collect()
        .await;

    let mut servers: Vec<Server> = Vec::new();
    let mut skipped: Vec<Server> = Vec::new();
    for (name, found) in names.iter().zip(resolved) {
        if name_problem(name).is_some() {
            findings.push(Finding::new(
                Reason::DnsMismatch,
                format!("name server {}: this is no host name", line(name)),
            ));
        } else if let Some(failure) = found.failure {
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
                skipped.push(server);
            } else if !servers.iter().any(|known| known.address == address)
                && servers.len() < MOST_ADDRESSES
            {
                servers.push(server);
            }
        }
    }
    // Half of the answer is an answer; none is the vantage's fault.
    if let (true, Some(server)) = (servers.is_empty(), skipped.first()) {
        return Err(Failure::new(
            Reason::VantageNoIpv6,
            format!("no IPv6 route from here to {}", server.label()),
        ));
    }
    Ok(Zone {
        name: zone,
        names,
        is_usual: way.resolver.is_none(),
        servers,
        skipped,
        findings,
    })
}

/// Who has which records, when not all have the same.
pub(crate) fn views(sets: &BTreeMap<Vec<String>, Vec<String>>) -> Option<String> {
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
    Some(views.join("; "))
}

/// Servers by what is to be said of them, so that ten servers with one fault are one finding.
#[derive(Debug, Default)]
pub(crate) struct BySaying(Vec<(Finding, Vec<String>)>);

impl BySaying {
    pub(crate) fn add(&mut self, label: &str, finding: Finding) {
        match self.0.iter_mut().find(|(known, _)| *known == finding) {
            Some((_, labels)) => labels.push(label.to_owned()),
            None => self.0.push((finding, vec![label.to_owned()])),
        }
    }

    /// Of so many servers in all.
    pub(crate) fn into_findings(self, servers: usize) -> Vec<Finding> {
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
