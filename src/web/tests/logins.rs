//! Logins: proven once, limited, logged without secrets.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

use super::*;
use crate::config::{PasswordHash, load_web_file};
use crate::web::attempts::MOST_ATTEMPTS;
use crate::web::login::{Login, Logins};

const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn alice(password: &str) -> BTreeMap<String, PasswordHash> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    let text = format!("basic_auth_users:\n  alice: {}\n", hash(password));
    std::fs::write(&file, text).unwrap();
    load_web_file(&file).unwrap().users
}

async fn check(
    logins: &Logins,
    users: &BTreeMap<String, PasswordHash>,
    pair: (&str, &str),
) -> Login {
    let header = basic(pair.0, pair.1);
    logins.check(users, HERE, Some(header.as_bytes())).await
}

#[tokio::test]
async fn a_login_is_limited_and_a_proven_one_is_not_held_up() {
    let (logins, users) = (Logins::default(), alice("open sesame"));
    let right = ("alice", "open sesame");
    assert_eq!(
        check(&logins, &users, right).await,
        Login::User("alice".to_owned())
    );
    for _ in 0..MOST_ATTEMPTS {
        assert_eq!(
            check(&logins, &users, ("alice", "guess")).await,
            Login::Wrong
        );
    }
    for guess in [("alice", "guess"), ("bob", "guess")] {
        assert!(matches!(
            check(&logins, &users, guess).await,
            Login::TooOften(_)
        ));
    }
    assert_eq!(
        check(&logins, &users, right).await,
        Login::User("alice".to_owned())
    );
    // From elsewhere there are attempts left.
    let elsewhere = "192.0.2.1".parse().unwrap();
    let header = basic("alice", "guess");
    let login = logins
        .check(&users, elsewhere, Some(header.as_bytes()))
        .await;
    assert_eq!(login, Login::Wrong);
}

#[tokio::test]
async fn a_proven_login_ends_with_its_hash() {
    let logins = Logins::default();
    let right = ("alice", "open sesame");
    let known = Login::User("alice".to_owned());
    assert_eq!(check(&logins, &alice("open sesame"), right).await, known);
    assert_eq!(check(&logins, &alice("changed"), right).await, Login::Wrong);
    assert_eq!(check(&logins, &BTreeMap::new(), right).await, Login::Wrong);
}

#[tokio::test]
async fn what_is_no_login_is_wrong() {
    let users = alice("open sesame");
    for header in [
        "",
        "Basic",
        "Basic !!!",
        "Bearer YWxpY2U6b3BlbiBzZXNhbWU=",
        "Basic YWxpY2U=",
        "Basic /w==",
    ] {
        let logins = Logins::default();
        let login = logins.check(&users, HERE, Some(header.as_bytes())).await;
        assert_eq!(login, Login::Wrong, "{header}");
    }
    let long = basic("alice", &"x".repeat(2000));
    let login = Logins::default()
        .check(&users, HERE, Some(long.as_bytes()))
        .await;
    assert_eq!(login, Login::Wrong);
    assert_eq!(
        Logins::default().check(&users, HERE, None).await,
        Login::Nobody
    );
}

#[tokio::test]
async fn too_many_wrong_logins_are_answered_with_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let web = Web::with_users(directory.path()).await;
    let wrong = basic("alice", "guess");
    let headers = [("Authorization", wrong.as_str())];
    for _ in 0..MOST_ATTEMPTS {
        assert_eq!(web.send("GET", "/metrics", &headers, "").await.status, 401);
    }
    let answer = web.send("GET", "/metrics", &headers, "").await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Health is for anyone, whatever is said beside it.
    assert_eq!(
        web.send("GET", "/-/healthy", &headers, "").await.status,
        200
    );
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn row_60_the_log_has_the_login_and_not_its_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (logins, users) = (Logins::default(), alice("open sesame"));
    check(&logins, &users, ("alice", "open sesame")).await;
    check(&logins, &users, ("alice", "gu3ssed")).await;
    check(&logins, &users, ("passw0rd-as-name", "gu3ssed")).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("logged in").count(), 1, "{text}");
    assert_eq!(text.matches("a login was refused").count(), 2, "{text}");
    assert!(
        text.contains("alice") && text.contains("127.0.0.1"),
        "{text}"
    );
    let encoded = basic("alice", "open sesame");
    for secret in ["open sesame", "gu3ssed", "passw0rd", "$2", &encoded[6..]] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
