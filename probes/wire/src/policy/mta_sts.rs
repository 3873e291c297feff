//! MTA-STS (RFC 8461): the record that announces a policy, and the policy.

use std::fmt;
use std::str::FromStr;

use crate::address::HostName;
use crate::policy::tag_list::TagList;
use crate::policy::{Fault, quoted};

/// A larger policy is not read (§3.3 suggests this limit).
pub const MAX_POLICY: usize = 64 * 1024;
/// More patterns than this are not read.
pub const MAX_MX: usize = 500;
/// The longest `max_age`, in seconds: about a year.
pub const MAX_AGE: u64 = 31_557_600;
/// The longest `id`.
const LONGEST_ID: usize = 32;

/// Whether a TXT record counts at all: others are passed over (§3.1).
pub fn is_record(text: &str) -> bool {
    text.starts_with("v=STSv1;")
}

/// The `id` of a record: it changes with the policy.
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub fn record_id(text: &str) -> Result<String, Fault> {
    let tags = TagList::parse(text)?;
    let id = tags.get("id").ok_or_else(|| Fault::new("has no `id=`"))?;
    let is_right =
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_right {
        true => Ok(id.to_owned()),
        false => Err(Fault::new(format!(
            "has the id {}; it must be 1 to {LONGEST_ID} letters and digits",
            quoted(id)
        ))),
    }
}

/// What a sender does with a host that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does not deliver to it.
    Enforce,
    /// It delivers and reports.
    Testing,
    /// It acts as if there were no policy.
    None,
}

impl Mode {
    /// The word of `mode:`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `mode`
    pub mode: Mode,
    /// `max_age`, in seconds.
    pub max_age: u64,
    /// `mx`, in order.
    pub mx: Vec<MxPattern>,
}

impl Policy {
    /// Reads the body of the policy resource.
    ///
    /// # Errors
    /// What makes it no valid policy, as a sentence without its subject.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > MAX_POLICY {
            return Err(Fault::new(format!("is larger than {MAX_POLICY} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::new("is not UTF-8"))?;
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut mx = Vec::new();
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                return Err(Fault::new(format!(
                    "has the line {}, which is no `key: value`",
                    quoted(line)
                )));
            };
            let value = value.trim_matches([' ', '\t']);
            // Of a key that stands there twice, the first counts (§3.2).
            match key.trim_end_matches([' ', '\t']) {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() == MAX_MX => {
                    return Err(Fault::new(format!("has more than {MAX_MX} lines `mx:`")));
                }
                "mx" => mx.push(value.parse()?),
                _ => {}
            }
        }
        match version {
            Some("STSv1") => {}
            Some(other) => {
                return Err(Fault::new(format!(
                    "has the version {}, not `STSv1`",
                    quoted(other)
                )));
            }
            None => return Err(Fault::new("has no line `version: STSv1`")),
        }
        let policy = Self {
            mode: mode_of(mode)?,
            max_age: age_of(max_age)?,
            mx,
        };
        match policy.mx.is_empty() && policy.mode != Mode::None {
            true => Err(Fault::new("has no line `mx:`")),
            false => Ok(policy),
        }
    }

    /// Whether an MX host is covered.
    pub fn covers(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| pattern.covers(host))
    }
}

fn mode_of(text: Option<&str>) -> Result<Mode, Fault> {
    let text = text.ok_or_else(|| Fault::new("has no line `mode:`"))?;
    [Mode::Enforce, Mode::Testing, Mode::None]
        .into_iter()
        .find(|mode| mode.word() == text)
        .ok_or_else(|| {
            Fault::new(format!(
                "has the mode {}; there are `enforce`, `testing` and `none`",
                quoted(text)
            ))
        })
}

fn age_of(text: Option<&str>) -> Result<u64, Fault> {
    let text = text.ok_or_else(|| Fault::new("has no line `max_age:`"))?;
    text.parse()
        .ok()
        .filter(|age| *age <= MAX_AGE && text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| {
            Fault::new(format!(
                "has the max_age {}; it must be 0 to {MAX_AGE} seconds",
                quoted(text)
            ))
        })
}

/// `mx1.example.net`, or `*.example.net` for exactly one label more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MxPattern {
    wildcard: bool,
    name: HostName,
}

impl MxPattern {
    /// Whether it covers a host.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self.wildcard {
            false => host == self.name.as_str(),
            true => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == self.name.as_str()),
        }
    }
}

impl FromStr for MxPattern {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = name.parse().map_err(|_| {
            Fault::new(format!(
                "has the mx {}, which is neither a host nor `*.` and a domain",
                quoted(text)
            ))
        })?;
        Ok(Self { wildcard, name })
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.wildcard { "*." } else { "" };
        write!(f, "{star}{}", self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_an_id() {
        assert!(is_record("v=STSv1; id=1") && !is_record("v=STSv1") && !is_record("v=STSv2;"));
        assert_eq!(
            record_id("v=STSv1; id=20261121T000000Z;").unwrap(),
            "20261121T000000Z"
        );
        for (text, fault) in [
            ("v=STSv1;", "has no `id=`"),
            (
                "v=STSv1; id=a-b",
                "has the id `a-b`; it must be 1 to 32 letters and digits",
            ),
            ("v=STSv1; id=1; id=2", "has the tag `id` twice"),
        ] {
            assert_eq!(record_id(text).unwrap_err().to_string(), fault);
        }
        assert!(record_id(&format!("v=STSv1; id={}", "1".repeat(33))).is_err());
    }

    #[test]
    fn a_policy_is_read_as_the_standard_says() {
        let text = "version: STSv1\r\nmode: enforce\nmode: none\n\nmx: MX1.example.net\r\nmx:*.example.org \nmax_age: 604800\nlater: x";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        let shown: Vec<String> = policy.mx.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["mx1.example.net", "*.example.org"]);
        for (host, is) in [
            ("mx1.example.net", true),
            ("MX1.EXAMPLE.NET.", true),
            ("mx2.example.net", false),
            ("a.example.org", true),
            ("a.b.example.org", false),
            ("example.org", false),
            (".example.org", false),
        ] {
            assert_eq!(policy.covers(host), is, "{host}");
        }
        assert!(Policy::parse(b"version: STSv1\nmode: none\nmax_age: 0").is_ok());
    }

    #[test]
    fn what_is_no_policy_is_named() {
        let rest = "mode: testing\nmx: a.test\nmax_age: 1\n";
        for (text, fault) in [
            (rest.to_owned(), "has no line `version: STSv1`"),
            (
                format!("version: STSv2\n{rest}"),
                "has the version `STSv2`, not `STSv1`",
            ),
            (
                "version: STSv1\nmx: a.test\nmax_age: 1".to_owned(),
                "has no line `mode:`",
            ),
            (
                "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1".to_owned(),
                "has the mode `Enforce`; there are `enforce`, `testing` and `none`",
            ),
            (
                "version: STSv1\nmode: testing\nmx: a.test".to_owned(),
                "has no line `max_age:`",
            ),
            (
                "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 31557601".to_owned(),
                "has the max_age `31557601`; it must be 0 to 31557600 seconds",
            ),
            (
                "version: STSv1\nmode: testing\nmax_age: 1".to_owned(),
                "has no line `mx:`",
            ),
            (
                "version: STSv1\nmode: testing\nmx: *.*.test\nmax_age: 1".to_owned(),
                "has the mx `*.*.test`, which is neither a host nor `*.` and a domain",
            ),
            (
                "<html>".to_owned(),
                "has the line `<html>`, which is no `key: value`",
            ),
            (" ".repeat(MAX_POLICY + 1), "is larger than 65536 bytes"),
        ] {
            assert_eq!(
                Policy::parse(text.as_bytes()).unwrap_err().to_string(),
                fault
            );
        }
        assert_eq!(
            Policy::parse(b"\xff").unwrap_err().to_string(),
            "is not UTF-8"
        );
    }
}
