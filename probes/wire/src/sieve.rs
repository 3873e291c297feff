//! As much of ManageSieve (RFC 5804) as stands before a login: capability lines and responses.

use crate::text::RemoteText;

/// More capabilities than this are not kept.
pub const MAX_CAPABILITIES: usize = 64;

/// One line that a server sends without being in the middle of a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A capability by its name, in upper case (`"STARTTLS"`, `"SIEVE" "fileinto"`).
    Capability(String),
    /// `OK`, and what follows it.
    Ok(String),
    /// `NO`, and what follows it.
    No(String),
    /// `BYE`, and what follows it.
    Bye(String),
}

impl Line {
    /// Reads a line without its end; `None` when it is none of these. The texts are safe to show.
    ///
    /// A name that is sent as a literal is not understood: no server does that (RFC 5804 §1.7 has quoted strings only).
    pub fn parse(line: &[u8]) -> Option<Self> {
        if let Some(rest) = line.strip_prefix(b"\"") {
            let end = rest.iter().position(|byte| *byte == b'"')?;
            let name = rest.get(..end)?;
            let name = RemoteText::new(name, RemoteText::LINE).to_string();
            return Some(Self::Capability(name.to_ascii_uppercase()));
        }
        let end = line.iter().position(|byte| *byte == b' ');
        let (word, rest) = line.split_at(end.unwrap_or(line.len()));
        let text = RemoteText::new(rest.trim_ascii(), RemoteText::LINE).to_string();
        match word.to_ascii_uppercase().as_slice() {
            b"OK" => Some(Self::Ok(text)),
            b"NO" => Some(Self::No(text)),
            b"BYE" => Some(Self::Bye(text)),
            _ => None,
        }
    }
}

/// What a server offers: its greeting up to the `OK`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// Adds one.
    pub fn add(&mut self, name: String) {
        if self.0.len() < MAX_CAPABILITIES {
            self.0.push(name);
        }
    }

    /// Whether a capability is offered.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_capability_or_a_response() {
        for (line, wanted) in [
            (
                &b"\"STARTTLS\""[..],
                Some(Line::Capability("STARTTLS".to_owned())),
            ),
            (
                b"\"Sieve\" \"fileinto vacation\"",
                Some(Line::Capability("SIEVE".to_owned())),
            ),
            (
                b"OK \"Dovecot ready.\"",
                Some(Line::Ok("\"Dovecot ready.\"".to_owned())),
            ),
            (b"ok", Some(Line::Ok(String::new()))),
            (
                b"NO (TRYLATER) \"busy\"",
                Some(Line::No("(TRYLATER) \"busy\"".to_owned())),
            ),
            (
                b"BYE \"\x1b[2J\"",
                Some(Line::Bye("\"\\x1b[2J\"".to_owned())),
            ),
            (b"\"STARTTLS", None),
            (b"{8}", None),
            (b"* OK", None),
            (b"", None),
        ] {
            assert_eq!(Line::parse(line), wanted);
        }
    }
}
