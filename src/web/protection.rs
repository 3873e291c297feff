//! What the web configuration file asks for, ready for use; read again when one of its files changes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use crate::config::{PasswordHash, WebFile, WebTls, load_web_file};

/// No certificate chain or key is larger, in bytes.
const LARGEST_PEM: u64 = 1 << 20;

/// TLS, headers and users.
#[derive(Debug, Default)]
pub(super) struct Protection {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: BTreeMap<String, PasswordHash>,
}

impl Protection {
    /// A slip of the pen must not open a listener that runs: TLS and logins end with a restart alone.
    fn may_become(&self, after: Self) -> Result<Self, String> {
        let dropped = match (
            self.tls.is_some() && after.tls.is_none(),
            !self.users.is_empty() && after.users.is_empty(),
        ) {
            (false, false) => return Ok(after),
            (true, false) => "TLS",
            (false, true) => "logins",
            (true, true) => "TLS and logins",
        };
        Err(format!(
            "it would switch {dropped} off; restart to switch protection off"
        ))
    }
}

/// The protection of now. What cannot be used is logged, and the one before goes on.
#[derive(Debug)]
pub(super) struct Guarded {
    file: Option<PathBuf>,
    current: RwLock<Arc<Protection>>,
}

impl Guarded {
    /// Reads the file, when there is one.
    pub(super) fn load(file: Option<PathBuf>) -> Result<(Self, Stamps), String> {
        let (protection, stamps) = match &file {
            Some(path) => {
                let (protection, stamps) = read(path);
                (protection?, stamps)
            }
            None => Default::default(),
        };
        let current = RwLock::new(Arc::new(protection));
        Ok((Self { file, current }, stamps))
    }

    /// The protection of now.
    pub(super) fn now(&self) -> Arc<Protection> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files again and again. Never ends while there is a file.
    pub(super) async fn follow(self: Arc<Self>, mut known: Stamps, interval: Duration) {
        let Some(file) = self.file.clone() else {
            return;
        };
        loop {
            tokio::time::sleep(interval).await;
            let guarded = Arc::clone(&self);
            let path = file.clone();
            // A network file system may take its time, and nobody waits for this.
            let looked = tokio::task::spawn_blocking(move || {
                if known.again() == known {
                    known
                } else {
                    guarded.read_again(&path)
                }
            });
            match looked.await {
                Ok(stamps) => known = stamps,
                Err(_) => return,
            }
        }
    }

    /// Takes the new files over, or says once what is wrong with them.
    fn read_again(&self, path: &Path) -> Stamps {
        let (protection, stamps) = read(path);
        let before = self.now();
        match protection.and_then(|after| before.may_become(after)) {
            Ok(protection) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Arc::new(protection);
                tracing::info!(file = %path.display(), "the web configuration was read again");
            }
            Err(mistakes) => tracing::error!(
                "the web configuration is not taken over, the one before goes on: {}",
                mistakes.trim_end()
            ),
        }
        stamps
    }
}

/// How the files looked when they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

/// Device, inode, size and both times: a swapped symlink changes it, and so does a file written in place.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Stamps {
    fn of(path: &Path) -> Self {
        Self(vec![(path.to_owned(), stamp(path))])
    }

    fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    fn again(&self) -> Self {
        let stamps = self.0.iter().map(|(path, _)| (path.clone(), stamp(path)));
        Self(stamps.collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.len(),
        (file.mtime(), file.mtime_nsec()),
        (file.ctime(), file.ctime_nsec()),
    ))
}

/// The protection, and how its files looked before they were read: what changes meanwhile is seen the next time.
fn read(path: &Path) -> (Result<Protection, String>, Stamps) {
    let mut stamps = Stamps::of(path);
    let file = match load_web_file(path) {
        Ok(file) => file,
        Err(mistakes) => return (Err(mistakes), stamps),
    };
    if let Some(tls) = &file.tls {
        stamps.add(&tls.cert_file);
        stamps.add(&tls.key_file);
    }
    (prepare(file), stamps)
}

fn prepare(file: WebFile) -> Result<Protection, String> {
    let headers = file.headers.into_iter().map(|(name, value)| {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("the value of `{name}` is no header's value"))?;
        Ok::<_, String>((name, value))
    });
    Ok(Protection {
        headers: headers.collect::<Result<_, _>>()?,
        tls: file.tls.map(|tls| server(&tls).map(Arc::new)).transpose()?,
        users: file.users,
    })
}

fn server(tls: &WebTls) -> Result<ServerConfig, String> {
    let versions: &[_] = if tls.only_tls13 {
        &[&TLS13]
    } else {
        &[&TLS12, &TLS13]
    };
    let WebTls {
        cert_file,
        key_file,
        ..
    } = tls;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem(cert_file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", cert_file.display()))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate", cert_file.display()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem(key_file)?)
        .map_err(|_| format!("{} holds no private key in PEM", key_file.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            format!(
                "{} and {} do not work together: {error}",
                cert_file.display(),
                key_file.display()
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn pem(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST_PEM).read_to_end(&mut bytes))
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(bytes)
}
