//! What a check is aimed at.

use std::net::IpAddr;

/// One address of one MX host, labelled from the inventory. `for_each` makes one for each check.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The domain whose MX records led to it, lower-case, without the trailing dot.
    pub domain: String,
    /// The MX host name, lower-case, without the trailing dot.
    pub mx: String,
    /// Its preference; 0 for the implicit MX of RFC 5321 §5.1.
    pub preference: u16,
    /// The address to connect to.
    pub address: IpAddr,
    /// The node of the inventory that owns the address.
    pub node: Option<String>,
    /// What the address is for, by the inventory, else by the preference.
    pub role: Role,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Addresses of the lowest preference.
    Primary,
    /// All others.
    Fallback,
}

impl Role {
    /// The word used everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
        }
    }
}
