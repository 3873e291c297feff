//! The name server that a step asks.

use std::net::SocketAddr;

use crate::setting::socket_address;

/// An address with a port, 53 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameServer(pub SocketAddr);

impl std::str::FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        socket_address(text, 53).map(Self).ok_or_else(|| {
            format!("`{text}` is not an address: write it as `192.0.2.53` or `[2001:db8::53]:5353`")
        })
    }
}
