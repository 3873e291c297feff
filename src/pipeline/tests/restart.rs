//! The same store, another process.

use std::time::Duration;

use postrider_probes::post::EntryState::*;
use tokio::time::Instant;

use super::bench::{Bench, LOST_AFTER, key, removals};
use crate::ledger::sample::{id, refused};
use crate::mailbox::news::{News, Position};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn mail_without_an_outcome_is_uncertain_after_a_restart() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    let bench = bench.restart(HOUR).await;
    assert_eq!(bench.balance().await.of(Uncertain), 1);
    assert_eq!(bench.stored(1).await.state(), Uncertain);
    // It is still looked for, though nobody waits.
    let interest = bench.pipeline.interest("alice");
    assert_eq!(
        (interest.borrow().folders.len(), interest.borrow().awaited),
        (1, 0)
    );
    bench.arrives(1, key("INBOX", 7)).await;
    assert_eq!(bench.balance().await.of(Delivered), 1);
}

#[tokio::test(start_paused = true)]
async fn mail_in_flight_over_a_restart_is_timed_by_the_wall_clock() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    let bench = bench.restart(HOUR).await;
    assert_eq!(bench.balance().await.of(Overdue), 1);
    bench.arrives(1, key("INBOX", 7)).await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Delivered), balance.corrected), (1, 1));
    let latency = bench.stored(1).await.latency().expect("it was measured");
    assert_eq!((latency.after, latency.on_wall_clock), (HOUR, true));
    assert_eq!(
        removals(&bench.pipeline.interest("alice")),
        [key("INBOX", 7)]
    );
}

#[tokio::test(start_paused = true)]
async fn removal_goes_on_after_a_restart() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.balance().await;
    let bench = bench.restart(HOUR).await;
    assert_eq!(
        removals(&bench.pipeline.interest("alice")),
        [key("INBOX", 7)]
    );
}

#[tokio::test(start_paused = true)]
async fn settled_mail_is_not_read_back() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    bench.record(1, refused(), Instant::now()).await;
    let bench = bench.restart(HOUR).await;
    assert_eq!(bench.store.open_entries().await.expect("read"), []);
    assert_eq!(bench.balance().await.of(Refused), 1);
}

#[tokio::test(start_paused = true)]
async fn deadline_counts_the_time_before_the_restart() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    let bench = bench.restart(LOST_AFTER).await;
    // The deadline passed while nobody ran; nobody has looked since.
    assert_eq!(bench.balance().await.of(Lost), 0);
    bench.looks("INBOX").await;
    assert_eq!(bench.balance().await.of(Lost), 1);
    assert!(bench.stored(1).await.lost().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_at_the_end_is_taken_in() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    let news = bench.pipeline.news();
    let arrival = bench.arrival(1, key("INBOX", 7));
    news.try_send(News::Arrived(Box::new(arrival)))
        .expect("there is room");
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 8,
    };
    news.try_send(News::Position(position.clone()))
        .expect("there is room");
    let bench = bench.restart(Duration::ZERO).await;
    assert_eq!(bench.stored(1).await.state(), Delivered);
    let read = bench.pipeline.position("alice", "INBOX").await;
    assert_eq!(read.expect("it is read"), Some(position));
}

#[tokio::test(start_paused = true)]
async fn position_alone_is_written_after_a_while() {
    let bench = Bench::new().await;
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 8,
    };
    bench.tell(News::Position(position.clone())).await;
    bench.balance().await;
    let read = || async { bench.store.position("alice", "INBOX").await.expect("read") };
    assert_eq!(read().await, None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    bench.balance().await;
    assert_eq!(read().await, Some(position));
}

#[tokio::test(start_paused = true)]
async fn books_balance_after_several_lives() {
    let mut bench = Bench::new().await;
    for n in 1..6 {
        let _account = bench.sent(n).await;
        bench
            .arrives(n, key("INBOX", u32::try_from(n).expect("small")))
            .await;
        bench = bench.restart(HOUR).await;
    }
    assert_eq!(bench.balance().await.of(Delivered), 5);
    bench.pipeline.release(id(1)).await;
    let verification = bench.store.verify().await.expect("it is read");
    assert_eq!((verification.entries, verification.different), (5, 0));
}
