use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::{Greeting, ImapError, Session};
use super::peer::{Peer, greeted, setup, told};

#[tokio::test(start_paused = true)]
async fn login_forgets_the_capabilities_from_before() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS
         S: P1 OK done
         C: P2 LOGIN alice \"open sesame\"
         S: P2 OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] welcome
         C: P3 LOGOUT
         S: * BYE see you
         S: P3 OK done",
    )
    .await;
    session
        .login("alice", "open sesame")
        .await
        .expect("a login");
    let capabilities = session.capabilities().await.expect("capabilities");
    assert!(capabilities.has("idle") && !capabilities.has("STARTTLS"));
    let transcript = session.transcript().to_string();
    session.logout().await;
    assert!(
        transcript.contains("-> P2 LOGIN «redacted»"),
        "{transcript}"
    );
    assert!(!transcript.contains("sesame"), "{transcript}");
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_asked_for_when_the_login_does_not_tell() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN a b
         S: P2 OK welcome
         C: P3 CAPABILITY
         S: * CAPABILITY IMAP4rev1 IDLE
         S: P3 OK done",
    )
    .await;
    session.login("a", "b").await.expect("a login");
    assert!(
        session
            .capabilities()
            .await
            .expect("capabilities")
            .has("IDLE")
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn passwords_that_are_not_plain_go_as_literals() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN alice {6}
         S: + go on
         C: süß\"
         S: P2 OK welcome",
    )
    .await;
    session.login("alice", "süß\"").await.expect("a login");
    assert!(!session.transcript().to_string().contains('ß'));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn refused_login_tells_the_code_and_never_the_password() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN alice hunter2
         S: * BAD you said: hunter2
         S: P2 NO [AUTHENTICATIONFAILED] für alice mit hunter2 nicht",
    )
    .await;
    let error = session
        .login("alice", "hunter2")
        .await
        .expect_err("a refusal");
    let ImapError::LoginRefused { code, text } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(code.as_deref(), Some("AUTHENTICATIONFAILED"));
    assert!(
        text.as_str().contains("für alice mit «redacted» nicht"),
        "{text}"
    );
    let shown = format!("{error:?} {error} {session:?} {}", session.transcript());
    assert!(!shown.contains("hunter2"), "{shown}");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_password_sent_back_as_a_response_code_is_no_code() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN alice hunter2
         S: P2 NO [hunter2] no",
    )
    .await;
    let error = session
        .login("alice", "hunter2")
        .await
        .expect_err("a refusal");
    assert!(
        !format!("{error:?}").to_lowercase().contains("hunter2"),
        "{error:?}"
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn disabled_login_sends_no_password() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS
         S: P1 OK done
         C: P2 NOOP
         S: P2 OK done",
    )
    .await;
    assert!(matches!(
        session.login("alice", "secret").await,
        Err(ImapError::LoginDisabled)
    ));
    session.noop().await.expect("the session goes on");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn plain_is_used_where_login_is_disabled() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN SASL-IR
         S: P1 OK done
         C: P2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
         S: * CAPABILITY IMAP4rev1 IDLE
         S: P2 OK welcome",
    )
    .await;
    session.login("alice", "secret").await.expect("a login");
    assert!(
        session
            .capabilities()
            .await
            .expect("capabilities")
            .has("IDLE")
    );
    let transcript = session.transcript().to_string();
    assert!(
        transcript.contains("-> P2 AUTHENTICATE PLAIN «redacted»"),
        "{transcript}"
    );
    assert!(!transcript.contains("AGFs"), "{transcript}");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn plain_waits_to_be_asked_without_sasl_ir_and_answers_once() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN
         S: P1 OK done
         C: P2 AUTHENTICATE PLAIN
         S: +
         C: AGFsaWNlAHNlY3JldA==
         S: + once more
         C: *
         S: P2 BAD cancelled",
    )
    .await;
    assert_eq!(
        told(session.login("alice", "secret").await),
        "the login was refused: cancelled"
    );
    assert!(!session.transcript().to_string().contains("AGFs"));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_middle_of_a_literal_ends_the_session() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN alice {3}
         S: P2 NO too long
         S: + now give me the password",
    )
    .await;
    assert!(matches!(
        session.login("alice", "ö\"").await,
        Err(ImapError::LoginRefused { .. })
    ));
    assert!(matches!(session.noop().await, Err(ImapError::Unfinished)));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn greetings_are_told_apart() {
    for (line, expected) in [
        ("* OK [CAPABILITY IMAP4rev1 IDLE] hi", "Ok"),
        ("* OK willkommen für immer", "Ok"),
        ("* PREAUTH hi root", "PreAuth"),
        ("* BYE too busy", "Bye"),
        ("* OK", "Ok"),
    ] {
        let (peer, stream) = Peer::start(&format!("S: {line}"));
        let (session, greeting) = Session::greet(Box::new(stream), &setup())
            .await
            .expect("a greeting");
        let kind = match greeting {
            Greeting::Ok { .. } => "Ok",
            Greeting::PreAuth { .. } => "PreAuth",
            Greeting::Bye { .. } => "Bye",
        };
        assert_eq!(kind, expected, "{line}");
        drop(session);
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_imap_server_is_named_with_its_line() {
    for line in [
        "220 mail.example ESMTP",
        "HTTP/1.1 400 Bad Request",
        "SSH-2.0-OpenSSH_9.9",
    ] {
        let (peer, stream) = Peer::start(&format!("S: {line}"));
        match Session::greet(Box::new(stream), &setup()).await {
            Err(ImapError::Malformed {
                what: "greeting",
                line: Some(shown),
            }) => {
                assert_eq!(shown.as_str(), line);
            }
            other => panic!("{other:?}"),
        }
        peer.done().await;
    }
}

/// Keeps everything that is traced, at every level.
#[derive(Clone, Default)]
struct Eavesdropper(Arc<Mutex<String>>);

impl tracing::Subscriber for Eavesdropper {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.note(&format!("{span:?}"));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        self.note(&format!("{values:?}"));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.note(&format!("{event:?}"));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl Eavesdropper {
    fn note(&self, text: &str) {
        self.0.lock().expect("no panic before").push_str(text);
    }
}

#[tokio::test(start_paused = true)]
async fn no_password_is_traced() {
    let heard = Eavesdropper::default();
    let guard = tracing::subscriber::set_default(heard.clone());
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done
         C: P2 LOGIN alice hunter2
         S: P2 OK welcome, hunter2",
    )
    .await;
    session.login("alice", "hunter2").await.expect("a login");
    tracing::info!("and this is");
    drop((guard, session));
    peer.done().await;
    let heard = heard.0.lock().expect("no panic before").clone();
    assert!(heard.contains("and this is"), "{heard}");
    assert!(!heard.contains("hunter2"), "{heard}");
}

#[test]
fn conversations_can_move_between_threads() {
    fn movable(_: impl Send) {}
    let _ = |mut session: Session| {
        movable(session.login("a", "b"));
        movable(session.headers_from(1, 1));
        movable(session.idle(Duration::ZERO, async {}));
        movable(session.remove(&[1]));
        movable(session.logout());
    };
}
