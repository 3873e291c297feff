//! What can be written under `tls:`.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_wire::address::EhloName;
use postrider_wire::tls::Version;
use serde::Deserialize;

use crate::dialogue::starttls::Protocol;
use crate::kinds::deliver::{Family, TrustSettings};
use crate::setting::{Parsed, Period, Spanned, Template};

/// How long each part may take unless `within` says otherwise.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// Looks at the certificate of a host, of every address or of one, and at the versions and ciphers that are offered. Nobody
/// logs in, and no mail is sent.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = BTreeMap::from([("host", "imap.example.net")]))]
pub struct Tls {
    /// The host: a name, of which every address is looked at, or an address. With `for_each`, the target by default.
    #[schemars(example = &"imap.example.net")]
    pub host: Option<Spanned<Template>>,
    /// Connect to exactly this address, whatever addresses `host` has.
    #[schemars(example = &"192.0.2.10")]
    pub to_address: Option<Spanned<Template>>,
    /// TCP port; with `starttls` the protocol's own by default (of smtp the platform's `smtp_port` or 25).
    #[schemars(example = 993)]
    pub port: Option<u16>,
    /// The protocol in which TLS is begun by a command; without it TLS begins with the connection.
    #[schemars(example = &"smtp")]
    pub starttls: Option<Starttls>,
    /// The name that the certificate must carry, and that is asked for (SNI); `host` by default.
    #[schemars(example = &"mail.example.net")]
    pub server_name: Option<Spanned<Template>>,
    /// Which of the host's addresses are looked at.
    #[serde(default)]
    pub addresses: Addresses,
    /// Which kinds of address are looked at.
    #[serde(default)]
    pub family: Family,
    /// What EHLO says; the `helo` of the first sender by default.
    #[schemars(example = &"probe.outside.example.org")]
    pub helo: Option<Spanned<Parsed<EhloName>>>,
    /// What is trusted; the platform's `trust` by default.
    pub trust: Option<TrustSettings>,
    /// Local address to connect from.
    #[schemars(example = &"192.0.2.200")]
    pub source_address: Option<Parsed<std::net::IpAddr>>,
    /// How long each part may take: the connection, each answer, the handshake; 10s by default.
    pub within: Option<Period>,
    /// What is asked for beyond the session itself: for each version one connection, for each cipher suite one more, one after
    /// the other, for at most 60s an address. As far as `expect` and `prefer` need it, by default.
    pub enumerate: Option<Enumerate>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// The protocol in which TLS is begun by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Starttls {
    /// STARTTLS of SMTP (RFC 3207).
    Smtp,
    /// STARTTLS of IMAP (RFC 9051).
    Imap,
    /// STLS of POP3 (RFC 2595).
    Pop3,
    /// STARTTLS of ManageSieve (RFC 5804).
    Sieve,
}

impl Starttls {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Smtp => Protocol::Smtp,
            Self::Imap => Protocol::Imap,
            Self::Pop3 => Protocol::Pop3,
            Self::Sieve => Protocol::Sieve,
        }
    }

    /// The word in YAML.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Sieve => "sieve",
        }
    }

    /// That of SMTP is the platform's.
    pub(super) fn usual_port(self) -> Option<u16> {
        match self {
            Self::Smtp => None,
            Self::Imap => Some(143),
            Self::Pop3 => Some(110),
            Self::Sieve => Some(4190),
        }
    }
}

/// Which of a host's addresses are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// Every one; the first eight, if there are more.
    #[default]
    Every,
    /// One after the other, until one shows a certificate.
    Any,
}

/// What is asked for beyond the session itself.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Enumerate {
    /// Nothing.
    #[default]
    Nothing,
    /// TLS 1.3, 1.2, 1.1 and 1.0, and the cipher suite that the server prefers in each.
    Versions,
    /// That, and every cipher suite of TLS 1.3 and 1.2.
    Ciphers,
}

/// What must hold.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether name, time and chain must be good; `valid` in `expect` by default.
    pub certificate: Option<Certificate>,
    /// The certificate, and each one of its chain that the server sent, must be valid for so many days more.
    #[schemars(example = 14)]
    pub valid_for_days: Option<Spanned<u32>>,
    /// Names that the certificate must be for, beside the host's.
    #[schemars(example = ["smtp.example.net", "autodiscover.example.net"])]
    pub names: Option<Vec<Spanned<Template>>>,
    /// Part of the issuer's distinguished name.
    #[schemars(example = &"Let's Encrypt")]
    pub issuer: Option<Spanned<Template>>,
    /// SHA-256 of the certificate, hexadecimal. Other than `trust.pin`, name, time and chain must be good as well.
    #[schemars(example = &"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub fingerprint: Option<Spanned<String>>,
    /// The kinds of key that the certificate may have.
    #[schemars(example = ["ecdsa", "rsa"])]
    pub key_types: Option<Vec<KeyType>>,
    /// An RSA key must have so many bits.
    #[schemars(example = 3072)]
    pub rsa_bits: Option<Spanned<u32>>,
    /// The algorithms that the certificate may be signed with.
    #[schemars(example = ["ecdsa-with-SHA256", "ecdsa-with-SHA384"])]
    pub signatures: Option<Vec<Spanned<String>>>,
    /// Versions that must be offered.
    #[schemars(example = ["TLSv1.3", "TLSv1.2"])]
    pub versions: Option<Vec<TlsVersion>>,
    /// Versions that must be refused.
    #[schemars(example = ["TLSv1.1", "TLSv1.0"])]
    pub not_versions: Option<Vec<TlsVersion>>,
    /// Cipher suites of TLS 1.3 and 1.2 that must be offered, by their IANA names; `*` stands for anything.
    #[schemars(example = ["TLS_ECDHE_*_WITH_AES_256_GCM_SHA384"])]
    pub ciphers: Option<Vec<Spanned<String>>>,
    /// Cipher suites of TLS 1.3 and 1.2 that must be refused, by their IANA names; `*` stands for anything.
    #[schemars(example = ["TLS_RSA_*", "*_CBC_*"])]
    pub not_ciphers: Option<Vec<Spanned<String>>>,
}

impl Expect {
    /// What has to be enumerated for these rules.
    pub(super) fn needs(&self) -> Enumerate {
        if self.ciphers.is_some() || self.not_ciphers.is_some() {
            Enumerate::Ciphers
        } else if self.versions.is_some() || self.not_versions.is_some() {
            Enumerate::Versions
        } else {
            Enumerate::Nothing
        }
    }
}

/// Whether name, time and chain must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// They must: the certificate is for the name, its time has come and is not over, and its chain leads to an authority
    /// that is trusted.
    Valid,
    /// Any certificate will do; what else is expected of it must hold.
    Any,
}

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// ECDSA.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl KeyType {
    /// As it is shown of a certificate.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
pub enum TlsVersion {
    /// RFC 8446.
    #[serde(rename = "TLSv1.3")]
    Tls13,
    /// RFC 5246.
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// RFC 4346, which RFC 8996 forbids.
    #[serde(rename = "TLSv1.1")]
    Tls11,
    /// RFC 2246, which RFC 8996 forbids.
    #[serde(rename = "TLSv1.0")]
    Tls10,
}

impl TlsVersion {
    pub(super) fn version(self) -> Version {
        match self {
            Self::Tls13 => Version::Tls13,
            Self::Tls12 => Version::Tls12,
            Self::Tls11 => Version::Tls11,
            Self::Tls10 => Version::Tls10,
        }
    }
}
