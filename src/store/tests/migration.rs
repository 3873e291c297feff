//! A store of an earlier version becomes one of today's, whatever interrupts it.

use std::path::Path;

use rusqlite::Connection;

use super::{directory, every_fact, open, refusal, second_connection};
use crate::ledger::Ledger;
use crate::ledger::fact::Fact;
use crate::ledger::sample::id;
use crate::store::error::StoreError;
use crate::store::fact_record::encode;
use crate::store::{PeriodSearch, Reader, RunSearch, schema};
use jiff::Timestamp;
use postrider_probes::post::EntryState;

/// A store as the first version left it: one delivered, late mail of a scheduled run, with one check.
fn first_version(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("postrider.db")).expect("it is created");
    schema::old::begin(&connection, 1).expect("the schema is made");
    for (seq, mut noted) in (1..).zip(every_fact()) {
        if let Fact::Planned(planned) = &mut noted.what {
            // That version had them in `route` alone.
            (planned.draft.mx, planned.draft.address) = (None, None);
        }
        connection
            .execute(
                "INSERT INTO ledger_events (seq, at_us, entry, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                rusqlite::params![
                    seq,
                    noted.at.as_microsecond(),
                    noted.entry.to_string(),
                    noted.what.name(),
                    encode(&noted.what).expect("it is encoded"),
                ],
            )
            .expect("it is written");
    }
    connection
        .execute_batch(&format!(
            r#"INSERT INTO entries VALUES ('{}', '01RUN', 'flow', 'primary', 'mx1.example.net [192.0.2.1]:25',
                   'alice', 'INBOX', 1790000000000000, 1790000002000000, 1790000006000000, 1500000, 2, 'delivered', 1);
               INSERT INTO runs VALUES ('01RUN', 1790000000000000, '{{"id":"01RUN","origin":"schedule","vantage":"lab",
                   "started_at":"2026-09-21T14:13:20Z","duration_seconds":1.5,"status":"pass","version":"0.1.0",
                   "config_sha256":"00"}}');
               INSERT INTO checks VALUES ('01RUN', 1, '{{"number":1,"scenario":"flow","step":"primary","kind":"deliver",
                   "status":"pass","attempts":1,"started_at":"2026-09-21T14:13:20.5Z","duration_seconds":0.25,
                   "phases_seconds":{{"connect":0.001}},"source":{{"file":"flow.yaml","line":4}}}}');"#,
            id(1)
        ))
        .expect("it is written");
    connection
}

async fn is_migrated(directory: &Path) {
    let store = open(directory).await;
    let ledger = Ledger::fold(&[]);
    assert_eq!(ledger.balance().planned(), 0);
    let entry = store
        .entry(id(1))
        .await
        .expect("read")
        .expect("it is there");
    assert_eq!(entry.state(), EntryState::Delivered);
    let balance = store.balance().await.expect("it is read");
    assert_eq!(balance.of(EntryState::Delivered), 1);
    assert_eq!((balance.planned(), balance.extra_copies), (1, 1));
    let RunSearch::One(run) = store.run_by_prefix("01RUN").await.expect("read") else {
        panic!("the run is there");
    };
    assert_eq!(run.checks.len(), 1);
    let verification = store.verify().await.expect("it is read");
    assert_eq!(verification.differences, Vec::<String>::new());
    let all = PeriodSearch {
        since: Timestamp::UNIX_EPOCH,
        until: Timestamp::from_second(1_800_000_000).expect("a time"),
        scenario: None,
        manual: false,
    };
    let report = store.period(all).await.expect("it is read");
    let mails = report.checks[0].mails.as_ref().expect("it sent one");
    assert_eq!((mails.planned, mails.late, mails.extra_copies), (1, 1, 1));
    store.close().await;
}

#[tokio::test]
async fn store_of_the_first_version_is_brought_up_to_date_and_a_copy_kept() {
    let directory = directory();
    drop(first_version(directory.path()));
    is_migrated(directory.path()).await;
    let copy = directory.path().join("postrider-schema1.db");
    let kept = Connection::open(&copy).expect("it opens");
    let version: i64 = kept
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("it is read");
    let facts: i64 = kept
        .query_row("SELECT count(*) FROM ledger_events", [], |row| row.get(0))
        .expect("it is read");
    let written = i64::try_from(every_fact().len()).expect("a few");
    assert_eq!((version, facts), (1, written));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&copy).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Once is enough.
    drop(kept);
    std::fs::remove_file(&copy).expect("it is removed");
    is_migrated(directory.path()).await;
    assert!(!copy.exists());
}

#[tokio::test]
async fn migration_that_was_interrupted_begins_again() {
    let directory = directory();
    let connection = first_version(directory.path());
    // Half a copy, and a transaction that never ended, as a crash leaves them.
    std::fs::write(directory.path().join("postrider-schema1.part"), "half").expect("written");
    connection
        .pragma_update(None, "journal_mode", "wal")
        .expect("it is set");
    connection
        .execute_batch("BEGIN IMMEDIATE; CREATE TABLE check_keys (id); PRAGMA user_version = 2;")
        .expect("it begins");
    let after = super::directory();
    for name in ["postrider.db", "postrider.db-wal", "postrider-schema1.part"] {
        std::fs::copy(directory.path().join(name), after.path().join(name)).expect("copied");
    }
    is_migrated(after.path()).await;
    assert!(!after.path().join("postrider-schema1.part").exists());
    assert!(after.path().join("postrider-schema1.db").exists());
}

#[tokio::test]
async fn without_its_copy_nothing_is_changed() {
    let directory = directory();
    drop(first_version(directory.path()));
    // Nothing can have that name: a directory is in its place, and not empty.
    let part = directory.path().join("postrider-schema1.part");
    std::fs::create_dir_all(part.join("in-the-way")).expect("it is created");
    let error = refusal(directory.path()).await;
    assert!(matches!(error, StoreError::NoCopy { .. }), "{error}");
    let start = format!(
        "the store {} was left as it is: the copy {} that is kept before the schema changes cannot be written: ",
        directory.path().join("postrider.db").display(),
        directory.path().join("postrider-schema1.db").display()
    );
    assert!(error.to_string().starts_with(&start), "{error}");
    let version: i64 = second_connection(directory.path())
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("it is read");
    assert_eq!(version, 1);
}

#[tokio::test]
async fn reader_says_when_the_store_is_too_old_for_a_question() {
    let directory = directory();
    drop(first_version(directory.path()));
    let reader = Reader::open(directory.path())
        .expect("it opens")
        .expect("it is there");
    let RunSearch::One(_) = reader.run_by_prefix("01RUN").expect("read") else {
        panic!("what the first version kept can be shown");
    };
    let error = reader
        .checks(&crate::store::CheckSearch::default())
        .expect_err("it is too old");
    assert_eq!(
        error.to_string(),
        format!(
            "the store {} has schema 1, this needs 4; the next `run` or `serve` brings it up to date",
            directory.path().join("postrider.db").display()
        )
    );
}
