//! As much of POP3 (RFC 1939, RFC 2449) as stands before a login: status lines and capabilities.

use crate::text::{RemoteText, visible};

/// More capabilities than this are not kept.
pub const MAX_CAPABILITIES: usize = 64;

/// A status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `+OK`, and what follows it.
    Ok(String),
    /// `-ERR`, and what follows it.
    Err(String),
}

impl Status {
    /// Reads a line without its end; `None` when it is no status. The text is safe to show.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let text = |rest: &[u8]| {
            let separated = rest.is_empty() || rest.starts_with(b" ");
            separated.then(|| RemoteText::new(rest.trim_ascii(), RemoteText::LINE).to_string())
        };
        if let Some(rest) = line.strip_prefix(b"+OK") {
            return text(rest).map(Self::Ok);
        }
        line.strip_prefix(b"-ERR").and_then(text).map(Self::Err)
    }
}

/// What a server offers (CAPA, RFC 2449 §5), gathered line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// Takes a line of the list; `true` at its end.
    pub fn feed(&mut self, line: &[u8]) -> bool {
        if line == b"." {
            return true;
        }
        // Byte-stuffing (RFC 1939 §3): no capability begins with a dot, but the rule holds.
        let line = line.strip_prefix(b".").unwrap_or(line);
        if self.0.len() < MAX_CAPABILITIES {
            self.0.push(visible(&String::from_utf8_lossy(line)));
        }
        false
    }

    /// Whether a capability is offered, in any case.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|line| {
            line.split_whitespace()
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_one_of_two() {
        let ok = |text: &str| Some(Status::Ok(text.to_owned()));
        let err = |text: &str| Some(Status::Err(text.to_owned()));
        for (line, wanted) in [
            (&b"+OK Dovecot ready."[..], ok("Dovecot ready.")),
            (b"+OK", ok("")),
            (b"-ERR [SYS/TEMP] later", err("[SYS/TEMP] later")),
            (b"+OK \x1b[2J", ok("\\x1b[2J")),
            (b"+OKAY", None),
            (b"* OK IMAP4rev1", None),
            (b"220 mx1 ESMTP", None),
            (b"", None),
        ] {
            assert_eq!(Status::parse(line), wanted);
        }
    }

    #[test]
    fn a_capability_is_its_first_word() {
        let mut capabilities = Capabilities::default();
        for line in [&b"TOP"[..], b"SASL PLAIN LOGIN", b"stls"] {
            assert!(!capabilities.feed(line));
        }
        assert!(capabilities.feed(b"."));
        for (name, offered) in [
            ("STLS", true),
            ("SASL", true),
            ("PLAIN", false),
            ("UIDL", false),
        ] {
            assert_eq!(capabilities.has(name), offered, "{name}");
        }
    }
}
