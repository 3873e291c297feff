//! A certificate authority that lives as long as the platform, and the certificates it issues.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::PlatformError;
use super::misbehaviour::CertificateKind;

/// Issues server certificates. The key never leaves the process.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    now: Timestamp,
}

const DAY: Duration = Duration::from_hours(24);
const VALID_FOR: Duration = DAY.saturating_mul(90);

impl Authority {
    /// A new authority whose certificates begin two days before `now`.
    pub(super) fn new(now: Timestamp) -> Result<Self, PlatformError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Postrider demo CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now - DAY * 2, now + VALID_FOR);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer, now })
    }

    /// The authority's certificate, PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What a TLS server for `names` needs, with a fresh key.
    pub(super) fn server_config(
        &self,
        kind: &CertificateKind,
        names: &[String],
    ) -> Result<Arc<ServerConfig>, PlatformError> {
        let names = match kind {
            CertificateKind::OtherName(other) => std::slice::from_ref(other),
            _ => names,
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(first) = names.first() {
            params.distinguished_name.push(DnType::CommonName, first);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let until = match kind {
            CertificateKind::Expired => self.now - DAY,
            CertificateKind::ExpiresInDays(days) => self.now + DAY.saturating_mul(*days),
            _ => self.now + VALID_FOR,
        };
        set_validity(&mut params, self.now - DAY * 2, until);

        let key = KeyPair::generate()?;
        let certificate = match kind {
            CertificateKind::SelfSigned => params.self_signed(&key)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// X.509 times count from 1970 here; a clock before that reads as 1970.
fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let x509 = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = x509(from);
    params.not_after = x509(until);
}
