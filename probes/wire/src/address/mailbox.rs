//! Mail addresses.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::host::{HostName, HostNameError, literal, parse_literal};
use crate::text::visible;

/// A mail address `local@domain` (RFC 5321 §4.1.2), ASCII only. The local part keeps its case and
/// may be a quoted string; the domain is lower case and may be an address literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    local: String,
    domain: String,
}

/// Why a text is not a mail address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailboxError {
    /// CR or LF.
    #[error("a line break (CR or LF) is not allowed in an address")]
    LineBreak,
    /// NUL.
    #[error("a NUL character is not allowed in an address")]
    Nul,
    /// A space or tab, also inside quotes.
    #[error("a space is not allowed in an address")]
    Space,
    /// Another control character.
    #[error("the control character \\x{0:02x} is not allowed in an address")]
    Control(u8),
    /// A character outside ASCII.
    #[error(
        "{0:?} is not an ASCII character: internationalised addresses (RFC 6531) are not supported"
    )]
    NotAscii(char),
    /// No `@`.
    #[error("an address has the form local@domain, and {text:?} has no @", text = visible(.0))]
    NoAt(String),
    /// Nothing before the `@`.
    #[error("there is nothing before the @ of the address")]
    EmptyLocal,
    /// More than 64 bytes before the `@` (RFC 5321 §4.5.3.1.1).
    #[error("the part before the @ has {0} bytes, at most 64 are allowed")]
    LocalTooLong(usize),
    /// More than 254 bytes in all (RFC 5321 §4.5.3.1.3, less the two angle brackets).
    #[error("the address has {0} bytes, at most 254 are allowed")]
    TooLong(usize),
    /// A character that needs quotes.
    #[error("the character {0:?} is not allowed before the @ without quotes")]
    LocalCharacter(char),
    /// A dot at the beginning or end, or two in a row, without quotes.
    #[error("a dot before the @ stands between two other characters, or the part is quoted")]
    LocalDots,
    /// A quoted local part that ends too early or not at all.
    #[error("the quotes before the @ are not in order")]
    Quotes,
    /// `[...]` after the `@` that holds no address.
    #[error("{text} is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", text = visible(.0))]
    Literal(String),
    /// The part after the `@` is not a host name.
    #[error("after the @: {0}")]
    Domain(#[from] HostNameError),
}

impl Mailbox {
    /// The part before the `@`, with its quotes if it has any.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`, lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_characters(text)?;
        let (local, domain) = text
            .rsplit_once('@')
            .ok_or_else(|| MailboxError::NoAt(text.to_owned()))?;
        check_local(local)?;
        let domain = if domain.starts_with('[') {
            let address =
                parse_literal(domain).ok_or_else(|| MailboxError::Literal(domain.to_owned()))?;
            literal(address)
        } else {
            domain.parse::<HostName>()?.as_str().to_owned()
        };
        let length = local.len() + 1 + domain.len();
        if length > 254 {
            return Err(MailboxError::TooLong(length));
        }
        let local = local.to_owned();
        Ok(Self { local, domain })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

fn check_characters(text: &str) -> Result<(), MailboxError> {
    for character in text.chars() {
        match character {
            '\r' | '\n' => return Err(MailboxError::LineBreak),
            '\0' => return Err(MailboxError::Nul),
            ' ' | '\t' => return Err(MailboxError::Space),
            '\x01'..='\x1f' | '\x7f' => return Err(MailboxError::Control(character as u8)),
            _ if !character.is_ascii() => return Err(MailboxError::NotAscii(character)),
            _ => {}
        }
    }
    Ok(())
}

fn check_local(local: &str) -> Result<(), MailboxError> {
    if local.is_empty() {
        return Err(MailboxError::EmptyLocal);
    }
    if local.len() > 64 {
        return Err(MailboxError::LocalTooLong(local.len()));
    }
    if let Some(rest) = local.strip_prefix('"') {
        let inner = rest.strip_suffix('"').ok_or(MailboxError::Quotes)?;
        return check_quoted(inner);
    }
    match local
        .chars()
        .find(|character| !is_atext(*character) && *character != '.')
    {
        Some('"') => return Err(MailboxError::Quotes),
        Some(character) => return Err(MailboxError::LocalCharacter(character)),
        None => {}
    }
    if local.split('.').any(str::is_empty) {
        return Err(MailboxError::LocalDots);
    }
    Ok(())
}

fn check_quoted(inner: &str) -> Result<(), MailboxError> {
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Err(MailboxError::Quotes),
            '\\' if characters.next().is_none() => return Err(MailboxError::Quotes),
            _ => {}
        }
    }
    Ok(())
}

/// `atext` of RFC 5322 §3.2.3.
fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_local_part_and_lower_the_domain() {
        let cases = [
            ("Probe+7@Example.ORG", "Probe+7@example.org"),
            ("o'neil.x@example.org.", "o'neil.x@example.org"),
            (r#""a@b"@example.org"#, r#""a@b"@example.org"#),
            (r#""a\"b..c"@example.org"#, r#""a\"b..c"@example.org"#),
            ("root@localhost", "root@localhost"),
            ("postmaster@[192.0.2.1]", "postmaster@[192.0.2.1]"),
            (
                "postmaster@[ipv6:2001:DB8::1]",
                "postmaster@[IPv6:2001:db8::1]",
            ),
        ];
        for (input, expected) in cases {
            let mailbox = input.parse::<Mailbox>().unwrap();
            assert_eq!(mailbox.to_string(), expected);
            assert_eq!(
                format!("{}@{}", mailbox.local(), mailbox.domain()),
                expected
            );
        }
    }

    #[test]
    fn a_bad_address_says_what_is_wrong() {
        let line_break = "a line break (CR or LF) is not allowed in an address";
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long = format!(
            "{}@{}.{2}.{2}",
            "a".repeat(64),
            "b".repeat(62),
            "c".repeat(63)
        );
        let cases = [
            ("a@example.org\r\nRCPT TO:<b@example.net>", line_break),
            ("a\n@example.org", line_break),
            (
                "a\0@example.org",
                "a NUL character is not allowed in an address",
            ),
            ("a b@example.org", "a space is not allowed in an address"),
            (
                "\"a b\"@example.org",
                "a space is not allowed in an address",
            ),
            (
                "a\x1b@example.org",
                "the control character \\x1b is not allowed in an address",
            ),
            (
                "ä@example.org",
                "'ä' is not an ASCII character: internationalised addresses (RFC 6531) are not supported",
            ),
            (
                "example.org",
                "an address has the form local@domain, and \"example.org\" has no @",
            ),
            (
                "@example.org",
                "there is nothing before the @ of the address",
            ),
            (
                "<a@example.org>",
                "the character '<' is not allowed before the @ without quotes",
            ),
            (
                "a@b@example.org",
                "the character '@' is not allowed before the @ without quotes",
            ),
            (
                ".a@example.org",
                "a dot before the @ stands between two other characters, or the part is quoted",
            ),
            (
                "a..b@example.org",
                "a dot before the @ stands between two other characters, or the part is quoted",
            ),
            (
                "\"a@example.org",
                "the quotes before the @ are not in order",
            ),
            ("\"@example.org", "the quotes before the @ are not in order"),
            (
                "\"a\"b\"@example.org",
                "the quotes before the @ are not in order",
            ),
            (
                "\"a\\\"@example.org",
                "the quotes before the @ are not in order",
            ),
            ("a@", "after the @: a host name is not empty"),
            (
                "a@192.0.2.1",
                "after the @: 192.0.2.1 is an address, not a host name",
            ),
            (
                "a@ex_ample.org",
                "after the @: an underscore is not allowed in a host name",
            ),
            (
                "a@example.org>",
                "after the @: the character '>' is not allowed in a host name",
            ),
            (
                "a@[x]",
                "[x] is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]",
            ),
            (
                &long_local,
                "the part before the @ has 65 bytes, at most 64 are allowed",
            ),
            (&long, "the address has 255 bytes, at most 254 are allowed"),
        ];
        for (input, message) in cases {
            assert_eq!(
                input.parse::<Mailbox>().unwrap_err().to_string(),
                message,
                "{input:?}"
            );
        }
    }
}
