use std::sync::Arc;

use super::{directory, open};
use crate::ledger::sample::at;
use postrider_probes::outcome::Status;

use crate::result::{CheckResult, RunHead, SCHEMA_VERSION, SourceResult, StatusWord, TargetResult};
use crate::store::{Batch, LastCheck, Reader, RunSearch, Store};

pub(super) fn head(id: &str, second: i64) -> RunHead {
    RunHead {
        id: id.to_owned(),
        origin: "cli".to_owned(),
        vantage: "lab".to_owned(),
        started_at: at(second).to_string(),
        duration_seconds: 1.5,
        status: StatusWord::Pass,
        version: "0.1.0".to_owned(),
        config_sha256: "00".to_owned(),
        scenarios: Vec::new(),
        running: false,
        cancelled: None,
    }
}

pub(super) fn check(number: u32, status: StatusWord) -> CheckResult {
    CheckResult {
        number,
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
        title: None,
        kind: "deliver".to_owned(),
        target: None,
        status,
        reason: None,
        message: None,
        findings: Vec::new(),
        notes: vec!["250".to_owned()],
        attempts: 1,
        started_at: at(1).to_string(),
        duration_seconds: 0.25,
        queued_seconds: None,
        phases_seconds: [("connect".to_owned(), 0.001)].into(),
        source: SourceResult {
            file: "flow.yaml".to_owned(),
            line: 4,
        },
        evidence: None,
    }
}

async fn three_runs(store: &Store) {
    let batch = Batch {
        runs: vec![head("01ABC", 1), head("01ABD", 2), head("02", 3)],
        checks: vec![
            ("01ABC".to_owned(), check(2, StatusWord::Fail)),
            ("01ABC".to_owned(), check(1, StatusWord::Pass)),
        ],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
}

#[tokio::test]
async fn run_is_found_by_any_unique_beginning_of_its_id() {
    let directory = directory();
    let store = open(directory.path()).await;
    three_runs(&store).await;
    let found = |prefix: &'static str| {
        let store = store.clone();
        async move { store.run_by_prefix(prefix).await.expect("it is read") }
    };
    for prefix in ["01ABC", "01abc"] {
        let RunSearch::One(run) = found(prefix).await else {
            panic!("{prefix} is unique");
        };
        assert_eq!(run.schema_version, SCHEMA_VERSION);
        assert_eq!(run.run, head("01ABC", 1));
        assert_eq!((run.counts.pass, run.counts.fail), (1, 1));
        let expected = [check(1, StatusWord::Pass), check(2, StatusWord::Fail)];
        assert_eq!(run.checks, expected);
    }
    assert!(matches!(found("02").await, RunSearch::One(_)));
    assert_eq!(found("03").await, RunSearch::None);
    assert_eq!(found("%").await, RunSearch::None);
    let both = vec!["01ABD".to_owned(), "01ABC".to_owned()];
    assert_eq!(found("01A").await, RunSearch::Several(both));
}

#[tokio::test]
async fn exact_id_wins_over_longer_ones() {
    let directory = directory();
    let store = open(directory.path()).await;
    let batch = Batch {
        runs: vec![head("01", 1), head("01A", 2)],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
    let RunSearch::One(run) = store.run_by_prefix("01").await.expect("read") else {
        panic!("01 is a whole id");
    };
    assert_eq!(run.run.id, "01");
}

#[tokio::test]
async fn latest_runs_come_first() {
    let directory = directory();
    let store = open(directory.path()).await;
    three_runs(&store).await;
    let latest = store.latest_runs(2).await.expect("they are read");
    assert_eq!(latest, [head("02", 3), head("01ABD", 2)]);
}

#[tokio::test]
async fn each_check_is_known_as_it_ended_last() {
    let directory = directory();
    let store = open(directory.path()).await;
    assert_eq!(store.last_checks(10).await.expect("read"), []);
    let targeted = |number, status, second: i64| CheckResult {
        target: Some(TargetResult {
            mx: "mx1.example.net".to_owned(),
            preference: 10,
            address: "192.0.2.1".to_owned(),
            port: Some(25),
            family: "ipv4".to_owned(),
            node: None,
            role: "primary".to_owned(),
        }),
        started_at: at(second).to_string(),
        ..check(number, status)
    };
    let batch = Batch {
        runs: vec![head("01", 1), head("02", 2), head("03", 3)],
        checks: vec![
            ("01".to_owned(), targeted(1, StatusWord::Degraded, 1)),
            ("01".to_owned(), check(2, StatusWord::Error)),
            ("03".to_owned(), targeted(1, StatusWord::Fail, 3)),
            ("02".to_owned(), targeted(1, StatusWord::Pass, 2)),
        ],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
    let after = |second: i64| at(second) + jiff::SignedDuration::from_millis(250);
    let bare = LastCheck {
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
        mx: None,
        address: None,
        status: Status::Error,
        ended_at: after(1),
        last_success_at: None,
    };
    let last = LastCheck {
        mx: Some("mx1.example.net".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        status: Status::Fail,
        ended_at: after(3),
        last_success_at: Some(after(2)),
        ..bare.clone()
    };
    assert_eq!(
        store.last_checks(10).await.expect("read"),
        [bare, last.clone()]
    );
    // Only the newest are looked at.
    let newest = LastCheck {
        last_success_at: None,
        ..last
    };
    assert_eq!(store.last_checks(1).await.expect("read"), [newest]);
    assert!(store.size_bytes() > 4096);
}

#[tokio::test]
async fn run_that_is_left_under_way_by_a_process_that_is_no_more_was_cut_off() {
    let directory = directory();
    let store = open(directory.path()).await;
    let under_way = RunHead {
        status: StatusWord::Error,
        running: true,
        ..head("01ABC", 1)
    };
    let batch = Batch {
        runs: vec![under_way, head("02", 2)],
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
    let reader = Reader::open(directory.path()).expect("it opens");
    let reader = reader.expect("it is there");
    let found = || match reader.run_by_prefix("01ABC").expect("it is read") {
        RunSearch::One(run) => run.run,
        other => panic!("one run, not {other:?}"),
    };
    assert!(found().running && reader.is_in_use());

    store.close().await;
    assert!(found().running && !reader.is_in_use());
    let store = open(directory.path()).await;
    let cut_off = found();
    assert_eq!(
        (
            cut_off.running,
            cut_off.status,
            cut_off.cancelled.as_deref()
        ),
        (
            false,
            StatusWord::Error,
            Some("the program ended before the run did")
        )
    );
    assert_eq!(
        store.latest_runs(1).await.expect("it is read"),
        [head("02", 2)]
    );
}
