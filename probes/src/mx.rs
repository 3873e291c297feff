//! Which hosts take a domain's mail (RFC 5321 §5.1, RFC 7505).

mod order;
mod records;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;

pub use order::sender_order;

use crate::kinds::deliver::Family;
use crate::mx::records::{Listed, listed};
use crate::net::{Answer, Net, Question, addresses, lookup as ask};
use crate::observation::{Observation, addresses_of};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// More MX hosts than this are not looked at.
pub(crate) const MOST_HOSTS: usize = 50;
/// More addresses of one domain than this are not looked at.
const MOST_ADDRESSES: usize = 100;
/// Questions on the way at the same time.
pub(crate) const AT_ONCE: usize = 16;

/// The hosts that take a domain's mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MxSet {
    /// Lowest preference first; equal ones in the resolver's order.
    pub hosts: Vec<MxHost>,
    /// What is wrong with the records, the hosts' own failures included.
    pub findings: Vec<Finding>,
    /// The records themselves, to be compared with what was seen before.
    pub seen: Vec<Observation>,
}

/// One MX host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxHost {
    /// Lower-case, without the trailing dot.
    pub name: String,
    /// Lower is preferred; 0 for the implicit MX.
    pub preference: u16,
    /// IPv4 before IPv6, each in the resolver's order, each once.
    pub addresses: Vec<IpAddr>,
    /// Addresses that no host can have; nothing is sent there.
    pub unusable: Vec<IpAddr>,
    /// What the name is an alias of, which RFC 5321 §5.1 does not allow.
    pub cname: Option<String>,
    /// Why addresses may be missing. It stands among the set's findings, too.
    pub failure: Option<Failure>,
}

/// Finds the MX hosts of `domain` and their addresses of the wanted family. Each question may take `within`; there are
/// one for the domain and at most two for each of 50 hosts, 16 at a time.
///
/// A host that cannot be resolved does not stop the others: see [`MxHost::failure`].
///
/// # Errors
/// When the domain takes no mail (null MX), does not exist, or its MX records cannot be known for now. A temporary
/// failure is never taken for the absence of MX records.
pub async fn lookup(
    net: &dyn Net,
    domain: &str,
    family: Family,
    within: Duration,
) -> Result<MxSet, Failure> {
    let answer = ask(net, None, Question::new(domain, "MX", within)).await?;
    hosts_of(net, None, domain, &answer, family, within).await
}

/// The same from the answer to the MX question; `server` (`None`: the resolver) knows the addresses.
///
/// # Errors
/// When the domain takes no mail (null MX).
pub(crate) async fn hosts_of(
    net: &dyn Net,
    server: Option<SocketAddr>,
    domain: &str,
    answer: &Answer,
    family: Family,
    within: Duration,
) -> Result<MxSet, Failure> {
    let mut seen = vec![records::seen(domain, answer)];
    let Listed {
        mut hosts,
        mut findings,
        implicit,
    } = listed(domain, answer)?;
    if hosts.len() > MOST_HOSTS {
        findings.push(Finding::new(
            Reason::DnsMismatch,
            format!(
                "{domain} has {} MX records; only the {MOST_HOSTS} most preferred are looked at",
                hosts.len()
            ),
        ).as_preference());
        hosts.truncate(MOST_HOSTS);
    }

    let resolved: Vec<MxHost> = futures_util::stream::iter(hosts)
        .map(|host| resolve(net, server, host, family, within))
        .buffered(AT_ONCE)
        .collect()
        .await;

    let total: usize = resolved.iter().map(|host| host.addresses.len()).sum();
    let mut room = MOST_ADDRESSES;
    let mut set = MxSet::default();
    for mut host in resolved {
        if host.failure.is_none() {
            let all = [host.addresses.as_slice(), &host.unusable].concat();
            seen.extend(addresses_of(&host.name, family, &all));
        }
        findings.extend(host_findings(domain, &host, family, implicit));
        host.addresses.truncate(room);
        room -= host.addresses.len();
        set.hosts.push(host);
    }
    if total > MOST_ADDRESSES {
        findings.push(
            Finding::new(
                Reason::DnsMismatch,
                format!(
                    "{domain} has {total} MX addresses; only the first {MOST_ADDRESSES} are looked at"
                ),
            )
            .as_preference(),
        );
    }
    set.findings = findings;
    set.seen = seen;
    Ok(set)
}

async fn resolve(
    net: &dyn Net,
    server: Option<SocketAddr>,
    mut host: MxHost,
    family: Family,
    within: Duration,
) -> MxHost {
    if host.failure.is_none() {
        let found = addresses(net, server, &host.name, family, within).await;
        host.addresses = found.addresses;
        host.unusable = found.unusable;
        host.cname = found.alias_of;
        host.failure = found.failure;
    }
    host
}

fn host_findings(domain: &str, host: &MxHost, family: Family, implicit: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let who = if implicit {
        format!("{domain} (no MX records, so the domain itself)")
    } else {
        format!("{} (MX of {domain})", host.name)
    };
    if let Some(target) = &host.cname
        && !implicit
    {
        findings.push(
            Finding::new(
                Reason::DnsMismatch,
                format!("{who} is an alias of {target}; an MX must not be a CNAME"),
            )
            .as_preference(),
        );
    }
    for address in &host.unusable {
        findings.push(Finding::new(
            Reason::DnsMismatch,
            format!("{who} has the address {address}, which no host can have"),
        ));
    }
    match &host.failure {
        Some(failure) => findings.push(Failure {
            message: format!("{who}: {}", failure.message),
            ..failure.clone()
        }),
        // With one family left out, the other may well have addresses.
        None if host.addresses.is_empty() && host.unusable.is_empty() && family == Family::Both => {
            findings.push(Finding::new(
                Reason::DnsNxdomain,
                format!("{who} has no address"),
            ));
        }
        None => {}
    }
    findings
}
