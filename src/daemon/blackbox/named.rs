//! What the configuration names: nobody can have the daemon contact anything else.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::mx;
use postrider_probes::net::Net;
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
            named.domains.insert(plain(mailbox.address.domain()));
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

    fn add(&mut self, host: &str) {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) => self.addresses.insert(address),
            Err(_) => self.hosts.insert(plain(bare)),
        };
    }

    /// Whether the daemon may go there. An MX host of a domain that is named is named with it.
    pub(super) async fn holds(&self, place: &Place, module: Module, net: &dyn Net) -> bool {
        let port = |port: &u16| self.ports.contains(port) || module.usual_ports().contains(port);
        match place {
            Place::Mailbox(_) => true,
            Place::Domain(name) => self.domains.contains(name) || self.hosts.contains(name),
            Place::Host(name, at) => {
                port(at) && (self.hosts.contains(name) || self.is_mx(net, name, None).await)
            }
            Place::Address(address, at) => {
                port(at)
                    && (self.addresses.contains(address)
                        || self.is_mx(net, "", Some(*address)).await)
            }
        }
    }

    async fn is_mx(&self, net: &dyn Net, name: &str, address: Option<IpAddr>) -> bool {
        for domain in self.domains.iter().take(MOST_DOMAINS) {
            let Ok(set) = mx::lookup(net, domain, Family::Both, LOOKUP).await else {
                continue;
            };
            let found = set.hosts.iter().any(|host| {
                host.name == name
                    || address.is_some_and(|address| host.addresses.contains(&address))
            });
            if found {
                return true;
            }
        }
        false
    }
}

/// As it is compared.
pub(super) fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
