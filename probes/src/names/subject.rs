//! Whose addresses a check is about: one address, those of a name, or those of the inventory's nodes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::inventory::{Node, owner};
use crate::kind::Names;
use crate::kinds::deliver::Family;
use crate::names::name_mistake;
use crate::net::addresses;
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::setting::{Place, Problem, Spanned, Template};
use crate::target::Role;

/// Addresses beyond these are not looked at.
pub(crate) const MOST: usize = 64;

/// Whose addresses: exactly one of the keys. Without it a step with `for_each` is about its item's address.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// This address.
    #[schemars(example = &"192.0.2.10")]
    pub address: Option<Spanned<Template>>,
    /// All addresses of this name.
    #[schemars(example = &"mail.example.net")]
    pub name: Option<Spanned<Template>>,
    /// The addresses of the nodes in `platform.nodes`.
    #[schemars(example = &"all")]
    pub nodes: Option<Spanned<OfNodes>>,
}

/// Which addresses of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfNodes {
    /// Those that serve the lowest MX preference.
    Primary,
    /// Those that serve the other preferences.
    Fallback,
    /// Both.
    All,
}

impl OfNodes {
    fn takes(self, role: Role) -> bool {
        match self {
            Self::Primary => role == Role::Primary,
            Self::Fallback => role == Role::Fallback,
            Self::All => true,
        }
    }
}

/// One address, and what the inventory says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) address: IpAddr,
    /// The node that has it.
    pub(crate) node: Option<String>,
    /// The node's server name.
    pub(crate) server_name: Option<String>,
    pub(crate) role: Option<Role>,
}

impl Owned {
    pub(crate) fn new(address: IpAddr, nodes: &[Node]) -> Self {
        let node = owner(nodes, address);
        Self {
            address,
            node: node.map(|node| node.name.clone()),
            server_name: node.and_then(|node| node.server_name.clone()),
            role: node.and_then(|node| node.role(address)),
        }
    }

    /// `192.0.2.10 (filter1)`.
    pub(crate) fn label(&self) -> String {
        match &self.node {
            Some(node) => format!("{} ({node})", self.address),
            None => self.address.to_string(),
        }
    }
}

impl Subject {
    /// What is wrong with what is written; `subject` is `None` when nothing is.
    pub(crate) fn check(
        subject: Option<&Self>,
        names: &Names<'_>,
        at: Place,
        problems: &mut Vec<Problem>,
    ) {
        let Some(subject) = subject else {
            if !names.for_each {
                problems.push(
                    Problem::error("missing-key", at, "it is not said whose addresses are meant")
                        .help("add `of: {address: …}`, `of: {name: …}` or `of: {nodes: all}`, or `for_each` to the step"),
                );
            }
            return;
        };
        let at = names.place("of", at);
        let count = [
            subject.address.is_some(),
            subject.name.is_some(),
            subject.nodes.is_some(),
        ];
        if count.into_iter().filter(|given| *given).count() != 1 {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    at,
                    "`of` has exactly one of `address`, `name` and `nodes`",
                )
                .help("write two steps for two kinds of addresses"),
            );
        }
        if let Some(address) = &subject.address
            && let Some(text) = address.literal()
            && text.parse::<IpAddr>().is_err()
        {
            problems.push(
                Problem::error(
                    "bad-address",
                    address.at,
                    format!("`{text}` is not an IP address"),
                )
                .help("write a name under `name`"),
            );
        }
        problems.extend(subject.name.as_ref().and_then(name_mistake));
        if let Some(nodes) = subject.nodes.as_ref().filter(|_| names.nodes.is_empty()) {
            problems.push(
                Problem::error("missing-key", nodes.at, "the main file names no nodes")
                    .help("add `platform: {nodes: …}` to the main file"),
            );
        }
    }

    /// The address or the name that is written.
    pub(crate) fn contacts(subject: Option<&Self>) -> Vec<&Template> {
        let written = subject.map(|subject| [subject.address.as_ref(), subject.name.as_ref()]);
        let written = written.into_iter().flatten().flatten();
        written.map(|template| &template.value).collect()
    }

    /// `the addresses of mail.example.net`.
    pub(crate) fn words(subject: Option<&Self>) -> String {
        match subject {
            Some(Self {
                address: Some(address),
                ..
            }) => address.source().to_owned(),
            Some(Self {
                name: Some(name), ..
            }) => format!("each address of {}", name.source()),
            Some(Self {
                nodes: Some(nodes), ..
            }) => match nodes.value {
                OfNodes::Primary => "each primary address of each node".to_owned(),
                OfNodes::Fallback => "each fallback address of each node".to_owned(),
                OfNodes::All => "each address of each node".to_owned(),
            },
            _ => "the target's address".to_owned(),
        }
    }

    /// The addresses, each once, at most [`MOST`]; what is wrong on the way becomes findings.
    ///
    /// # Errors
    /// When there is no address.
    pub(crate) async fn addresses(
        subject: Option<&Self>,
        resolver: Option<SocketAddr>,
        within: Duration,
        cx: &Context<'_>,
    ) -> Result<Vec<Owned>, Failure> {
        let nodes = &cx.around.platform.nodes;
        let mut found: Vec<IpAddr> = match subject {
            Some(Self {
                address: Some(address),
                ..
            }) => {
                let text = cx.fill(address)?;
                let address = text.parse().map_err(|_| {
                    Failure::new(Reason::Internal, format!("`{text}` is not an IP address"))
                })?;
                vec![address]
            }
            Some(Self {
                name: Some(name), ..
            }) => of_name(&cx.fill(name)?, resolver, within, cx).await?,
            Some(Self {
                nodes: Some(which), ..
            }) => nodes
                .iter()
                .flat_map(Node::addresses)
                .filter(|(role, _)| which.takes(*role))
                .map(|(_, address)| address)
                .collect(),
            _ => cx.target.map(|target| target.address).into_iter().collect(),
        };
        if found.is_empty() {
            return Err(Failure::new(
                Reason::DnsMismatch,
                format!(
                    "there is nothing to look at: {} is none",
                    Self::words(subject)
                ),
            ));
        }
        if found.len() > MOST {
            cx.find(
                Finding::new(
                    Reason::DnsMismatch,
                    format!(
                        "there are {} addresses; only the first {MOST} are looked at",
                        found.len()
                    ),
                )
                .as_preference(),
            );
            found.truncate(MOST);
        }
        Ok(found
            .into_iter()
            .map(|address| Owned::new(address, nodes))
            .collect())
    }
}

async fn of_name(
    name: &str,
    resolver: Option<SocketAddr>,
    within: Duration,
    cx: &Context<'_>,
) -> Result<Vec<IpAddr>, Failure> {
    let found = addresses(cx.around.net, resolver, name, Family::Both, within).await;
    if let Some(failure) = found.failure {
        if found.addresses.is_empty() {
            return Err(failure);
        }
        cx.find(failure);
    }
    if let Some(address) = found.unusable.first() {
        cx.find(Finding::new(
            Reason::DnsMismatch,
            format!("{name} has the address {address}, which no host can have"),
        ));
    }
    if found.addresses.is_empty() {
        return Err(Failure::new(
            Reason::DnsNxdomain,
            format!("{name} has no address"),
        ));
    }
    Ok(found.addresses)
}
