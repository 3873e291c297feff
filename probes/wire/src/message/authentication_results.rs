//! What a receiving server found out about the sender (`Authentication-Results`, RFC 8601).

use std::fmt;

use super::header::{all, fields};
use super::structured::{split_unquoted, unquote, without_comments};

/// Results beyond this number in one field are not looked at.
pub const MAX_RESULTS: usize = 64;

/// Properties beyond this number in one result are not looked at.
pub const MAX_PROPERTIES: usize = 32;

/// One `Authentication-Results` field. Only one whose `authserv_id` is a known server means
/// anything: anyone can add such a field (RFC 8601 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// The server that speaks; empty where it does not name itself (Exchange Online).
    pub authserv_id: String,
    /// One entry per method, several for a method that was applied several times.
    pub results: Vec<MethodResult>,
}

/// What one method found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodResult {
    /// `spf`, `dkim`, `dmarc`, …: lower case, without version.
    pub method: String,
    /// What it found.
    pub result: ResultWord,
    /// Name (`smtp.mailfrom`, `reason`, …, lower case) and value, in order.
    pub properties: Vec<(String, String)>,
}

/// The result words of RFC 8601 §2.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultWord {
    /// Not checked, or nothing there to check.
    None,
    /// The domain makes no statement.
    Neutral,
    /// Passed.
    Pass,
    /// Failed.
    Fail,
    /// SPF: probably not allowed.
    SoftFail,
    /// A passing error, such as a DNS time-out.
    TempError,
    /// A lasting error, such as a broken record.
    PermError,
    /// Passed, but the server's own policy does not accept it.
    Policy,
    /// A word outside the standard, lower case.
    Other(String),
}

impl AuthenticationResults {
    /// Reads the body of one unfolded field. What cannot be read is left out.
    pub fn parse(body: &str) -> Self {
        let plain = without_comments(body);
        let mut parts = split_unquoted(&plain, ';').map(str::trim).peekable();
        let head = parts
            .next_if(|part| !looks_like_result(part))
            .unwrap_or_default();
        let authserv_id = unquote(head.split_whitespace().next().unwrap_or_default());
        let results = parts
            .filter_map(MethodResult::parse)
            .take(MAX_RESULTS)
            .collect();
        Self {
            authserv_id,
            results,
        }
    }

    /// All fields of a header block, newest first.
    pub fn from_headers(block: &[u8]) -> Vec<Self> {
        let fields = fields(block);
        let bodies = all(&fields, "Authentication-Results");
        bodies.into_iter().map(Self::parse).collect()
    }

    /// The result of a method, the first one if it was applied several times.
    pub fn result_of(&self, method: &str) -> Option<&ResultWord> {
        let found = self
            .results
            .iter()
            .find(|result| result.method.eq_ignore_ascii_case(method))?;
        Some(&found.result)
    }
}

impl MethodResult {
    /// The value of a property such as `smtp.mailfrom`.
    pub fn property(&self, name: &str) -> Option<&str> {
        let found = self
            .properties
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    fn parse(part: &str) -> Option<Self> {
        // Spaces may stand around "=" and "." (RFC 8601 §2.2 allows CFWS there); without them the
        // words are "name=value".
        let joined = without_space_around_signs(part);
        let mut words = split_unquoted(&joined, ' ').filter(|word| !word.is_empty());
        let (method, result) = words.next()?.split_once('=')?;
        let method = method.split('/').next()?.to_ascii_lowercase();
        if method.is_empty() || result.is_empty() {
            return None;
        }
        let properties = words
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_ascii_lowercase(), unquote(value)))
            .take(MAX_PROPERTIES)
            .collect();
        Some(Self {
            method,
            result: ResultWord::from_word(result),
            properties,
        })
    }
}

impl ResultWord {
    fn from_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "neutral" => Self::Neutral,
            "pass" => Self::Pass,
            "fail" => Self::Fail,
            "softfail" => Self::SoftFail,
            "temperror" => Self::TempError,
            "permerror" => Self::PermError,
            "policy" => Self::Policy,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ResultWord {
    /// The word; one outside the standard is made safe to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
            Self::Policy => "policy",
            Self::Other(word) => return f.write_str(&crate::text::visible(word)),
        })
    }
}

fn looks_like_result(part: &str) -> bool {
    split_unquoted(part, '=').nth(1).is_some()
}

/// Removes white space next to `=` and `/`, and turns all other runs of it into one space, outside
/// quoted strings.
fn without_space_around_signs(part: &str) -> String {
    let mut joined = String::with_capacity(part.len());
    let mut quoted = false;
    let mut escaped = false;
    let mut space = false;
    for character in part.chars() {
        if !quoted && character.is_whitespace() {
            space = true;
            continue;
        }
        let sign = |character| matches!(character, '=' | '/');
        let glued = !quoted && sign(character) || joined.ends_with(sign);
        if space && !glued {
            joined.push(' ');
        }
        space = false;
        if escaped {
            escaped = false;
        } else {
            match character {
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => {}
            }
        }
        joined.push(character);
    }
    joined
}
