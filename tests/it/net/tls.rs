//! TLS handshakes with servers of every quality, over pipes in memory.

use std::io::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest;
use postrider_probes::account::Trust;
use postrider_probes::dialogue::stream::BoxStream;
use postrider_probes::outcome::TlsFacts;
use postrider_probes::tls::{TlsFailure, Verify, client};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::TlsAcceptor;

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// A private authority.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A server certificate; `change` makes it a bad one.
    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }

    fn trusted(&self) -> (Trust, NamedTempFile) {
        trusting(&self.certificate)
    }
}

/// A server's certificate and key.
struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key,
        }
    }

    fn sha256(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.certificate.der());
        digest.as_ref().try_into().unwrap()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "the server");
    params
}

fn trusting(certificate: &Certificate) -> (Trust, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate.pem().as_bytes()).unwrap();
    let trust = Trust {
        ca_file: Some(file.path().to_owned()),
        ..Trust::default()
    };
    (trust, file)
}

fn pinned(pin: [u8; 32]) -> Trust {
    Trust {
        pin: Some(pin),
        ..Trust::default()
    }
}

/// What the server saw of the session: the name in the client's hello.
type Sni = Option<String>;

async fn serve(
    stream: DuplexStream,
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> Sni {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(identity.certificate.der().to_vec())],
            key.into(),
        )
        .unwrap();
    let mut session = TlsAcceptor::from(Arc::new(config))
        .accept(stream)
        .await
        .ok()?;
    let name = session.get_ref().1.server_name().map(str::to_owned);
    // What comes is sent back, until the client leaves.
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = session.read(&mut buffer).await {
        session.write_all(&buffer[..length]).await.ok()?;
        session.flush().await.ok()?;
    }
    name
}

type Session = (BoxStream, TlsFacts);

async fn shake(
    identity: &Identity,
    name: &str,
    trust: &Trust,
    verify: Verify,
    versions: &[&'static SupportedProtocolVersion],
) -> (Result<Session, TlsFailure>, Sni) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let talk = async {
        let (mut stream, facts) = client(Box::new(ours), name, trust, verify).await?;
        stream.write_all(b"EHLO").await.unwrap();
        stream.flush().await.unwrap();
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"EHLO");
        stream.shutdown().await.unwrap();
        Ok((stream, facts))
    };
    tokio::join!(talk, serve(theirs, identity, versions))
}

/// The facts of a session that went on whatever the certificate was.
async fn recorded(identity: &Identity, name: &str, trust: &Trust) -> TlsFacts {
    let (result, _) = shake(identity, name, trust, Verify::Record, BOTH).await;
    result.map(|(_, facts)| facts).unwrap()
}

async fn fault(identity: &Identity, name: &str, trust: &Trust) -> Option<String> {
    recorded(identity, name, trust).await.fault
}

/// The failure against a server that answers the client's hello with these bytes and leaves.
async fn failure_after(bytes: &[u8]) -> String {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut hello = [0; 4096];
        assert!(theirs.read(&mut hello).await.unwrap() > 0);
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
    };
    let trust = Trust {
        insecure: true,
        ..Trust::default()
    };
    let (result, ()) = tokio::join!(
        client(Box::new(ours), "mx1.test", &trust, Verify::Record),
        serve
    );
    result.err().unwrap().failure.line()
}

#[tokio::test]
async fn a_good_certificate_has_facts_and_no_fault() {
    let authority = Authority::new("Test CA");
    let (trust, _file) = authority.trusted();
    let identity = authority.sign(&["mx1.test", "*.mail.test", "192.0.2.1"], |params| {
        params.not_after = date_time_ymd(2090, 1, 2);
    });
    for (name, sni) in [
        ("mx1.test", Some("mx1.test")),
        ("MX1.test.", Some("mx1.test")),
        ("a.mail.test", Some("a.mail.test")),
        ("192.0.2.1", None),
    ] {
        for verify in [Verify::Record, Verify::Enforce] {
            let (result, seen) = shake(&identity, name, &trust, verify, BOTH).await;
            let (_, facts) = result.unwrap();
            assert_eq!(seen.as_deref().map(str::to_lowercase).as_deref(), sni);
            assert_eq!(facts.fault, None, "{name}");
            assert_eq!(facts.version, "TLSv1.3");
            assert!(facts.cipher.starts_with("TLS_AES_"), "{}", facts.cipher);
            assert_eq!(facts.names, ["mx1.test", "*.mail.test", "192.0.2.1"]);
            assert_eq!(facts.issuer, "CN=Test CA");
            assert_eq!(facts.not_after.unwrap().to_string(), "2090-01-02T00:00:00Z");
            let sha256: String = identity
                .sha256()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(facts.fingerprint, sha256);
            assert!(!facts.insecure);
        }
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_too() {
    let authority = Authority::new("Test CA");
    let (trust, _file) = authority.trusted();
    let identity = authority.sign(&["mx1.test"], |_| {});
    let (result, _) = shake(&identity, "mx1.test", &trust, Verify::Enforce, &[&TLS12]).await;
    let (_, facts) = result.unwrap();
    assert_eq!(facts.version, "TLSv1.2");
    assert!(facts.cipher.starts_with("TLS_ECDHE_"), "{}", facts.cipher);
}

#[tokio::test]
async fn every_fault_is_named_in_words() {
    let authority = Authority::new("Test CA");
    let (trust, _file) = authority.trusted();
    let stranger = Authority::new("Other CA");
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    for (identity, wanted) in [
        (
            authority.sign(&["mx1.test"], expired),
            "expired on 2020-01-01",
        ),
        (
            authority.sign(&["mx1.test"], |params| {
                params.not_before = date_time_ymd(2090, 1, 1)
            }),
            "is not valid before 2090-01-01",
        ),
        (
            Identity::self_signed(&["mx1.test"], |_| {}),
            "is self-signed",
        ),
        (
            stranger.sign(&["mx1.test"], |_| {}),
            "its issuer Other CA is not trusted",
        ),
        (
            authority.sign(&["mx9.test"], |_| {}),
            "is for mx9.test, not for mx1.test",
        ),
        (
            authority.sign(&["a.test", "b.test", "c.test", "d.test", "e.test"], |_| {}),
            "is for a.test, b.test, c.test and 2 more, not for mx1.test",
        ),
        (
            authority.sign(&[], |_| {}),
            "is not for mx1.test: it has no subject alternative name, only the common name the server",
        ),
        (
            authority.sign(&["mx1.test"], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "is not meant for servers (extended key usage)",
        ),
        (
            stranger.sign(&["mx9.test"], expired),
            "expired on 2020-01-01; its issuer Other CA is not trusted; is for mx9.test, not for mx1.test",
        ),
        (
            Identity::self_signed(&["mx9.test"], expired),
            "expired on 2020-01-01; is self-signed; is for mx9.test, not for mx1.test",
        ),
    ] {
        assert_eq!(
            fault(&identity, "mx1.test", &trust).await.as_deref(),
            Some(wanted)
        );

        let (result, _) = shake(&identity, "mx1.test", &trust, Verify::Enforce, BOTH).await;
        let refused = result.err().unwrap();
        assert_eq!(
            refused.failure.line(),
            format!("tls-certificate: the certificate of mx1.test {wanted}")
        );
        assert_eq!(refused.facts.unwrap().fault.as_deref(), Some(wanted));
    }
}

#[tokio::test]
async fn the_faults_apart_from_the_name_are_kept_apart() {
    let authority = Authority::new("Test CA");
    let (trust, _file) = authority.trusted();
    let wrong_name = authority.sign(&["mx9.test"], |_| {});
    let facts = recorded(&wrong_name, "mx1.test", &trust).await;
    assert_eq!(facts.fault_but_name, None);
    assert!(facts.fault.is_some());
    let self_signed = Identity::self_signed(&["mx9.test"], |_| {});
    let facts = recorded(&self_signed, "mx1.test", &trust).await;
    assert_eq!(facts.fault_but_name.as_deref(), Some("is self-signed"));
}

#[tokio::test]
async fn the_systems_authorities_do_not_know_ours() {
    let authority = Authority::new("Test CA");
    let identity = authority.sign(&["mx1.test"], |_| {});
    assert_eq!(
        fault(&identity, "mx1.test", &Trust::default())
            .await
            .as_deref(),
        Some("its issuer Test CA is not trusted")
    );
}

#[tokio::test]
async fn a_servers_own_certificate_can_be_the_authority() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let identity = Identity::self_signed(&["mx1.test"], |params| params.is_ca = is_ca);
        let (trust, _file) = trusting(&identity.certificate);
        assert_eq!(
            fault(&identity, "mx1.test", &trust).await,
            None,
            "{is_ca:?}"
        );
        assert_eq!(
            fault(&identity, "mx2.test", &trust).await.as_deref(),
            Some("is for mx1.test, not for mx2.test")
        );
    }
}

#[tokio::test]
async fn a_pin_alone_decides() {
    let identity = Identity::self_signed(&["mx9.test"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let good = pinned(identity.sha256());
    assert_eq!(fault(&identity, "mx1.test", &good).await, None);
    let fault = fault(&identity, "mx1.test", &pinned([0xab; 32]))
        .await
        .unwrap();
    assert!(fault.starts_with("has the SHA-256 fingerprint "), "{fault}");
    assert!(fault.contains(", not the pinned abab"), "{fault}");
}

#[tokio::test]
async fn insecure_accepts_everything_and_says_so() {
    let identity = Identity::self_signed(&["mx9.test"], |_| {});
    let trust = Trust {
        insecure: true,
        ..Trust::default()
    };
    let (result, _) = shake(&identity, "mx1.test", &trust, Verify::Enforce, BOTH).await;
    let (_, facts) = result.unwrap();
    assert!(facts.insecure);
    assert_eq!(facts.fault, None);
}

#[tokio::test]
async fn a_failed_handshake_says_what_came() {
    let alert = |code: u8| vec![21, 3, 3, 0, 2, 2, code];
    // TLS 1.0: record, ServerHello, random, no session, TLS_RSA_WITH_AES_128_CBC_SHA.
    let mut tls10 = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    tls10.extend([7; 32]);
    tls10.extend([0, 0, 0x2f, 0]);
    for (bytes, wanted) in [
        (
            alert(70),
            "tls-version: the server speaks no TLS 1.2 or newer with AEAD cipher suites (alert ProtocolVersion)",
        ),
        (
            alert(40),
            "tls-version: the server speaks no TLS 1.2 or newer with AEAD cipher suites (alert HandshakeFailure)",
        ),
        (tls10, "tls-version: the server speaks no TLS 1.2 or newer"),
        (
            alert(80),
            "tls-handshake: the server ended the handshake with the alert InternalError",
        ),
        (
            b"500 5.5.1 command unrecognized\r\n".to_vec(),
            "tls-handshake: the server's bytes are not TLS: ",
        ),
        (
            vec![0xff; 3000],
            "tls-handshake: the server's bytes are not TLS: ",
        ),
        (
            Vec::new(),
            "tls-handshake: the server closed the connection during the handshake",
        ),
        (
            vec![22, 3, 3, 0, 200, 2],
            "tls-handshake: the server closed the connection during the handshake",
        ),
    ] {
        let line = failure_after(&bytes).await;
        assert!(line.starts_with(wanted), "{line}");
    }
}

#[tokio::test]
async fn what_cannot_be_judged_is_not_connected_to() {
    let (ours, theirs) = tokio::io::duplex(1024);
    drop(theirs);
    let missing = Trust {
        ca_file: Some("/nonexistent/ca.pem".into()),
        ..Trust::default()
    };
    let failure = client(Box::new(ours), "mx1.test", &missing, Verify::Record).await;
    let line = failure.err().unwrap().failure.line();
    assert!(
        line.starts_with("internal: the CA file /nonexistent/ca.pem cannot be read"),
        "{line}"
    );

    let (ours, _theirs) = tokio::io::duplex(1024);
    let failure = client(Box::new(ours), "no name", &Trust::default(), Verify::Record).await;
    assert_eq!(
        failure.err().unwrap().failure.line(),
        "tls-certificate: no certificate can be for `no name`"
    );
}
