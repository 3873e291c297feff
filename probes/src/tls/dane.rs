//! Certificates held against TLSA records, as SMTP does it (RFC 6698, 7671, 7672). Pure.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use postrider_wire::tlsa::Tlsa;
use rustls::CertificateError;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::certificate::{hex, parse};
use super::provider;

/// Characters of a digest that are shown.
const SHOWN: usize = 16;
/// Certificates of a chain beyond these are not looked at.
const MOST: usize = 16;

/// What a server presented.
#[derive(Debug)]
pub struct Presented<'a> {
    /// Its certificate first.
    pub chain: &'a [CertificateDer<'a>],
    /// When.
    pub now: UnixTime,
    /// The names that the certificate may be for where names count.
    pub names: &'a [String],
}

/// What a record says of what was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It vouches for it.
    Matches,
    /// It is for something else.
    Differs,
    /// It names the authority that issued the certificate, and the certificate is not good all the same.
    Faulty {
        /// What is wrong, as a sentence that continues "the certificate …".
        fault: String,
        /// RFC 8460's word for it.
        word: &'static str,
    },
}

/// Why SMTP cannot use a record (RFC 7672 §3.1); `None`: it can.
#[must_use]
pub fn unusable(record: &Tlsa) -> Option<String> {
    let length = match record.matching {
        0 => None,
        1 => Some(32),
        2 => Some(64),
        other => return Some(format!("the matching type {other} is not defined")),
    };
    match record.usage {
        0 => return Some("usage 0 (PKIX-TA) is not for SMTP (RFC 7672 §3.1.3)".to_owned()),
        1 => return Some("usage 1 (PKIX-EE) is not for SMTP (RFC 7672 §3.1.3)".to_owned()),
        2 | 3 => {}
        other => return Some(format!("the usage {other} is not defined")),
    }
    if record.selector > 1 {
        return Some(format!("the selector {} is not defined", record.selector));
    }
    match (length, record.data.len()) {
        (_, 0) => Some("it holds no data".to_owned()),
        (Some(length), found) if found != length => Some(format!(
            "it holds {found} bytes, and its digest has {length}"
        )),
        _ => None,
    }
}

/// Holds a usable record against what was presented.
#[must_use]
pub fn judge(record: &Tlsa, presented: &Presented<'_>) -> Verdict {
    let Some(leaf) = presented.chain.first() else {
        return Verdict::Differs;
    };
    // The key itself is vouched for: name, time and issuer do not count (RFC 7671 §5.1).
    if record.usage == 3 {
        return match is_meant(record, leaf) {
            true => Verdict::Matches,
            false => Verdict::Differs,
        };
    }
    let chain = presented.chain.iter().take(MOST).skip(1);
    // An authority may be in the record instead of in the chain (RFC 7671 §5.2.2).
    let given = (record.selector == 0 && record.matching == 0)
        .then(|| CertificateDer::from(record.data.as_slice()));
    let authority = chain
        .filter(|certificate| is_meant(record, certificate))
        .cloned()
        .chain(given)
        .next();
    match authority {
        Some(authority) => issued_by(&authority, leaf, presented),
        None => Verdict::Differs,
    }
}

/// What the record would have to be for this certificate: the beginning of its data.
#[must_use]
pub fn found(record: &Tlsa, leaf: &CertificateDer<'_>) -> Option<String> {
    let data = of(record, leaf)?;
    let shown = hex(&data);
    Some(match shown.get(..SHOWN) {
        Some(beginning) if shown.len() > SHOWN => format!("{beginning}…"),
        _ => shown,
    })
}

fn is_meant(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    of(record, certificate).is_some_and(|data| data == record.data)
}

/// The part of a certificate that the record is about, in the form in which it is compared.
fn of(record: &Tlsa, certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let part = match record.selector {
        0 => certificate.to_vec(),
        _ => parse(certificate)?.public_key().raw.to_vec(),
    };
    Some(match record.matching {
        0 => part,
        1 => digest(&SHA256, &part).as_ref().to_vec(),
        _ => digest(&SHA512, &part).as_ref().to_vec(),
    })
}

/// The usual checks, with this one authority (RFC 7671 §5.2).
fn issued_by(
    authority: &CertificateDer<'_>,
    leaf: &CertificateDer<'_>,
    presented: &Presented<'_>,
) -> Verdict {
    let faulty = |fault: String, word| Verdict::Faulty { fault, word };
    let mut store = RootCertStore::empty();
    if store.add(authority.clone().into_owned()).is_err() {
        return faulty(
            "comes with an authority that cannot be read".to_owned(),
            "certificate-not-trusted",
        );
    }
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
        return faulty("cannot be read".to_owned(), "validation-failure");
    };
    let verified = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &Arc::new(store),
        presented.chain.get(1..).unwrap_or_default(),
        presented.now,
        provider().signature_verification_algorithms.all,
    );
    match verified {
        Ok(()) => {}
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => return faulty("has expired".to_owned(), "certificate-expired"),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            return faulty(
                "was not issued by that authority".to_owned(),
                "certificate-not-trusted",
            );
        }
        Err(other) => {
            return faulty(format!("cannot be verified: {other}"), "validation-failure");
        }
    }
    let is_for = |name: &String| {
        ServerName::try_from(name.as_str())
            .is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    match presented.names.iter().any(is_for) {
        true => Verdict::Matches,
        false => faulty(
            format!("is not for {}", presented.names.join(" or ")),
            "certificate-host-mismatch",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_can_be_used_or_the_reason_is_told() {
        let digest = "ab".repeat(32);
        for (text, wanted) in [
            (format!("3 1 1 {digest}"), ""),
            (format!("2 0 1 {digest}"), ""),
            (format!("3 1 2 {digest}{digest}"), ""),
            ("3 1 0 ab".to_owned(), ""),
            (
                format!("0 0 1 {digest}"),
                "usage 0 (PKIX-TA) is not for SMTP",
            ),
            (
                format!("1 1 1 {digest}"),
                "usage 1 (PKIX-EE) is not for SMTP",
            ),
            (format!("4 1 1 {digest}"), "the usage 4 is not defined"),
            (format!("255 1 1 {digest}"), "the usage 255 is not defined"),
            (format!("3 2 1 {digest}"), "the selector 2 is not defined"),
            (
                format!("3 1 3 {digest}"),
                "the matching type 3 is not defined",
            ),
            (
                "3 1 1 abab".to_owned(),
                "it holds 2 bytes, and its digest has 32",
            ),
            (
                format!("3 1 2 {digest}"),
                "it holds 32 bytes, and its digest has 64",
            ),
            ("3 1 0".to_owned(), "it holds no data"),
        ] {
            let why = unusable(&text.parse().unwrap()).unwrap_or_default();
            let is_right = if wanted.is_empty() {
                why.is_empty()
            } else {
                why.starts_with(wanted)
            };
            assert!(is_right, "{text}: {why}");
        }
    }

    #[test]
    fn what_is_no_certificate_matches_nothing_and_breaks_nothing() {
        let junk = CertificateDer::from(vec![0x30, 0x82, 0xff, 0xff, 0x00]);
        let chain = [junk.clone(), junk];
        for names in [
            Vec::new(),
            vec!["mx1.test".to_owned()],
            vec!["..".to_owned()],
        ] {
            let presented = Presented {
                chain: &chain,
                now: UnixTime::since_unix_epoch(std::time::Duration::ZERO),
                names: &names,
            };
            let whole = digest(&SHA256, &chain[0]);
            let of_whole = hex(whole.as_ref());
            for (text, wanted) in [
                // The bytes are the bytes.
                (format!("3 0 1 {of_whole}"), Verdict::Matches),
                (format!("3 1 1 {of_whole}"), Verdict::Differs),
                (
                    format!("2 0 1 {of_whole}"),
                    Verdict::Faulty {
                        fault: "comes with an authority that cannot be read".to_owned(),
                        word: "certificate-not-trusted",
                    },
                ),
                (format!("2 1 1 {of_whole}"), Verdict::Differs),
            ] {
                assert_eq!(judge(&text.parse().unwrap(), &presented), wanted, "{text}");
            }
        }
        let nothing = Presented {
            chain: &[],
            now: UnixTime::since_unix_epoch(std::time::Duration::ZERO),
            names: &[],
        };
        let record = format!("3 1 1 {}", "ab".repeat(32)).parse().unwrap();
        assert_eq!(judge(&record, &nothing), Verdict::Differs);
    }
}
