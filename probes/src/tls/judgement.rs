//! What is wrong with a certificate, in words for the person who has to renew it. Every fault is named, not the first.

use std::time::Duration;

use rustls::CertificateError;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::certificate::X509Certificate;

use crate::account::Trust;
use crate::tls::certificate::{alternative_names, common_name, fingerprint, hex, parse, shown};
use crate::tls::roots::Roots;

/// More names than this tell the reader nothing more.
const NAMES_SHOWN: usize = 3;

/// What was presented and what it is judged by.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) chain: &'a [CertificateDer<'a>],
    pub(super) name: &'a ServerName<'a>,
    pub(super) now: UnixTime,
    pub(super) trust: &'a Trust,
    /// `None` when a pin or `insecure` decides.
    pub(super) roots: Option<&'a Roots>,
    pub(super) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
}

/// Each a sentence that continues "the certificate …", or `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// All faults.
    pub(super) fault: Option<String>,
    /// All faults but a wrong name.
    pub(super) fault_but_name: Option<String>,
}

impl Judgement {
    /// A fault in which names play no part.
    fn apart_from_names(fault: Option<String>) -> Self {
        Self {
            fault: fault.clone(),
            fault_but_name: fault,
        }
    }
}

pub(super) fn of(presented: &Presented<'_>) -> Judgement {
    if presented.trust.insecure {
        return Judgement::default();
    }
    let Some(leaf) = presented.chain.first() else {
        return Judgement::apart_from_names(Some("is missing".to_owned()));
    };
    if let Some(pin) = presented.trust.pin {
        return Judgement::apart_from_names(pin_fault(leaf, pin));
    }
    let (Some(certificate), Ok(parsed)) = (parse(leaf), ParsedCertificate::try_from(leaf)) else {
        return Judgement::apart_from_names(Some("cannot be read".to_owned()));
    };
    let mut faults: Vec<String> = [
        time_fault(&certificate, presented.now),
        chain_fault(presented, leaf, &certificate, &parsed),
    ]
    .into_iter()
    .flatten()
    .collect();
    let joined = |faults: &[String]| (!faults.is_empty()).then(|| faults.join("; "));
    let fault_but_name = joined(&faults);
    faults.extend(name_fault(presented, &certificate, &parsed));
    Judgement {
        fault: joined(&faults),
        fault_but_name,
    }
}

fn pin_fault(leaf: &CertificateDer<'_>, pin: [u8; 32]) -> Option<String> {
    let found = fingerprint(leaf);
    (found != pin).then(|| {
        format!(
            "has the SHA-256 fingerprint {}, not the pinned {}",
            hex(&found),
            hex(&pin)
        )
    })
}

fn time_fault(certificate: &X509Certificate<'_>, now: UnixTime) -> Option<String> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now > validity.not_after.timestamp() {
        Some(format!(
            "expired on {}",
            day(validity.not_after.timestamp())
        ))
    } else if now < validity.not_before.timestamp() {
        Some(format!(
            "is not valid before {}",
            day(validity.not_before.timestamp())
        ))
    } else {
        None
    }
}

fn chain_fault(
    presented: &Presented<'_>,
    leaf: &CertificateDer<'_>,
    certificate: &X509Certificate<'_>,
    parsed: &ParsedCertificate<'_>,
) -> Option<String> {
    let roots = presented.roots?;
    // A server's own certificate given as `ca_file` is trusted as it is, whatever it says about being an authority.
    if roots.exact.iter().any(|trusted| **trusted == **leaf) {
        return None;
    }
    let verdict = verify_server_cert_signed_by_trust_anchor(
        parsed,
        &roots.store,
        presented.chain.get(1..).unwrap_or_default(),
        within_validity(certificate, presented.now),
        presented.algorithms,
    );
    let error = match verdict {
        Ok(()) => return None,
        Err(rustls::Error::InvalidCertificate(error)) => error,
        Err(other) => return Some(format!("cannot be verified: {other}")),
    };
    if certificate.issuer() == certificate.subject() {
        return Some("is self-signed".to_owned());
    }
    let issuer = common_name(certificate.issuer())
        .unwrap_or_else(|| shown(&certificate.issuer().to_string()));
    Some(match error {
        CertificateError::UnknownIssuer => {
            format!("its issuer {issuer} is not trusted")
        }
        CertificateError::BadSignature => format!("is not really signed by {issuer}"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of its issuer {issuer} expired")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for servers (extended key usage)".to_owned()
        }
        other => format!("cannot be verified: {other}"),
    })
}

/// Judges the chain apart from the leaf's own dates, which [`time_fault`] names.
fn within_validity(certificate: &X509Certificate<'_>, now: UnixTime) -> UnixTime {
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let validity = certificate.validity();
    let earliest = seconds(validity.not_before.timestamp());
    let latest = seconds(validity.not_after.timestamp()).max(earliest);
    UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().clamp(earliest, latest)))
}

fn name_fault(
    presented: &Presented<'_>,
    certificate: &X509Certificate<'_>,
    parsed: &ParsedCertificate<'_>,
) -> Option<String> {
    verify_server_name(parsed, presented.name).err()?;
    let wanted = presented.name.to_str();
    let names = alternative_names(certificate);
    if names.is_empty() {
        return Some(match common_name(certificate.subject()) {
            Some(name) => format!(
                "is not for {wanted}: it has no subject alternative name, only the common name {name}"
            ),
            None => format!("is not for {wanted}: it names nobody"),
        });
    }
    let more = match names.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = names.get(..NAMES_SHOWN).unwrap_or(&names).join(", ");
    Some(format!("is for {listed}{more}, not for {wanted}"))
}

fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "an impossible day".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}
