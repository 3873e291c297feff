//! What a test or the demo can choose about the platform before it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::misbehaviour::Faults;

/// Everything that can vary. `Setup::new(now)` is a platform in good order.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The wall-clock time at the start; the platform goes on from it by the monotonic clock.
    pub now: Timestamp,
    /// What is wrong from the start.
    pub faults: Faults,
    /// Whether mx1 has the address ::1.
    pub ipv6: Ipv6,
    /// The IMAP user.
    pub username: String,
    /// The IMAP user's password.
    pub password: String,
    /// The only address that receives mail; others in its domain are answered 550 5.1.1.
    pub recipient: String,
    /// The MX set of `example.test`: preference and absolute name with its final dot.
    pub mx: Vec<(u16, String)>,
    /// More lines for the zone file of `example.test` (RFC 1035 §5.1).
    pub records: Vec<String>,
    /// Lines for the zone file of `outside.test`. Without changes: SPF and DMARC, no DKIM key.
    pub sender_records: Vec<String>,
    /// What the nodes write after `Authentication-Results: <node>;`, or no such field.
    pub authentication_results: Option<String>,
    /// How far a host's clock is ahead, by `filter1`, `filter2`, `store1`; seen in `Received`.
    pub skew: BTreeMap<String, SignedDuration>,
    /// Bytes of mail after which 452 4.3.1 is answered. A mail takes about twice its size.
    pub storage_limit: usize,
    /// Connections that one SMTP address serves at a time; more get 421.
    pub connections_per_address: usize,
    /// Silence after which a server closes a connection.
    pub idle_timeout: Duration,
}

/// Whether IPv6 is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6 {
    /// Where ::1 can be bound.
    Auto,
    /// No.
    Off,
}

impl Setup {
    /// The default of everything.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            faults: Faults::default(),
            ipv6: Ipv6::Auto,
            username: "alice".into(),
            password: "correct-horse-battery".into(),
            recipient: "alice@example.test".into(),
            mx: vec![
                (10, "mx1.example.test.".into()),
                (20, "mx2.example.test.".into()),
            ],
            records: Vec::new(),
            sender_records: vec![
                r#"@ IN TXT "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all""#.into(),
                r#"_dmarc IN TXT "v=DMARC1; p=reject""#.into(),
            ],
            authentication_results: Some(
                "spf=pass smtp.mailfrom=outside.test;\r\n\tdkim=pass header.d=outside.test;\
                 \r\n\tdmarc=pass header.from=outside.test"
                    .into(),
            ),
            skew: BTreeMap::new(),
            storage_limit: 256 << 20,
            connections_per_address: 10,
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// The same, with these faults.
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Publishes a TXT record below `outside.test`, such as a DKIM key at
    /// `selector._domainkey`; a long value is split into strings of 255 bytes.
    pub fn publish_sender_txt(&mut self, name: &str, value: &str) {
        let escaped: Vec<String> = value
            .as_bytes()
            .chunks(255)
            .map(|part| {
                let part = String::from_utf8_lossy(part);
                format!("\"{}\"", part.replace('\\', r"\\").replace('"', "\\\""))
            })
            .collect();
        let line = format!("{name} IN TXT {}", escaped.join(" "));
        self.sender_records.push(line);
    }
}
