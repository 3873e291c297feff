//! Whom a certificate may be issued by.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::account::Trust;
use crate::outcome::Failure;
use crate::reason::Reason;

/// No file of authorities is larger than this.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The authorities to judge by.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates of a `ca_file` as they are: a server's own certificate may be among them.
    pub(super) exact: Vec<CertificateDer<'static>>,
}

/// `None` when no authority is needed: a pin or `insecure` decides alone.
///
/// # Errors
/// `internal` when the CA file cannot be used; the configuration was checked, so it changed since.
pub(super) fn of(trust: &Trust) -> Result<Option<Roots>, Failure> {
    if trust.insecure || trust.pin.is_some() {
        return Ok(None);
    }
    match &trust.ca_file {
        Some(path) => from_file(path).map(Some),
        None => Ok(Some(Roots {
            store: system_roots(),
            exact: Vec::new(),
        })),
    }
}

/// Reads the system's authorities now, so that the first handshake is not measured with it. Takes some milliseconds of
/// file reading; later calls cost nothing.
pub fn load_system_roots() {
    let _ = system_roots();
}

/// The system's authorities, or Mozilla's when the system has none, as in an empty container.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(store)
    });
    Arc::clone(roots)
}

fn from_file(path: &Path) -> Result<Roots, Failure> {
    let unusable = |why: String| {
        Failure::new(
            Reason::Internal,
            format!("the CA file {} {why}", path.display()),
        )
    };
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut pem))
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let exact: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(format!("is not PEM: {error:?}")))?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(exact.iter().cloned());
    if store.is_empty() {
        return Err(unusable("holds no certificate".to_owned()));
    }
    Ok(Roots {
        store: Arc::new(store),
        exact,
    })
}
