use tokio::io::AsyncWriteExt as _;

use super::super::{ImapError, Session};
use super::peer::{greeted, setup, told};

#[tokio::test(start_paused = true)]
async fn the_bare_stream_comes_back_and_nothing_is_remembered() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
         S: P1 OK done
         C: P2 STARTTLS
         S: P2 OK begin
         C: hello TLS
         C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P1 OK done",
    )
    .await;
    assert!(
        session
            .capabilities()
            .await
            .expect("capabilities")
            .login_disabled()
    );
    let mut stream = session.starttls().await.expect("a stream");
    stream
        .write_all(b"hello TLS\r\n")
        .await
        .expect("the peer listens");
    let mut session = Session::resume(stream, &setup());
    assert!(
        !session
            .capabilities()
            .await
            .expect("capabilities")
            .login_disabled()
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn anything_behind_the_answer_is_an_injection() {
    for injected in [
        "S: P1 OK begin\nS: * CAPABILITY IMAP4rev1",
        r"S- P1 OK begin\r\nP2 OK\r\n",
        r"S- P1 OK begin\r\nx",
        r"S- P1 OK begin\r\n\n",
    ] {
        let (peer, session) = greeted(&format!("C: P1 STARTTLS\n{injected}")).await;
        match session.starttls().await {
            Err(ImapError::StarttlsInjection) => {}
            Err(other) => panic!("{injected:?}: {other:?}"),
            Ok(_) => panic!("{injected:?} went unnoticed"),
        }
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_starttls_is_told() {
    let (peer, session) = greeted("C: P1 STARTTLS\nS: P1 BAD unknown").await;
    assert_eq!(
        told(session.starttls().await.map(|_| ())),
        "STARTTLS was refused: unknown"
    );
    peer.done().await;
}
