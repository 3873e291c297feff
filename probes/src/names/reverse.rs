//! The names under which an address stands: in the reverse zones, and in a block list.

use std::net::{IpAddr, Ipv6Addr};

/// The name under which an address's PTR records stand (RFC 1035 §3.5, RFC 3596 §2.5).
#[must_use]
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(_) => format!("{}.in-addr.arpa", reversed(address)),
        IpAddr::V6(_) => format!("{}.ip6.arpa", reversed(address)),
    }
}

/// Its bytes, or nibbles, in reverse order with dots between them.
pub(crate) fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => nibbles(address),
    }
}

fn nibbles(address: Ipv6Addr) -> String {
    let nibbles: Vec<String> = address
        .octets()
        .iter()
        .rev()
        .flat_map(|byte| [byte & 15, byte >> 4])
        .map(|nibble| format!("{nibble:x}"))
        .collect();
    nibbles.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_are_those_of_the_standards() {
        for (address, name) in [
            ("192.0.2.10", "10.2.0.192.in-addr.arpa"),
            (
                "2001:db8::10",
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            assert_eq!(reverse_name(address.parse().unwrap()), name);
        }
    }
}
