//! STARTTLS and the certificates.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::demo::platform::misbehaviour::{CertificateKind, StartTls};
use crate::demo::platform::topology::FILTER1_FALLBACK;

pub(super) fn connector(platform: &Platform) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(platform.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// STARTTLS as `name`, or what the verifier says against it.
async fn upgrade(
    platform: &Platform,
    ip: IpAddr,
    name: &'static str,
) -> Result<Client<TlsStream<TcpStream>>, String> {
    let mut client = Client::smtp(platform, ip).await;
    client.reply().await;
    client.ask("EHLO me").await;
    assert!(client.ask("STARTTLS").await.starts_with("220 2.0.0"));
    let name = ServerName::try_from(name).unwrap();
    let stream = client.stream.into_inner();
    let stream = connector(platform).connect(name, stream).await;
    let stream = BufReader::new(stream.map_err(|error| error.to_string())?);
    Ok(Client { stream })
}

#[tokio::test]
async fn certificate_matches_the_mx_name_and_the_session_begins_anew() {
    let platform = platform().await;
    let mut client = upgrade(&platform, FILTER1_FALLBACK, "mx2.example.test")
        .await
        .unwrap();
    assert!(client.ask("MAIL FROM:<>").await.starts_with("503"));
    let hello = client.ask("EHLO me").await;
    assert!(!hello.contains("STARTTLS"), "{hello}");
    assert!(client.ask("STARTTLS").await.starts_with("503"));
    assert!(client.deliver("x").await.starts_with("250"));
    assert_eq!(platform.smtp_counters(FILTER1_FALLBACK).handshakes, 1);
    let tls = platform.accepted().remove(0).tls.unwrap();
    assert_eq!(tls, "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384");
    let stored = until(|| platform.mailbox("INBOX").pop()).await;
    let trace = String::from_utf8_lossy(&stored.raw).into_owned();
    assert!(trace.contains("with ESMTPS id"), "{trace}");
}

#[tokio::test]
async fn each_kind_of_certificate_is_wrong_in_its_own_way() {
    let platform = platform().await;
    let cases = [
        (CertificateKind::Expired, "expired"),
        (
            CertificateKind::OtherName("mx-old.example.test".into()),
            "not valid for name",
        ),
        (CertificateKind::SelfSigned, "UnknownIssuer"),
    ];
    for (kind, problem) in cases {
        let misbehaviour = Misbehaviour::certificate(kind);
        platform
            .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
            .await
            .unwrap();
        let refused = upgrade(&platform, FILTER1_PRIMARY, "mx1.example.test").await;
        let refused = refused.map(|_| ()).unwrap_err();
        assert!(refused.contains(problem), "{refused}");
    }
    let soon = Misbehaviour::certificate(CertificateKind::ExpiresInDays(3));
    platform
        .set_misbehaviour(FILTER1_PRIMARY, soon)
        .await
        .unwrap();
    upgrade(&platform, FILTER1_PRIMARY, "mx1.example.test")
        .await
        .unwrap();
}

#[tokio::test]
async fn starttls_can_be_missing_refused_garbage_injected_or_stalled() {
    let platform = platform_with(Misbehaviour::starttls(StartTls::NotOffered)).await;
    let hello = async |platform: &Platform| {
        let mut client = Client::smtp(platform, FILTER1_PRIMARY).await;
        client.reply().await;
        let keywords = client.ask("EHLO me").await;
        (client, keywords)
    };
    let set = async |kind: StartTls| {
        let misbehaviour = Misbehaviour::starttls(kind);
        platform
            .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
            .await
            .unwrap();
        let (mut client, _) = hello(&platform).await;
        assert!(client.ask("STARTTLS").await.starts_with("220"));
        client
    };
    let (mut client, keywords) = hello(&platform).await;
    assert!(!keywords.contains("STARTTLS"), "{keywords}");
    assert!(client.ask("STARTTLS").await.starts_with("502"));

    let mut client = set(StartTls::Garbage).await;
    client.send("as good as a ClientHello").await;
    assert!(client.line().await.unwrap().starts_with("This is no TLS"));

    let mut client = set(StartTls::Stalled).await;
    assert!(client.is_silent_for(Duration::from_millis(50)).await);

    let mut client = set(StartTls::InjectedPlaintext).await;
    assert_eq!(
        client.reply().await,
        "250-injected.example.test|250 AUTH PLAIN LOGIN"
    );
    let name = ServerName::try_from("mx1.example.test").unwrap();
    let stream = client.stream.into_inner();
    connector(&platform).connect(name, stream).await.unwrap();
}

#[tokio::test]
async fn clear_text_behind_starttls_is_thrown_away() {
    let platform = platform().await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    assert!(
        client
            .ask("STARTTLS\r\nEHLO injected")
            .await
            .starts_with("220")
    );
    let name = ServerName::try_from("mx1.example.test").unwrap();
    let stream = connector(&platform)
        .connect(name, client.stream.into_inner())
        .await;
    let mut client = Client {
        stream: BufReader::new(stream.unwrap()),
    };
    assert!(
        client.ask("MAIL FROM:<>").await.starts_with("503"),
        "EHLO was forgotten"
    );
}
