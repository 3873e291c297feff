//! What DNS and the servers say of the cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;

use super::Greeting;
use crate::context::Context;
use crate::dialogue::introduction::{self, Introduction, Visit};
use crate::inventory::Node;
use crate::kinds::deliver::Family;
use crate::mx::{self, MxHost};
use crate::names::line;
use crate::names::lookback::{self, ReverseNames};
use crate::names::zone::{AT_ONCE, MOST_ROUNDS as ZONE_ROUNDS, Way, Zone};
use crate::net::{Addresses, Net, Question, addresses, ask_failure, end_of_chain, lookup};
use crate::observation::{Observation, What, addresses_of};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::target::Role;

/// Domains, nodes, addresses and MX hosts beyond these are not looked at.
const MOST_DOMAINS: usize = 4;
const MOST_NODES: usize = 32;
const MOST_ADDRESSES: usize = 64;
const MOST_HOSTS: usize = 16;
/// Servers that are visited.
pub(super) const MOST_VISITS: usize = 16;
/// The longest time in units of one question's. The three parts are asked for at the same time.
pub(super) const MOST_ROUNDS: u32 = {
    let domains = MOST_DOMAINS as u32 * (1 + 4 + ZONE_ROUNDS);
    let reverse = (MOST_ADDRESSES / AT_ONCE) as u32 * lookback::ROUNDS;
    if domains > reverse { domains } else { reverse }
};

/// Everything that the rules look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) nodes: Vec<Node>,
    pub(super) domains: Vec<Domain>,
    /// Where each node's server name leads, by the node's name.
    pub(super) servers: BTreeMap<String, Addresses>,
    pub(super) reverse: Vec<ReverseNames>,
    /// How the servers at primary addresses introduce themselves.
    pub(super) introductions: Vec<(IpAddr, Result<Introduction, Failure>)>,
    pub(super) ttl_at_most: Duration,
    /// What could not be asked.
    pub(super) failures: Vec<Finding>,
}

/// A mail domain.
#[derive(Debug, Clone, Default)]
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) hosts: Vec<MxHost>,
    /// What is compared with what was seen before.
    pub(super) seen: Vec<Observation>,
    /// How long each host's addresses may be kept, by the host's own name servers.
    pub(super) life: BTreeMap<String, Duration>,
}

impl Seen {
    /// The node that has the address.
    pub(super) fn owner(&self, address: IpAddr) -> Option<&Node> {
        crate::inventory::owner(&self.nodes, address)
    }

    /// The reverse names of an address, as far as they were looked at.
    pub(super) fn reverse(&self, address: IpAddr) -> Option<&ReverseNames> {
        self.reverse.iter().find(|known| known.address == address)
    }

    /// Every MX host of every domain.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&Domain, &MxHost)> {
        self.domains
            .iter()
            .flat_map(|domain| domain.hosts.iter().map(move |host| (domain, host)))
    }
}

/// Asks for everything.
pub(super) async fn at(
    domains: &[String],
    way: Way,
    ttl_at_most: Duration,
    cx: &Context<'_>,
) -> Seen {
    let net = cx.around.net;
    let mut failures = Vec::new();
    let mut nodes = cx.around.platform.nodes.clone();
    for (what, count, most) in [
        ("nodes", nodes.len(), MOST_NODES),
        ("domains", domains.len(), MOST_DOMAINS),
    ] {
        if count > most {
            failures.push(too_many(what, count, most));
        }
    }
    nodes.truncate(MOST_NODES);
    let (looked, servers, reverse) = cx
        .phase(Phase::Dns, async {
            tokio::join!(
                all_domains(domains, way, net),
                server_names(&nodes, way, net),
                reverse_names(&nodes, way, net)
            )
        })
        .await;
    let mut seen = Seen {
        nodes,
        servers,
        reverse,
        ttl_at_most,
        ..Seen::default()
    };
    for (domain, wrong) in looked {
        failures.extend(wrong);
        seen.domains.push(domain);
    }
    let addresses: usize = seen.nodes.iter().map(|node| node.addresses().count()).sum();
    if addresses > MOST_ADDRESSES {
        failures.push(too_many("addresses", addresses, MOST_ADDRESSES));
    }
    seen.failures = failures;
    tell(&seen, way.resolver, cx);
    seen
}

fn too_many(what: &str, count: usize, most: usize) -> Finding {
    Finding::new(
        Reason::ClusterLayout,
        format!("there are {count} {what}; only the first {most} are looked at"),
    )
}

/// One after the other: most platforms have one.
async fn all_domains(domains: &[String], way: Way, net: &dyn Net) -> Vec<(Domain, Vec<Finding>)> {
    let mut all = Vec::new();
    for name in domains.iter().take(MOST_DOMAINS) {
        all.push(domain(name, way, net).await);
    }
    all
}

async fn domain(name: &str, way: Way, net: &dyn Net) -> (Domain, Vec<Finding>) {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut domain = Domain {
        name: name.clone(),
        ..Domain::default()
    };
    let question = Question::new(&*name, "MX", way.within);
    let set = match lookup(net, way.resolver, question).await {
        Ok(answer) => {
            mx::hosts_of(net, way.resolver, &name, &answer, Family::Both, way.within).await
        }
        Err(failure) => Err(failure),
    };
    let set = match set {
        Ok(set) => set,
        Err(failure) => return (domain, vec![failure]),
    };
    let mut failures = set.findings;
    domain.seen = set.seen;
    if set.hosts.len() > MOST_HOSTS {
        failures.push(too_many("MX hosts", set.hosts.len(), MOST_HOSTS));
    }
    domain.hosts = set.hosts;
    domain.hosts.truncate(MOST_HOSTS);
    let asked: Vec<_> = domain
        .hosts
        .iter()
        .filter(|host| !host.addresses.is_empty())
        .map(|host| async move { (host.name.clone(), life(host, way, net).await) })
        .collect();
    let lives: Vec<_> = futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (host, life) in lives {
        match life {
            Ok(Some(life)) => drop(domain.life.insert(host, life)),
            Ok(None) => {}
            Err(failure) => failures.push(Failure {
                message: format!("the time to live of {host}: {}", failure.message),
                ..failure
            }),
        }
    }
    (domain, failures)
}

/// The longest time to live that the host's own name servers give its addresses: a resolver counts down. `None` when
/// they answer and say nothing of it, as they do of an alias that leads elsewhere.
async fn life(host: &MxHost, way: Way, net: &dyn Net) -> Result<Option<Duration>, Failure> {
    let zone = Zone::of(&host.name, way, net).await?;
    let has = |v4: bool| host.addresses.iter().any(|address| address.is_ipv4() == v4);
    let mut longest = None;
    let mut unanswered = None;
    let mut answers = 0;
    for (record_type, is_there) in [("A", has(true)), ("AAAA", has(false))] {
        if !is_there {
            continue;
        }
        let question = Question::new(&*host.name, record_type, way.within);
        for reply in zone.ask(&question, way, net).await {
            match reply {
                Err(error) => unanswered = Some(ask_failure(&error, &question, false)),
                Ok(answer) if zone.lame(&answer).is_some() => {}
                Ok(answer) => {
                    answers += 1;
                    let owner = end_of_chain(&host.name, &answer.records);
                    let lives = answer
                        .records
                        .iter()
                        .filter(|record| record.name == owner && record.record_type == record_type)
                        .map(|record| Duration::from_secs(u64::from(record.ttl)));
                    longest = lives.chain(longest).max();
                }
            }
        }
    }
    match unanswered {
        // One server that answers is enough here.
        Some(failure) if answers == 0 => Err(failure),
        _ => Ok(longest),
    }
}

async fn server_names(nodes: &[Node], way: Way, net: &dyn Net) -> BTreeMap<String, Addresses> {
    let asked: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some((node.name.clone(), node.server_name.as_deref()?)))
        .map(|(node, name)| async move {
            let found = addresses(net, way.resolver, name, Family::Both, way.within).await;
            (node, found)
        })
        .collect();
    futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn reverse_names(nodes: &[Node], way: Way, net: &dyn Net) -> Vec<ReverseNames> {
    let asked: Vec<_> = nodes
        .iter()
        .flat_map(|node| node.addresses().map(move |(_, address)| (node, address)))
        .take(MOST_ADDRESSES)
        .map(|(node, address)| async move {
            let first: Vec<&str> = node.server_name.as_deref().into_iter().collect();
            ReverseNames::of(address, &first, way.resolver, way.within, net).await
        })
        .collect();
    futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Leaves what was seen, as `resolver` says it, as proof.
fn tell(seen: &Seen, resolver: Option<SocketAddr>, cx: &Context<'_>) {
    for domain in &seen.domains {
        cx.observe_all(domain.seen.iter().cloned().map(|seen| seen.at(resolver)));
    }
    let mut lines = Vec::new();
    for (domain, host) in seen.hosts() {
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        lines.push(line(&format!(
            "{} MX {} {}: {}",
            domain.name,
            host.preference,
            host.name,
            addresses.join(", ")
        )));
    }
    for node in &seen.nodes {
        let (Some(name), Some(found)) = (&node.server_name, seen.servers.get(&node.name)) else {
            continue;
        };
        let addresses: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
        lines.push(line(&format!("{name}: {}", addresses.join(", "))));
        // What could not be asked says nothing of a change.
        if found.failure.is_none() {
            let addresses = addresses_of(name, Family::Both, &found.addresses);
            cx.observe_all(addresses.map(|seen| seen.at(resolver)));
        }
    }
    for known in &seen.reverse {
        lines.extend(known.lines());
        if let Ok(names) = &known.names {
            let names = names.iter().map(|name| &name.name);
            let ptr = Observation::new(What::Ptr, known.address, names);
            cx.observe_all([ptr.at(resolver)]);
        }
    }
    cx.evidence(|evidence| evidence.answers.extend(lines));
}

/// Visits the server at each primary address, one after the other.
pub(super) async fn visit(seen: &mut Seen, greeting: &Greeting, cx: &Context<'_>) {
    let platform = cx.around.platform;
    let port = greeting.port.as_ref().map(|port| port.value);
    let port = port.or(platform.smtp_port).unwrap_or(25);
    let servers: Vec<(IpAddr, String)> = seen
        .nodes
        .iter()
        .filter_map(|node| Some((node, node.server_name.clone()?)))
        .flat_map(|(node, name)| {
            node.addresses()
                .filter(|(role, _)| *role == Role::Primary)
                .map(move |(_, address)| (address, name.clone()))
        })
        .collect();
    if servers.len() > MOST_VISITS {
        let count = servers.len();
        let wrong = too_many("primary addresses to visit", count, MOST_VISITS);
        seen.failures.push(wrong);
    }
    for (address, name) in servers.into_iter().take(MOST_VISITS) {
        if !cx.around.net.has_route(address) {
            seen.failures.push(Finding::new(
                Reason::VantageNoIpv6,
                format!("no IPv6 route from here to {address}"),
            ));
            continue;
        }
        let visit = Visit {
            server: SocketAddr::new(address, port),
            source: platform.source_address,
            helo: Some(&greeting.helo.value.0),
            certificate: Some((&name, &platform.trust)),
        };
        let heard = introduction::hear(visit, cx).await;
        seen.introductions.push((address, heard));
    }
}
