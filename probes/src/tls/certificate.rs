//! What a certificate says of itself. Everything in it was written by a stranger.

use std::net::IpAddr;

use aws_lc_rs::digest;
use postrider_wire::text::RemoteText;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::outcome::{ChainLink, TlsFacts};

/// More names of one certificate than this are not kept.
const MOST_NAMES: usize = 100;
/// More certificates behind the first one are not kept.
const MOST_LINKS: usize = 10;
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
    let (key, key_bits) = key(&certificate);
    TlsFacts {
        common_name_only: alternative.is_empty(),
        key,
        key_bits,
        signature: signature(&certificate.signature_algorithm.algorithm),
        self_signed: certificate.issuer() == certificate.subject(),
        chain: chain.iter().skip(1).take(MOST_LINKS).map(link).collect(),
        names: if alternative.is_empty() {
            common_name(certificate.subject()).into_iter().collect()
        } else {
            alternative
        },
        issuer: shown(&certificate.issuer().to_string()),
        not_after: not_after(&certificate),
        fingerprint,
        ..TlsFacts::default()
    }
}

fn not_after(certificate: &X509Certificate<'_>) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn link(certificate: &CertificateDer<'_>) -> ChainLink {
    parse(certificate).map_or_else(ChainLink::default, |certificate| ChainLink {
        subject: shown(&certificate.subject().to_string()),
        issuer: shown(&certificate.issuer().to_string()),
        not_after: not_after(&certificate),
    })
}

/// The kind of key and its length in bits.
fn key(certificate: &X509Certificate<'_>) -> (String, u32) {
    let info = certificate.public_key();
    let bits = |bits: usize| u32::try_from(bits).unwrap_or(u32::MAX);
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA".to_owned(), bits(modulus_bits(key.modulus))),
        Ok(PublicKey::EC(point)) => ("ECDSA".to_owned(), bits(point.key_size())),
        _ if info.algorithm.algorithm == ED25519 => ("Ed25519".to_owned(), 256),
        _ => (shown(&info.algorithm.algorithm.to_id_string()), 0),
    }
}

/// Without the zeroes in front of the number, however many there are.
fn modulus_bits(modulus: &[u8]) -> usize {
    let digits = modulus.iter().position(|byte| *byte != 0);
    let digits = digits.and_then(|first| modulus.get(first..));
    digits.unwrap_or_default().len().saturating_mul(8)
}

const ED25519: Oid<'static> = oid!(1.3.101.112);
/// As RFC 5280's companions call them (RFC 3279, RFC 4055, RFC 5758, RFC 8410).
static SIGNATURES: [(Oid<'static>, &str); 11] = [
    (oid!(1.2.840.113549.1.1.4), "md5WithRSAEncryption"),
    (oid!(1.2.840.113549.1.1.5), "sha1WithRSAEncryption"),
    (oid!(1.2.840.113549.1.1.11), "sha256WithRSAEncryption"),
    (oid!(1.2.840.113549.1.1.12), "sha384WithRSAEncryption"),
    (oid!(1.2.840.113549.1.1.13), "sha512WithRSAEncryption"),
    (oid!(1.2.840.113549.1.1.10), "id-RSASSA-PSS"),
    (oid!(1.2.840.10045.4.1), "ecdsa-with-SHA1"),
    (oid!(1.2.840.10045.4.3.2), "ecdsa-with-SHA256"),
    (oid!(1.2.840.10045.4.3.3), "ecdsa-with-SHA384"),
    (oid!(1.2.840.10045.4.3.4), "ecdsa-with-SHA512"),
    (ED25519, "id-Ed25519"),
];

/// The names of the signature algorithms that are known.
pub(crate) fn signature_names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().map(|(_, name)| *name)
}

fn signature(algorithm: &Oid<'_>) -> String {
    SIGNATURES
        .iter()
        .find(|(known, _)| known == algorithm)
        .map_or_else(
            || shown(&algorithm.to_id_string()),
            |(_, name)| (*name).to_owned(),
        )
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
