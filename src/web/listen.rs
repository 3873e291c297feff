//! Where the daemon listens: loopback unless told otherwise.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use thiserror::Error;

/// The port of Postrider.
pub const PORT: u16 = 9825;
/// Where it listens by default.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9825";
/// Listeners of one daemon.
pub const MOST_LISTENERS: usize = 16;

/// An address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// It is no address.
    #[error("`{0}` is no address to listen on: write ADDRESS:PORT, [IPV6]:PORT, or :PORT for all")]
    NoAddress(String),
    /// There are too many.
    #[error("at most {MOST_LISTENERS} addresses can be listened on")]
    TooMany,
    /// The system refuses.
    #[error("cannot listen on {address}: {problem}")]
    Refused {
        /// As written.
        address: String,
        /// What the system said.
        problem: io::Error,
    },
}

/// Listens on each address: `ADDRESS:PORT`, `[IPV6]:PORT`, or `:PORT` for all addresses of both families.
///
/// # Errors
/// Of the first address that is wrong.
pub fn bind(addresses: &[String]) -> Result<Vec<TcpListener>, ListenError> {
    if addresses.len() > MOST_LISTENERS {
        return Err(ListenError::TooMany);
    }
    addresses
        .iter()
        .map(|address| {
            let candidates = parse(address)?;
            let refused = |problem| ListenError::Refused {
                address: address.clone(),
                problem,
            };
            let listener = TcpListener::bind(&*candidates).map_err(refused)?;
            listener.set_nonblocking(true).map_err(refused)?;
            Ok(listener)
        })
        .collect()
}

/// The addresses to try in order: on a host without IPv6, all addresses are those of IPv4.
fn parse(address: &str) -> Result<Vec<SocketAddr>, ListenError> {
    let wrong = || ListenError::NoAddress(address.to_owned());
    if let Some(port) = address.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| wrong())?;
        return Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    }
    Ok(vec![address.parse().map_err(|_| wrong())?])
}

/// Whether only this host can reach the listener.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// What to warn of at the start: listeners that others can reach and that have no TLS or no users.
#[must_use]
pub(super) fn exposure(addresses: &[SocketAddr], tls: bool, users: bool) -> Option<String> {
    let open: Vec<String> = addresses
        .iter()
        .filter(|address| !is_loopback(**address))
        .map(ToString::to_string)
        .collect();
    let lacks = match (tls, users) {
        (true, true) => return None,
        (false, false) => "neither TLS nor users are configured: anyone who reaches it can look",
        (true, false) => "no users are configured: anyone who reaches it can look",
        (false, true) => "TLS is not configured: passwords cross the network in the clear",
    };
    (!open.is_empty()).then(|| {
        format!(
            "listening on {} for other hosts, and {lacks}; see --web.config.file",
            open.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_literal() {
        for (text, first) in [
            ("127.0.0.1:9825", "127.0.0.1:9825"),
            ("[::1]:0", "[::1]:0"),
            (":9825", "[::]:9825"),
        ] {
            assert_eq!(parse(text).unwrap()[0].to_string(), first);
        }
        for text in ["", "9825", "localhost:9825", "::1:9825", ":70000", ":"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn several_addresses_of_both_families_are_bound() {
        let bound = bind(&["127.0.0.1:0".to_owned(), "[::1]:0".to_owned()]).unwrap();
        let families: Vec<bool> = bound
            .iter()
            .map(|listener| listener.local_addr().unwrap().is_ipv6())
            .collect();
        assert_eq!(families, [false, true]);
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = bind(&["127.0.0.1:0".to_owned()]).unwrap();
        let address = first[0].local_addr().unwrap().to_string();
        let error = bind(&[address.clone()]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {address}: ")),
            "{error}"
        );
    }

    #[test]
    fn row_58_loopback_by_default_and_a_warning_beyond() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_loopback(address(DEFAULT_ADDRESS)));
        assert!(is_loopback(address("[::1]:9825")));
        assert!(is_loopback(address("[::ffff:127.0.0.1]:9825")));
        let open = [
            address("127.0.0.1:1"),
            address("192.0.2.1:2"),
            address("[::]:3"),
        ];
        let warning = exposure(&open, false, false).unwrap();
        assert!(
            warning.contains("192.0.2.1:2, [::]:3")
                && !warning.contains("127.0.0.1")
                && warning.contains("neither TLS nor users"),
            "{warning}"
        );
        assert!(exposure(&open, true, false).unwrap().contains("no users"));
        assert!(
            exposure(&open, false, true)
                .unwrap()
                .contains("in the clear")
        );
        assert_eq!(exposure(&open, true, true), None);
        assert_eq!(exposure(&open[..1], false, false), None);
    }
}
