//! A store that cannot do its work says so in words that help, and works again when it can.

use std::sync::Arc;
use std::time::Duration;

use super::{directory, open, second_connection, story, write};
use crate::ledger::Ledger;
use crate::ledger::fact::Fact;
use crate::ledger::sample::{accepted, id, planned};
use crate::store::{Batch, EntryRow, Store, StoreError};

/// What the pipeline would write: the first mail is planned.
fn batch() -> Arc<Batch> {
    let facts = story([planned(1)]);
    let mut ledger = Ledger::default();
    ledger.apply(&facts[0]);
    let entry = ledger.entry(id(1)).expect("it is applied");
    Arc::new(Batch {
        facts,
        entries: vec![EntryRow::of(id(1), entry)],
        ..Batch::default()
    })
}

async fn refused(store: &Store) -> StoreError {
    let refused = store.commit(batch()).await;
    assert_eq!(store.entry(id(1)).await.expect("it is read"), None);
    refused.expect_err("it cannot be written")
}

#[tokio::test]
async fn full_disk_is_named_and_over_when_there_is_room() {
    let directory = directory();
    let store = open(directory.path()).await;
    let limit = |pages: i64| {
        store.work(move |connection| {
            // The same error comes from a full disk.
            connection.pragma_update(None, "max_page_count", pages)?;
            Ok(())
        })
    };
    // What is there is the least that it can be set to.
    limit(1).await.expect("it is set");
    let mut ledger = Ledger::default();
    let mut last = Ok(());
    for n in 1..10_000 {
        let facts = story([planned(n)]).into_iter();
        let facts: Vec<_> = facts
            .map(|noted| crate::ledger::fact::Noted {
                entry: id(n),
                ..noted
            })
            .collect();
        ledger.apply(&facts[0]);
        let entry = EntryRow::of(id(n), ledger.entry(id(n)).expect("it is applied"));
        let batch = Batch {
            facts,
            entries: vec![entry],
            ..Batch::default()
        };
        last = store.commit(Arc::new(batch)).await;
        if last.is_err() {
            break;
        }
    }
    let path = directory.path().join("postrider.db");
    assert_eq!(
        last.expect_err("it is full").to_string(),
        format!(
            "the store {} is full: database or disk is full; make room on its disk, or lower --storage.retention.size: nothing is sent until it can be written",
            path.display()
        )
    );
    limit(1_000_000).await.expect("it is set");
    store.commit(batch()).await.expect("there is room");
    assert_eq!(store.verify().await.expect("it is read").different, 0);
}

#[tokio::test]
async fn read_only_store_is_named_and_can_be_read() {
    let directory = directory();
    let store = open(directory.path()).await;
    let read_only = |on: bool| {
        store.work(move |connection| {
            connection.pragma_update(None, "query_only", on)?;
            Ok(())
        })
    };
    read_only(true).await.expect("it is set");
    let path = directory.path().join("postrider.db");
    assert_eq!(
        refused(&store).await.to_string(),
        format!(
            "the store {} is read-only: attempt to write a readonly database; nothing is sent until it can be written",
            path.display()
        )
    );
    read_only(false).await.expect("it is set");
    store.commit(batch()).await.expect("it is written");
}

#[tokio::test]
async fn store_that_another_program_locks_is_waited_for_and_then_named() {
    let directory = directory();
    let store = open(directory.path()).await;
    let wait = store.work(|connection| Ok(connection.busy_timeout(Duration::from_millis(50))?));
    wait.await.expect("it is set");
    let other = second_connection(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("it locks");
    let path = directory.path().join("postrider.db");
    assert_eq!(
        refused(&store).await.to_string(),
        format!(
            "the store {} is locked by another program (a backup, a shell) for more than 5 s: database is locked",
            path.display()
        )
    );
    other.execute_batch("COMMIT").expect("it lets go");
    store.commit(batch()).await.expect("it is written");
}

#[tokio::test]
async fn io_error_gives_the_connection_up_and_the_next_work_opens_anew() {
    let directory = directory();
    let store = open(directory.path()).await;
    store.commit(batch()).await.expect("it is written");
    let marked = store.work(|connection| {
        connection.execute_batch("CREATE TEMP TABLE mark (n)")?;
        Ok(())
    });
    marked.await.expect("it is created");
    let failed: Result<(), _> = store
        .work(|_| {
            let code = rusqlite::ffi::SQLITE_IOERR_FSYNC;
            let error = rusqlite::ffi::Error::new(code);
            Err(rusqlite::Error::SqliteFailure(error, None).into())
        })
        .await;
    let text = failed.expect_err("it fails").to_string();
    assert!(text.contains("failed: "), "{text}");
    let mark_is_there = store.work(|connection| {
        let found = "SELECT count(*) FROM sqlite_temp_schema WHERE name = 'mark'";
        Ok(connection.query_row(found, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(
        mark_is_there.await.expect("it is read"),
        0,
        "a new connection"
    );
    assert!(store.entry(id(1)).await.expect("it is read").is_some());
}

#[tokio::test]
async fn large_store_is_checked_at_its_edges_after_a_crash() {
    let (directory, after) = (directory(), directory());
    let store = open(directory.path()).await;
    write(
        &store,
        &mut Ledger::default(),
        story([planned(1), Fact::Attempted(accepted())]),
    )
    .await;
    let filled = store.work(|connection| {
        connection.execute_batch(
            "INSERT INTO sample_hours
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
             SELECT i, 1, zeroblob(900) FROM n",
        )?;
        Ok(())
    });
    filled.await.expect("it is filled");
    let lock = std::fs::read(directory.path().join("lock")).expect("it is there");
    store.close().await;
    let path = directory.path().join("postrider.db");
    let mut file = std::fs::read(&path).expect("it is there");
    assert!(file.len() > 32 << 20, "{}", file.len());
    // A sound one opens.
    std::fs::write(directory.path().join("lock"), &lock).expect("it is written");
    let store = open(directory.path()).await;
    assert_eq!(
        store.check_file().await.expect("it is read"),
        Vec::<String>::new()
    );
    store.close().await;
    // The pages where writing goes on are nonsense.
    for byte in file.iter_mut().skip(4096).take(400_000) {
        *byte = !*byte;
    }
    std::fs::write(after.path().join("postrider.db"), &file).expect("it is written");
    std::fs::write(after.path().join("lock"), lock).expect("it is written");
    let error = super::refusal(after.path()).await;
    let damaged = format!(
        "the store {} is damaged: ",
        after.path().join("postrider.db").display()
    );
    assert!(error.to_string().starts_with(&damaged), "{error}");
    assert!(
        error.to_string().ends_with(
            "it was left as it is: restore it from a copy, or move it away to begin a new one"
        ),
        "{error}"
    );
    assert_eq!(
        std::fs::read(after.path().join("postrider.db")).expect("read"),
        file
    );
}
