//! A store that an earlier version wrote.

use super::*;

const SCHEMA: &str = include_str!("../migrations/0001.sql");

/// As it was written before the MX host and the address stood apart.
const PLANNED: &str = r#"{"v":1,"run":"01RUN","scenario":"flow","step":"primary","id":"ID","sender":"probe@sender.example","recipient":"alice@example.net","message_id":"ID@sender.example","route":"mx1.example.net [192.0.2.1]:25","mailbox":"alice","folder":"INBOX","within_us":60000000}"#;

#[tokio::test]
async fn facts_without_mx_and_address_are_read_and_the_books_balance() {
    let directory = directory();
    let connection = second_connection(directory.path());
    let (first, body) = (id(1), PLANNED.replace("ID", &id(1).to_string()));
    connection.execute_batch(SCHEMA).expect("it is created");
    connection
        .pragma_update(None, "application_id", 0x506f_7374)
        .and_then(|()| connection.pragma_update(None, "user_version", 1))
        .expect("it is set");
    let at_us = at(0).as_microsecond();
    connection
        .execute(
            "INSERT INTO ledger_events (seq, at_us, entry, kind, body) VALUES (1, ?1, ?2, 'planned', ?3)",
            rusqlite::params![at_us, first.to_string(), body],
        )
        .expect("it is written");
    connection
        .execute(
            "INSERT INTO entries (id, run, scenario, step, route, mailbox, folder, planned_at_us, copies, state, open)
             VALUES (?1, '01RUN', 'flow', 'primary', 'mx1.example.net [192.0.2.1]:25', 'alice', 'INBOX', ?2, 0, 'planned', 1)",
            rusqlite::params![first.to_string(), at_us],
        )
        .expect("it is written");
    drop(connection);

    let store = open(directory.path()).await;
    let entry = store.entry(first).await.expect("read").expect("there");
    let (_, planned) = entry.planned().expect("it was planned");
    assert_eq!(planned.draft.route, "mx1.example.net [192.0.2.1]:25");
    assert_eq!((&planned.draft.mx, planned.draft.address), (&None, None));
    let found = store.verify().await.expect("read");
    assert_eq!((found.entries, found.differences), (1, Vec::new()));
}

#[tokio::test]
async fn mx_and_address_stand_in_columns() {
    let directory = directory();
    let store = open(directory.path()).await;
    write(&store, &mut Ledger::default(), story([planned(1)])).await;
    let row: (String, String, u16) = second_connection(directory.path())
        .query_row("SELECT mx, address, port FROM entries", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("it is there");
    assert_eq!(row, ("mx1.example.net".into(), "192.0.2.1".into(), 25));
}
