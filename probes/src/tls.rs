//! The client's side of TLS: one handshake, what was negotiated, and what is wrong with the certificate.

mod certificate;
pub mod dane;
mod judgement;
mod recorder;
mod roots;

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, PeerIncompatible, version};
use tokio_rustls::TlsConnector;

use crate::account::Trust;
use crate::context::Context;
use crate::dialogue::stream::BoxStream;
use crate::net::system_words;
use crate::outcome::{Failure, TlsFacts};
use crate::reason::Reason;
use crate::tls::recorder::Recorder;

pub(crate) use certificate::signature_names;
pub use roots::load_system_roots;

/// Signatures of shorter RSA keys are not accepted by the libraries that today's clients use.
const SHORTEST_RSA: u32 = 2048;

/// What to do about a bad certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Go on, and say in [`TlsFacts::fault`] what is wrong. For test mail, never for a password.
    Record,
    /// End the connection before anything is sent over it.
    Enforce,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFailure {
    /// The reason.
    pub failure: Failure,
    /// What was negotiated and presented, when the handshake came so far. Without a version it did not end.
    pub facts: Option<Box<TlsFacts>>,
}

impl TlsFailure {
    /// The reason; the facts go to the check's evidence.
    #[must_use]
    pub fn into_failure(self, cx: &Context<'_>) -> Failure {
        if let Some(facts) = self.facts {
            cx.evidence(|evidence| evidence.tls = Some(*facts));
        }
        self.failure
    }
}

impl From<Failure> for TlsFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            facts: None,
        }
    }
}

/// Makes a TLS session (1.2 or newer, never resumed) on `stream`. The certificate must be for `name`, a host name or an
/// address, whatever address the stream is connected to. A host name is sent as SNI. The caller sets the time limit.
///
/// Many mail servers end a connection without a TLS close; the session then gives `UnexpectedEof`, which says no more
/// than that the connection ended.
///
/// # Errors
/// `tls-handshake`, `tls-version`, and with [`Verify::Enforce`] `tls-certificate`.
pub async fn client(
    stream: BoxStream,
    name: &str,
    trust: &Trust,
    verify: Verify,
) -> Result<(BoxStream, TlsFacts), TlsFailure> {
    let server_name = server_name(name)?;
    let roots = roots::of(trust)?;
    let recorder = Arc::new(Recorder::new(provider()));
    let connector = TlsConnector::from(Arc::new(config(&recorder)?));
    let shaken = connector.connect(server_name.clone(), stream).await;

    let (time, chain) = recorder.seen();
    let mut facts = certificate::facts(&chain);
    facts.insecure = trust.insecure;
    name.clone_into(&mut facts.host);
    let judgement = judgement::of(&judgement::Presented {
        chain: &chain,
        name: &server_name,
        now: time,
        trust,
        roots: roots.as_ref(),
        algorithms: provider().signature_verification_algorithms.all,
    });
    facts.fault = judgement.fault;
    facts.fault_but_name = judgement.fault_but_name;
    let session = match shaken {
        Ok(session) => session,
        Err(error) => return Err(not_shaken(&error, facts, !chain.is_empty())),
    };
    negotiated(&mut facts, session.get_ref().1);
    match (&facts.fault, verify) {
        (Some(fault), Verify::Enforce) => Err(TlsFailure {
            failure: Failure::new(
                Reason::TlsCertificate,
                format!("the certificate of {name} {fault}"),
            ),
            facts: Some(Box::new(facts)),
        }),
        _ => Ok((Box::new(session), facts)),
    }
}

/// A session and the certificates that it began with, which nobody has judged yet.
pub struct Unjudged {
    /// The session.
    pub stream: BoxStream,
    /// What was negotiated, and what the certificate says of itself.
    pub facts: TlsFacts,
    /// The certificates as they were sent, the server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// When they were.
    pub time: UnixTime,
}

impl std::fmt::Debug for Unjudged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unjudged")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// As [`client`], for a caller who trusts something else than authorities.
///
/// # Errors
/// `tls-handshake`, `tls-version`.
pub async fn unjudged(stream: BoxStream, name: &str) -> Result<Unjudged, TlsFailure> {
    let recorder = Arc::new(Recorder::new(provider()));
    let connector = TlsConnector::from(Arc::new(config(&recorder)?));
    let shaken = connector.connect(server_name(name)?, stream).await;
    let (time, chain) = recorder.seen();
    let mut facts = certificate::facts(&chain);
    name.clone_into(&mut facts.host);
    let session = match shaken {
        Ok(session) => session,
        Err(error) => return Err(not_shaken(&error, facts, !chain.is_empty())),
    };
    negotiated(&mut facts, session.get_ref().1);
    Ok(Unjudged {
        stream: Box::new(session),
        facts,
        chain,
        time,
    })
}

fn negotiated(facts: &mut TlsFacts, connection: &rustls::ClientConnection) {
    facts.version = connection
        .protocol_version()
        .map(|version| format!("{version:?}").replace('_', "."))
        .unwrap_or_default();
    facts.cipher = connection
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_"))
        .unwrap_or_default();
}

/// A handshake that failed after the certificate was shown: what it is, and what may be the matter with its key.
fn not_shaken(error: &io::Error, facts: TlsFacts, presented: bool) -> TlsFailure {
    let mut failure = handshake_failure(error);
    if presented && failure.reason == Reason::TlsCertificate && is_short(&facts) {
        failure.message = format!(
            "the certificate's RSA key of {} bits is too short: TLS clients refuse less than {SHORTEST_RSA}",
            facts.key_bits
        );
    }
    TlsFailure {
        failure,
        facts: presented.then(|| Box::new(facts)),
    }
}

fn is_short(facts: &TlsFacts) -> bool {
    facts.key == "RSA" && (1..SHORTEST_RSA).contains(&facts.key_bits)
}

fn server_name(name: &str) -> Result<ServerName<'static>, Failure> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        Failure::new(
            Reason::TlsCertificate,
            format!("no certificate can be for `{}`", name.escape_debug()),
        )
    })
}

/// One provider for the whole program, named here so that nothing depends on what another part installed.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

fn config(recorder: &Arc<Recorder>) -> Result<ClientConfig, Failure> {
    let verifier: Arc<Recorder> = Arc::clone(recorder);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| Failure::new(Reason::Internal, format!("TLS set-up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A resumed session shows no certificate and measures another handshake.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn handshake_failure(error: &io::Error) -> Failure {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(inner) = inner else {
        return Failure::new(
            Reason::TlsHandshake,
            match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    "the server closed the connection during the handshake".to_owned()
                }
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    "the server reset the connection during the handshake".to_owned()
                }
                _ => system_words(error),
            },
        );
    };
    match inner {
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity),
        ) => too_old(&format!("alert {alert:?}")),
        rustls::Error::PeerIncompatible(
            why @ (PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::ExtendedMasterSecretExtensionRequired),
        ) => too_old(&format!("{why:?}")),
        rustls::Error::AlertReceived(alert) => Failure::new(
            Reason::TlsHandshake,
            format!("the server ended the handshake with the alert {alert:?}"),
        ),
        rustls::Error::InvalidMessage(why) => Failure::new(
            Reason::TlsHandshake,
            format!("the server's bytes are not TLS: {why:?}"),
        ),
        rustls::Error::InvalidCertificate(why) => Failure::new(
            Reason::TlsCertificate,
            format!("the certificate cannot be used: {why}"),
        ),
        other => Failure::new(Reason::TlsHandshake, other.to_string()),
    }
}

fn too_old(quoted: &str) -> Failure {
    Failure::new(
        Reason::TlsVersion,
        format!("the server speaks no TLS 1.2 or newer with AEAD cipher suites ({quoted})"),
    )
}
