//! What a check saw that every client can see. The store remembers it: another value the next time is a change.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::digest;
use postrider_wire::greeting;
use postrider_wire::text::RemoteText;
use serde::Deserialize;

use crate::kinds::deliver::Family;
use crate::outcome::TlsFacts;

/// Observations of one check.
pub const MOST: usize = 256;
/// Values of one observation.
const VALUES: usize = 64;
/// Characters of one value.
const LONGEST: usize = 500;
/// Characters of a subject.
const SUBJECT: usize = 300;

macro_rules! seen {
    ($($variant:ident $name:literal $noun:literal $doc:literal;)*) => {
        /// What can be seen; a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum What { $(#[doc = $doc] $variant,)* }

        impl What {
            /// Everything that can be seen.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word used in YAML, JSON, labels and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// As it stands in a sentence: `banner` of …
            #[must_use]
            pub fn noun(self) -> &'static str {
                match self { $(Self::$variant => $noun,)* }
            }
        }
    };
}

seen! {
    Addresses "addresses" "addresses" "The A and AAAA records of a name.";
    Ptr "ptr" "reverse names" "The PTR records of an address.";
    Mx "mx" "MX records" "The MX records of a domain, with their preferences.";
    Ns "ns" "NS records" "The name servers of a domain.";
    Certificate "certificate" "certificate" "The certificate that a server presents.";
    Banner "banner" "banner" "The greeting of a server, without date and session word.";
    Ehlo "ehlo" "EHLO keywords" "What an SMTP server offers in its EHLO reply.";
    TlsVersion "tls-version" "TLS version" "The TLS version that a server negotiates with us.";
}

impl What {
    /// What has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|what| what.name() == name)
    }

    /// The value without what differs from time to time and means nothing.
    fn steady(self, value: &str) -> String {
        match self {
            Self::Addresses | Self::Ptr | Self::Mx | Self::Ns => value
                .trim_start()
                .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
                .to_ascii_lowercase(),
            Self::Banner => greeting::steady(value),
            Self::Ehlo => keyword(value),
            Self::Certificate | Self::TlsVersion => value.trim().to_owned(),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What.
    pub what: What,
    /// Of whom: `mx1.example.net`, `192.0.2.1`, `192.0.2.1:25`.
    pub subject: String,
    /// What was seen.
    pub values: Values,
}

impl Observation {
    /// Brings it into the form that is compared: small letters in names, no dates, sorted, bounded, safe to print.
    pub fn new(
        what: What,
        subject: impl fmt::Display,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let subject = subject.to_string();
        // What follows the name is ours: `192.0.2.1:25 after STARTTLS`.
        let (name, rest) = subject.split_at(subject.find(' ').unwrap_or(subject.len()));
        let subject = format!("{}{rest}", name.trim_end_matches('.').to_ascii_lowercase());
        let values = values.into_iter().map(|value| what.steady(value.as_ref()));
        Self {
            what,
            subject: RemoteText::new(subject.as_bytes(), SUBJECT).to_string(),
            values: values.collect(),
        }
    }

    /// The same as this server has it, where that is not the usual resolver: it may see other names.
    #[must_use]
    pub fn at(mut self, server: Option<SocketAddr>) -> Self {
        if let Some(server) = server {
            self.subject.push_str(&format!(" at {server}"));
        }
        self
    }
}

/// Tells the addresses of a name, each family by itself: who asks for one of them says nothing about the other.
pub fn addresses_of<'o>(
    name: &'o str,
    family: Family,
    found: &'o [IpAddr],
) -> impl Iterator<Item = Observation> + 'o {
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .filter(move |one| family == Family::Both || family == *one)
        .map(move |one| {
            let of_family = found.iter().filter(|address| one.holds(**address));
            Observation::new(
                What::Addresses,
                of_family_subject(name, one == Family::Ipv4),
                of_family.map(ToString::to_string),
            )
        })
}

/// `mx1.example.net (IPv4)`
#[must_use]
pub fn of_family_subject(name: &str, ipv4: bool) -> String {
    let family = if ipv4 { "IPv4" } else { "IPv6" };
    format!("{} ({family})", name.trim_end_matches('.'))
}

/// The certificate and the version of a session with `subject`, mostly `192.0.2.1:25`.
pub fn of_tls(subject: impl fmt::Display, facts: &TlsFacts) -> impl Iterator<Item = Observation> {
    let subject = subject.to_string();
    let version = Observation::new(What::TlsVersion, &subject, [&facts.version]);
    // A server may have one for each name that it is asked for.
    let asked = match facts.host.as_str() {
        "" => subject,
        host => format!("{subject} as {host}"),
    };
    let certificate = Observation::new(What::Certificate, asked, certificate(facts));
    [version, certificate]
        .into_iter()
        .filter(|seen| !seen.values.is_empty())
}

/// `for mx1.example.net and 2 more, until 2027-02-01, SHA-256 0123…`: the fingerprint decides, the rest is for people.
fn certificate(facts: &TlsFacts) -> Option<String> {
    let TlsFacts {
        names, fingerprint, ..
    } = facts;
    if fingerprint.is_empty() {
        return None;
    }
    let mut text = String::new();
    if let Some(first) = names.first() {
        let first: String = first.chars().take(SUBJECT).collect();
        text.push_str(&format!("for {first}"));
    }
    if names.len() > 1 {
        text.push_str(&format!(" and {} more", names.len() - 1));
    }
    if let Some(end) = facts.not_after {
        text.push_str(&format!(" until {}", end.strftime("%F")));
    }
    Some(
        format!("{text} SHA-256 {fingerprint}")
            .trim_start()
            .to_owned(),
    )
}

/// A set of values: each once, in the order of the alphabet.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Values(BTreeSet<String>);

impl<T: AsRef<str>> FromIterator<T> for Values {
    /// Of very many values the first are kept, and a digest that tells the others from any other set.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut all: BTreeSet<String> = values
            .into_iter()
            .map(|value| RemoteText::new(value.as_ref().as_bytes(), LONGEST).to_string())
            .filter(|value| !value.is_empty())
            .collect();
        if all.len() > VALUES {
            let rest: BTreeSet<String> = all
                .iter()
                .nth(VALUES - 1)
                .cloned()
                .map(|first| all.split_off(&first))
                .unwrap_or_default();
            let text: String = rest.iter().flat_map(|value| [value, "\n"]).collect();
            let digest = digest::digest(&digest::SHA256, text.as_bytes());
            let mark: String = digest
                .as_ref()
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            all.insert(format!("~ and {} more ({mark})", rest.len()));
        }
        Self(all)
    }
}

impl Values {
    /// Each value.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is here and not there.
    pub fn without<'v>(&'v self, other: &'v Self) -> impl Iterator<Item = &'v str> {
        self.0.difference(&other.0).map(String::as_str)
    }
}

impl fmt::Display for Values {
    /// `"one"`, `one, two`, `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str("nothing"),
            1 => self.iter().try_for_each(|value| write!(f, "\"{value}\"")),
            _ => f.write_str(&self.iter().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A line of an EHLO reply: what a keyword means does not depend on case or order. The number after SIZE follows the
/// free space of some servers.
fn keyword(line: &str) -> String {
    let mut words = line.split_whitespace().map(str::to_ascii_uppercase);
    let Some(keyword) = words.next() else {
        return String::new();
    };
    if keyword == "SIZE" {
        return keyword;
    }
    let parameters: BTreeSet<String> = words.collect();
    parameters
        .iter()
        .fold(keyword, |line, parameter| format!("{line} {parameter}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(what: What, values: &[&str]) -> String {
        Observation::new(what, "Mx1.Example.Net.", values)
            .values
            .iter()
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn what_differs_without_a_meaning_is_the_same() {
        for (what, one, other) in [
            (
                What::Mx,
                ["20 MX2.test.", "10 mx1.test"],
                ["10 mx1.test.", "20 mx2.test"],
            ),
            (
                What::Addresses,
                ["2001:DB8::1", "192.0.2.1"],
                ["192.0.2.1", "2001:db8::1"],
            ),
            (
                What::Ehlo,
                ["SIZE 10240000", "AUTH plain LOGIN"],
                ["auth LOGIN PLAIN", "SIZE 5"],
            ),
            (
                What::Banner,
                ["mx ESMTP Tue, 24 Nov 2026 03:04:05 +0100", "mx"],
                ["mx", "mx ESMTP Wed, 2 Dec 2026 13:04:05 +0000"],
            ),
        ] {
            assert_eq!(values(what, &one), values(what, &other), "{what}");
        }
    }

    #[test]
    fn what_has_a_meaning_is_not_the_same() {
        for (what, one, other) in [
            (What::Mx, "10 mx1.test", "20 mx1.test"),
            (What::Ehlo, "AUTH PLAIN", "AUTH PLAIN LOGIN"),
            (What::Ehlo, "STARTTLS", "PIPELINING"),
            (
                What::Banner,
                "mx ESMTP Postfix 3.9",
                "mx ESMTP Postfix 3.10",
            ),
            (What::TlsVersion, "TLSv1.2", "TLSv1.3"),
        ] {
            assert_ne!(values(what, &[one]), values(what, &[other]), "{what}");
        }
    }

    #[test]
    fn subjects_are_names_in_small_letters() {
        let subject = |subject: &str| Observation::new(What::Ns, subject, ["a"]).subject;
        assert_eq!(subject("Example.NET."), "example.net");
        assert_eq!(subject("[2001:DB8::1]:25"), "[2001:db8::1]:25");
        assert_eq!(subject("a\nb"), "a\\nb");
    }

    #[test]
    fn a_thousand_values_are_few_and_still_told_apart() {
        let many = |last: &str| {
            let names = (0..999).map(|number| format!("10 mx{number:04}.test"));
            Observation::new(What::Mx, "test", names.chain([last.to_owned()]))
        };
        let (one, other) = (many("10 zz.test"), many("10 zy.test"));
        assert_eq!(one.values.len(), VALUES);
        assert!(
            one.values
                .iter()
                .any(|value| value.starts_with("~ and 937 more"))
        );
        assert_ne!(one, other);
        let long = Observation::new(What::Banner, "test", ["x".repeat(5000)]);
        assert!(
            long.values
                .iter()
                .all(|value| value.chars().count() <= LONGEST + 1)
        );
    }

    #[test]
    fn a_family_that_was_not_asked_for_is_not_told() {
        let found: Vec<IpAddr> = ["2001:db8::1", "192.0.2.2", "192.0.2.1"]
            .map(|address| address.parse().unwrap())
            .into();
        let told = |family| {
            addresses_of("MX1.test.", family, &found)
                .map(|seen| format!("{}={}", seen.subject, seen.values))
                .collect::<Vec<_>>()
        };
        let four = "mx1.test (IPv4)=192.0.2.1, 192.0.2.2";
        let six = "mx1.test (IPv6)=\"2001:db8::1\"";
        assert_eq!(told(Family::Both), [four, six]);
        assert_eq!(told(Family::Ipv4), [four]);
        assert_eq!(told(Family::Ipv6), [six]);
    }

    #[test]
    fn a_certificate_is_told_by_its_fingerprint() {
        let facts = TlsFacts {
            version: "TLSv1.3".to_owned(),
            names: vec!["mx1.test".repeat(60), "mx2.test".to_owned()],
            not_after: "2027-02-01T00:00:00Z".parse().ok(),
            fingerprint: "0".repeat(64),
            ..TlsFacts::default()
        };
        let other = TlsFacts {
            fingerprint: format!("{}1", "0".repeat(63)),
            ..facts.clone()
        };
        let told = |facts: &TlsFacts| of_tls("192.0.2.1:25", facts).collect::<Vec<_>>();
        let certificate = told(&facts)[1].values.to_string();
        assert!(certificate.contains("and 1 more until 2027-02-01 SHA-256 0000"));
        assert_ne!(told(&facts), told(&other));
        assert_eq!(told(&facts)[0], told(&other)[0]);
        assert_eq!(told(&TlsFacts::default()), []);
        let named = TlsFacts {
            host: "mx2.test".to_owned(),
            ..facts.clone()
        };
        let subjects: Vec<String> = told(&named).into_iter().map(|seen| seen.subject).collect();
        assert_eq!(subjects, ["192.0.2.1:25", "192.0.2.1:25 as mx2.test"]);
    }

    #[test]
    fn names_lead_back() {
        for what in What::ALL {
            assert_eq!(What::from_name(what.name()), Some(*what));
        }
        assert_eq!(What::from_name("colour"), None);
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_nor_a_second_time_makes_a_difference(
            mut values in prop::collection::vec("[a-zA-Z0-9. ]{0,12}", 0..60),
            what in prop::sample::select(What::ALL),
        ) {
            let one = Observation::new(what, "test", &values);
            values.reverse();
            values.extend(values.clone());
            let other = Observation::new(what, "test", &values);
            prop_assert_eq!(&one, &other);
            let again = Observation::new(what, &one.subject, one.values.iter());
            prop_assert_eq!(&again, &one);
        }
    }
}
