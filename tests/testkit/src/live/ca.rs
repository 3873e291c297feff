//! The laboratory's private certificate authority, and the DKIM key of its sender domain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};

/// A certificate authority that exists for one platform's lifetime.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: PathBuf,
    below: CertifiedIssuer<'static, KeyPair>,
    intermediate: PathBuf,
}

/// Which certificate a node shows in its STARTTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Signed by the platform's authority, for all names of the node.
    Valid,
    /// Signed by the platform's authority, for `other.outside.test`.
    WrongName,
    /// As [`Self::Valid`], and the authority's own certificate behind it.
    WithAuthority,
    /// For the right names, signed by the platform's authority, expired in 2021.
    Expired,
    /// For the right names, signed by its own key.
    SelfSigned,
    /// As [`Self::Valid`], but for so many days from now only.
    EndsInDays(u8),
    /// As [`Self::Valid`], but signed by an intermediate authority.
    ByIntermediate,
}

/// The files of one certificate: the PEM certificate and its PKCS #8 PEM key.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    /// Makes the authority and writes its certificate to `directory/ca.pem`.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Laboratory CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 1, 1);
        let mut below = params.clone();
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        let certificate = directory.join("ca.pem");
        fs::write(&certificate, issuer.pem())?;
        below
            .distinguished_name
            .push(DnType::CommonName, "Laboratory Intermediate");
        below.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let below = CertifiedIssuer::signed_by(below, key, &issuer).map_err(io::Error::other)?;
        let intermediate = directory.join("intermediate.pem");
        fs::write(&intermediate, below.pem())?;
        Ok(Self {
            issuer,
            certificate,
            below,
            intermediate,
        })
    }

    /// The intermediate authority's certificate, as a PEM file.
    pub(super) fn intermediate(&self) -> &Path {
        &self.intermediate
    }

    /// The authority's own certificate, as a PEM file.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Writes a server certificate for `names` to `directory/STEM.pem`, its key to `directory/STEM.key`.
    pub(super) fn issue(
        &self,
        kind: Certificate,
        names: &[&str],
        directory: &Path,
        stem: &str,
    ) -> io::Result<Issued> {
        let names = match kind {
            Certificate::WrongName => &["other.outside.test"],
            _ => names,
        };
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone()).map_err(io::Error::other)?;
        if let Some(first) = names.first() {
            params
                .distinguished_name
                .push(DnType::CommonName, first.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = match kind {
            Certificate::Expired => date_time_ymd(2021, 1, 1),
            Certificate::EndsInDays(days) => in_days(days).into(),
            _ => date_time_ymd(2045, 1, 1),
        };
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let signed = match kind {
            Certificate::SelfSigned => params.self_signed(&key),
            Certificate::ByIntermediate => params.signed_by(&key, &self.below),
            _ => params.signed_by(&key, &self.issuer),
        }
        .map_err(io::Error::other)?;
        let issued = Issued {
            certificate: directory.join(format!("{stem}.pem")),
            key: directory.join(format!("{stem}.key")),
        };
        let chain = match kind {
            Certificate::WithAuthority => signed.pem() + &self.issuer.pem(),
            _ => signed.pem(),
        };
        fs::write(&issued.certificate, chain)?;
        fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }
}

/// So many days from now, and an hour: when somebody looks, the days are still whole.
fn in_days(days: u8) -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the servers and the probe read the same wall clock"
    )]
    let now = SystemTime::now();
    now + Duration::from_hours(24 * u64::from(days) + 1)
}

/// A DKIM signing key (Ed25519, RFC 8463) and what belongs into the DNS for it.
#[derive(Debug)]
pub(super) struct DkimKey {
    /// PKCS #8 PEM.
    pub(super) private: PathBuf,
    /// The text of the TXT record.
    pub(super) record: String,
}

impl DkimKey {
    /// Makes a key and writes its private half to `directory/dkim.pem`.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
        let private = directory.join("dkim.pem");
        fs::write(&private, key.serialize_pem())?;
        Ok(Self {
            private,
            record: format!(
                "v=DKIM1; k=ed25519; p={}",
                bare_public_key(&key.public_key_pem())
            ),
        })
    }
}

/// The raw 32 bytes in base64, out of the PEM of a SubjectPublicKeyInfo. An Ed25519 one is
/// 12 bytes of header and the key (RFC 8410 §4), so base64 splits exactly between the two.
fn bare_public_key(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64.chars().skip(16).collect()
}
