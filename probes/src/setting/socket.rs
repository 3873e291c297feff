//! `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`.

use std::net::{IpAddr, SocketAddr};

/// An address with or without a port.
#[must_use]
pub fn socket_address(text: &str, usual_port: u16) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, usual_port));
    }
    text.parse()
        .ok()
        .filter(|socket: &SocketAddr| socket.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        for (text, expected) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("192.0.2.53:5353", Some("192.0.2.53:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]:5353", Some("[2001:db8::53]:5353")),
            ("192.0.2.53:0", None),
            ("ns.example.net", None),
            ("", None),
        ] {
            let found = socket_address(text, 53).map(|socket| socket.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
