use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep};

use super::super::{Access, ImapError, Session};
use super::peer::{COMMAND, greeted, selected, setup};
use postrider_wire::bounded::Overrun;

#[tokio::test(start_paused = true)]
async fn a_literal_of_four_gibibytes_is_refused_when_announced() {
    for size in ["4294967295", "99999999"] {
        let (peer, mut session) = selected(
            2,
            &format!("C: P3 UID FETCH 5 (UID BODY.PEEK[]<0.9>)\nS: * 1 FETCH (UID 5 BODY[] {{{size}}}\nS- abc"),
        )
        .await;
        let start = Instant::now();
        let error = session.message(5, 9).await.expect_err("an error");
        assert!(matches!(error, ImapError::TooMuch(_)), "{error:?}");
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(session);
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_literal_that_never_ends_times_out() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID FETCH 5 (UID BODY.PEEK[]<0.9>)\nS: * 1 FETCH (UID 5 BODY[] {9}\nS- abc",
    )
    .await;
    let start = Instant::now();
    let error = session.message(5, 9).await.expect_err("an error");
    assert!(matches!(error, ImapError::TimedOut { .. }), "{error:?}");
    assert_eq!(start.elapsed(), COMMAND);
    drop(session);
    peer.done().await;
}

/// A server that sends the same for ever, each time after a pause.
async fn babble(mut stream: DuplexStream, text: &'static [u8], pause: Duration) {
    while stream.write_all(text).await.is_ok() {
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

async fn against(text: &'static [u8], pause: Duration) -> (ImapError, Duration) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    theirs.write_all(b"* OK ready\r\n").await.expect("room");
    let server = tokio::spawn(babble(theirs, text, pause));
    let (mut session, _) = Session::greet(Box::new(ours), &setup())
        .await
        .expect("a greeting");
    let start = Instant::now();
    let error = session.noop().await.expect_err("an error");
    let took = start.elapsed();
    drop(session);
    server.await.expect("the server ended");
    (error, took)
}

#[tokio::test(start_paused = true)]
async fn endless_data_is_cut_off() {
    for text in [
        b"* 1 FETCH (FLAGS (\\Seen))\r\n".as_slice(),
        b"* 7 EXISTS\r\n",
        b"* XFOO bar\r\n",
        b"* OK \xff\xfe\r\n",
        b"+ go on\r\n",
        b"P9 OK not yours\r\n",
        b"\r\n",
    ] {
        let (error, _) = against(text, Duration::ZERO).await;
        assert!(
            matches!(
                error,
                ImapError::TooMuch(_) | ImapError::TooManyResponses { .. }
            ),
            "{text:?}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_is_cut_off() {
    for text in [
        b"* OK aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".as_slice(),
        b"(((((((((((((((",
    ] {
        let (error, _) = against(text, Duration::ZERO).await;
        assert!(matches!(error, ImapError::TooMuch(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_does_not_stretch_the_time_limit() {
    for text in [b"x".as_slice(), b"* 7 EXISTS\r\n"] {
        let (error, took) = against(text, Duration::from_secs(3)).await;
        assert!(
            matches!(error, ImapError::TimedOut { command: "NOOP" }),
            "{error:?}"
        );
        assert_eq!(took, COMMAND);
    }
}

#[tokio::test(start_paused = true)]
async fn nesting_that_the_parser_refuses_is_left_out() {
    let (open, close) = ("(".repeat(20), ")".repeat(20));
    let (peer, mut session) = selected(
        2,
        &format!(
            "C: P3 NOOP
             S: * 1 FETCH (UID 5 BODYSTRUCTURE {open}{close})
             S: * THREAD {open}{close}
             S: * 3 EXISTS
             S: P3 OK done"
        ),
    )
    .await;
    assert_eq!(session.noop().await.expect("news").exists, Some(3));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn deep_nesting_is_cut_off() {
    let (peer, mut session) = selected(
        2,
        &format!(
            "C: P3 NOOP\nS: * 1 FETCH (UID 5 BODYSTRUCTURE {}",
            "(".repeat(10_000)
        ),
    )
    .await;
    let error = session.noop().await.expect_err("an error");
    assert!(
        matches!(error, ImapError::TooMuch(Overrun::Nesting { .. })),
        "{error:?}"
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn unknown_and_broken_lines_are_left_out_and_noted() {
    let (peer, mut session) = selected(
        2,
        "C: P3 NOOP
         S: * XFOO bar
         S: * ESEARCH (TAG \"A1\") UID ALL 1:5
         S: * VANISHED 1:7
         S: * 5 EXISTED
         S: * LIST (\\é) \"/\" \"ü\"
         S: * SEARCH 0
         S: é
         S: *
         S- * 3 EXISTS\\n
         S: P3 OK fertig für heute",
    )
    .await;
    assert_eq!(session.noop().await.expect("news").exists, Some(3));
    let transcript = session.transcript().to_string();
    assert!(transcript.contains("not understood"), "{transcript}");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_told_with_its_words() {
    let (peer, mut session) =
        greeted("C: P1 NOOP\nS: * BYE für heute zu\nS: P1 OK done\nC: P2 NOOP\nclose").await;
    let changes = session.noop().await.expect("an answer");
    assert!(changes.bye.is_some());
    let error = session.noop().await.expect_err("an error");
    assert_eq!(error.to_string(), "the server said goodbye: für heute zu");
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_between_commands_is_told_when_the_next_one_cannot_be_written() {
    let (peer, mut session) = greeted("S: * BYE idle for too long\nclose").await;
    peer.done().await;
    let error = session.noop().await.expect_err("an error");
    assert_eq!(
        error.to_string(),
        "the server said goodbye: idle for too long"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_given_up_spoils_the_session() {
    let (peer, mut session) = selected(2, "C: P3 NOOP\nwait 60").await;
    assert!(
        tokio::time::timeout(Duration::from_secs(1), session.noop())
            .await
            .is_err()
    );
    assert!(matches!(session.noop().await, Err(ImapError::Unfinished)));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn the_transcript_stays_small() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let setup = setup();
    theirs.write_all(b"* OK ready\r\n").await.expect("room");
    let (mut session, _) = Session::greet(Box::new(ours), &setup)
        .await
        .expect("a greeting");
    let server = tokio::spawn(async move {
        for tag in 1..=500 {
            let mut command = [0; 64];
            let _ = theirs.read(&mut command).await;
            let noise = "\u{1b}[31m".repeat(2000);
            let answer = format!("* OK {noise}\r\nP{tag} OK done\r\n");
            theirs
                .write_all(answer.as_bytes())
                .await
                .expect("the client listens");
        }
    });
    for _ in 0..500 {
        session.noop().await.expect("an answer");
    }
    server.await.expect("the server ended");
    let lines = setup.transcript.lines();
    assert!(lines.len() <= 201, "{}", lines.len());
    let printed = setup.transcript.to_string();
    assert!(printed.len() <= 32 * 1024, "{}", printed.len());
    assert!(!printed.contains('\u{1b}'));
    assert!(printed.contains("* OK ready") && printed.contains("are not kept"));
}

/// Runs a conversation against a server that answers everything with these bytes.
async fn survives(noise: Vec<u8>) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(async move {
        let _ = theirs.write_all(b"* OK ready\r\n").await;
        let mut command = [0; 512];
        while theirs.read(&mut command).await.is_ok_and(|count| count > 0) {
            if theirs.write_all(&noise).await.is_err() {
                break;
            }
        }
    });
    if let Ok((mut session, _)) = Session::greet(Box::new(ours), &setup()).await {
        let _ = session.select("INBOX", Access::ReadWrite).await;
        let _ = session.headers_from(1, 10).await;
        let _ = session.idle(COMMAND, sleep(COMMAND)).await;
        let _ = session.noop().await;
    }
    server.await.expect("the server ended");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_survived(
        words in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,12}",
                Just("\r\n".to_owned()),
                Just("* ".to_owned()),
                Just("+ ".to_owned()),
                Just("P1 OK ".to_owned()),
                Just("P2 NO ".to_owned()),
                Just("* 5 FETCH (".to_owned()),
                Just("BODY[HEADER] {3}\r\n".to_owned()),
                Just("BODYSTRUCTURE ((((".to_owned()),
                Just("UID 5 ".to_owned()),
                Just("* 9 EXISTS\r\n".to_owned()),
                Just("\u{e9}\u{1}".to_owned()),
                Just("[UIDVALIDITY 1] ".to_owned()),
            ],
            0..30,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(survives(words.concat().into_bytes()));
    }
}
