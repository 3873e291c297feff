//! The web server of an MTA-STS policy, good and bad: one TLS session, one request, one prepared answer.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

/// What a policy host is like.
#[derive(Clone)]
pub(crate) struct Host {
    /// The name in its certificate.
    pub(crate) name: String,
    pub(crate) expired: bool,
    /// All that it says.
    pub(crate) answer: String,
    /// It ends the connection behind its answer; otherwise it stays and says nothing more.
    pub(crate) closes: bool,
}

impl Host {
    /// A good host for this name, with this answer.
    pub(crate) fn new(name: &str, answer: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            expired: false,
            answer: answer.into(),
            closes: true,
        }
    }
}

/// The whole answer with a policy.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer without a body.
pub(crate) fn head(status: &str, field: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{field}Content-Length: 0\r\n\r\n")
}

/// A private authority, and the file that makes a client trust it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) file: NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// The host's side of TLS.
    pub(crate) fn acceptor(&self, host: &Host) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![host.name.clone()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if host.expired { 2021 } else { 2045 }, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// One connection: the handshake, the request, the answer.
pub(crate) async fn converse(
    acceptor: TlsAcceptor,
    host: Host,
    pipe: impl AsyncRead + AsyncWrite + Unpin,
) {
    let Ok(mut stream) = acceptor.accept(pipe).await else {
        return;
    };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        request.push(byte);
    }
    let request = String::from_utf8(request).unwrap();
    assert!(
        request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nhost: mta-sts."),
        "{request}"
    );
    // The client may end it early.
    let _ = stream.write_all(host.answer.as_bytes()).await;
    let _ = stream.flush().await;
    if !host.closes {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}
