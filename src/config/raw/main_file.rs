//! The main file.

use std::path::PathBuf;

use postrider_probes::kinds::deliver::{Family, TrustSettings};
use postrider_probes::observation::What;
use postrider_probes::setting::{Period, Spanned};
use serde::Deserialize;

use super::Named;

/// The main file of Postrider: what all scenarios share.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MainFile", title = "Postrider: the main file")]
pub(crate) struct RawMain {
    /// Version of this language.
    #[schemars(required, range(min = 1, max = 1), example = 1)]
    pub(crate) version: Option<Spanned<u32>>,
    /// The name of the place that the probes look from; reports show it.
    #[schemars(example = &"fra-1")]
    pub(crate) vantage: Option<Spanned<String>>,
    /// Scenario files, by patterns relative to this file.
    #[serde(default)]
    #[schemars(example = ["scenarios/*.yaml"])]
    pub(crate) include: Vec<Spanned<String>>,
    /// What the operator believes about the platform; DNS is compared with it, and targets are named by it.
    #[schemars(example = example("{domains: [example.net]}"))]
    pub(crate) platform: Option<RawPlatform>,
    /// The resolver to ask, as an address or `ADDRESS:PORT`; the system's by default.
    #[schemars(example = &"127.0.0.1:5353")]
    pub(crate) resolver: Option<Spanned<String>>,
    /// How answers are proven by their signatures; needed in a laboratory with a root zone of its own.
    #[schemars(example = example("{trust_anchor_file: lab-root.key}"))]
    pub(crate) dnssec: Option<RawDnssec>,
    /// Foreign senders, by name.
    #[serde(default)]
    #[schemars(example = example("{outside: {address: probe@outside.example.org, helo: fra-1.outside.example.org}}"))]
    pub(crate) senders: Named<RawSender>,
    /// Mailboxes that test mail is sent to and looked for in, by name.
    #[serde(default)]
    #[schemars(example = example("{alice: {address: alice.probe@example.net}}"))]
    pub(crate) mailboxes: Named<RawMailbox>,
    /// Hosts outside the platform that tell a dead platform from a dead probe: when they fail as well, nothing was tested.
    #[serde(default)]
    #[schemars(example = example("[{tcp: {host: canary.example.org, port: 443}}]"))]
    pub(crate) canaries: Vec<RawCanary>,
    /// A mail that nobody has seen for so long, and that a look into the mailbox does not show, is lost; 5d by default.
    #[schemars(example = &"5d")]
    pub(crate) lost_after: Option<Spanned<Period>>,
}

/// How answers are proven by their signatures (DNSSEC).
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Dnssec")]
pub(crate) struct RawDnssec {
    /// A file with the keys (DNSKEY records) of the root zone that are trusted, instead of IANA's, which are built in.
    #[schemars(example = &"lab-root.key")]
    pub(crate) trust_anchor_file: Spanned<PathBuf>,
}

/// What the operator believes about the platform.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Platform")]
pub(crate) struct RawPlatform {
    /// Mail domains of the platform.
    #[serde(default)]
    #[schemars(example = ["example.net"])]
    pub(crate) domains: Vec<Spanned<String>>,
    /// Filter nodes, by name.
    #[serde(default)]
    #[schemars(example = example("{filter1: {primary: [192.0.2.10], fallback: [198.51.100.10]}}"))]
    pub(crate) nodes: Named<RawNode>,
    /// When the platform is updated.
    #[schemars(example = example("{cron: '30 12 * * TUE', timezone: Europe/Amsterdam, lasts: 2h}"))]
    pub(crate) update_window: Option<RawWindow>,
    /// SMTP port of the MX hosts; 25 by default. Another one only makes sense in a laboratory.
    #[schemars(example = 2525, range(min = 1))]
    pub(crate) smtp_port: Option<Spanned<u16>>,
    /// What is trusted of the MX hosts; the system's authorities by default.
    #[schemars(example = example("{ca_file: lab-ca.pem}"))]
    pub(crate) trust: Option<Spanned<TrustSettings>>,
    /// Local address of outgoing connections.
    #[schemars(example = &"192.0.2.200")]
    pub(crate) source_address: Option<Spanned<String>>,
    /// Connections to one address at the same time, over all scenarios; 2 by default. Filters refuse more than 10.
    #[schemars(example = 4, range(min = 1, max = 10))]
    pub(crate) connections_per_address: Option<Spanned<u32>>,
    /// How bad it is when something that every client can see is not as it was; `degraded` by default.
    #[serde(default)]
    #[schemars(example = example("{certificate: pass, addresses: fail}"))]
    pub(crate) changed: RawChanged,
    /// Times in which something that every client can see may become another one.
    #[serde(default)]
    #[schemars(example = example("[{from: '2026-11-24T03:00:00Z', until: '2026-11-24T06:00:00Z', nodes: [filter1]}]"))]
    pub(crate) change_windows: Vec<RawChangeWindow>,
}

/// How bad changes are.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Changed")]
pub(crate) struct RawChanged {
    /// The A and AAAA records of a name.
    #[schemars(example = &"fail")]
    pub(crate) addresses: Option<RawSeverity>,
    /// The PTR records of an address.
    #[schemars(example = &"degraded")]
    pub(crate) ptr: Option<RawSeverity>,
    /// The MX records of a domain.
    #[schemars(example = &"fail")]
    pub(crate) mx: Option<RawSeverity>,
    /// The name servers of a domain.
    #[schemars(example = &"degraded")]
    pub(crate) ns: Option<RawSeverity>,
    /// The certificate that a server presents.
    #[schemars(example = &"pass")]
    pub(crate) certificate: Option<RawSeverity>,
    /// The greeting of a server, without date and session word.
    #[schemars(example = &"ignore")]
    pub(crate) banner: Option<RawSeverity>,
    /// What an SMTP server offers in its EHLO reply.
    #[schemars(example = &"degraded")]
    pub(crate) ehlo: Option<RawSeverity>,
    /// The TLS version that a server negotiates.
    #[serde(rename = "tls-version")]
    #[schemars(example = &"degraded")]
    pub(crate) tls_version: Option<RawSeverity>,
}

/// How bad a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ChangeSeverity")]
pub(crate) enum RawSeverity {
    /// It is not looked at.
    Ignore,
    /// It is listed, and what is new is all right.
    Pass,
    /// The check that sees it is degraded, until it is accepted.
    Degraded,
    /// The check that sees it fails, until it is accepted.
    Fail,
}

/// A time in which old and new values are all right; after it the last one is.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeWindow")]
pub(crate) struct RawChangeWindow {
    /// Its beginning: a date and a time with its zone.
    #[schemars(example = &"2026-11-24T03:00:00Z")]
    pub(crate) from: Spanned<String>,
    /// Its end.
    #[schemars(example = &"2026-11-24T06:00[Europe/Amsterdam]")]
    pub(crate) until: Spanned<String>,
    /// Only these; everything by default.
    #[serde(default)]
    #[schemars(example = ["addresses", "ptr"])]
    pub(crate) what: Vec<What>,
    /// Only these names and addresses; together with `nodes`. Everyone's by default.
    #[serde(default)]
    #[schemars(example = ["mx1.example.net", "192.0.2.10"])]
    pub(crate) subjects: Vec<Spanned<String>>,
    /// Only the names and addresses of these nodes.
    #[serde(default)]
    #[schemars(example = ["filter1"])]
    pub(crate) nodes: Vec<Spanned<String>>,
    /// Only these values may come: an address, `10 mx1.example.net`, a keyword. Any by default.
    #[serde(default)]
    #[schemars(example = ["192.0.2.20"])]
    pub(crate) expect: Vec<Spanned<String>>,
    /// Why; it stands in the event.
    #[schemars(example = &"filter1 moves to another rack")]
    pub(crate) note: Option<Spanned<String>>,
}

/// One canary: what it does, under exactly one key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Canary")]
pub(crate) enum RawCanary {
    /// Opens a TCP connection: the network of its address family works.
    Tcp(RawReach),
    /// Asks the resolver.
    Dns(RawCanaryQuestion),
    /// Waits for the greeting of an SMTP server elsewhere: outgoing port 25 is open.
    Smtp(RawReachSmtp),
    /// Compares the clock with a time server's.
    Ntp(RawClock),
}

/// A TCP canary.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TcpCanary")]
pub(crate) struct RawReach {
    /// Host name or address.
    #[schemars(example = &"canary.example.org")]
    pub(crate) host: Spanned<String>,
    /// The TCP port.
    #[schemars(example = 443, range(min = 1))]
    pub(crate) port: Spanned<u16>,
    /// Which addresses of the host, one look for each family.
    #[serde(default)]
    #[schemars(example = &"both")]
    pub(crate) family: Family,
}

/// An SMTP canary.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SmtpCanary")]
pub(crate) struct RawReachSmtp {
    /// Host name or address.
    #[schemars(example = &"mx.example.org")]
    pub(crate) host: Spanned<String>,
    /// The TCP port; 25 by default.
    #[schemars(example = 25, range(min = 1))]
    pub(crate) port: Option<Spanned<u16>>,
    /// Which addresses of the host, one look for each family.
    #[serde(default)]
    #[schemars(example = &"ipv4")]
    pub(crate) family: Family,
}

/// A DNS canary.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DnsCanary")]
pub(crate) struct RawCanaryQuestion {
    /// A name that always exists.
    #[schemars(example = &"example.org")]
    pub(crate) query: Spanned<String>,
    /// The record type.
    #[schemars(example = &"SOA")]
    pub(crate) r#type: Spanned<String>,
}

/// A clock canary.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NtpCanary")]
pub(crate) struct RawClock {
    /// Host name or address of a time server.
    #[schemars(example = &"time.example.org")]
    pub(crate) host: Spanned<String>,
    /// The UDP port; 123 by default.
    #[schemars(example = 123, range(min = 1))]
    pub(crate) port: Option<Spanned<u16>>,
}

/// One filter node.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Node")]
pub(crate) struct RawNode {
    /// Its server name: PTR, banner and EHLO name.
    #[schemars(example = &"filter1.cluster.example")]
    pub(crate) name: Option<Spanned<String>>,
    /// Addresses that serve the lowest MX preference.
    #[serde(default)]
    #[schemars(example = ["192.0.2.10", "2001:db8::10"])]
    pub(crate) primary: Vec<Spanned<String>>,
    /// Addresses that serve the other preferences.
    #[serde(default)]
    #[schemars(example = ["198.51.100.10"])]
    pub(crate) fallback: Vec<Spanned<String>>,
    /// Data centre.
    #[schemars(example = &"ams")]
    pub(crate) site: Option<Spanned<String>>,
}

/// When the platform is updated.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpdateWindow")]
pub(crate) struct RawWindow {
    /// Its beginning: minute, hour, day of the month, month, day of the week.
    #[schemars(example = &"30 12 * * TUE")]
    pub(crate) cron: Spanned<String>,
    /// The time zone of `cron`, by its IANA name.
    #[schemars(example = &"Europe/Amsterdam")]
    pub(crate) timezone: Spanned<String>,
    /// Its length.
    #[schemars(example = &"2h")]
    pub(crate) lasts: Spanned<Period>,
}

/// A foreign sender.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sender")]
pub(crate) struct RawSender {
    /// Envelope sender and `From`.
    #[schemars(example = &"probe@outside.example.org")]
    pub(crate) address: Spanned<String>,
    /// What EHLO says: the host's own name.
    #[schemars(example = &"fra-1.outside.example.org")]
    pub(crate) helo: Spanned<String>,
    /// Whom to ask about the test mail, an address or a URL; stands in every body. The sender's address by default.
    #[schemars(example = &"postmaster@outside.example.org")]
    pub(crate) contact: Option<Spanned<String>>,
    /// Signs the mail (RFC 6376).
    #[schemars(example = example("{selector: probe1, key_file: /run/secrets/dkim_outside}"))]
    pub(crate) dkim: Option<RawDkim>,
    /// The mailbox that bounces to its address come to, by its name: they are matched with the mails that they tell of,
    /// and removed. Nobody reads them by default.
    #[schemars(example = &"returns")]
    pub(crate) bounces_to: Option<Spanned<String>>,
}

/// A DKIM key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Dkim")]
pub(crate) struct RawDkim {
    /// The selector (`s=`).
    #[schemars(example = &"probe1")]
    pub(crate) selector: Spanned<String>,
    /// The signing domain (`d=`); the sender's by default.
    #[schemars(example = &"outside.example.org")]
    pub(crate) domain: Option<Spanned<String>>,
    /// The private key in PEM, relative to this file: RSA in PKCS#1 or PKCS#8, or Ed25519 in PKCS#8.
    #[schemars(example = &"/run/secrets/dkim_outside")]
    pub(crate) key_file: Spanned<PathBuf>,
}

/// A mailbox that test mail is sent to and looked for in.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mailbox")]
pub(crate) struct RawMailbox {
    /// Its address.
    #[schemars(example = &"alice.probe@example.net")]
    pub(crate) address: Spanned<String>,
    /// Where it is read.
    #[schemars(example = example("{server: imap.example.net, port: 993, tls: implicit}"))]
    pub(crate) imap: Option<Spanned<RawImap>>,
    /// The login name; the address by default.
    #[schemars(example = &"alice.probe@example.net")]
    pub(crate) username: Option<Spanned<String>>,
    /// The file that the password is read from at each login, relative to this file.
    #[schemars(example = &"/run/secrets/alice_password")]
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    /// The environment variable that holds the password.
    #[schemars(example = &"ALICE_PASSWORD")]
    pub(crate) password_env: Option<Spanned<String>>,
}

/// Where IMAP is spoken.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Imap")]
pub(crate) struct RawImap {
    /// Host name or address.
    #[schemars(example = &"imap.example.net")]
    pub(crate) server: Spanned<String>,
    /// TCP port; 993 for `tls: implicit` and 143 else.
    #[schemars(example = 993, range(min = 1))]
    pub(crate) port: Option<Spanned<u16>>,
    /// How the connection is protected; `implicit` by default.
    #[serde(default)]
    #[schemars(example = &"implicit")]
    pub(crate) tls: RawTls,
    /// What is trusted; the system's authorities by default.
    #[schemars(example = example("{ca_file: lab-ca.pem}"))]
    pub(crate) trust: Option<Spanned<TrustSettings>>,
}

/// How a client connection is protected (RFC 8314).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientTls")]
pub(crate) enum RawTls {
    /// TLS from the first byte.
    #[default]
    Implicit,
    /// STARTTLS, required.
    Starttls,
    /// None: the password goes in the clear. Only for a laboratory.
    None,
}

/// An example as a value, written in the flow style of YAML; it is only ever printed.
fn example(text: &'static str) -> serde_json::Value {
    super::super::example_value(text)
}
