//! What a server says out of turn, with the moment of each byte in our hands.

use std::collections::BTreeMap;
use std::future::Future;

use postrider_wire::message::tag::EntryId;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::watch;

use super::*;
use crate::context::{PlatformDefaults, Surroundings};
use crate::dialogue::open_imap::tests::Laid;
use crate::kinds::deliver::MessageDefaults;
use crate::net::BoxFuture;
use crate::post::{Account, Attempt, Draft, Post};
use crate::setting::Variables;
use crate::slots::Slots;

const WITHIN: Duration = Duration::from_secs(5);

/// A session books nothing.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn new_id(&self) -> EntryId {
        unreachable!()
    }
    fn tag(&self, _: &Draft) -> String {
        unreachable!()
    }
    fn plan(&self, _: Draft) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn completing(&self, _: EntryId) {
        unreachable!()
    }
    fn refused(&self, _: EntryId) {
        unreachable!()
    }
    fn record(&self, _: EntryId, _: Attempt, _: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn retry(&self, _: EntryId) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn follow(&self, _: EntryId) -> watch::Receiver<Account> {
        unreachable!()
    }
}

/// Gives `talk` a session, and the other end of its connection.
async fn with_session<T>(talk: impl AsyncFnOnce(Session<'_, '_>, DuplexStream) -> T) -> T {
    let around = Surroundings {
        net: &Laid::default(),
        post: &NoPost,
        senders: &BTreeMap::new(),
        mailboxes: &BTreeMap::new(),
        platform: &PlatformDefaults::default(),
        slots: &Slots::default(),
        now: || jiff::Timestamp::UNIX_EPOCH,
    };
    let message = MessageDefaults::default();
    let variables = Variables::default();
    let cx = Context::new(&around, &message, None, &variables, "run", "scenario/step");
    let (ours, theirs) = duplex(1024);
    talk(Session::new(&cx, Box::new(ours), false), theirs).await
}

/// Runs a server beside the client until it has heard `until`; it says `then`, and goes when `goes`.
async fn server(
    mut peer: DuplexStream,
    until: &str,
    then: &str,
    goes: bool,
) -> Option<DuplexStream> {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(until) {
        let read = peer.read_buf(&mut heard).await.unwrap();
        assert!(read > 0, "{until} was never said");
    }
    peer.write_all(then.as_bytes()).await.unwrap();
    (!goes).then_some(peer)
}

async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    tokio::join!(biased; one, other)
}

#[tokio::test]
async fn what_came_since_the_last_reply_is_not_the_next_one() {
    with_session(async |mut session, mut peer| {
        peer.write_all(b"220 here\r\n").await.unwrap();
        session.greeting(WITHIN).await.unwrap();
        peer.write_all(b"250 2.1.0 Ok\r\n").await.unwrap();
        let line = "MAIL FROM:<a@b.test>";
        let ended = session.command(Phase::Mail, line, WITHIN).await;
        let said = ended.unwrap_err().line();
        assert_eq!(
            said,
            "smtp-unexpected-reply: 250 2.1.0 Ok (unasked, before MAIL)"
        );
        drop(session);
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"", "the command was not written");
    })
    .await;
}

#[tokio::test]
async fn a_farewell_that_came_early_is_the_reply() {
    with_session(async |mut session, mut peer| {
        peer.write_all(b"421 4.3.2 Shutting down\r\n")
            .await
            .unwrap();
        let reply = session.command(Phase::Rcpt, "RCPT TO:<a@b.test>", WITHIN);
        assert_eq!(reply.await.unwrap().code, 421);
    })
    .await;
}

#[tokio::test]
async fn a_closed_connection_is_found_before_the_command() {
    with_session(async |mut session, peer| {
        drop(peer);
        let ended = session.command(Phase::Rcpt, "RCPT TO:<a@b.test>", WITHIN);
        let said = ended.await.unwrap_err().line();
        assert_eq!(
            said,
            "connect-reset: the server closed the connection (after RCPT)"
        );
    })
    .await;
}

#[tokio::test]
async fn an_acceptance_before_the_final_dot_is_none_and_the_dot_is_not_written() {
    with_session(async |mut session, peer| {
        let taken = "250 2.0.0 Queued\r\n";
        let mut completing = false;
        let sending = session.message(b"hello\r\n", || completing = true, WITHIN, WITHIN);
        let (sent, _peer) = both(sending, server(peer, "hello\r\n", taken, false)).await;
        let Sent::Not(failure) = sent else {
            panic!("{sent:?}");
        };
        let wanted = "smtp-unexpected-reply: 250 2.0.0 Queued (unasked, before the final dot)";
        assert_eq!(failure.line(), wanted);
        assert!(!completing);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_heard_when_the_rest_of_the_message_cannot_be_written() {
    with_session(async |mut session, peer| {
        // The pipe takes a kilobyte.
        let message = "hello\r\n".repeat(1000);
        let mut completing = false;
        let sending = session.message(message.as_bytes(), || completing = true, WITHIN, WITHIN);
        let refusing = server(peer, "hello", "552-5.3.4 Too\r\n552 5.3.4 large\r\n", true);
        let (sent, _) = both(sending, refusing).await;
        let Sent::Refused(reply) = sent else {
            panic!("{sent:?}");
        };
        assert_eq!((reply.code, reply.lines.len()), (552, 2));
        assert!(!completing);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_and_says_nothing_is_not_waited_for_long() {
    with_session(async |mut session, _peer| {
        let began = Instant::now();
        let message = "hello\r\n".repeat(1000);
        let sent = session.message(message.as_bytes(), || panic!("no dot"), WITHIN, WITHIN);
        let Sent::Not(failure) = sent.await else {
            panic!("nothing was sent");
        };
        let wanted = "smtp-timeout: no reply to DATA, before the final dot within 5 s";
        assert_eq!(failure.line(), wanted);
        assert!(began.elapsed() <= WITHIN + Duration::from_secs(1));
    })
    .await;
}

#[tokio::test]
async fn two_replies_to_the_final_dot_leave_the_mail_unknown() {
    with_session(async |mut session, peer| {
        let replies = "250 2.0.0 Queued\r\n554 5.7.1 No\r\n";
        let mut completing = false;
        let sending = session.message(b"hello\r\n", || completing = true, WITHIN, WITHIN);
        let (sent, _peer) = both(sending, server(peer, "\r\n.\r\n", replies, false)).await;
        let Sent::Unknown(failure) = sent else {
            panic!("{sent:?}");
        };
        let wanted =
            "smtp-unexpected-reply: 250 2.0.0 Queued, and then 554 5.7.1 No (after the final dot)";
        assert_eq!(failure.line(), wanted);
        assert!(completing);
    })
    .await;
}
