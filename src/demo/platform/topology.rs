//! The names and addresses of the embedded platform: two filter nodes with two SMTP addresses
//! each, one store with the mailboxes, and the domain of the foreign sender.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The domain that receives mail.
pub const DOMAIN: &str = "example.test";
/// The domain that the foreign sender belongs to.
pub const SENDER_DOMAIN: &str = "outside.test";
/// The first filter node.
pub const FILTER1: &str = "filter1";
/// The second filter node.
pub const FILTER2: &str = "filter2";
/// The host that keeps the mailboxes, as it names itself in `Received`.
pub const STORE_HOST: &str = "store1.cluster.test";
/// The name of the IMAP server.
pub const IMAP_HOST: &str = "imap.example.test";

/// filter1, address of mx1.
pub const FILTER1_PRIMARY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 21, 1));
/// filter1, address of mx2.
pub const FILTER1_FALLBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 21, 2));
/// filter2, address of mx1.
pub const FILTER2_PRIMARY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 22, 1));
/// filter2, address of mx2.
pub const FILTER2_FALLBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 22, 2));
/// filter1, IPv6 address of mx1, where the host has IPv6. mx2 has none.
pub const FILTER1_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// The IMAP server.
pub const IMAP_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 23, 1));
/// The DNS server, and the address of the zones' only name server.
pub const DNS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What an address is to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Published by the MX with the lowest preference.
    Primary,
    /// Published by the other MX.
    Fallback,
}

/// One SMTP address of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Where it listens.
    pub ip: IpAddr,
    /// [`FILTER1`] or [`FILTER2`].
    pub node: &'static str,
    /// Primary or fallback.
    pub role: Role,
    /// The MX name that has this address.
    pub mx: &'static str,
}

impl Address {
    /// The node's own host name, as in its banner, EHLO reply and `Received` fields.
    pub fn node_host(&self) -> String {
        format!("{}.cluster.test", self.node)
    }
}

const fn address(ip: IpAddr, node: &'static str, role: Role) -> Address {
    let mx = match role {
        Role::Primary => "mx1.example.test",
        Role::Fallback => "mx2.example.test",
    };
    Address { ip, node, role, mx }
}

/// The four addresses that are always there.
pub(super) const IPV4: [Address; 4] = [
    address(FILTER1_PRIMARY, FILTER1, Role::Primary),
    address(FILTER2_PRIMARY, FILTER2, Role::Primary),
    address(FILTER1_FALLBACK, FILTER1, Role::Fallback),
    address(FILTER2_FALLBACK, FILTER2, Role::Fallback),
];

/// The one that needs IPv6.
pub(super) const IPV6: Address = address(FILTER1_IPV6, FILTER1, Role::Primary);
