//! From a domain to the addresses that are probed: MX look-up, labels from the inventory, and what the two disagree on.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::mx::{self, MxSet};
use postrider_probes::net::Net;
use postrider_probes::observation::Observation;
use postrider_probes::outcome::{Failure, Finding};
use postrider_probes::reason::Reason;
use postrider_probes::setting::Variables;
use postrider_probes::target::{Role, Target};

use super::select::Selection;
use crate::config::plan::{ForEach, Inventory, Node, Preference};

/// Time for each question of the look-up, when the step has no shorter limit.
pub const LOOKUP_WITHIN: Duration = Duration::from_secs(10);

/// What a `for_each` gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Lowest preference first, then by MX name, IPv4 before IPv6, then by address: the same in every run.
    pub targets: Vec<Target>,
    /// What was wrong on the way; the targets are good all the same.
    pub findings: Vec<Finding>,
    /// The records on the way, to be compared with what was seen before.
    pub seen: Vec<Observation>,
}

/// Looks up the MX set of the step's domain and makes the targets that `selection` takes. Each question may take `within`.
///
/// # Errors
/// When the domain's MX set cannot be known: then nothing can be probed.
pub async fn expand(
    for_each: &ForEach,
    inventory: &Inventory,
    net: &dyn Net,
    variables: &Variables,
    selection: &Selection,
    within: Duration,
) -> Result<Expansion, Failure> {
    let domain = for_each
        .mx_of
        .fill(variables)
        .map_err(|error| Failure::new(Reason::Internal, error.to_string()))?;
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let set = mx::lookup(net, &domain, for_each.family, within).await?;
    let has_route = |address| net.has_route(address);
    Ok(expansion(
        for_each, &domain, set, inventory, &has_route, selection,
    ))
}

/// The decision, apart from the network.
fn expansion(
    for_each: &ForEach,
    domain: &str,
    set: MxSet,
    inventory: &Inventory,
    has_route: &dyn Fn(IpAddr) -> bool,
    selection: &Selection,
) -> Expansion {
    let chosen = chosen(for_each, domain, &set, inventory);
    let seen = set.seen.clone();
    let mut findings = if selection.narrows_targets() {
        // Who asks for one host does not ask about the others.
        failures_of_selected(&set, selection)
    } else {
        let mut findings = set.findings;
        findings.extend(disagreements(for_each, domain, &chosen, inventory));
        if chosen.is_empty() && findings.is_empty() {
            findings.push(Finding::new(Reason::DnsMismatch, nothing(for_each, domain)));
        }
        findings
    };
    let mut targets: Vec<Target> = chosen
        .into_iter()
        .filter(|target| selection.takes_target(target))
        .collect();
    let wanted = targets.len();
    targets.retain(|target| target.address.is_ipv4() || has_route(target.address));
    if targets.len() < wanted {
        findings.push(Finding::new(
            Reason::VantageNoIpv6,
            format!("no IPv6 route from here: IPv6 addresses of {domain} are not tested"),
        ));
    }
    Expansion {
        targets,
        findings,
        seen,
    }
}

/// Every address that the step is about, labelled.
fn chosen(for_each: &ForEach, domain: &str, set: &MxSet, inventory: &Inventory) -> Vec<Target> {
    let lowest = set
        .hosts
        .iter()
        .map(|host| host.preference)
        .min()
        .unwrap_or(0);
    let mut targets: Vec<Target> = set
        .hosts
        .iter()
        .filter(|host| match for_each.preference {
            Preference::Lowest => host.preference == lowest,
            Preference::NotLowest => host.preference != lowest,
            Preference::Any => true,
        })
        .flat_map(|host| host.addresses.iter().map(move |&address| (host, address)))
        .filter(|(_, address)| for_each.family.holds(*address))
        .map(|(host, address)| {
            let by_preference = match host.preference == lowest {
                true => Role::Primary,
                false => Role::Fallback,
            };
            let node = inventory.nodes.iter().find(|node| owns(node, address));
            Target {
                domain: domain.to_owned(),
                mx: host.name.clone(),
                preference: host.preference,
                address,
                node: node.map(|node| node.name.clone()),
                role: node
                    .and_then(|node| role_at(node, address))
                    .unwrap_or(by_preference),
            }
        })
        .collect();
    targets.sort_by(|a, b| (a.preference, &a.mx, a.address).cmp(&(b.preference, &b.mx, b.address)));
    if for_each.distinct {
        // Sorted: of several MX names the most preferred one keeps the address.
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert(target.address));
    }
    targets
}

fn owns(node: &Node, address: IpAddr) -> bool {
    node.primary.contains(&address) || node.fallback.contains(&address)
}

/// `None` when the node uses the address for both: then the preference decides.
fn role_at(node: &Node, address: IpAddr) -> Option<Role> {
    match (
        node.primary.contains(&address),
        node.fallback.contains(&address),
    ) {
        (true, false) => Some(Role::Primary),
        (false, true) => Some(Role::Fallback),
        _ => None,
    }
}

fn failures_of_selected(set: &MxSet, selection: &Selection) -> Vec<Finding> {
    set.hosts
        .iter()
        .filter(|host| {
            let named = |name: &String| name.trim_end_matches('.').eq_ignore_ascii_case(&host.name);
            selection.mx.iter().any(named)
        })
        .filter_map(|host| {
            host.failure.as_ref().map(|failure| Finding {
                message: format!("{}: {}", host.name, failure.message),
                ..failure.clone()
            })
        })
        .collect()
}

/// Both directions, for the addresses that this step is about. Without nodes, or for somebody else's domain, the
/// inventory says nothing.
fn disagreements(
    for_each: &ForEach,
    domain: &str,
    chosen: &[Target],
    inventory: &Inventory,
) -> Vec<Finding> {
    let is_ours = inventory.domains.is_empty()
        || inventory
            .domains
            .iter()
            .any(|known| known.trim_end_matches('.').eq_ignore_ascii_case(domain));
    if inventory.nodes.is_empty() || !is_ours {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for target in chosen.iter().filter(|target| target.node.is_none()) {
        if told.insert(target.address) {
            findings.push(Finding::new(
                Reason::InventoryMismatch,
                format!(
                    "{} (MX {} {} of {domain}) is in DNS and belongs to no node of the inventory",
                    target.address, target.preference, target.mx
                ),
            ));
        }
    }
    for node in &inventory.nodes {
        for (role, place, address) in expected(for_each.preference, node) {
            let is_there = chosen.iter().any(|target| target.address == address);
            if for_each.family.holds(address) && !is_there && told.insert(address) {
                findings.push(Finding::new(
                    Reason::InventoryMismatch,
                    format!(
                        "{address} is a {} address of node {} and not {place} of {domain} in DNS",
                        role.name(),
                        node.name
                    ),
                ));
            }
        }
    }
    findings
}

/// The node's addresses that must be among the step's.
fn expected(preference: Preference, node: &Node) -> Vec<(Role, &'static str, IpAddr)> {
    let (primary, fallback, place) = match preference {
        Preference::Lowest => (true, false, "behind the most preferred MX"),
        Preference::NotLowest => (false, true, "behind a fallback MX"),
        Preference::Any => (true, true, "behind any MX"),
    };
    let primary = node
        .primary
        .iter()
        .filter(move |_| primary)
        .map(|&address| (Role::Primary, address));
    let fallback = node
        .fallback
        .iter()
        .filter(move |_| fallback)
        .map(|&address| (Role::Fallback, address));
    primary
        .chain(fallback)
        .map(|(role, address)| (role, place, address))
        .collect()
}

/// A step that probes nothing would look like one that passed.
fn nothing(for_each: &ForEach, domain: &str) -> String {
    let family = match for_each.family {
        Family::Ipv4 => "IPv4 ",
        Family::Ipv6 => "IPv6 ",
        Family::Both => "",
    };
    match for_each.preference {
        Preference::Lowest | Preference::Any => {
            format!("no MX host of {domain} has an {family}address")
        }
        Preference::NotLowest => {
            format!("{domain} has no {family}fallback MX: there is nothing to probe")
        }
    }
}

#[cfg(test)]
mod tests;
