//! What is too old or too much goes, what is open stays, and what went is noted.

use std::sync::Arc;
use std::time::Duration;

use postrider_probes::post::EntryState;
use postrider_wire::message::tag::EntryId;

use super::history::{period, scheduled};
use super::runs::check;
use super::{directory, open, write};
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, Noted, Planned};
use crate::ledger::sample::{accepted, at, copy, draft, refused, sighted};
use crate::result::{CheckResult, RunHead, StatusWord};
use crate::store::{Batch, Maintained, Retention, Store};

const DAY: i64 = 86_400;

/// The `n`th mail of a day.
fn entry(day: i64, n: u64) -> EntryId {
    let millis = u64::try_from(at(day * DAY).as_millisecond()).expect("after 1970");
    EntryId::from_parts(millis, n)
}

fn planned(id: EntryId) -> Fact {
    let draft = postrider_probes::post::Draft { id, ..draft(1) };
    Fact::Planned(Box::new(Planned {
        draft,
        run: "01RUN".to_owned(),
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
    }))
}

async fn mail(store: &Store, ledger: &mut Ledger, id: EntryId, day: i64, facts: Vec<Fact>) {
    let facts = std::iter::once(planned(id)).chain(facts);
    let facts = facts.map(|what| Noted {
        at: at(day * DAY),
        entry: id,
        what,
    });
    write(store, ledger, facts.collect()).await;
}

fn delivered(n: u32) -> Vec<Fact> {
    vec![
        Fact::Attempted(accepted()),
        sighted(copy("INBOX", n)),
        Fact::Removed(copy("INBOX", n)),
    ]
}

async fn run(store: &Store, id: &str, day: i64, status: StatusWord, checks: u32) {
    let head = RunHead {
        status,
        ..scheduled(id, day * DAY)
    };
    let checks = (1..=checks).map(|number| {
        let check = CheckResult {
            started_at: at(day * DAY).to_string(),
            ..check(number, status)
        };
        (id.to_owned(), check)
    });
    let batch = Batch {
        runs: vec![head],
        checks: checks.collect(),
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
}

/// As the daemon does it, on a day to which the time came without a jump, until there is nothing more to do.
async fn maintain(store: &Store, day: i64, keep: Retention) -> Maintained {
    let aged = at(day * DAY).as_microsecond().to_be_bytes();
    let set = store.work(move |connection| {
        connection.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES ('aged_until_us', ?1)",
            [aged],
        )?;
        Ok(())
    });
    set.await.expect("it is set");
    let mut all = Maintained::default();
    for _ in 0..100 {
        let done = store.maintain(at(day * DAY), keep).await.expect("it works");
        all.entries += done.entries;
        all.events += done.events;
        all.runs += done.runs;
        all.checks += done.checks;
        all.hourly_rows += done.hourly_rows;
        all.freed_bytes += done.freed_bytes;
        all.used_bytes = done.used_bytes;
        let nothing = done.entries + done.runs + done.checks + done.hourly_rows == 0;
        if nothing && !done.more {
            return all;
        }
    }
    panic!("it never ends: {all:?}");
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store
        .work(move |connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))
        .await
        .expect("it is read")
}

#[tokio::test]
async fn old_details_go_open_entries_stay_and_the_books_balance() {
    let directory = directory();
    let store = open(directory.path()).await;
    run(&store, "01RUN", 0, StatusWord::Fail, 3).await;
    let mut ledger = Ledger::default();
    mail(&store, &mut ledger, entry(0, 1), 0, delivered(1)).await;
    mail(
        &store,
        &mut ledger,
        entry(0, 2),
        0,
        vec![Fact::Attempted(refused())],
    )
    .await;
    // Never seen, never given up: open for ever.
    mail(
        &store,
        &mut ledger,
        entry(0, 3),
        0,
        vec![Fact::Attempted(accepted())],
    )
    .await;
    mail(&store, &mut ledger, entry(80, 4), 80, delivered(4)).await;
    run(&store, "02RUN", 80, StatusWord::Pass, 1).await;
    let before = store.balance().await.expect("it is read");
    let counted = period(&store, 0, 81 * DAY, false).await;

    assert_eq!(maintain(&store, 89, Retention::default()).await.entries, 0);
    let done = maintain(&store, 91, Retention::default()).await;
    assert_eq!((done.entries, done.events), (2, 6));
    assert_eq!((done.runs, done.checks), (1, 3));
    assert!(store.entry(entry(0, 1)).await.expect("read").is_none());
    assert!(store.entry(entry(0, 3)).await.expect("read").is_some());
    assert!(store.entry(entry(80, 4)).await.expect("read").is_some());
    assert_eq!(store.open_entries().await.expect("read").len(), 1);
    // Nothing is forgotten: neither the balance, nor the counts, nor that something went.
    assert_eq!(store.balance().await.expect("it is read"), before);
    assert_eq!(before.of(EntryState::Refused), 1);
    let again = period(&store, 0, 81 * DAY, false).await;
    assert_eq!(again.checks[0].mails, counted.checks[0].mails);
    assert_eq!(again.checks[0].counts, counted.checks[0].counts);
    let verification = store.verify().await.expect("it is read");
    assert_eq!(verification.differences, Vec::<String>::new());
    let noted = "SELECT sum(removed) FROM removals WHERE what = 'entries' AND hour = 497222";
    assert_eq!(number(&store, noted).await, 2);
    // What vanished otherwise is found.
    number(&store, "DELETE FROM ledger_events WHERE seq = (SELECT max(seq) - 1 FROM ledger_events) RETURNING 1").await;
    let verification = store.verify().await.expect("it is read");
    assert!(
        verification.differences[0].contains("1 are missing"),
        "{:?}",
        verification.differences
    );
}

#[tokio::test]
async fn histograms_outlive_single_samples_and_go_by_hour() {
    let directory = directory();
    let store = open(directory.path()).await;
    run(&store, "01RUN", 0, StatusWord::Pass, 30).await;
    let whole = period(&store, 0, DAY, false).await;
    assert_eq!(whole.checks[0].phases[0].samples, 30);
    maintain(&store, 20, Retention::default()).await;
    assert_eq!(number(&store, "SELECT count(*) FROM sample_hours").await, 1);
    maintain(&store, 22, Retention::default()).await;
    assert_eq!(number(&store, "SELECT count(*) FROM sample_hours").await, 0);
    maintain(&store, 399, Retention::default()).await;
    assert_eq!(period(&store, 0, DAY, false).await, whole);
    let done = maintain(&store, 401, Retention::default()).await;
    assert_eq!(done.hourly_rows, 2, "a histogram and a count");
    assert_eq!(period(&store, 0, DAY, false).await.checks, []);
}

#[tokio::test]
async fn when_there_are_too_many_the_ordinary_goes_first() {
    let directory = directory();
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    for n in 1..=30 {
        let facts = match n % 3 {
            0 => vec![Fact::Attempted(refused())],
            _ => delivered(u32::try_from(n).expect("small")),
        };
        mail(&store, &mut ledger, entry(0, n), 0, facts).await;
    }
    for n in 1..=10 {
        let status = if n % 2 == 0 {
            StatusWord::Fail
        } else {
            StatusWord::Pass
        };
        run(&store, &format!("{n:02}"), 0, status, 2).await;
    }
    let keep = Retention {
        entries: 15,
        checks: 14,
        ..Retention::default()
    };
    // Too young to go.
    assert_eq!(maintain(&store, 0, keep).await.entries, 0);
    let done = maintain(&store, 2, keep).await;
    assert_eq!(done.entries, 15);
    let refused = "SELECT count(*) FROM entries WHERE state = 'refused'";
    assert_eq!(
        number(&store, refused).await,
        10,
        "what is not ordinary stays"
    );
    assert!(done.checks >= 6, "{done:?}");
    let failed = "SELECT count(*) FROM runs WHERE status = 'fail'";
    assert_eq!(number(&store, failed).await, 5);
    // Far too many of them go as well.
    let keep = Retention {
        entries: 1,
        checks: 1,
        ..Retention::default()
    };
    maintain(&store, 3, keep).await;
    assert_eq!(number(&store, refused).await, 3);
    assert_eq!(store.balance().await.expect("read").planned(), 30);
}

#[tokio::test]
async fn too_large_a_store_shrinks_in_order_and_gives_the_room_back() {
    let directory = directory();
    let store = open(directory.path()).await;
    run(&store, "01RUN", 0, StatusWord::Pass, 30).await;
    let filled = store.work(|connection| {
        connection.execute_batch(
            "INSERT INTO sample_hours
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7000)
             SELECT 490000 + i, 1, zeroblob(900) FROM n;",
        )?;
        Ok(())
    });
    filled.await.expect("it is filled");
    let before = std::fs::metadata(directory.path().join("postrider.db"))
        .expect("there")
        .len();
    assert!(before > 6_000_000, "{before}");
    let keep = Retention {
        size: 2_000_000,
        samples: Duration::from_secs(4000 * 86_400),
        time: Duration::from_secs(4000 * 86_400),
        ..Retention::default()
    };
    let done = maintain(&store, 1, keep).await;
    assert!(done.used_bytes <= 2_000_000, "{done:?}");
    assert!(done.freed_bytes > 3_000_000, "{done:?}");
    assert_eq!(done.runs, 1, "ordinary details go first");
    assert_eq!(number(&store, "SELECT count(*) FROM series_hours").await, 1);
    store.close().await;
    let after = std::fs::metadata(directory.path().join("postrider.db"))
        .expect("there")
        .len();
    assert!(after < 4_000_000, "{after}");
}

#[tokio::test]
async fn a_jump_of_the_clock_removes_nothing() {
    let directory = directory();
    let store = open(directory.path()).await;
    run(&store, "01RUN", 0, StatusWord::Pass, 5).await;
    store
        .maintain(at(DAY), Retention::default())
        .await
        .expect("it works");
    let done = store
        .maintain(at(4000 * DAY), Retention::default())
        .await
        .expect("it works");
    assert_eq!((done.runs, done.hourly_rows), (0, 0));
    store
        .maintain(at(DAY + 300), Retention::default())
        .await
        .expect("it works");
    assert_eq!(period(&store, 0, 10, false).await.checks[0].counts.pass, 5);
}

#[tokio::test]
async fn run_under_way_stays_however_old_it_is() {
    let directory = directory();
    let store = open(directory.path()).await;
    let under_way = RunHead {
        status: StatusWord::Error,
        running: true,
        ..scheduled("01OPEN", 0)
    };
    let batch = Batch {
        runs: vec![under_way.clone()],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
    run(&store, "01ENDED", 0, StatusWord::Error, 1).await;
    let least = Retention {
        size: 1,
        checks: 0,
        ..Retention::default()
    };
    let done = maintain(&store, 500, least).await;
    assert_eq!(done.runs, 1);
    assert_eq!(store.latest_runs(9).await.expect("it is read"), [under_way]);
}
