//! MX names, server names and reverse names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{is_at_or_below, layout};
use crate::inventory::Node;
use crate::kinds::cluster::look::Seen;
use crate::names::canonical::listed;
use crate::names::line;
use crate::names::lookback::all;
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::target::Role;

pub(super) fn mx_names(seen: &Seen) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for (_, host) in seen.hosts().filter(|(_, host)| told.insert(&host.name)) {
        for node in &seen.nodes {
            let Some(server_name) = &node.server_name else {
                continue;
            };
            if is_at_or_below(&host.name, server_name) {
                let how = match host.name == *server_name {
                    true => "is",
                    false => "is below",
                };
                findings.push(layout(format!(
                    "MX {} {how} the server name {server_name} of node {}",
                    host.name, node.name
                )));
            }
        }
    }
    findings
}

pub(super) fn server_names(seen: &Seen) -> Vec<Finding> {
    seen.nodes
        .iter()
        .flat_map(|node| server_name(node, seen))
        .collect()
}

fn server_name(node: &Node, seen: &Seen) -> Vec<Finding> {
    let (Some(name), Some(found)) = (&node.server_name, seen.servers.get(&node.name)) else {
        return vec![layout(format!(
            "node {} has no server name in the inventory",
            node.name
        ))];
    };
    let of_node = format!("the server name {name} of node {}", node.name);
    if let Some(failure) = &found.failure {
        return vec![Failure {
            message: format!("{of_node}: {}", failure.message),
            ..failure.clone()
        }];
    }
    let mut findings = Vec::new();
    if let Some(target) = &found.alias_of {
        findings.push(layout(format!("{of_node} is an alias of {}", line(target))));
    }
    let in_dns: BTreeSet<IpAddr> = found
        .addresses
        .iter()
        .chain(&found.unusable)
        .copied()
        .collect();
    let primary: BTreeSet<IpAddr> = node.primary.iter().copied().collect();
    let foreign: Vec<String> = in_dns.difference(&primary).map(IpAddr::to_string).collect();
    // An IPv6 address need not be under the server name.
    let missing: Vec<String> = primary
        .difference(&in_dns)
        .filter(|address| address.is_ipv4())
        .map(IpAddr::to_string)
        .collect();
    let parts: Vec<String> = [("does not lead to", missing), ("leads to", foreign)]
        .into_iter()
        .filter(|(_, addresses)| !addresses.is_empty())
        .map(|(words, addresses)| format!("{words} {}", listed(&addresses)))
        .collect();
    if !parts.is_empty() {
        findings.push(Finding::new(
            Reason::DnsMismatch,
            format!(
                "{of_node} {}; it is to lead to its primary address alone",
                parts.join(" and ")
            ),
        ));
    } else if node
        .primary
        .iter()
        .filter(|address| address.is_ipv4())
        .count()
        > 1
    {
        findings.push(layout(format!(
            "{of_node} leads to more than one IPv4 address; one of them is to be the primary"
        )));
    }
    findings
}

pub(super) fn primary_names(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (node, address) in of_role(seen, Role::Primary) {
        let (Some(server_name), Some(known)) = (&node.server_name, seen.reverse(address)) else {
            continue;
        };
        let label = format!("{address} ({})", node.name);
        match &known.names {
            Err(failure) => findings.push(unknown(&label, failure)),
            Ok(names) if names.is_empty() => findings.push(Finding::new(
                Reason::PtrMismatch,
                format!("{label} has no reverse name; it is to be {server_name}"),
            )),
            Ok(names) if names.iter().any(|name| name.name == *server_name) => {}
            Ok(names) => findings.push(Finding::new(
                Reason::PtrMismatch,
                format!(
                    "{label} has the reverse name {}; it is to be the server name {server_name}",
                    all(names)
                ),
            )),
        }
    }
    findings
}

pub(super) fn other_names(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (node, address) in of_role(seen, Role::Fallback) {
        let Some(known) = seen.reverse(address) else {
            continue;
        };
        let label = format!("{address} ({})", node.name);
        let names = match &known.names {
            Ok(names) => names,
            Err(failure) => {
                findings.push(unknown(&label, failure));
                continue;
            }
        };
        if names.is_empty() {
            findings.push(layout(format!("{label} has no reverse name")));
        }
        for name in names {
            if let Some(wrong) = name.unconfirmed(&label) {
                findings.push(match wrong.reason {
                    Reason::PtrMismatch => layout(wrong.message),
                    _ => wrong,
                });
            }
            let shown = line(&name.name);
            let above = seen
                .nodes
                .iter()
                .filter_map(|node| node.server_name.as_ref())
                .find(|server_name| is_at_or_below(&name.name, server_name));
            if let Some(server_name) = above {
                let how = match name.name == *server_name {
                    true => "which is the server name".to_owned(),
                    false => format!("below the server name {server_name}"),
                };
                findings.push(layout(format!(
                    "{label} has the reverse name {shown}, {how}"
                )));
            }
            if name.name.contains('_') {
                findings.push(layout(format!(
                    "{label} has the reverse name {shown}: no host name has an underscore"
                )));
            }
        }
    }
    findings
}

/// A question without an answer breaks mail as much as a wrong answer.
fn unknown(label: &str, failure: &Failure) -> Finding {
    Failure {
        message: format!("the reverse name of {label}: {}", failure.message),
        ..failure.clone()
    }
}

/// Each address that some node uses so.
fn of_role(seen: &Seen, wanted: Role) -> impl Iterator<Item = (&Node, IpAddr)> {
    seen.nodes
        .iter()
        .flat_map(|node| {
            node.addresses()
                .map(move |(role, address)| (node, role, address))
        })
        .filter(move |(_, role, _)| *role == wanted)
        .map(|(node, _, address)| (node, address))
}
