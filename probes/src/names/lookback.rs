//! The reverse names of an address, and where they lead.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::kinds::deliver::Family;
use crate::names::canonical::listed;
use crate::names::{line, reverse_name};
use crate::net::{Net, Question, RecordData, addresses, end_of_chain, lookup, name_problem};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// Reverse names of one address that are looked up; the others are counted.
pub(crate) const MOST_NAMES: usize = 8;
/// The longest time for one address in units of one question's: its names, and these one after the other.
pub(crate) const ROUNDS: u32 = 1 + MOST_NAMES as u32;

/// What is known of an address's reverse names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReverseNames {
    pub(crate) address: IpAddr,
    /// Those that were looked up, or why they are not known.
    pub(crate) names: Result<Vec<ReverseName>, Failure>,
    /// How many there are.
    pub(crate) count: usize,
}

/// One reverse name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReverseName {
    /// In small letters, without a dot at the end.
    pub(crate) name: String,
    pub(crate) forward: Forward,
}

/// Where a reverse name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Back to the address.
    Confirmed,
    /// To these addresses.
    Other(Vec<IpAddr>),
    /// Nowhere: the name does not exist.
    Missing,
    /// Nobody can ask for it.
    NoName,
    /// That could not be known.
    Unknown(Failure),
}

impl ReverseNames {
    /// Looks at `address`; the names in `first` are looked up before the others.
    pub(crate) async fn of(
        address: IpAddr,
        first: &[&str],
        resolver: Option<SocketAddr>,
        within: Duration,
        net: &dyn Net,
    ) -> Self {
        let mut names = match names(address, resolver, within, net).await {
            Ok(names) => names,
            Err(failure) => {
                return Self {
                    address,
                    names: Err(failure),
                    count: 0,
                };
            }
        };
        names.sort_by_key(|name| !first.contains(&name.as_str()));
        let count = names.len();
        let mut known = Vec::new();
        for name in names.into_iter().take(MOST_NAMES) {
            let forward = forward(&name, address, resolver, within, net).await;
            known.push(ReverseName { name, forward });
        }
        Self {
            address,
            names: Ok(known),
            count,
        }
    }

    /// What is kept as proof.
    pub(crate) fn lines(&self) -> Vec<String> {
        let asked = reverse_name(self.address);
        match &self.names {
            Err(failure) => vec![line(&format!("{asked}: {}", failure.line()))],
            Ok(names) if names.is_empty() => vec![format!("{asked}: no PTR record")],
            Ok(names) => names
                .iter()
                .map(|name| {
                    let forward = match &name.forward {
                        Forward::Confirmed => "leads back".to_owned(),
                        Forward::Other(addresses) if addresses.is_empty() => {
                            "no address".to_owned()
                        }
                        Forward::Other(addresses) => shown(addresses),
                        Forward::Missing => "does not exist".to_owned(),
                        Forward::NoName => "no host name".to_owned(),
                        Forward::Unknown(failure) => failure.line(),
                    };
                    line(&format!("{asked} PTR {} ({forward})", name.name))
                })
                .collect(),
        }
    }
}

impl ReverseName {
    /// Why the name does not stand for the address that `label` shows; `None` when it leads back.
    pub(crate) fn unconfirmed(&self, label: &str) -> Option<Finding> {
        let name = line(&self.name);
        let but = match &self.forward {
            Forward::Confirmed => return None,
            Forward::Other(addresses) if addresses.is_empty() => {
                format!("{name} has no address of that family")
            }
            Forward::Other(addresses) => format!("{name} is {}", shown(addresses)),
            Forward::Missing => format!("{name} does not exist"),
            Forward::NoName => "that is no host name".to_owned(),
            Forward::Unknown(failure) => {
                return Some(Failure {
                    message: format!("{label} is {name}: {}", failure.message),
                    ..failure.clone()
                });
            }
        };
        Some(Finding::new(
            Reason::PtrMismatch,
            format!("{label} is {name}, but {but}"),
        ))
    }
}

/// The names in one line.
pub(crate) fn all(names: &[ReverseName]) -> String {
    let names: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
    listed(&names)
}

fn shown(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    listed(&addresses)
}

/// The names that PTR records give, each once; none when there are none. A reverse zone may be delegated by aliases
/// (RFC 2317).
async fn names(
    address: IpAddr,
    resolver: Option<SocketAddr>,
    within: Duration,
    net: &dyn Net,
) -> Result<Vec<String>, Failure> {
    let asked = reverse_name(address);
    let answer = match lookup(net, resolver, Question::new(&*asked, "PTR", within)).await {
        Ok(answer) => answer,
        Err(failure) if failure.reason == Reason::DnsNxdomain => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let owner = end_of_chain(&asked, &answer.records);
    let mut names: Vec<String> = answer
        .records
        .iter()
        .filter(|record| record.name == owner && record.record_type == "PTR")
        .filter_map(|record| match &record.data {
            RecordData::Name(root) if root == "." => Some(root.clone()),
            RecordData::Name(name) => Some(name.trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

async fn forward(
    name: &str,
    address: IpAddr,
    resolver: Option<SocketAddr>,
    within: Duration,
    net: &dyn Net,
) -> Forward {
    if name == "." || name_problem(name).is_some() {
        return Forward::NoName;
    }
    let family = match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    };
    let found = addresses(net, resolver, name, family, within).await;
    match found.failure {
        _ if found.addresses.contains(&address) => Forward::Confirmed,
        Some(failure) if failure.reason == Reason::DnsNxdomain => Forward::Missing,
        Some(failure) => Forward::Unknown(failure),
        None => Forward::Other(found.addresses.into_iter().chain(found.unusable).collect()),
    }
}
