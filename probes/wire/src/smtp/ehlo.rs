//! What a server offers in its EHLO reply (RFC 5321 §4.1.1.1).

use std::fmt;

use super::reply::Reply;
use crate::text::visible;

/// SASL mechanisms beyond this number are not looked at; about sixty are registered.
pub const MAX_MECHANISMS: usize = 64;

/// The EHLO keywords, in the server's order. They are forgotten after STARTTLS (RFC 3207 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// The name by which the server calls itself, unchecked.
    pub greeting_name: String,
    /// Keyword in upper case, parameters as sent.
    pub keywords: Vec<(String, Vec<String>)>,
}

impl Capabilities {
    /// Reads the lines of a 250 reply to EHLO. Blank and odd lines are left out or kept as
    /// keywords that nobody asks for; the old form `AUTH=LOGIN` counts as `AUTH LOGIN`.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut lines = reply.lines.iter();
        let greeting = lines.next().map_or("", String::as_str);
        let greeting_name = greeting
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let keywords = lines.filter_map(|line| keyword(line)).collect();
        Self {
            greeting_name,
            keywords,
        }
    }

    /// Whether the keyword is offered, in any case.
    pub fn has(&self, keyword: &str) -> bool {
        self.parameters(keyword).next().is_some()
    }

    /// The largest message in bytes (RFC 1870); `None` if there is no SIZE, no number, or 0,
    /// which means no fixed limit.
    pub fn size(&self) -> Option<u64> {
        let parameter = self.parameters("SIZE").next()?.first()?;
        parameter.parse().ok().filter(|size| *size > 0)
    }

    /// The SASL mechanisms of AUTH (RFC 4954), in upper case, each once, in the server's order.
    pub fn auth_mechanisms(&self) -> Vec<String> {
        let mut mechanisms = Vec::new();
        for mechanism in self.parameters("AUTH").flatten().take(MAX_MECHANISMS) {
            let mechanism = mechanism.to_ascii_uppercase();
            if !mechanisms.contains(&mechanism) {
                mechanisms.push(mechanism);
            }
        }
        mechanisms
    }

    fn parameters<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a [String]> {
        self.keywords
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(keyword))
            .map(|(_, parameters)| parameters.as_slice())
    }
}

impl fmt::Display for Capabilities {
    /// One keyword with its parameters per line, safe to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, parameters)) in self.keywords.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&visible(name))?;
            for parameter in parameters {
                write!(f, " {}", visible(parameter))?;
            }
        }
        Ok(())
    }
}

fn keyword(line: &str) -> Option<(String, Vec<String>)> {
    let mut words = line.split_whitespace();
    let mut name = words.next()?.to_ascii_uppercase();
    let mut parameters: Vec<String> = words.map(str::to_owned).collect();
    if let Some(mechanism) = name.strip_prefix("AUTH=") {
        if !mechanism.is_empty() {
            parameters.insert(0, mechanism.to_owned());
        }
        name = "AUTH".to_owned();
    }
    Some((name, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(lines: &[&str]) -> Capabilities {
        let lines = lines.iter().map(ToString::to_string).collect();
        Capabilities::from_reply(&Reply { code: 250, lines })
    }

    #[test]
    fn keywords_are_found_in_any_case() {
        let found = capabilities(&[
            "mx.example.org greets probe",
            "8bitmime",
            "SIZE 10240000",
            "StartTLS",
            "AUTH PLAIN login",
        ]);
        assert_eq!(found.greeting_name, "mx.example.org");
        assert!(found.has("STARTTLS") && found.has("8BITMIME") && !found.has("PIPELINING"));
        assert_eq!(found.size(), Some(10_240_000));
        assert_eq!(found.auth_mechanisms(), ["PLAIN", "LOGIN"]);
        assert_eq!(
            found.to_string(),
            "8BITMIME\nSIZE 10240000\nSTARTTLS\nAUTH PLAIN login"
        );
    }

    #[test]
    fn blank_and_odd_lines_are_tolerated() {
        let found = capabilities(&[
            "",
            "",
            "   ",
            "\t",
            "=",
            "AUTH=LOGIN PLAIN",
            "AUTH=",
            "AUTH PLAIN",
            "X\x1b[2J y",
        ]);
        assert_eq!(found.greeting_name, "");
        assert_eq!(found.auth_mechanisms(), ["LOGIN", "PLAIN"]);
        assert_eq!(
            found.to_string(),
            "=\nAUTH LOGIN PLAIN\nAUTH\nAUTH PLAIN\nX\\x1b[2J y"
        );
        assert_eq!(capabilities(&[]), Capabilities::default());
    }

    #[test]
    fn a_size_without_a_limit_is_none() {
        for line in [
            "SIZE",
            "SIZE 0",
            "SIZE many",
            "SIZE -1",
            "SIZE 99999999999999999999999",
        ] {
            assert_eq!(capabilities(&["mx", line]).size(), None, "{line}");
        }
    }
}
