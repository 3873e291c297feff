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
        let head = without_space_around_signs(head);
        // A version may follow; it is always 1.
        let authserv_id = unquote(split_unquoted(&head, ' ').next().unwrap_or_default());
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
        // Spaces may stand around "=" (RFC 8601 §2.2 allows CFWS there); without them the words
        // are "name=value".
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

/// Removes the white space around the first `=` of each word, and around `/` in the method, outside
/// quoted strings; all other runs of it become one space. A later `=` belongs to an unquoted
/// value, such as a signature in base64, and so does its space.
fn without_space_around_signs(part: &str) -> String {
    let mut joined = String::with_capacity(part.len());
    let mut quoted = false;
    let mut escaped = false;
    let mut space = false;
    let mut in_method = true;
    let mut word_has_sign = false;
    let mut glue_next = false;
    for character in part.chars() {
        if !quoted && character.is_whitespace() {
            space = true;
            continue;
        }
        let sign = !quoted
            && match character {
                '=' => !word_has_sign,
                '/' => in_method,
                _ => false,
            };
        if space && !sign && !glue_next {
            joined.push(' ');
            word_has_sign = false;
        }
        space = false;
        glue_next = sign;
        if sign && character == '=' {
            word_has_sign = true;
            in_method = false;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `id: method=result name=value …; …`
    fn check(body: &str, expected: &str) {
        let parsed = AuthenticationResults::parse(body);
        let results: Vec<String> = parsed
            .results
            .iter()
            .map(|found| {
                let properties: String = found
                    .properties
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect();
                format!("{}={}{properties}", found.method, found.result)
            })
            .collect();
        assert_eq!(
            format!("{}: {}", parsed.authserv_id, results.join("; ")),
            expected,
            "{body}"
        );
    }

    #[test]
    fn the_examples_of_rfc_8601_are_read() {
        check("example.org 1; none", "example.org: ");
        check(
            "example.com; spf=pass smtp.mailfrom=example.net",
            "example.com: spf=pass smtp.mailfrom=example.net",
        );
        check(
            "example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
            "example.com: auth=pass smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
        );
        check(
            "example.com; dkim=pass reason=\"good signature\" header.i=@mail-router.example.net; dkim=fail reason=\"bad signature\" header.i=@newyork.example.com",
            "example.com: dkim=pass reason=good signature header.i=@mail-router.example.net; dkim=fail reason=bad signature header.i=@newyork.example.com",
        );
        check(
            "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) .expired=1362471462",
            "foo.example.net: dkim=fail .expired=1362471462",
        );
    }

    #[test]
    fn what_servers_really_write_is_read() {
        check(
            "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.org; dkim=none (message not signed) header.d=none;dmarc=bestguesspass action=none header.from=example.org;compauth=pass reason=109",
            ": spf=pass smtp.mailfrom=example.org; dkim=none header.d=none; dmarc=bestguesspass action=none header.from=example.org; compauth=pass reason=109",
        );
        check(
            "mx.example.com; dkim=pass header.i=@example.org header.s=s1 header.b=\"Ab/d+x=\"; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org",
            "mx.example.com: dkim=pass header.i=@example.org header.s=s1 header.b=Ab/d+x=; dmarc=pass header.from=example.org",
        );
        check(
            "mx; dkim=pass header.b=Ab/ header.s=s1 header.x=yz= header.d=d",
            "mx: dkim=pass header.b=Ab/ header.s=s1 header.x=yz= header.d=d",
        );
        check(
            "\"my id\" ; spf = SoftFail smtp.helo = x",
            "my id: spf=softfail smtp.helo=x",
        );
        check(
            "mx; spf=pass smtp.mailfrom=\"a;b c\"@example.org x=y",
            "mx: spf=pass smtp.mailfrom=\"a;b c\"@example.org x=y",
        );
    }

    #[test]
    fn every_result_word_is_known() {
        for (word, expected) in [
            ("none", ResultWord::None),
            ("neutral", ResultWord::Neutral),
            ("pass", ResultWord::Pass),
            ("fail", ResultWord::Fail),
            ("softfail", ResultWord::SoftFail),
            ("temperror", ResultWord::TempError),
            ("permerror", ResultWord::PermError),
            ("policy", ResultWord::Policy),
            ("hardfail", ResultWord::Other("hardfail".to_owned())),
        ] {
            let parsed = AuthenticationResults::parse(&format!("mx; SPF={word}"));
            assert_eq!(parsed.result_of("spf"), Some(&expected));
            assert_eq!(expected.to_string(), word);
        }
    }

    #[test]
    fn results_are_found_by_method_and_property() {
        let block = b"Authentication-Results: mx2; spf=fail\r\nSubject: x\r\nAuthentication-Results: mx1;\r\n spf=pass smtp.mailfrom=a; spf=fail\r\n\r\n";
        let found = AuthenticationResults::from_headers(block);
        let ids: Vec<&str> = found
            .iter()
            .map(|field| field.authserv_id.as_str())
            .collect();
        assert_eq!(ids, ["mx2", "mx1"]);
        assert_eq!(found[1].result_of("SPF"), Some(&ResultWord::Pass));
        assert_eq!(found[1].result_of("dkim"), None);
        assert_eq!(found[1].results[0].property("SMTP.mailfrom"), Some("a"));
    }

    #[test]
    fn broken_fields_give_what_they_have() {
        check("", ": ");
        check(";;;", ": ");
        check("mx; spf; =pass; dkim=; dmarc=pass", "mx: dmarc=pass");
        check("mx; spf=pass (open; dkim=pass", "mx: spf=pass");
        let many = AuthenticationResults::parse(&"a=b c=d ;".repeat(1000));
        assert_eq!(many.results.len(), MAX_RESULTS);
        let many = AuthenticationResults::parse(&format!("mx; a=b{}", " c=d".repeat(1000)));
        assert_eq!(many.results[0].properties.len(), MAX_PROPERTIES);
    }
}
