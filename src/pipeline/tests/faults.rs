//! A store that fails.

use postrider_probes::post::EntryState::*;
use postrider_probes::reason::Reason;
use rusqlite::{Connection, OpenFlags};
use tokio::time::Instant;

use super::bench::{Bench, key, patience, removals};
use crate::ledger::sample::{accepted, draft, id};

pub(super) fn break_store(bench: &Bench) {
    break_table(bench, "ledger_events");
}

pub(super) fn break_table(bench: &Bench, table: &str) {
    bench
        .database()
        .execute_batch(&format!(
            "CREATE TRIGGER broken BEFORE INSERT ON {table}
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        ))
        .expect("it is broken");
}

pub(super) fn mend_store(bench: &Bench) {
    let mended = bench.database().execute_batch("DROP TRIGGER broken");
    mended.expect("it is mended");
}

#[tokio::test(start_paused = true)]
async fn plan_is_in_the_file_when_it_is_acknowledged() {
    let bench = Bench::new().await;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let path = bench.directory.path().join("postrider.db");
    let reader = Connection::open_with_flags(path, flags).expect("it opens");
    for n in 1..4 {
        bench.post.plan(draft(n)).await.expect("it is planned");
        let found: i64 = reader
            .query_row(
                "SELECT count(*) FROM ledger_events WHERE entry = ?1 AND kind = 'planned'",
                [id(n).to_string()],
                |row| row.get(0),
            )
            .expect("it is read");
        assert_eq!(found, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn many_plans_at_once_are_all_written() {
    let bench = Bench::new().await;
    let plans = (1..=600).map(|n| bench.post.plan(draft(n)));
    for planned in futures_util::future::join_all(plans).await {
        planned.expect("it is planned");
    }
    assert_eq!(bench.balance().await.of(Planned), 600);
    let verification = bench.store.verify().await.expect("it is read");
    assert_eq!((verification.events, verification.different), (600, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_may_be_sent_that_is_not_written() {
    let bench = Bench::new().await;
    break_store(&bench);
    let failure = bench.post.plan(draft(1)).await.expect_err("it is refused");
    assert_eq!(failure.reason, Reason::StoreFailed);
    assert!(
        failure.message.contains("database or disk is full"),
        "{failure:?}"
    );
    assert_eq!(bench.balance().await.planned(), 0);
    assert_eq!(bench.pipeline.interest("alice").borrow().awaited, 0);

    mend_store(&bench);
    bench.post.plan(draft(1)).await.expect("it is planned");
    assert_eq!(bench.balance().await.of(Planned), 1);
    let verification = bench.store.verify().await.expect("it is read");
    assert_eq!((verification.events, verification.different), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_while_the_store_fails_is_told_when_it_is_written() {
    let bench = Bench::new().await;
    let mut account = bench.planned(1).await;
    let _other = bench.planned(2).await;
    break_store(&bench);
    let replied = Instant::now();
    let recorded = bench.post.record(id(1), accepted(), replied).await;
    let reason = recorded.as_ref().map_err(|failure| failure.reason);
    assert_eq!(reason, Err(Reason::StoreFailed));
    bench.arrives(1, key("INBOX", 7)).await;
    bench.balance().await;
    // Whoever waits is told that the store fails, and nothing that is not in it.
    let told = account.borrow_and_update().clone();
    assert_eq!(
        (told.state, told.arrivals.len(), told.unsaved),
        (Planned, 0, recorded.err())
    );
    assert_eq!(bench.stored(1).await.state(), Planned);

    // Another mail, of which everything is written, is not concerned.
    let other = bench.post.follow(id(2));
    assert_eq!(other.borrow().unsaved, None);

    bench.pipeline.release(id(1)).await;
    bench.balance().await;
    let interest = bench.pipeline.interest("alice");
    assert_eq!(
        removals(&interest),
        [],
        "nothing is removed before it is written"
    );
    mend_store(&bench);
    // The pipeline tries again by itself.
    patience(account.wait_for(|account| account.state == Delivered && account.unsaved.is_none()))
        .await
        .expect("the pipeline lives");
    let mut interest = interest;
    patience(interest.wait_for(|interest| !interest.remove.is_empty()))
        .await
        .expect("the pipeline lives");
    assert_eq!(bench.stored(1).await.state(), Delivered);
    let verification = bench.store.verify().await.expect("it is read");
    assert_eq!(verification.differences, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_to_the_end_is_reported_at_shutdown() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    break_store(&bench);
    bench.arrives(1, key("INBOX", 7)).await;
    let failure = bench
        .pipeline
        .shutdown()
        .await
        .expect_err("it is not written");
    assert_eq!(failure.reason, Reason::StoreFailed);
    bench.task.await.expect("the task ends in order");
}

#[tokio::test(start_paused = true)]
async fn calls_after_the_end_fail() {
    let bench = Bench::new().await;
    let account = bench.planned(1).await;
    bench.pipeline.shutdown().await.expect("all is written");
    bench.task.await.expect("the task ends in order");
    let failure = bench.post.plan(draft(2)).await.expect_err("it has ended");
    assert_eq!(failure.reason, Reason::StoreFailed);
    assert!(bench.pipeline.balance().await.is_err());
    assert!(
        account.has_changed().is_err(),
        "whoever follows is told that nothing follows"
    );
    bench.pipeline.release(id(1)).await;
}
