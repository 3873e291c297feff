//! What the operator believes about the platform, as kinds that compare the world with it see it.

use std::net::IpAddr;

use crate::target::Role;

/// One filter node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name in the configuration.
    pub name: String,
    /// Its server name: PTR, banner and EHLO name.
    pub server_name: Option<String>,
    /// Addresses that serve the lowest MX preference.
    pub primary: Vec<IpAddr>,
    /// Addresses that serve the others.
    pub fallback: Vec<IpAddr>,
    /// Data centre.
    pub site: Option<String>,
}

impl Node {
    /// What it uses the address for; `None` when the address is not its own.
    #[must_use]
    pub fn role(&self, address: IpAddr) -> Option<Role> {
        if self.primary.contains(&address) {
            Some(Role::Primary)
        } else {
            self.fallback.contains(&address).then_some(Role::Fallback)
        }
    }

    /// Its addresses, primary ones first.
    pub fn addresses(&self) -> impl Iterator<Item = (Role, IpAddr)> + '_ {
        let of = |role, addresses: &'_ [IpAddr]| {
            addresses
                .iter()
                .map(move |address| (role, *address))
                .collect::<Vec<_>>()
        };
        of(Role::Primary, &self.primary)
            .into_iter()
            .chain(of(Role::Fallback, &self.fallback))
    }
}

/// The node that has the address.
#[must_use]
pub fn owner(nodes: &[Node], address: IpAddr) -> Option<&Node> {
    nodes.iter().find(|node| node.role(address).is_some())
}
