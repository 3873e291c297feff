//! The web configuration file at work, and its changes.

use hyper::Method;
use postrider_probes::setting::Secret;

use super::*;
use crate::web::client::{Client, ClientError};

/// Writes a fresh certificate for `localhost` and its key.
fn write_certificate(directory: &Path) -> String {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    std::fs::write(directory.join("server.key"), signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("server.pem"), cert.pem()).unwrap();
    cert.pem()
}

fn write_web_file(directory: &Path, password: &str) {
    let text = format!(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n\
         http_server_config:\n  headers:\n    X-Frame-Options: SAMEORIGIN\n\
         basic_auth_users:\n  alice: {}\n",
        hash(password)
    );
    std::fs::write(directory.join("web.yaml"), text).unwrap();
}

/// A client that trusts one certificate.
fn client(web: &Web, directory: &Path, trusted: &str, password: &str) -> Client {
    let ca_file = directory.join(format!("trusted-{}.pem", trusted.len() + password.len()));
    std::fs::write(&ca_file, trusted).unwrap();
    Client {
        url: format!("https://localhost:{}", web.address.port())
            .parse()
            .unwrap(),
        ca_file: Some(ca_file),
        login: Some(("alice".to_owned(), Secret::new(password.to_owned()))),
        within: PATIENCE,
    }
}

async fn status(client: &Client) -> Option<u16> {
    match client.ask(Method::GET, "/metrics").await {
        Ok(reply) => Some(reply.status.as_u16()),
        Err(ClientError::Connect { .. } | ClientError::Http { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn row_57_tls_and_users_by_file_and_changes_without_restart() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = write_certificate(directory);
    write_web_file(directory, "open sesame");
    let web = Web::start(Settings {
        config_file: Some(directory.join("web.yaml")),
        limits: short(),
        ..lifecycle()
    })
    .await;
    let right = client(&web, directory, &first, "open sesame");
    assert_eq!(status(&right).await, Some(200));
    assert_eq!(
        status(&client(&web, directory, &first, "wrong")).await,
        Some(401)
    );
    let stranger = Client {
        login: None,
        ..right.clone()
    };
    assert_eq!(status(&stranger).await, Some(401));
    let health = stranger.ask(Method::GET, "/-/healthy").await.unwrap();
    assert_eq!(health.status, 200);

    // The certificate.
    let second = write_certificate(directory);
    let renewed = client(&web, directory, &second, "open sesame");
    web.until("the new certificate is shown", async |_| {
        status(&renewed).await == Some(200)
    })
    .await;
    let old = directory.join("old.pem");
    std::fs::write(&old, &first).unwrap();
    let old = Client {
        ca_file: Some(old),
        ..renewed.clone()
    };
    assert_eq!(status(&old).await, None, "the old certificate is gone");

    // The users: the login that was proven ends with its hash.
    write_web_file(directory, "changed");
    web.until("the old password ends", async |_| {
        status(&renewed).await == Some(401)
    })
    .await;
    let changed = client(&web, directory, &second, "changed");
    assert_eq!(status(&changed).await, Some(200));

    // A mistake: what was goes on.
    std::fs::write(directory.join("web.yaml"), "tls_server_config: {}\n").unwrap();
    std::fs::write(directory.join("server.key"), "no key").unwrap();
    for _ in 0..10 {
        assert_eq!(status(&changed).await, Some(200));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let third = write_certificate(directory);
    write_web_file(directory, "open sesame");
    let mended = client(&web, directory, &third, "open sesame");
    web.until("the mended file is read", async |_| {
        status(&mended).await == Some(200)
    })
    .await;
}

#[tokio::test]
async fn a_new_file_without_tls_or_users_opens_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let trusted = write_certificate(directory);
    write_web_file(directory, "open sesame");
    let web = Web::start(Settings {
        config_file: Some(directory.join("web.yaml")),
        limits: short(),
        ..lifecycle()
    })
    .await;
    let right = client(&web, directory, &trusted, "open sesame");
    let stranger = Client {
        login: None,
        ..right.clone()
    };
    assert_eq!(status(&right).await, Some(200));
    let headers = "http_server_config: { headers: { X-Frame-Options: DENY } }\n";
    let users = format!("basic_auth_users: {{ alice: \"{}\" }}\n", hash("changed"));
    let tls = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";
    for text in ["", "# later\n", "{}\n", headers, &users, tls] {
        std::fs::write(directory.join("web.yaml"), text).unwrap();
        // Ten times the interval at which it is looked at; were it taken over, one of these would show it.
        for _ in 0..10 {
            assert_eq!(status(&right).await, Some(200), "{text:?}");
            assert_eq!(status(&stranger).await, Some(401), "{text:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    write_web_file(directory, "changed");
    let changed = client(&web, directory, &trusted, "changed");
    web.until("what protects as much is read", async |_| {
        status(&changed).await == Some(200)
    })
    .await;
}

#[tokio::test]
async fn plain_http_is_not_answered_where_tls_is_spoken() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path());
    write_web_file(directory.path(), "open sesame");
    let web = Web::start(Settings {
        config_file: Some(directory.path().join("web.yaml")),
        limits: short(),
        ..lifecycle()
    })
    .await;
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {}\r\n\r\n", web.address);
    assert_eq!(web.raw(request.into_bytes()).await, None);
}

#[tokio::test]
async fn configured_headers_take_the_place_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    let text = "http_server_config: {headers: {X-Frame-Options: SAMEORIGIN, Strict-Transport-Security: max-age=1}}\n";
    std::fs::write(&file, text).unwrap();
    let web = Web::start(Settings {
        config_file: Some(file),
        ..Settings::default()
    })
    .await;
    let answer = web.ask("GET", "/-/healthy").await;
    assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(answer.header("strict-transport-security"), "max-age=1");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_file_with_mistakes_prevents_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    for (text, part) in [
        ("tls_config: {}\n", "web.yaml:1:1: error[unknown-key]"),
        (
            "",
            "web.yaml:1:1: error[bad-value]: the web configuration file is empty",
        ),
        (
            "tls_server_config: {cert_file: none.pem, key_file: none.key}\n",
            "none.pem cannot be read",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let web = Web::start(Settings {
            config_file: Some(file.clone()),
            ..Settings::default()
        })
        .await;
        let error = web.serving.await.unwrap().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_password_does_not_go_over_the_network_in_the_clear() {
    let client = Client {
        url: "http://probe.example.org:9825".parse().unwrap(),
        ca_file: None,
        login: Some(("alice".to_owned(), Secret::new("open sesame".to_owned()))),
        within: PATIENCE,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime
        .block_on(client.ask(Method::POST, "/-/reload"))
        .unwrap_err();
    assert!(error.to_string().contains("in the clear"), "{error}");
}
