//! What can be written under `deliver:`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use postrider_wire::address::EhloName;
use serde::Deserialize;

use crate::account::{self, Trust};
use crate::setting::{FolderName, Parsed, Period, Size, Spanned, Template};

/// Delivers one tagged mail the way the world does (port 25): to an address, or by a domain's MX records.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = BTreeMap::from([("to_address", "${item.address}"), ("tls", "required")]))]
pub struct Deliver {
    /// The sender, by its name in the main file; the scenario's `message.from` by default.
    #[schemars(example = &"outside")]
    pub from: Option<Spanned<String>>,
    /// The mailbox, by its name in the main file; the scenario's `message.to` by default.
    #[schemars(example = &"alice")]
    pub to: Option<Spanned<String>>,
    /// Connect to exactly this address.
    #[schemars(example = &"${item.address}")]
    pub to_address: Option<Spanned<Template>>,
    /// Route by MX records as a sender would: lowest preference first, at random among equals, every address in turn.
    pub route: Option<Spanned<Route>>,
    /// The name that the certificate must carry; the MX host's name by default.
    #[schemars(example = &"mx1.example.net")]
    pub server_name: Option<Spanned<Template>>,
    /// TCP port; the platform's `smtp_port` or 25 by default.
    #[schemars(example = 2525)]
    pub port: Option<u16>,
    /// Another envelope recipient than the mailbox's address; in its domain, unless the dialogue stops before the mail.
    #[schemars(example = &"no-such-user-${run.id}@example.net")]
    pub envelope_to: Option<Spanned<Template>>,
    /// What EHLO says; the sender's `helo` by default.
    #[schemars(example = &"probe.outside.example.org")]
    pub helo: Option<Spanned<Parsed<EhloName>>>,
    /// Whether TLS is used.
    pub tls: Option<TlsPolicy>,
    /// What is trusted; the platform's `trust` by default.
    pub trust: Option<TrustSettings>,
    /// Whether a primary address is contacted first, as honest senders do.
    pub approach: Option<Approach>,
    /// Leave the dialogue after this command; nothing is sent.
    pub stop_after: Option<StopAfter>,
    /// Subject; the tag's short form is added.
    #[schemars(example = &"Delivery check ${run.id}")]
    pub subject: Option<Spanned<Template>>,
    /// Size of the whole message, headers included.
    pub size: Option<Size>,
    /// What the body is.
    pub body: Option<Body>,
    /// Local address to connect from.
    #[schemars(example = &"192.0.2.200")]
    pub source_address: Option<Parsed<std::net::IpAddr>>,
    /// Time limits of the dialogue's parts.
    pub timeouts: Option<Timeouts>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// Defaults for every mail of a scenario.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageDefaults {
    /// The sender, by its name in the main file.
    #[schemars(example = &"outside")]
    pub from: Option<Spanned<String>>,
    /// The mailbox, by its name in the main file.
    #[schemars(example = &"alice")]
    pub to: Option<Spanned<String>>,
    /// Subject; the tag's short form is added.
    #[schemars(example = &"Delivery check ${run.id}")]
    pub subject: Option<Spanned<Template>>,
    /// Size of the whole message, headers included.
    pub size: Option<Size>,
    /// The route of steps that name neither an address nor a route.
    pub route: Option<Spanned<Route>>,
}

/// A route by MX records.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The domain whose MX records decide.
    #[schemars(example = &"example.net")]
    pub mx_of: Spanned<Template>,
    /// MX hosts or addresses to treat as dead, without contacting them.
    #[serde(default)]
    #[schemars(example = ["mx1.example.net"])]
    pub pretend_unreachable: Vec<Spanned<Template>>,
    /// Which addresses are used.
    #[serde(default)]
    pub family: Family,
}

/// Which kinds of address are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
pub enum Family {
    /// IPv4 only.
    #[serde(rename = "ipv4")]
    Ipv4,
    /// IPv6 only.
    #[serde(rename = "ipv6")]
    Ipv6,
    /// Both.
    #[default]
    #[serde(rename = "both")]
    Both,
}

impl Family {
    /// Whether an address belongs to it.
    #[must_use]
    pub fn holds(self, address: std::net::IpAddr) -> bool {
        match self {
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
            Self::Both => true,
        }
    }
}

/// Whether TLS is used on port 25.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsPolicy {
    /// Never, even if offered.
    None,
    /// When offered, with any certificate, as most of the world does; a fault is recorded. Where STARTTLS is refused all the
    /// same, the mail goes in the clear and the check is degraded.
    Opportunistic,
    /// The server must offer it; the certificate's faults are recorded and judged by `expect.certificate`.
    #[default]
    Required,
    /// The server must offer it, and the certificate must be good, before anything is sent.
    RequiredAndVerified,
}

/// What a TLS peer must prove.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustSettings {
    /// PEM file of authorities to trust instead of the system's; relative to the configuration file.
    #[schemars(example = &"lab-ca.pem")]
    pub ca_file: Option<Spanned<PathBuf>>,
    /// SHA-256 of the one acceptable certificate, hexadecimal.
    #[schemars(example = &"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub pin: Option<Spanned<String>>,
    /// Accept any certificate; every result says so.
    #[serde(default)]
    #[schemars(example = true)]
    pub insecure: bool,
}

/// How a fallback address is approached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Approach {
    /// Straight to the address; some filters score that like a spammer's behaviour.
    #[default]
    Direct,
    /// First a primary address of the same domain (EHLO, QUIT), then this one, as a sender that found the primary unwilling.
    /// The result notes `after the primary`, or `primary unwilling` or `primary not reached` if that did not work.
    PrimaryFirst,
}

/// Where the dialogue ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopAfter {
    /// After the greeting, which may be the refusal that `expect.reply` wants.
    Banner,
    /// After EHLO (the second one, when TLS is used); the same holds of its reply.
    Ehlo,
    /// After MAIL FROM.
    Mail,
    /// After RCPT TO.
    Rcpt,
}

/// What the body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// A few lines of ordinary words, other ones each time.
    #[default]
    Plain,
}

/// Time limits of the dialogue's parts. RFC 5321 §4.5.3.2 asks a sender to wait minutes; a tester gives up sooner,
/// but a final reply that comes too late leaves the mail `uncertain`, and it is never sent again.
#[derive(Debug, Clone, Copy, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP connection; 10s by default.
    pub connect: Option<Period>,
    /// Greeting; 30s by default (the RFC says 5 minutes).
    pub banner: Option<Period>,
    /// Each command; 30s by default (the RFC says 5 minutes).
    pub command: Option<Period>,
    /// TLS handshake; 15s by default.
    pub handshake: Option<Period>,
    /// Sending the message; 3m by default.
    pub data: Option<Period>,
    /// The final reply; 10m by default, as the RFC says.
    pub final_reply: Option<Period>,
}

/// What must hold.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The reply that decides: a code or a class (`250`, `5xx`). 250 by default.
    #[schemars(example = &"250")]
    pub reply: Option<Spanned<crate::kinds::deliver::ReplyPattern>>,
    /// The enhanced status code of that reply (RFC 3463).
    #[schemars(example = &"5.1.1")]
    pub enhanced_status: Option<Spanned<String>>,
    /// Time until the message is accepted, from the connection on.
    pub accepted: Option<Accepted>,
    /// That and where the message becomes visible.
    pub arrives: Option<Arrives>,
    /// The MX host that accepts the message.
    #[schemars(example = &"mx2.example.net")]
    pub accepted_by: Option<Spanned<Template>>,
    /// What the certificate must be.
    pub certificate: Option<Certificate>,
    /// What the receiver must have recorded (RFC 8601).
    pub authentication_results: Option<AuthenticationResults>,
}

/// Time limits for being accepted.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Longer is a failure.
    pub within: Option<Period>,
    /// Longer is `degraded`.
    pub warn_after: Option<Period>,
}

/// Where and when the message must become visible.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrives {
    /// The folder; INBOX by default.
    #[schemars(example = &"INBOX")]
    pub folder: Option<FolderName>,
    /// Later is a failure.
    pub within: Spanned<Period>,
    /// Later is `degraded`.
    pub warn_after: Option<Spanned<Period>>,
    /// How many copies in that folder; 1 by default. One that lies elsewhere, in the junk folder say, is none of them.
    #[schemars(example = 1)]
    pub copies: Option<u32>,
    /// How long to go on looking for further copies; 500ms by default. The ledger counts later ones.
    pub watch_copies_for: Option<Period>,
}

/// What the certificate must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Whose name it must carry.
    pub matches: Option<MatchName>,
    /// It must be valid for at least this long from now.
    #[schemars(example = &"14d")]
    pub valid_for: Option<Period>,
}

/// Whose name a certificate must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MatchName {
    /// The MX host's, although the connection went to an address.
    MxName,
    /// Anybody's.
    Any,
}

/// Results that the receiver must have recorded, each in the word of RFC 8601.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationResults {
    /// SPF (RFC 7208).
    #[schemars(example = &"pass")]
    pub spf: Option<String>,
    /// DKIM (RFC 6376).
    #[schemars(example = &"pass")]
    pub dkim: Option<String>,
    /// DMARC (RFC 7489).
    #[schemars(example = &"pass")]
    pub dmarc: Option<String>,
}

impl Arrives {
    /// The folder's name.
    #[must_use]
    pub fn folder(&self) -> FolderName {
        self.folder.clone().unwrap_or_else(FolderName::inbox)
    }
}

impl Deliver {
    /// The folder in which the message should turn up; where nothing is said of it, INBOX.
    #[must_use]
    pub fn folder(&self) -> FolderName {
        self.expected_arrival()
            .map_or_else(FolderName::inbox, Arrives::folder)
    }

    /// What is said of the arrival, in `expect` or else in `prefer`.
    #[must_use]
    pub fn expected_arrival(&self) -> Option<&Arrives> {
        [&self.expect, &self.prefer]
            .into_iter()
            .flatten()
            .find_map(|expect| expect.arrives.as_ref())
    }
}

impl TrustSettings {
    /// As the TLS client wants it. A pin that is not hexadecimal was refused when the configuration was loaded.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust {
            ca_file: self.ca_file.as_ref().map(|file| file.value.clone()),
            pin: self.pin.as_ref().and_then(|pin| account::parse_pin(pin)),
            insecure: self.insecure,
        }
    }
}
