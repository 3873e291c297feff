//! What the configuration names: nobody can have the daemon contact anything else.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::mx;
use postrider_probes::net::Net;
use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;
use postrider_probes::setting::Template;

use super::modules::Module;
use crate::config::plan::Plan;

/// Domains of which the MX hosts are looked up.
const MOST_DOMAINS: usize = 32;
/// For each question about them.
const LOOKUP: Duration = Duration::from_secs(3);

/// Where a module is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A name and a port.
    Host(String, u16),
    /// An address and a port.
    Address(IpAddr, u16),
    /// A domain, for questions to DNS.
    Domain(String),
    /// A mailbox of the configuration, by its name.
    Mailbox(String),
}

impl Place {
    /// The address, where one was given.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address, _) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name, port) => write!(f, "{name} port {port}"),
            Self::Address(address, port) => write!(f, "{address} port {port}"),
            Self::Domain(name) => write!(f, "domain {name}"),
            Self::Mailbox(name) => write!(f, "mailbox `{name}`"),
        }
    }
}

/// Names in small letters, without a dot at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    hosts: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    domains: BTreeSet<String>,
    /// Domains of others, whose MX hosts are not ours to contact.
    foreign: BTreeSet<String>,
    ports: BTreeSet<u16>,
}

impl Named {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut named = Self::default();
        for domain in &plan.inventory.domains {
            named.domains.insert(plain(domain));
        }
        for node in &plan.inventory.nodes {
            named
                .addresses
                .extend(node.primary.iter().chain(&node.fallback));
            named.hosts.extend(node.server_name.as_deref().map(plain));
        }
        for mailbox in plan.mailboxes.values() {
            named.foreign.insert(plain(mailbox.address.domain()));
            if let Some(imap) = &mailbox.imap {
                named.add(&imap.server);
                named.ports.insert(imap.port);
            }
        }
        named.ports.extend(plan.platform.smtp_port);
        for scenario in &plan.scenarios {
            let route = scenario.message.route.as_ref();
            let mut domains: Vec<&Template> = Vec::new();
            domains.extend(route.map(|route| &route.mx_of.value));
            for step in &scenario.steps {
                domains.extend(step.for_each.as_ref().map(|each| &each.mx_of.value));
                named.ports.extend(step.probe.port());
                for text in step
                    .probe
                    .contacts()
                    .into_iter()
                    .filter_map(Template::literal)
                {
                    named.add(&text);
                }
            }
            let domains = domains.into_iter().filter_map(Template::literal);
            named.domains.extend(domains.map(|domain| plain(&domain)));
        }
        named
    }

    /// What names these domains, and those of others.
    #[cfg(test)]
    pub(super) fn naming(domains: &[&str], foreign: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| plain(name)).collect();
        Self {
            domains: owned(domains),
            foreign: owned(foreign),
            ..Self::default()
        }
    }

    fn add(&mut self, host: &str) {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) => self.addresses.insert(address),
            Err(_) => self.hosts.insert(plain(bare)),
        };
    }

    /// Whether the daemon may go there. An MX host of a domain that is named is named with it; when DNS cannot say which
    /// these are, nobody knows.
    pub(super) async fn holds(
        &self,
        place: &Place,
        module: Module,
        net: &dyn Net,
    ) -> Result<bool, Failure> {
        let port = |port: &u16| self.ports.contains(port) || module.usual_ports().contains(port);
        let known = match place {
            Place::Mailbox(_) => true,
            Place::Domain(name) => [&self.domains, &self.foreign, &self.hosts]
                .iter()
                .any(|names| names.contains(name)),
            Place::Host(name, at) if port(at) => {
                self.hosts.contains(name) || self.is_mx(net, name, None).await?
            }
            Place::Address(address, at) if port(at) => {
                self.addresses.contains(address) || self.is_mx(net, "", Some(*address)).await?
            }
            Place::Host(..) | Place::Address(..) => false,
        };
        Ok(known)
    }

    async fn is_mx(
        &self,
        net: &dyn Net,
        name: &str,
        address: Option<IpAddr>,
    ) -> Result<bool, Failure> {
        let mut unknown = None;
        for domain in self.domains.iter().take(MOST_DOMAINS) {
            let set = match mx::lookup(net, domain, Family::Both, LOOKUP).await {
                Ok(set) => set,
                Err(failure) => {
                    unknown = unknown.or(Some(failure).filter(is_no_answer));
                    continue;
                }
            };
            let found = set.hosts.iter().any(|host| {
                host.name == name
                    || address.is_some_and(|address| host.addresses.contains(&address))
            });
            if found {
                return Ok(true);
            }
            if address.is_some() {
                let failures = set.hosts.into_iter().filter_map(|host| host.failure);
                unknown = unknown.or(failures.into_iter().find(is_no_answer));
            }
        }
        match unknown {
            Some(failure) => Err(failure),
            None => Ok(false),
        }
    }
}

/// Whether a failure leaves open what DNS would have said.
fn is_no_answer(failure: &Failure) -> bool {
    !matches!(failure.reason, Reason::DnsNxdomain | Reason::DnsMismatch)
}

/// As it is compared.
pub(super) fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
