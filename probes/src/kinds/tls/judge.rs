//! Whether what was shown is what was wanted. Pure.

use std::time::Duration;

use super::settings::{Certificate, Expect};
use crate::account::parse_pin;
use crate::context::Context;
use crate::outcome::{Failure, Finding, Status, TlsFacts, TlsOffer};
use crate::reason::Reason;
use crate::span::duration;

const DAY: i64 = 86_400;
/// More of a list than this tells the reader nothing more.
const SHOWN: usize = 4;

/// The rules, filled in. The default: a valid certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) any_certificate: bool,
    pub(super) valid_for_days: Option<u32>,
    pub(super) names: Vec<String>,
    pub(super) issuer: Option<String>,
    /// Hexadecimal, in small letters.
    pub(super) fingerprint: Option<String>,
    pub(super) key_types: Option<Vec<&'static str>>,
    pub(super) rsa_bits: Option<u32>,
    pub(super) signatures: Option<Vec<String>>,
    pub(super) versions: Vec<String>,
    pub(super) not_versions: Vec<String>,
    pub(super) ciphers: Vec<String>,
    pub(super) not_ciphers: Vec<String>,
}

pub(super) fn wanted(
    expect: &Expect,
    is_preference: bool,
    cx: &Context<'_>,
) -> Result<Wanted, Failure> {
    let texts = |list: &Option<Vec<crate::setting::Spanned<String>>>| {
        let list = list.iter().flatten();
        list.map(|text| text.value.clone()).collect::<Vec<_>>()
    };
    let versions = |list: &Option<Vec<super::TlsVersion>>| {
        let list = list.iter().flatten();
        list.map(|version| version.version().to_string()).collect()
    };
    let names = expect.names.iter().flatten();
    Ok(Wanted {
        // Where nothing is said, `expect` wants a valid one, and `prefer` wants nothing.
        any_certificate: match expect.certificate {
            Some(certificate) => certificate == Certificate::Any,
            None => is_preference,
        },
        valid_for_days: expect.valid_for_days.map(|days| days.value),
        names: names
            .map(|name| cx.fill(name))
            .collect::<Result<_, Failure>>()?,
        issuer: super::filled(cx, expect.issuer.as_deref())?,
        fingerprint: expect
            .fingerprint
            .as_ref()
            .and_then(|text| parse_pin(text))
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        key_types: expect
            .key_types
            .as_ref()
            .map(|types| types.iter().map(|kind| kind.name()).collect()),
        rsa_bits: expect.rsa_bits.map(|bits| bits.value),
        signatures: expect
            .signatures
            .as_ref()
            .map(|_| texts(&expect.signatures)),
        versions: versions(&expect.versions),
        not_versions: versions(&expect.not_versions),
        ciphers: texts(&expect.ciphers),
        not_ciphers: texts(&expect.not_ciphers),
    })
}

/// Everything that does not hold.
pub(super) fn judge(wanted: &Wanted, facts: &TlsFacts, now: jiff::Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if !facts.fingerprint.is_empty() {
        certificate(wanted, facts, now, &mut found);
    }
    offers(wanted, facts, &mut found);
    found
}

fn certificate(wanted: &Wanted, facts: &TlsFacts, now: jiff::Timestamp, found: &mut Vec<Finding>) {
    let mut bad = |what: String| {
        found.push(Finding::new(
            Reason::TlsCertificate,
            format!("the certificate {what}"),
        ));
    };
    // Where the handshake failed, that is told, and a bad certificate is not the cause.
    let faults = !wanted.any_certificate && !facts.insecure && !facts.version.is_empty();
    if let Some(fault) = facts.fault.as_ref().filter(|_| faults) {
        bad(format!("{fault}{}", end_of_chain(facts, fault)));
    }
    if let Some(pin) = &wanted.fingerprint
        && *pin != facts.fingerprint
    {
        bad(format!(
            "has the SHA-256 fingerprint {}, not {pin}",
            facts.fingerprint
        ));
    }
    let missing: Vec<&str> = wanted
        .names
        .iter()
        .map(String::as_str)
        .filter(|name| facts.common_name_only || !is_for(&facts.names, name))
        .collect();
    if !missing.is_empty() {
        bad(format!(
            "is for {}, not for {}",
            some(&facts.names),
            missing.join(", ")
        ));
    }
    if let Some(issuer) = &wanted.issuer
        && !facts.issuer.to_lowercase().contains(&issuer.to_lowercase())
    {
        bad(format!("is issued by {}, not by {issuer}", facts.issuer));
    }
    if let Some(types) = &wanted.key_types
        && !types.contains(&facts.key.as_str())
    {
        bad(format!(
            "has a key of type {}, not {}",
            facts.key,
            types.join(" or ")
        ));
    }
    if let Some(least) = wanted.rsa_bits
        && facts.key == "RSA"
        && facts.key_bits < least
    {
        bad(format!(
            "has an RSA key of {} bits, at least {least} expected",
            facts.key_bits
        ));
    }
    if let Some(signatures) = &wanted.signatures
        && !signatures.contains(&facts.signature)
    {
        bad(format!(
            "is signed with {}, not with {}",
            facts.signature,
            signatures.join(" or ")
        ));
    }
    if let Some(days) = wanted.valid_for_days {
        let told = faults
            && facts
                .fault
                .as_ref()
                .is_some_and(|fault| fault.contains("expired"));
        found.extend(expiring(days, facts, now, told));
    }
}

/// Of a chain that leads nowhere: where it ends.
fn end_of_chain(facts: &TlsFacts, fault: &str) -> String {
    if !fault.contains("is not trusted") {
        return String::new();
    }
    match facts.chain.last() {
        None => "; the server sent its own certificate alone".to_owned(),
        Some(last) if last.subject == last.issuer => {
            format!("; the chain that the server sent ends at {}", last.subject)
        }
        Some(last) => format!(
            "; the chain that the server sent is incomplete: it ends at {}, issued by {}",
            last.subject, last.issuer
        ),
    }
}

/// The certificate and the ones behind it, each that ends too early.
fn expiring(days: u32, facts: &TlsFacts, now: jiff::Timestamp, told: bool) -> Vec<Finding> {
    let own = (!told).then(|| ("the certificate".to_owned(), facts.not_after));
    let chain = facts.chain.iter().map(|link| {
        let whose = format!("the certificate of its issuer {}", link.subject);
        (whose, link.not_after)
    });
    own.into_iter()
        .chain(chain)
        .filter_map(|(whose, end)| {
            let end = end?;
            let left = end.as_second().saturating_sub(now.as_second());
            (left < i64::from(days).saturating_mul(DAY)).then(|| Finding {
                status: Status::Fail,
                reason: Reason::CertificateExpiring,
                message: format!(
                    "{whose} {}, {} expected",
                    remaining(left, end),
                    count(i64::from(days))
                ),
            })
        })
        .collect()
}

fn remaining(seconds: i64, end: jiff::Timestamp) -> String {
    let end = end.strftime("%Y-%m-%d");
    match seconds {
        ..0 => format!("expired on {end}"),
        0..DAY => {
            let left = Duration::from_secs(seconds.unsigned_abs());
            format!("is valid for {} only, until {end}", duration(left))
        }
        DAY.. => format!("is valid for {} only, until {end}", count(seconds / DAY)),
    }
}

fn count(days: i64) -> String {
    match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn offers(wanted: &Wanted, facts: &TlsFacts, found: &mut Vec<Finding>) {
    let mut bad = |what: String| found.push(Finding::new(Reason::TlsVersion, what));
    let of = |version: &str| facts.offers.iter().find(|offer| offer.version == version);
    for version in &wanted.versions {
        if let Some(how) = of(version).and_then(|offer| offer.refused.as_ref()) {
            bad(format!("{version} is not offered: {how}"));
        }
    }
    for version in &wanted.not_versions {
        if let Some(offer) = of(version).filter(|offer| offer.refused.is_none()) {
            bad(format!(
                "{version} is offered, with {}",
                some(&offer.ciphers)
            ));
        }
    }
    let enumerated = || facts.offers.iter().filter(|offer| offer.all_ciphers);
    // Half an enumeration says of no suite that it is missing.
    if enumerated().count() == 2 {
        for pattern in &wanted.ciphers {
            if !enumerated().any(|offer| offer.ciphers.iter().any(|name| matches(pattern, name))) {
                bad(format!("no cipher suite {pattern} is offered"));
            }
        }
    }
    // Half an enumeration is enough to say that one is there.
    let asked = |offer: &&TlsOffer| matches!(offer.version.as_str(), "TLSv1.3" | "TLSv1.2");
    for offer in facts.offers.iter().filter(asked) {
        let unwanted = unwanted(&wanted.not_ciphers, offer);
        if !unwanted.is_empty() {
            bad(format!(
                "{} is offered with {}",
                offer.version,
                some(&unwanted)
            ));
        }
    }
}

fn unwanted(patterns: &[String], offer: &TlsOffer) -> Vec<String> {
    let ciphers = offer.ciphers.iter();
    ciphers
        .filter(|name| patterns.iter().any(|pattern| matches(pattern, name)))
        .cloned()
        .collect()
}

/// The first few, and how many more.
fn some(names: &[String]) -> String {
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 if names.is_empty() => "nobody".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// RFC 9525 §6.3: a wildcard is the whole first label, and stands for one.
fn is_for(names: &[String], wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('.');
    names.iter().any(|name| {
        let name = name.trim_end_matches('.');
        name.eq_ignore_ascii_case(wanted)
            || name.strip_prefix("*.").is_some_and(|parent| {
                wanted.split_once('.').is_some_and(|(label, rest)| {
                    !label.is_empty() && rest.eq_ignore_ascii_case(parent)
                })
            })
    })
}

/// `*` stands for anything, the empty text included. Linear: the parts between are found one after the other.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
