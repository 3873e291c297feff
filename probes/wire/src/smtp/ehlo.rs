//! What a server offers in its EHLO reply (RFC 5321 §4.1.1.1).

use std::fmt;

use super::reply::Reply;
use crate::text::visible;

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
        for mechanism in self.parameters("AUTH").flatten() {
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
