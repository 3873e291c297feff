use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::{IdleEnd, ImapError};
use super::peer::{COMMAND, selected};

const LONG: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn an_arrival_ends_the_wait() {
    let (peer, mut session) = selected(
        2,
        "C: P3 IDLE
         S: + idling
         wait 60
         S: * OK Still here
         S: * 1 EXPUNGE
         S: * 1 EXISTS
         wait 60
         S: * 2 EXISTS
         C: DONE
         S: * 3 EXISTS
         S: P3 OK done
         C: P4 NOOP
         S: P4 OK done",
    )
    .await;
    let start = Instant::now();
    let IdleEnd::Changed(changes) = session.idle(LONG, pending()).await.expect("an end") else {
        panic!("no change")
    };
    assert_eq!((changes.exists, changes.expunged), (Some(3), 1));
    assert_eq!(start.elapsed(), Duration::from_secs(120));
    session.noop().await.expect("the session goes on");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn an_arrival_before_the_plus_counts() {
    let (peer, mut session) = selected(
        2,
        "C: P3 IDLE
         S: * 3 EXISTS
         wait 1
         S: + idling
         C: DONE
         S: P3 OK done",
    )
    .await;
    let IdleEnd::Changed(changes) = session.idle(LONG, pending()).await.expect("an end") else {
        panic!("no change")
    };
    assert_eq!(changes.exists, Some(3));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn an_arrival_that_another_command_heard_ends_the_wait_before_it_starts() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID SEARCH HEADER a b
         S: * SEARCH
         S: * 3 EXISTS
         S: P3 OK done",
    )
    .await;
    session.search_header("a", "b").await.expect("an answer");
    assert!(matches!(
        session.idle(LONG, pending()).await,
        Ok(IdleEnd::Changed(_))
    ));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_idle_is_no_error() {
    for refusal in [
        "NO not today",
        "BAD unknown command",
        "OK that was quick",
        "NO für Sie nicht",
    ] {
        let (peer, mut session) = selected(
            2,
            &format!(
                "C: P3 IDLE
                 S: P3 {refusal}
                 C: P4 NOOP
                 S: P4 OK done"
            ),
        )
        .await;
        let end = session.idle(LONG, pending()).await.expect("an end");
        assert!(matches!(end, IdleEnd::Refused { .. }), "{refusal}: {end:?}");
        session.noop().await.expect("the session goes on");
        drop(session);
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_that_the_server_ends_is_a_refused_one() {
    let (peer, mut session) = selected(
        2,
        "C: P3 IDLE
         S: + idling
         wait 5
         S: P3 OK enough
         C: P4 NOOP
         S: P4 OK done",
    )
    .await;
    assert!(matches!(
        session.idle(LONG, pending()).await,
        Ok(IdleEnd::Refused { .. })
    ));
    session.noop().await.expect("the session goes on");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_by_time_or_by_wish() {
    for (stop_after, end, after) in [(400, IdleEnd::TimedOut, 300), (40, IdleEnd::Stopped, 40)] {
        let (peer, mut session) = selected(
            2,
            "C: P3 IDLE
             S: + идём
             C: DONE
             S: P3 OK done
             C: P4 NOOP
             S: P4 OK done",
        )
        .await;
        let start = Instant::now();
        let got = session
            .idle(LONG, sleep(Duration::from_secs(stop_after)))
            .await
            .expect("an end");
        assert_eq!(got, end);
        assert_eq!(start.elapsed(), Duration::from_secs(after));
        session.noop().await.expect("the session goes on");
        drop(session);
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_during_the_wait_is_an_error() {
    for (last_words, expected) in [
        ("", "the server closed the connection during IDLE"),
        (
            "S: * BYE shutting down\n",
            "the server said goodbye: shutting down",
        ),
    ] {
        let (peer, mut session) = selected(
            2,
            &format!("C: P3 IDLE\nS: + idling\nwait 5\n{last_words}close"),
        )
        .await;
        let error = session.idle(LONG, pending()).await.expect_err("an error");
        assert_eq!(error.to_string(), expected);
        assert!(matches!(session.noop().await, Err(ImapError::Unfinished)));
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_starts_or_never_ends_the_idle_is_given_up() {
    for (script, after) in [
        ("C: P3 IDLE\nS: * OK well\nwait 3600", COMMAND),
        (
            "C: P3 IDLE\nS: + idling\nC: DONE\nwait 3600",
            LONG + COMMAND,
        ),
    ] {
        let (peer, mut session) = selected(2, script).await;
        let start = Instant::now();
        let error = session.idle(LONG, pending()).await.expect_err("an error");
        assert!(
            matches!(error, ImapError::TimedOut { command: "IDLE" }),
            "{error:?}"
        );
        assert_eq!(start.elapsed(), after);
        drop(session);
        peer.done().await;
    }
}
