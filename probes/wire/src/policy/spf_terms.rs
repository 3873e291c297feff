//! The terms of an SPF record (RFC 7208 §4.6.1, §12) as they are written.
//!
//! The record is evaluated from the values that a library reads. This looks at the same text before it: the library takes
//! an unknown mechanism for a modifier, shortens a prefix that is too long and wraps an octet that is too large, where the
//! standard asks for `permerror`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::policy::{Fault, MAX_TEXT, quoted};

/// More terms than this are not read.
pub const MAX_TERMS: usize = 500;

const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];

/// One term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term<'a> {
    /// With its qualifier: `-all`, `ip4:192.0.2.0/24`.
    Mechanism(&'a str),
    /// `redirect=`, `exp=` and what later standards may add.
    Modifier(&'a str),
}

/// Whether a TXT record is an SPF record: the version, and then the end or a space (§4.5).
pub fn is_record(text: &str) -> bool {
    text.get(..6)
        .is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
        && matches!(text.as_bytes().get(6), None | Some(b' '))
}

/// The terms of an SPF record, in order.
///
/// # Errors
/// What makes the record a `permerror`.
pub fn terms(record: &str) -> Result<Vec<Term<'_>>, Fault> {
    if record.len() > MAX_TEXT {
        return Err(Fault::new(format!("is longer than {MAX_TEXT} characters")));
    }
    let mut terms = Vec::new();
    let (mut redirects, mut explanations) = (0_u32, 0_u32);
    for text in record.split(' ').skip(1).filter(|text| !text.is_empty()) {
        if terms.len() == MAX_TERMS {
            return Err(Fault::new(format!("has more than {MAX_TERMS} terms")));
        }
        let term = match text.split_once('=') {
            Some((name, _)) if is_name(name) => Term::Modifier(text),
            _ => {
                mechanism(text)?;
                Term::Mechanism(text)
            }
        };
        if let Term::Modifier(text) = term {
            let name = text.split('=').next().unwrap_or_default();
            redirects += u32::from(name.eq_ignore_ascii_case("redirect"));
            explanations += u32::from(name.eq_ignore_ascii_case("exp"));
        }
        terms.push(term);
    }
    match (redirects, explanations) {
        (2.., _) => Err(Fault::new("has more than one `redirect=`")),
        (_, 2..) => Err(Fault::new("has more than one `exp=`")),
        _ => Ok(terms),
    }
}

/// `name` of a modifier.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn mechanism(text: &str) -> Result<(), Fault> {
    let bare = text.strip_prefix(['+', '-', '?', '~']).unwrap_or(text);
    let end = bare.find([':', '/']).unwrap_or(bare.len());
    let (name, rest) = bare.split_at(end);
    let name = name.to_ascii_lowercase();
    if !MECHANISMS.contains(&name.as_str()) {
        return Err(Fault::new(format!(
            "has {}, which is no mechanism",
            quoted(text)
        )));
    }
    let wrong = |why: &str| Err(Fault::new(format!("has {}: {why}", quoted(text))));
    let argument = rest.strip_prefix(':');
    match name.as_str() {
        "all" if !rest.is_empty() => return wrong("`all` takes nothing"),
        "include" | "exists" | "ip4" | "ip6" if argument.is_none_or(str::is_empty) => {
            return wrong("something must follow the colon");
        }
        "a" | "mx" | "ptr"
            if argument.is_some_and(|domain| domain.is_empty() || domain.starts_with('/')) =>
        {
            return wrong("a domain must follow the colon");
        }
        _ => {}
    }
    match name.as_str() {
        "ip4" => check_network::<Ipv4Addr>(argument.unwrap_or_default(), 32)
            .or_else(|()| wrong("an IPv4 address must follow, with a prefix of 0 to 32 or none")),
        "ip6" => check_network::<Ipv6Addr>(argument.unwrap_or_default(), 128)
            .or_else(|()| wrong("an IPv6 address must follow, with a prefix of 0 to 128 or none")),
        "a" | "mx" => check_dual_prefix(rest).or_else(|()| {
            wrong("the prefixes must be 0 to 32 for IPv4 and 0 to 128 for IPv6, as `/24//64`")
        }),
        _ => Ok(()),
    }
}

/// `ADDRESS` or `ADDRESS/LENGTH`.
fn check_network<A: FromStr>(network: &str, longest: u8) -> Result<(), ()> {
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (network, None),
    };
    address.parse::<A>().map_err(|_| ())?;
    length.map_or(Ok(()), |length| check_length(length, longest))
}

/// `[:domain] [/n] [//n]`; a slash in a domain can only stand in a macro's braces.
fn check_dual_prefix(rest: &str) -> Result<(), ()> {
    let tail = rest
        .rfind('}')
        .and_then(|end| rest.get(end..))
        .unwrap_or(rest);
    let Some(start) = tail.find('/') else {
        return Ok(());
    };
    let lengths = tail.get(start..).unwrap_or_default();
    let (v4, v6) = match lengths.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (lengths, None),
    };
    if !v4.is_empty() {
        check_length(v4.strip_prefix('/').ok_or(())?, 32)?;
    }
    v6.map_or(Ok(()), |v6| check_length(v6, 128))
}

fn check_length(digits: &str, longest: u8) -> Result<(), ()> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    match digits.parse::<u8>() {
        Ok(length) if is_plain && length <= longest => Ok(()),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_version_makes_an_spf_record() {
        for (text, is) in [
            ("v=spf1", true),
            ("v=spf1 -all", true),
            ("V=SPF1 -all", true),
            ("v=spf10", false),
            ("v=spf1\t-all", false),
            (" v=spf1", false),
            ("spf2.0/pra", false),
            ("", false),
            ("v=spféé", false),
        ] {
            assert_eq!(is_record(text), is, "{text}");
        }
    }

    #[test]
    fn terms_are_what_the_standard_knows() {
        for (record, wanted) in [
            ("v=spf1", ""),
            ("v=spf1  -all ", "-all"),
            (
                "v=spf1 a mx:x.test/24//64 a//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ptr:x.test exists:%{i}._spf.%{d2} include:y.test ?all",
                "a mx:x.test/24//64 a//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ptr:x.test exists:%{i}._spf.%{d2} include:y.test ?all",
            ),
            ("v=spf1 a:%{l/}.x.test/24", "a:%{l/}.x.test/24"),
            (
                "v=spf1 redirect=x.test exp=e.test op=later",
                "=redirect=x.test =exp=e.test =op=later",
            ),
        ] {
            let found: Vec<String> = terms(record)
                .unwrap()
                .iter()
                .map(|term| match term {
                    Term::Mechanism(text) => (*text).to_owned(),
                    Term::Modifier(text) => format!("={text}"),
                })
                .collect();
            assert_eq!(found.join(" "), wanted, "{record}");
        }
    }

    #[test]
    fn a_term_that_cannot_be_is_named() {
        for (record, fault) in [
            ("v=spf1 moo -all", "has `moo`, which is no mechanism"),
            (
                "v=spf1 moo:x.test",
                "has `moo:x.test`, which is no mechanism",
            ),
            ("v=spf1 mx2 -all", "has `mx2`, which is no mechanism"),
            (
                "v=spf1 ipv4:192.0.2.1",
                "has `ipv4:192.0.2.1`, which is no mechanism",
            ),
            ("v=spf1 -all:x", "has `-all:x`: `all` takes nothing"),
            (
                "v=spf1 include",
                "has `include`: something must follow the colon",
            ),
            (
                "v=spf1 a:/24",
                "has `a:/24`: a domain must follow the colon",
            ),
            (
                "v=spf1 ip4:192.0.2.0/33",
                "has `ip4:192.0.2.0/33`: an IPv4 address must follow, with a prefix of 0 to 32 or none",
            ),
            (
                "v=spf1 ip6:2001:db8::/129",
                "has `ip6:2001:db8::/129`: an IPv6 address must follow, with a prefix of 0 to 128 or none",
            ),
            (
                "v=spf1 mx/24/64",
                "has `mx/24/64`: the prefixes must be 0 to 32 for IPv4 and 0 to 128 for IPv6, as `/24//64`",
            ),
            (
                "v=spf1 redirect=a.test redirect=b.test",
                "has more than one `redirect=`",
            ),
            ("v=spf1 exp=a.test exp=b.test", "has more than one `exp=`"),
            ("v=spf1 \u{1b}[2J", "has `\\x1b[2J`, which is no mechanism"),
        ] {
            assert_eq!(terms(record).unwrap_err().to_string(), fault, "{record}");
        }
        assert!(terms(&format!("v=spf1{}", " a".repeat(MAX_TERMS + 1))).is_err());
        assert!(terms(&format!("v=spf1 {}", "a".repeat(MAX_TEXT))).is_err());
    }
}
