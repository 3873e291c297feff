mod baselines;
mod history;
mod migration;
mod older;
mod page;
mod retention;
mod runs;
mod trouble;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use postrider_probes::post::EntryState;
use postrider_wire::message::bounce::Action;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::*;
use crate::ledger::Ledger;
use crate::ledger::fact::Fact;
use crate::ledger::sample::{
    accepted, at, bounced, copy, deferred, id, lost, planned, retried, sighted, story, uncertain,
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

async fn open(directory: &Path) -> Store {
    Store::open(directory).await.expect("the store opens")
}

/// Writes facts and how the entries stand after them, as the pipeline does.
async fn write(store: &Store, ledger: &mut Ledger, facts: Vec<Noted>) {
    let mut batch = Batch::default();
    for noted in facts {
        ledger.apply(&noted);
        let entry = ledger.entry(noted.entry).expect("it was just applied");
        batch.entries.push(EntryRow::of(noted.entry, entry));
        batch.facts.push(noted);
    }
    store.commit(Arc::new(batch)).await.expect("it is written");
}

fn every_fact() -> Vec<Noted> {
    story([
        planned(1),
        Fact::Attempted(uncertain()),
        Fact::Attempted(accepted()),
        Fact::Overdue,
        Fact::Unverifiable,
        lost(),
        sighted(copy("INBOX", 7)),
        sighted(copy("Junk", 8)),
        Fact::Removed(copy("INBOX", 7)),
        retried(2, None),
        retried(2, Some(deferred())),
        bounced(3, Action::Delayed, false),
        bounced(4, Action::Failed, false),
    ])
}

fn second_connection(directory: &Path) -> Connection {
    Connection::open(directory.join("postrider.db")).expect("SQLite opens it a second time")
}

async fn refusal(directory: &Path) -> StoreError {
    match Store::open(directory).await {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn every_fact_is_read_back_as_it_was_written() {
    let directory = directory();
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    write(&store, &mut ledger, every_fact()).await;

    let entry = store.entry(id(1)).await.expect("it is read");
    assert_eq!(entry.as_ref(), ledger.entry(id(1)));
    assert_eq!(store.entry(id(2)).await.expect("it is read"), None);
    let balance = store.balance().await.expect("it is read");
    assert_eq!(balance.of(EntryState::Delivered), 1);
    assert_eq!((balance.planned(), balance.extra_copies), (1, 1));
}

#[tokio::test]
async fn only_open_entries_are_read_back_at_start() {
    let directory = directory();
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    let mut facts = every_fact();
    facts.push(Noted {
        at: at(10),
        entry: id(1),
        what: Fact::Removed(copy("Junk", 8)),
    });
    let other = |n, what| Noted {
        at: at(11),
        entry: id(n),
        what,
    };
    facts.push(other(2, planned(2)));
    facts.push(other(3, planned(3)));
    facts.push(other(3, Fact::Attempted(accepted())));
    write(&store, &mut ledger, facts).await;

    let open = store.open_entries().await.expect("they are read");
    let ids: Vec<_> = open.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [id(2), id(3)]);
    assert_eq!(Some(&open[1].1), ledger.entry(id(3)));
}

#[tokio::test]
async fn store_goes_on_where_it_ended() {
    let directory = directory();
    let mut ledger = Ledger::default();
    let store = open(directory.path()).await;
    let tag_key = store.identity().clone();
    write(&store, &mut ledger, story([planned(1)])).await;
    store.close().await;
    let closed = store.balance().await.expect_err("it is closed");
    assert!(matches!(closed, StoreError::Closed { .. }), "{closed}");

    let store = open(directory.path()).await;
    write(&store, &mut ledger, story([Fact::Attempted(accepted())])).await;
    assert_eq!(store.identity().instance, tag_key.instance);
    let connection = second_connection(directory.path());
    let numbers: Vec<i64> = connection
        .prepare("SELECT seq FROM ledger_events ORDER BY seq")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .expect("they are read");
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn what_was_committed_survives_a_crash() {
    let (directory, after) = (directory(), directory());
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    write(&store, &mut ledger, every_fact()).await;
    // What a crash leaves: the files as they are, the write-ahead log not yet taken over, the lock file filled.
    for name in ["postrider.db", "postrider.db-wal", "lock"] {
        let from = directory.path().join(name);
        std::fs::copy(from, after.path().join(name)).expect("the file is copied");
    }
    let reopened = open(after.path()).await;
    let entry = reopened.entry(id(1)).await.expect("it is read");
    assert_eq!(entry.as_ref(), ledger.entry(id(1)));
    assert_eq!(reopened.verify().await.expect("it is read").different, 0);
}

#[tokio::test]
async fn half_a_transaction_is_none() {
    let (directory, after) = (directory(), directory());
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    write(&store, &mut ledger, story([planned(1)])).await;
    let wal = directory.path().join("postrider.db-wal");
    let before = std::fs::metadata(&wal).expect("the log is there").len();
    write(&store, &mut ledger, story([Fact::Attempted(accepted())])).await;
    let grown = std::fs::metadata(&wal).expect("the log is there").len();
    assert!(grown > before);

    // The power fails in the middle of the second commit.
    for name in ["postrider.db", "postrider.db-wal"] {
        std::fs::copy(directory.path().join(name), after.path().join(name)).expect("copied");
    }
    let torn = std::fs::OpenOptions::new()
        .write(true)
        .open(after.path().join("postrider.db-wal"))
        .expect("it opens");
    torn.set_len(before + (grown - before) / 2)
        .expect("it is cut");

    let reopened = open(after.path()).await;
    let entry = reopened.entry(id(1)).await.expect("it is read");
    assert_eq!(entry.map(|entry| entry.state()), Some(EntryState::Planned));
    let verification = reopened.verify().await.expect("it is read");
    assert_eq!((verification.events, verification.different), (1, 0));
}

#[tokio::test]
async fn committed_facts_are_seen_by_a_second_reader() {
    let directory = directory();
    let store = open(directory.path()).await;
    write(&store, &mut Ledger::default(), story([planned(1)])).await;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(directory.path().join("postrider.db"), flags)
        .expect("it opens");
    let kind: String = reader
        .query_row("SELECT kind FROM ledger_events", [], |row| row.get(0))
        .expect("it is there");
    assert_eq!(kind, "planned");
}

#[tokio::test]
async fn second_owner_is_refused_with_the_first_ones_process_id() {
    let directory = directory();
    let _first = open(directory.path()).await;
    let error = refusal(directory.path()).await;
    let expected = format!(
        "the store in {} is in use by process {}; stop that process, or give this one a directory of its own with --storage.path",
        directory.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn newer_schema_is_refused() {
    let directory = directory();
    open(directory.path()).await.close().await;
    let connection = second_connection(directory.path());
    let known: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("it is set");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("it is set");
    drop(connection);
    let error = refusal(directory.path()).await;
    let expected = format!(
        "the store {} has schema 99, this version knows no later one than {known}; use the newer version again, or another --storage.path",
        directory.path().join("postrider.db").display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn damaged_file_is_refused_and_left_alone() {
    let directory = directory();
    let path = directory.path().join("postrider.db");
    let garbage = b"this was a database once, and then something happened to it".repeat(100);
    std::fs::write(&path, &garbage).expect("it is written");
    let error = refusal(directory.path()).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("it is there"), garbage);
}

#[tokio::test]
async fn damage_inside_is_found_after_a_crash() {
    let (directory, after) = (directory(), directory());
    let store = open(directory.path()).await;
    let mut ledger = Ledger::default();
    for n in 1..200 {
        let facts = story([planned(n)]).into_iter();
        let facts = facts.map(|noted| Noted {
            entry: id(n),
            ..noted
        });
        write(&store, &mut ledger, facts.collect()).await;
    }
    let lock = std::fs::read(directory.path().join("lock")).expect("it is there");
    store.close().await;
    let mut file = std::fs::read(directory.path().join("postrider.db")).expect("it is there");
    // Everything behind the schema's page becomes nonsense.
    for byte in file.iter_mut().skip(4096) {
        *byte = !*byte;
    }
    std::fs::write(after.path().join("postrider.db"), &file).expect("it is written");
    std::fs::write(after.path().join("lock"), lock).expect("it is written");
    let error = refusal(after.path()).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn database_of_another_program_is_refused() {
    let directory = directory();
    second_connection(directory.path())
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .expect("it is created");
    let error = refusal(directory.path()).await;
    assert!(
        error
            .to_string()
            .contains("it is the database of another program"),
        "{error}"
    );
}

#[tokio::test]
async fn place_that_cannot_be_written_is_named() {
    let directory = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").expect("it is written");
    let error = refusal(&file.join("state")).await;
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("--storage.path"), "{error}");

    // A directory in the place of the database.
    let state = directory.path().join("state");
    std::fs::create_dir_all(state.join("postrider.db")).expect("it is created");
    let error = refusal(&state).await;
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn files_are_private() {
    let directory = directory();
    let state = directory.path().join("a/state");
    let store = open(&state).await;
    write(&store, &mut Ledger::default(), story([planned(1)])).await;
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&state), 0o700);
    for name in [
        "postrider.db",
        "postrider.db-wal",
        "postrider.db-shm",
        "lock",
    ] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn failed_commit_writes_nothing_and_the_next_one_works() {
    let directory = directory();
    let store = open(directory.path()).await;
    let saboteur = second_connection(directory.path());
    saboteur
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        )
        .expect("it is created");
    let mut ledger = Ledger::default();
    let facts = story([planned(1)]);
    ledger.apply(&facts[0]);
    let entry = ledger.entry(id(1)).expect("it is applied");
    let batch = Arc::new(Batch {
        facts,
        entries: vec![EntryRow::of(id(1), entry)],
        ..Batch::default()
    });
    let error = store
        .commit(Arc::clone(&batch))
        .await
        .expect_err("it fails");
    assert!(error.to_string().ends_with("failed: disk full"), "{error}");
    assert_eq!(store.entry(id(1)).await.expect("it is read"), None);

    saboteur
        .execute_batch("DROP TRIGGER broken")
        .expect("it is dropped");
    store.commit(batch).await.expect("it is written");
    let verification = store.verify().await.expect("it is read");
    assert_eq!((verification.events, verification.entries), (1, 1));
    assert_eq!(verification.differences, Vec::<String>::new());
}

#[tokio::test]
async fn positions_are_kept_by_folder() {
    let directory = directory();
    let store = open(directory.path()).await;
    let position = |folder: &str, uid_next| Position {
        mailbox: "alice".to_owned(),
        folder: folder.to_owned(),
        uid_validity: 3,
        uid_next,
    };
    for positions in [
        vec![position("INBOX", 5), position("Junk", 2)],
        vec![position("INBOX", 9)],
    ] {
        let batch = Batch {
            positions,
            ..Batch::default()
        };
        store.commit(Arc::new(batch)).await.expect("it is written");
    }
    let read = |folder| store.position("alice", folder);
    assert_eq!(
        read("INBOX").await.expect("read"),
        Some(position("INBOX", 9))
    );
    assert_eq!(read("Junk").await.expect("read"), Some(position("Junk", 2)));
    assert_eq!(read("Sent").await.expect("read"), None);
}

#[tokio::test]
async fn verification_finds_what_was_tampered_with() {
    let table = [
        ("UPDATE entries SET state = 'lost'", "is kept as EntryRow"),
        ("DELETE FROM entries", "has events and is not kept"),
        ("DELETE FROM ledger_events WHERE seq = 2", "1 are missing"),
        ("DELETE FROM ledger_events", "is kept and has no events"),
    ];
    for (tampering, expected) in table {
        let directory = directory();
        let store = open(directory.path()).await;
        let facts = story([
            planned(1),
            Fact::Attempted(accepted()),
            sighted(copy("INBOX", 7)),
        ]);
        write(&store, &mut Ledger::default(), facts).await;
        assert_eq!(store.verify().await.expect("read").different, 0);
        second_connection(directory.path())
            .execute_batch(tampering)
            .expect("it is changed");
        let found = store.verify().await.expect("read");
        let all = found.differences.join("\n");
        assert!(all.contains(expected), "{tampering}: {all}");
    }
}
