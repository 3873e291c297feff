//! DKIM signatures (RFC 6376), by mail-auth.

use mail_auth::common::crypto::{DkimKey as Key, Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{Canonicalization, DkimSigner, Done};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::account::DkimKey;
use crate::outcome::Failure;
use crate::reason::Reason;

/// The fields that are signed: those that a reader sees, and ours.
const SIGNED: [&str; 8] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    postrider_wire::message::tag::HEADER_NAME,
];

pub(super) struct Signer(DkimSigner<Key, Done>);

impl Signer {
    pub(super) fn load(settings: &DkimKey) -> Result<Self, Failure> {
        let key = private_key(settings)?;
        Ok(Self(
            DkimSigner::from_key(key)
                .domain(&settings.domain)
                .selector(&settings.selector)
                .headers(SIGNED)
                .header_canonicalization(Canonicalization::Relaxed)
                .body_canonicalization(Canonicalization::Relaxed),
        ))
    }

    /// The header field with its line end.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let signature = self.0.sign(message).map_err(|error| {
            Failure::new(Reason::Internal, format!("DKIM signing failed: {error}"))
        })?;
        Ok(signature.to_header().into_bytes())
    }
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// RSAPublicKey (RFC 8017 §A.1.1) in DER.
    Rsa(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

/// The public half of a sender's key.
///
/// # Errors
/// `secret-missing` or `secret-unreadable`.
pub(crate) fn public_key(settings: &DkimKey) -> Result<PublicKey, Failure> {
    Ok(match private_key(settings)? {
        Key::Rsa(key) => PublicKey::Rsa(key.public_key()),
        Key::Ed25519(key) => PublicKey::Ed25519(key.public_key()),
    })
}

fn private_key(settings: &DkimKey) -> Result<Key, Failure> {
    let bad = |problem: &dyn std::fmt::Display| {
        Failure::new(
            Reason::SecretUnreadable,
            format!("the DKIM key in {} cannot be used: {problem}", settings.key),
        )
    };
    let pem = settings.key.read()?;
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|_| bad(&"it is not a private key in PEM"))?;
    // A PKCS#8 file may hold either kind of key.
    Ok(match &der {
        PrivateKeyDer::Pkcs8(pkcs8) => {
            match Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.secret_pkcs8_der()) {
                Ok(key) => Key::from(key),
                Err(_) => {
                    Key::from(RsaKey::<Sha256>::from_key_der(der).map_err(|error| bad(&error))?)
                }
            }
        }
        _ => Key::from(RsaKey::<Sha256>::from_key_der(der).map_err(|error| bad(&error))?),
    })
}
