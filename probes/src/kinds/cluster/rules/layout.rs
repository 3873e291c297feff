//! How many nodes, where, and which addresses the MX set leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::layout;
use crate::kinds::cluster::look::Seen;
use crate::names::canonical::listed;
use crate::outcome::Finding;
use crate::setting::Period;

pub(super) fn two_nodes(seen: &Seen) -> Vec<Finding> {
    let what = match seen.nodes.len() {
        0 => "the inventory has no node",
        1 => "the inventory has one node: when it is down, no mail is taken",
        _ => return Vec::new(),
    };
    vec![layout(what)]
}

pub(super) fn other_network(seen: &Seen) -> Vec<Finding> {
    // The rule above says it.
    if seen.nodes.len() < 2 {
        return Vec::new();
    }
    let addresses = |v4: bool| {
        seen.nodes
            .iter()
            .flat_map(|node| node.addresses().map(move |(_, address)| (node, address)))
            .filter(move |(_, address)| address.is_ipv4() == v4)
    };
    let every_node_has_a_site = seen.nodes.iter().all(|node| node.site.is_some());
    if every_node_has_a_site {
        let sites = addresses(true)
            .chain(addresses(false))
            .filter_map(|(node, _)| node.site.clone());
        return lopsided("at site", sites).into_iter().collect();
    }
    [true, false]
        .into_iter()
        .filter_map(|v4| lopsided("in", addresses(v4).map(|(_, address)| network(address))))
        .collect()
}

/// More than two thirds at one place: a third elsewhere is what half means with three addresses.
pub(super) fn lopsided(preposition: &str, places: impl Iterator<Item = String>) -> Option<Finding> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for place in places {
        *counts.entry(place).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let (place, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let elsewhere = all - count;
    if all < 2 || elsewhere * 3 >= all {
        return None;
    }
    Some(layout(match elsewhere {
        0 => {
            format!("all {all} addresses are {preposition} {place}; about half should be elsewhere")
        }
        _ => format!(
            "{count} of {all} addresses are {preposition} {place}; about half should be elsewhere"
        ),
    }))
}

/// `192.0.2.0/24`, `2001:db8:1::/48`.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            let first = std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            format!("{first}/48")
        }
    }
}

pub(super) fn both_roles(seen: &Seen) -> Vec<Finding> {
    let missing = seen.nodes.iter().flat_map(|node| {
        [
            ("primary", node.primary.is_empty()),
            ("fallback", node.fallback.is_empty()),
        ]
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(role, _)| format!("node {} has no {role} address", node.name))
    });
    missing.map(layout).collect()
}

pub(super) fn mx_ttl(seen: &Seen) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    seen.domains
        .iter()
        .flat_map(|domain| &domain.life)
        .filter(|(host, life)| **life > seen.ttl_at_most && told.insert(*host))
        .map(|(host, life)| {
            layout(format!(
                "the addresses of {host} may be kept for {}, at most {} is wanted: so long a dead one is tried",
                Period(*life),
                Period(seen.ttl_at_most)
            ))
        })
        .collect()
}

pub(super) fn ipv4_only_mx(seen: &Seen) -> Vec<Finding> {
    let all_have_ipv6 = |hosts: &[crate::mx::MxHost]| {
        let mut known = hosts
            .iter()
            .filter(|host| !host.addresses.is_empty())
            .peekable();
        known.peek().is_some() && known.all(|host| host.addresses.iter().any(IpAddr::is_ipv6))
    };
    seen.domains
        .iter()
        // A host whose addresses are not known may be the one.
        .filter(|domain| domain.hosts.iter().all(|host| host.failure.is_none()))
        .filter(|domain| all_have_ipv6(&domain.hosts))
        .map(|domain| {
            layout(format!(
                "every MX host of {} has IPv6 addresses: senders whose IPv6 is broken have none to turn to",
                domain.name
            ))
        })
        .collect()
}

pub(super) fn mx_filters_only(seen: &Seen) -> Vec<Finding> {
    let mut foreign: BTreeMap<(u16, &str), Vec<String>> = BTreeMap::new();
    for (_, host) in seen.hosts() {
        for address in host.addresses.iter().chain(&host.unusable) {
            if seen.owner(*address).is_none() {
                foreign
                    .entry((host.preference, &host.name))
                    .or_default()
                    .push(address.to_string());
            }
        }
    }
    foreign
        .into_iter()
        .map(|((preference, host), mut addresses)| {
            addresses.sort();
            addresses.dedup();
            layout(format!(
                "MX {preference} {host} leads to {}, of no node: mail there passes no filter",
                listed(&addresses)
            ))
        })
        .collect()
}
