//! What a certificate says of itself. Everything in it was written by a stranger.

use std::net::IpAddr;

use aws_lc_rs::digest;
use postrider_wire::text::RemoteText;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::outcome::TlsFacts;

/// More names of one certificate than this are not kept.
const MOST_NAMES: usize = 100;
/// Longer texts than this are cut, in characters.
const LONGEST: usize = 300;

/// The facts of the first certificate of a chain; the empty ones when it cannot be read.
pub(super) fn facts(chain: &[CertificateDer<'_>]) -> TlsFacts {
    let Some(leaf) = chain.first() else {
        return TlsFacts::default();
    };
    let fingerprint = hex(&fingerprint(leaf));
    let Some(certificate) = parse(leaf) else {
        return TlsFacts {
            fingerprint,
            ..TlsFacts::default()
        };
    };
    let alternative = alternative_names(&certificate);
    TlsFacts {
        names: if alternative.is_empty() {
            common_name(certificate.subject()).into_iter().collect()
        } else {
            alternative
        },
        issuer: shown(&certificate.issuer().to_string()),
        not_after: jiff::Timestamp::from_second(certificate.validity().not_after.timestamp()).ok(),
        fingerprint,
        ..TlsFacts::default()
    }
}

pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    x509_parser::parse_x509_certificate(certificate)
        .ok()
        .map(|(_, certificate)| certificate)
}

/// SHA-256 of the whole certificate.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, certificate);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(shown(name)),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .take(MOST_NAMES)
        .collect()
}

pub(super) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name()
        .find_map(|attribute| attribute.as_str().ok())
        .map(shown)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Safe to print, on one line, and not endless.
pub(super) fn shown(text: &str) -> String {
    RemoteText::new(text.as_bytes(), LONGEST).to_string()
}
