//! Addresses that the world cannot reach (RFC 6890 and the registries that it founded).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address, length of the prefix, what it is. The first line that holds counts.
const IPV4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "no host's"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by providers"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "of a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The same for IPv6. What is in no line and not in 2000::/3 is reserved, too.
const IPV6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::UNSPECIFIED, 128, "no host's"),
    (v6(0, 0, 0, 0, 0, 0xffff), 96, "IPv4 in disguise"),
    (v6(0x64, 0xff9b, 0, 0, 0, 0), 96, "translated IPv4"),
    (v6(0x64, 0xff9b, 1, 0, 0, 0), 48, "translated IPv4"),
    (v6(0x100, 0, 0, 0, 0, 0), 64, "thrown away"),
    (v6(0x2001, 0, 0, 0, 0, 0), 32, "of a Teredo tunnel"),
    (v6(0x2001, 0xdb8, 0, 0, 0, 0), 32, "for documentation"),
    (v6(0x2001, 0, 0, 0, 0, 0), 23, "for protocols"),
    (v6(0x2002, 0, 0, 0, 0, 0), 16, "of a 6to4 tunnel"),
    (v6(0x3fff, 0, 0, 0, 0, 0), 20, "for documentation"),
    (v6(0x2000, 0, 0, 0, 0, 0), 3, ""),
    (v6(0xfc00, 0, 0, 0, 0, 0), 7, "private"),
    (v6(0xfe80, 0, 0, 0, 0, 0), 10, "link-local"),
    (v6(0xfec0, 0, 0, 0, 0, 0), 10, "private"),
    (v6(0xff00, 0, 0, 0, 0, 0), 8, "multicast"),
];

const fn v6(a: u16, b: u16, c: u16, d: u16, e: u16, f: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, d, e, f, 0, 0)
}

/// What an address is when the world cannot reach a host at it: `private`, `loopback`, `for documentation`.
#[must_use]
pub fn special_purpose(address: IpAddr) -> Option<&'static str> {
    let what = match address {
        IpAddr::V4(address) => IPV4
            .iter()
            .find(|(first, length, _)| {
                let rest = 32 - length;
                address.to_bits() >> rest == first.to_bits() >> rest
            })
            .map_or("", |(.., what)| what),
        IpAddr::V6(address) => IPV6
            .iter()
            .find(|(first, length, _)| {
                let rest = 128 - length;
                address.to_bits() >> rest == first.to_bits() >> rest
            })
            .map_or("reserved", |(.., what)| what),
    };
    (!what.is_empty()).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_world_cannot_reach_has_a_word() {
        for (address, word) in [
            ("0.0.0.0", Some("no host's")),
            ("9.255.255.255", None),
            ("10.0.0.1", Some("private")),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.127.255.255", Some("shared by providers")),
            ("127.0.21.1", Some("loopback")),
            ("169.254.1.1", Some("link-local")),
            ("172.15.255.255", None),
            ("172.31.255.255", Some("private")),
            ("172.32.0.0", None),
            ("192.0.0.8", Some("for protocols")),
            ("192.0.1.0", None),
            ("192.0.2.1", Some("for documentation")),
            ("192.168.255.255", Some("private")),
            ("198.17.255.255", None),
            ("198.19.255.255", Some("for benchmarks")),
            ("203.0.113.9", Some("for documentation")),
            ("203.0.114.0", None),
            ("224.0.0.1", Some("multicast")),
            ("255.255.255.255", Some("reserved")),
            ("::", Some("no host's")),
            ("::1", Some("loopback")),
            ("::2", Some("reserved")),
            ("::ffff:192.0.2.1", Some("IPv4 in disguise")),
            ("64:ff9b::1", Some("translated IPv4")),
            ("100::1", Some("thrown away")),
            ("2001::1", Some("of a Teredo tunnel")),
            ("2001:1::1", Some("for protocols")),
            ("2001:200::1", None),
            ("2001:db8::1", Some("for documentation")),
            ("2001:db9::1", None),
            ("2002:c000:201::1", Some("of a 6to4 tunnel")),
            ("2a00::1", None),
            ("3fff:fff::1", Some("for documentation")),
            ("4000::1", Some("reserved")),
            ("fd00::1", Some("private")),
            ("fe80::1", Some("link-local")),
            ("ff02::1", Some("multicast")),
        ] {
            assert_eq!(special_purpose(address.parse().unwrap()), word, "{address}");
        }
    }
}
