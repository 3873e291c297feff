//! Host names, and the name a client gives in EHLO.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::text::visible;

/// A host or domain name in ASCII: lower case, no trailing dot (RFC 1123 §2.1, RFC 5321 §4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// Why a text is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostNameError {
    /// Nothing, or only a dot.
    #[error("a host name is not empty")]
    Empty,
    /// CR or LF.
    #[error("a line break (CR or LF) is not allowed in a host name")]
    LineBreak,
    /// More than 253 characters.
    #[error("a host name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    /// Two dots in a row, or one at the beginning.
    #[error("a host name has no empty part between its dots")]
    EmptyLabel,
    /// More than 63 characters between two dots.
    #[error("the part {label:?} of a host name is longer than 63 characters", label = visible(.0))]
    LabelTooLong(String),
    /// A label begins or ends with a hyphen.
    #[error("the part {0:?} of a host name begins or ends with a hyphen")]
    Hyphen(String),
    /// `_` in a name that is not a DNS owner name.
    #[error("an underscore is not allowed in a host name")]
    Underscore,
    /// Outside ASCII.
    #[error("{0:?} is not an ASCII letter: write the name in its xn-- form")]
    NotAscii(char),
    /// Another character that is not a letter, digit or hyphen.
    #[error("the character {0:?} is not allowed in a host name")]
    Character(char),
    /// An IPv4 or IPv6 address.
    #[error("{0} is an address, not a host name")]
    Address(IpAddr),
}

impl HostName {
    /// Like `from_str`, and `_` may stand where a letter may: for DNS owner names such as
    /// `_dmarc.example.org`, and for names that are only reported.
    ///
    /// # Errors
    /// The first [`HostNameError`] found.
    pub fn parse_relaxed(text: &str) -> Result<Self, HostNameError> {
        Self::parse(text, true)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str, underscore: bool) -> Result<Self, HostNameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostNameError::Empty);
        }
        if let Ok(address) = name.parse() {
            return Err(HostNameError::Address(address));
        }
        for character in name.chars() {
            match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' => {}
                '_' if underscore => {}
                '_' => return Err(HostNameError::Underscore),
                '\r' | '\n' => return Err(HostNameError::LineBreak),
                _ if character.is_ascii() => return Err(HostNameError::Character(character)),
                _ => return Err(HostNameError::NotAscii(character)),
            }
        }
        if name.len() > 253 {
            return Err(HostNameError::TooLong(name.len()));
        }
        for label in name.split('.') {
            if label.is_empty() {
                return Err(HostNameError::EmptyLabel);
            }
            if label.len() > 63 {
                return Err(HostNameError::LabelTooLong(label.to_owned()));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(HostNameError::Hyphen(label.to_owned()));
            }
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, false)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client may say in EHLO: a fully qualified name, or its address in brackets
/// (RFC 5321 §4.1.1.1, §4.1.3). Filters refuse anything else, a bare address and `_` included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EhloName(String);

/// Why a text is no EHLO name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EhloNameError {
    /// One label only.
    #[error("the EHLO name {0:?} is not fully qualified: it has no dot")]
    NotQualified(String),
    /// An address that lacks its brackets.
    #[error("an address in EHLO is written in brackets: {}", literal(*.0))]
    BareAddress(IpAddr),
    /// Brackets around something that is not an address.
    #[error("{text} is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", text = visible(.0))]
    Literal(String),
    /// Not a host name.
    #[error(transparent)]
    Name(#[from] HostNameError),
}

impl EhloName {
    /// The name, or the address in brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IpAddr> for EhloName {
    fn from(address: IpAddr) -> Self {
        Self(literal(address))
    }
}

impl FromStr for EhloName {
    type Err = EhloNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('[') {
            return match parse_literal(text) {
                Some(address) => Ok(Self::from(address)),
                None => Err(EhloNameError::Literal(text.to_owned())),
            };
        }
        let name = match text.parse::<HostName>() {
            Err(HostNameError::Address(address)) => {
                return Err(EhloNameError::BareAddress(address));
            }
            other => other?,
        };
        if !name.as_str().contains('.') {
            return Err(EhloNameError::NotQualified(name.0));
        }
        Ok(Self(name.0))
    }
}

impl fmt::Display for EhloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address in an address literal (RFC 5321 §4.1.3).
pub(super) fn parse_literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            let address = inner.get(5..)?.parse::<Ipv6Addr>().ok()?;
            Some(address.into())
        }
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    }
}

/// The address literal for an address.
pub(super) fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_normalised() {
        let cases = [
            ("MX1.Example.ORG", "mx1.example.org"),
            ("mx1.example.org.", "mx1.example.org"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3com.example", "3com.example"),
        ];
        for (input, expected) in cases {
            assert_eq!(input.parse::<HostName>().unwrap().as_str(), expected);
        }
        let relaxed = HostName::parse_relaxed("_25._tcp.MX.example.org").unwrap();
        assert_eq!(relaxed.to_string(), "_25._tcp.mx.example.org");
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(longest.parse::<HostName>().unwrap().as_str().len(), 253);
    }

    #[test]
    fn a_bad_host_name_says_what_is_wrong() {
        let long = format!("{}.example", "a".repeat(64));
        let too_long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(62));
        let cases = [
            ("", "a host name is not empty"),
            (".", "a host name is not empty"),
            ("a..b", "a host name has no empty part between its dots"),
            (".a", "a host name has no empty part between its dots"),
            (
                "-a.example",
                "the part \"-a\" of a host name begins or ends with a hyphen",
            ),
            (
                "_dmarc.example.org",
                "an underscore is not allowed in a host name",
            ),
            (
                "mx\r\nRSET",
                "a line break (CR or LF) is not allowed in a host name",
            ),
            (
                "mx example",
                "the character ' ' is not allowed in a host name",
            ),
            (
                "bücher.example",
                "'ü' is not an ASCII letter: write the name in its xn-- form",
            ),
            ("192.0.2.1", "192.0.2.1 is an address, not a host name"),
            ("2001:db8::1", "2001:db8::1 is an address, not a host name"),
            (
                &too_long,
                "a host name has at most 253 characters, this one has 254",
            ),
        ];
        for (input, message) in cases {
            assert_eq!(
                input.parse::<HostName>().unwrap_err().to_string(),
                message,
                "{input:?}"
            );
        }
        let error = long.parse::<HostName>().unwrap_err().to_string();
        assert!(error.ends_with("is longer than 63 characters"), "{error}");
    }

    #[test]
    fn an_ehlo_name_is_qualified_or_an_address_literal() {
        let good = [
            ("Probe.Example.org", "probe.example.org"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ];
        for (input, expected) in good {
            assert_eq!(input.parse::<EhloName>().unwrap().as_str(), expected);
        }
        let literal_error = "is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]";
        let bad = [
            (
                "probe",
                "the EHLO name \"probe\" is not fully qualified: it has no dot".to_owned(),
            ),
            (
                "192.0.2.1",
                "an address in EHLO is written in brackets: [192.0.2.1]".to_owned(),
            ),
            (
                "::1",
                "an address in EHLO is written in brackets: [IPv6:::1]".to_owned(),
            ),
            ("[::1]", format!("[::1] {literal_error}")),
            ("[x\r\n]", format!("[x\\r\\n] {literal_error}")),
            (
                "my_host.example",
                "an underscore is not allowed in a host name".to_owned(),
            ),
        ];
        for (input, message) in bad {
            assert_eq!(input.parse::<EhloName>().unwrap_err().to_string(), message);
        }
        assert_eq!(
            EhloName::from(IpAddr::from([127, 0, 0, 1])).to_string(),
            "[127.0.0.1]"
        );
    }
}
