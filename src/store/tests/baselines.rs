//! Baselines and changes are read back as they were written, and the oldest changes go.

use std::sync::Arc;

use postrider_probes::observation::{Observation, What};

use super::{directory, open};
use crate::baseline::rules::Rules;
use crate::baseline::{Baseline, Change, Key, Move, SeenBy, accept, look};
use crate::store::{Batch, Reader, Retention, Store};

fn at(day: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_790_000_000 + day * 86_400).expect("a time")
}

fn seen(values: &[&str]) -> Observation {
    Observation::new(What::Mx, "example.net", values)
}

fn by() -> SeenBy {
    SeenBy {
        run: "01RUN".to_owned(),
        scenario: "names".to_owned(),
        step: "mx".to_owned(),
    }
}

/// Two sightings and an acceptance: the baseline and the changes.
fn history() -> (Key, Baseline, Vec<Change>) {
    let (old, new) = (seen(&["10 a.test", "20 b.test"]), seen(&[]));
    let key = Key::of(&old);
    let rules = Rules::default();
    let first = look(None, &old, &by(), at(0), &rules).remember.unwrap();
    let second = look(Some(&first), &new, &by(), at(1), &rules);
    let changed = second.remember.unwrap();
    let (both, accepted) = accept(&key, &changed, true, "cli \"al\" ü", at(2)).unwrap();
    let both = Baseline {
        windowed: vec![new.values],
        several_until: Some(at(9)),
        ..both
    };
    (key, both, vec![second.change.unwrap(), accepted])
}

async fn commit(store: &Store, batch: Batch) {
    store.commit(Arc::new(batch)).await.expect("it is written");
}

#[tokio::test]
async fn a_baseline_is_read_back_as_it_was_written_and_can_be_forgotten() {
    let directory = directory();
    let store = open(directory.path()).await;
    let (key, baseline, changes) = history();
    commit(
        &store,
        Batch {
            baselines: [(key.clone(), Some(baseline.clone()))].into(),
            changes: changes.clone(),
            ..Batch::default()
        },
    )
    .await;
    let all = vec![(key.clone(), baseline)];
    assert_eq!(store.baselines().await.expect("it is read"), all);
    let reader = Reader::open(directory.path())
        .expect("it opens")
        .expect("it is there");
    assert_eq!(reader.baselines().expect("it is read"), all);
    let newest_first: Vec<Change> = changes.into_iter().rev().collect();
    assert_eq!(reader.changes(None, 10).expect("it is read"), newest_first);
    assert_eq!(
        reader.changes(Some(&key), 1).expect("it is read"),
        newest_first[..1]
    );
    let other = Key {
        what: What::Ns,
        ..key.clone()
    };
    assert_eq!(reader.changes(Some(&other), 10).expect("it is read"), []);
    commit(
        &store,
        Batch {
            baselines: [(key, None)].into(),
            ..Batch::default()
        },
    )
    .await;
    assert_eq!(reader.baselines().expect("it is read"), []);
    assert_eq!(reader.changes(None, 10).expect("it is read").len(), 2);
}

/// What went and what is left of a thousand changes a day, tidied up on this day.
async fn left_on(day: i64) -> (u64, usize) {
    let directory = directory();
    let store = open(directory.path()).await;
    let (_, _, changes) = history();
    let many = (0..20_050).map(|number| Change {
        at: at(number / 1000),
        how: Move::Returned,
        ..changes[0].clone()
    });
    let batch = Batch {
        changes: many.collect(),
        ..Batch::default()
    };
    commit(&store, batch).await;
    let keep = Retention {
        time: std::time::Duration::from_secs(10 * 86_400),
        ..Retention::default()
    };
    let done = store
        .maintain(at(day), keep)
        .await
        .expect("it is kept in order");
    let reader = Reader::open(directory.path())
        .expect("it opens")
        .expect("it is there");
    let left = reader.changes(None, 30_000).expect("it is read").len();
    (done.changes, left)
}

#[tokio::test]
async fn old_changes_go_by_number_and_by_time() {
    assert_eq!(left_on(1).await, (50, 20_000));
    assert_eq!(left_on(15).await, (5_000, 15_050));
}
