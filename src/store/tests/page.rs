use std::sync::Arc;
use std::time::Duration;

use super::runs::head;
use super::{directory, open, write};
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, Noted};
use crate::ledger::sample::{accepted, at, id, planned};
use crate::result::{RunHead, ScenarioResult};
use crate::store::{Batch, EntryPage, ListedEntry, Reader, RunPage, StoreError};

fn run_of(id: &str, second: i64, scenario: &str) -> RunHead {
    RunHead {
        scenarios: vec![ScenarioResult {
            name: scenario.to_owned(),
            title: None,
        }],
        ..head(id, second)
    }
}

#[tokio::test]
async fn runs_come_newest_first_page_by_page_and_by_scenario() {
    let directory = directory();
    let store = open(directory.path()).await;
    let batch = Batch {
        runs: vec![
            run_of("A", 1, "flow"),
            run_of("B", 2, "other"),
            run_of("C", 3, "flow"),
            run_of("D", 3, "flow"),
        ],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
    let reader = Reader::open(directory.path()).unwrap().unwrap();
    let ids = |limit, scenario: Option<&str>, before: Option<&str>| -> String {
        let page = RunPage {
            limit,
            scenario: scenario.map(str::to_owned),
            before: before.map(str::to_owned),
        };
        let heads = reader.run_page(&page).expect("they are read");
        heads.into_iter().map(|head| head.id).collect()
    };
    assert_eq!(ids(10, None, None), "DCBA");
    assert_eq!(ids(2, None, None), "DC");
    assert_eq!(ids(2, None, Some("C")), "BA");
    assert_eq!(ids(10, Some("flow"), Some("D")), "CA");
    assert_eq!(ids(10, Some("none"), None), "");
    assert_eq!(ids(10, None, Some("unknown")), "");
}

#[tokio::test]
async fn entries_come_newest_first_and_filtered() {
    let directory = directory();
    let store = open(directory.path()).await;
    let noted = |n: u64, second, what| Noted {
        at: at(second),
        entry: id(n),
        what,
    };
    let facts = vec![
        noted(1, 1, planned(1)),
        noted(2, 2, planned(2)),
        noted(2, 3, Fact::Attempted(accepted())),
        noted(3, 4, planned(3)),
    ];
    write(&store, &mut Ledger::default(), facts).await;
    let reader = Reader::open(directory.path()).unwrap().unwrap();
    let found = |page: EntryPage| -> Vec<ListedEntry> {
        let page = EntryPage { limit: 10, ..page };
        reader.entry_page(&page).expect("they are read")
    };
    let ids = |page| -> Vec<String> { found(page).into_iter().map(|entry| entry.id).collect() };
    let [one, two, three] = [1, 2, 3].map(|n| id(n).to_string());
    let all = EntryPage::default();
    assert_eq!(ids(all.clone()), [three.clone(), two.clone(), one.clone()]);
    let accepted = EntryPage {
        state: Some("accepted".to_owned()),
        ..all.clone()
    };
    let entry = &found(accepted)[0];
    assert_eq!(
        (entry.id.as_str(), entry.attempted_at),
        (two.as_str(), Some(at(3)))
    );
    let later = EntryPage {
        since: Some(at(2)),
        ..all.clone()
    };
    assert_eq!(ids(later), [three, two]);
    let earlier = EntryPage {
        until: Some(at(2)),
        ..all.clone()
    };
    assert_eq!(ids(earlier), [one]);
    let elsewhere = EntryPage {
        run: Some("none".to_owned()),
        ..all
    };
    assert!(found(elsewhere).is_empty());
}

#[tokio::test]
async fn a_look_that_takes_too_long_is_stopped() {
    let directory = directory();
    let look = |sql: &'static str, within| {
        Reader::look(directory.path().to_owned(), within, move |reader| {
            reader.read(|connection| Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?))
        })
    };
    let long = Duration::from_secs(60);
    assert_eq!(look("SELECT 7", long).await.unwrap(), None);
    let _store = open(directory.path()).await;
    assert_eq!(look("SELECT 7", long).await.unwrap(), Some(7));
    // It would never end by itself.
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let stopped = look(endless, Duration::from_millis(300)).await.unwrap_err();
    assert!(
        matches!(stopped, StoreError::TookTooLong { .. }),
        "{stopped}"
    );
}
