//! What can be written under `tlsa:`.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_wire::address::EhloName;
use serde::Deserialize;

use crate::dialogue::starttls::Protocol;
use crate::setting::{NameServer, Parsed, Period, Spanned, Template};

/// How long each part may take unless `within` says otherwise.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// Holds the certificate that a server presents against the TLSA records of its name, as a sender with DANE does (RFC 7672).
/// The MX records, the addresses and the TLSA records must be proven by DNSSEC, here and by the resolver.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = BTreeMap::from([("host", "mx1.example.net"), ("domain", "example.net")]))]
pub struct Tlsa {
    /// The server's name, below which the TLSA records are (`_25._tcp.NAME`). With `for_each`, the MX host by default.
    #[schemars(example = &"mx1.example.net")]
    pub host: Option<Spanned<Template>>,
    /// The domain whose MX records lead to the host: they must be secure, too. With `for_each`, the target's by default; without
    /// it, MX records play no part.
    #[schemars(example = &"example.net")]
    pub domain: Option<Spanned<Template>>,
    /// Connect to exactly this address. By default the target's; with `host`, each of its addresses.
    #[schemars(example = &"192.0.2.10")]
    pub to_address: Option<Spanned<Template>>,
    /// TCP port, also of the records' name; the protocol's own by default (of smtp the platform's `smtp_port` or 25).
    #[schemars(example = 25)]
    pub port: Option<Spanned<u16>>,
    /// How TLS is begun.
    #[serde(default)]
    pub starttls: Begin,
    /// What EHLO says; the `helo` of the first sender by default.
    #[schemars(example = &"probe.outside.example.org")]
    pub helo: Option<Spanned<Parsed<EhloName>>>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default. It must validate.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// Local address to connect from.
    #[schemars(example = &"192.0.2.200")]
    pub source_address: Option<Parsed<std::net::IpAddr>>,
    /// How long each part may take: an answer with its proof, the connection, each reply, the handshake; 10s by default.
    pub within: Option<Period>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// How TLS is begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// By STARTTLS of SMTP (RFC 3207).
    #[default]
    Smtp,
    /// By STARTTLS of IMAP (RFC 9051).
    Imap,
    /// By STLS of POP3 (RFC 2595).
    Pop3,
    /// By STARTTLS of ManageSieve (RFC 5804).
    Sieve,
    /// With the connection.
    None,
}

impl Begin {
    pub(super) fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Smtp => Some(Protocol::Smtp),
            Self::Imap => Some(Protocol::Imap),
            Self::Pop3 => Some(Protocol::Pop3),
            Self::Sieve => Some(Protocol::Sieve),
            Self::None => None,
        }
    }

    /// That of SMTP is the platform's.
    pub(super) fn usual_port(self) -> Option<u16> {
        match self {
            Self::Smtp | Self::None => None,
            Self::Imap => Some(143),
            Self::Pop3 => Some(110),
            Self::Sieve => Some(4190),
        }
    }
}

/// What must hold. Where secure TLSA records are published, one of them must match in any case.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether there must be secure TLSA records at all; `required` when neither `expect` nor `prefer` is written.
    pub dane: Dane,
}

/// Whether there must be secure TLSA records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dane {
    /// There must.
    Required,
    /// There may be none, and the zone may be unsigned.
    IfPublished,
}
