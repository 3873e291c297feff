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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_53_unless_it_is_written() {
        for (text, wanted) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("192.0.2.53:5353", Some("192.0.2.53:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]:5353", Some("[2001:db8::53]:5353")),
            ("localhost:53", None),
            ("", None),
        ] {
            let read = text.parse::<NameServer>().ok();
            let read = read.map(|server| server.0.to_string());
            assert_eq!(read.as_deref(), wanted, "{text}");
        }
    }
}
