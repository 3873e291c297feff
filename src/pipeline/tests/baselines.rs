//! What checks see is compared with what is remembered, told when it is on disk, and neither lost nor doubled.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_probes::observation::{Observation, What};
use postrider_probes::outcome::{Finding, Outcome, Status};
use postrider_probes::reason::Reason;
use tokio::sync::broadcast;

use super::bench::{Bench, patience};
use super::faults::{break_table, mend_store};
use crate::baseline::rules::{Rules, Severity, Window};
use crate::baseline::{Change, Move, Selection};
use crate::config::plan::Source;
use crate::ledger::sample::at;
use crate::pipeline::Told;
use crate::result::{CheckResult, RunHead, StatusWord};
use crate::run::event::{CheckFinished, CheckName, Event, RunFinished, RunStarted};
use crate::store::{Reader, RunSearch};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("nobody panicked")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const SUBJECT: &str = "192.0.2.1:25";

fn banner(text: &str) -> Observation {
    Observation::new(What::Banner, SUBJECT, [text])
}

fn seeing(seen: impl IntoIterator<Item = Observation>) -> Outcome {
    let mut outcome = Outcome::default();
    seen.into_iter().for_each(|seen| outcome.observe(seen));
    outcome
}

fn started(run: &str) -> Event {
    Event::RunStarted(RunStarted {
        run: run.to_owned(),
        origin: "schedule".to_owned(),
        vantage: "lab".to_owned(),
        config_sha256: "00".to_owned(),
        scenarios: vec![("mx".to_owned(), None)],
        planned_at: at(0),
        late: Duration::ZERO,
        started_at: at(0),
    })
}

fn finished(run: &str, outcome: Outcome) -> Event {
    Event::CheckFinished(Box::new(CheckFinished {
        check: CheckName {
            run: run.to_owned(),
            number: 1,
            scenario: "mx".to_owned(),
            step: "deliver".to_owned(),
            kind: "deliver",
            target: None,
            port: None,
        },
        title: None,
        source: Source {
            file: PathBuf::from("mx.yaml"),
            line: 1,
        },
        started_at: at(0),
        took: Duration::ZERO,
        outcome,
    }))
}

async fn report(bench: &Bench, event: Event) {
    let sent = bench.pipeline.events().send(event).await;
    sent.expect("the pipeline lives");
    tokio::task::yield_now().await;
}

/// A run of one check; gives its stored head and check.
async fn run(bench: &Bench, run: &str, outcome: Outcome) -> (RunHead, CheckResult) {
    let ended = Event::RunFinished(RunFinished {
        run: run.to_owned(),
        status: outcome.status(),
        took: Duration::ZERO,
        cancelled: None,
    });
    for event in [started(run), finished(run, outcome), ended] {
        report(bench, event).await;
    }
    bench.balance().await;
    match bench.store.run_by_prefix(run).await.expect("it is read") {
        RunSearch::One(mut result) => (result.run, result.checks.remove(0)),
        other => panic!("{other:?}"),
    }
}

async fn stands(bench: &Bench, name: &str, text: &str) -> StatusWord {
    run(bench, name, seeing([banner(text)])).await.1.status
}

/// Every event on the disk, oldest first.
fn events(bench: &Bench) -> Vec<(Move, String)> {
    let reader = Reader::open(bench.directory.path()).expect("it opens");
    let changes = reader.expect("it is there").changes(None, 100);
    let changes = changes.expect("it is read").into_iter().rev();
    changes
        .map(|Change { how, after, .. }| (how, after.to_string()))
        .collect()
}

fn told(listener: &mut broadcast::Receiver<Told>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Ok(told) = listener.try_recv() {
        if let Told::Changed(change) = told {
            lines.push(change.sentence());
        }
    }
    lines
}

async fn rules(bench: &Bench, rules: Rules) {
    bench.pipeline.set_rules(Arc::new(rules)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_first_is_silently_right_and_another_value_is_told_once() {
    let bench = Bench::new().await;
    let mut listener = bench.pipeline.listen();
    let (head, check) = run(&bench, "01A", seeing([banner("mx 3.9")])).await;
    assert_eq!(
        (head.status, check.status),
        (StatusWord::Pass, StatusWord::Pass)
    );
    let (head, check) = run(&bench, "01B", seeing([banner("mx 3.10")])).await;
    // The run's own status was counted before anybody could know.
    assert_eq!(head.status, StatusWord::Degraded);
    assert_eq!(check.status, StatusWord::Degraded);
    assert_eq!(check.reason.as_deref(), Some("changed"));
    let message = check.message.expect("it says why");
    assert!(
        message.starts_with("banner of 192.0.2.1:25 was \"mx 3.9\" since "),
        "{message}"
    );
    assert!(message.ends_with(", now \"mx 3.10\""), "{message}");
    let changes = check.evidence.expect("there is proof").changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (&changes[0].before[..], &changes[0].after[..]),
        (&["mx 3.9".to_owned()][..], &["mx 3.10".to_owned()][..])
    );
    assert_eq!(stands(&bench, "01C", "mx 3.10").await, StatusWord::Degraded);
    assert_eq!(told(&mut listener).len(), 1);
    assert_eq!(stands(&bench, "01D", "mx 3.9").await, StatusWord::Pass);
    assert_eq!(
        events(&bench),
        [
            (Move::Changed, "\"mx 3.10\"".to_owned()),
            (Move::Returned, "\"mx 3.9\"".to_owned())
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_stays_the_worst_and_what_it_saw_counts_all_the_same() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    let mut outcome = seeing([banner("b")]);
    outcome.add(Finding::new(Reason::Smtp5xx, "550 no"));
    let (head, check) = run(&bench, "01B", outcome).await;
    assert_eq!(head.status, StatusWord::Fail);
    let reasons: Vec<&str> = check
        .findings
        .iter()
        .map(|found| found.reason.as_str())
        .collect();
    assert_eq!(reasons, ["smtp-5xx", "changed"]);
    assert_eq!(events(&bench).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_sighting_is_that_of_the_first_check_that_did_not_break() {
    let bench = Bench::new().await;
    for (name, reason) in [("01A", Reason::Smtp5xx), ("01B", Reason::StoreFailed)] {
        let mut outcome = seeing([banner("down for repairs")]);
        outcome.add(Finding::new(reason, "broken"));
        assert!(outcome.status() > Status::Degraded);
        let (_, check) = run(&bench, name, outcome).await;
        assert_eq!(check.findings.len(), 1);
    }
    let mut outcome = seeing([banner("mx")]);
    outcome.add(Finding::new(Reason::Smtp5xx, "broken").as_preference());
    assert_eq!(run(&bench, "01C", outcome).await.1.findings.len(), 1);
    assert_eq!(stands(&bench, "01D", "mx").await, StatusWord::Pass);
    assert_eq!(stands(&bench, "01E", "other").await, StatusWord::Degraded);
    assert_eq!(events(&bench).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vantage_in_trouble_has_seen_nothing() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    let mut outcome = seeing([banner("hotel network")]);
    outcome.add(Finding::new(
        Reason::VantageOffline,
        "the canary fails as well",
    ));
    let (_, check) = run(&bench, "01B", outcome).await;
    assert_eq!(check.findings.len(), 1);
    assert_eq!(events(&bench), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_over_ipv4_counts_where_there_is_no_ipv6() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    let mut outcome = seeing([banner("b")]);
    outcome.add(Finding::new(Reason::VantageNoIpv6, "no route"));
    let (_, check) = run(&bench, "01B", outcome).await;
    assert_eq!(check.findings.len(), 2);
    assert_eq!(events(&bench), [(Move::Changed, "\"b\"".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_is_on_disk_when_it_is_answered_and_holds_after_a_restart() {
    let bench = Bench::new().await;
    let seen = |text| {
        seeing([
            banner(text),
            Observation::new(What::Ptr, "192.0.2.1", [text]),
        ])
    };
    run(&bench, "01A", seen("a")).await;
    run(&bench, "01B", seen("b")).await;
    let only = |what| Selection {
        what: Some(what),
        subject: Some("192.0.2.1".to_owned()),
        scenario: Some("mx".to_owned()),
        unchanged_since: None,
    };
    let accept = |selection| {
        bench
            .pipeline
            .accept(selection, false, "cli al@host".to_owned())
    };
    let accepted = accept(only(What::Banner)).await.expect("it is accepted");
    assert_eq!((accepted.meant, accepted.changes.len()), (1, 1));
    assert_eq!(
        accepted.changes[0].accepted_by.as_deref(),
        Some("cli al@host")
    );
    let again = accept(only(What::Banner)).await.expect("it is answered");
    assert_eq!((again.meant, again.changes.len()), (1, 0));
    let nobody = accept(only(What::Mx)).await.expect("it is answered");
    assert_eq!(nobody.meant, 0);
    assert_eq!(
        events(&bench).last().map(|(how, _)| *how),
        Some(Move::Accepted)
    );
    let bench = bench.restart(HOUR).await;
    let (_, check) = run(&bench, "01C", seen("b")).await;
    let messages: Vec<&str> = check
        .findings
        .iter()
        .map(|found| found.message.as_str())
        .collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("reverse names of 192.0.2.1 were \"a\""),
        "{messages:?}"
    );
    let all = bench
        .pipeline
        .accept(Selection::default(), false, "cli".to_owned());
    assert_eq!(all.await.expect("it is accepted").changes.len(), 1);
    assert_eq!(
        run(&bench, "01D", seen("b")).await.1.status,
        StatusWord::Pass
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_is_a_note_and_the_rules_of_a_reload_hold_at_once() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    let window = Window {
        from: bench.clock.now(),
        until: bench.clock.now().saturating_add(HOUR).expect("a time"),
        what: [].into(),
        hosts: None,
        expect: [].into(),
        note: Some("new version".to_owned()),
    };
    let windows = Rules {
        windows: vec![window],
        ..Rules::default()
    };
    rules(&bench, windows.clone()).await;
    let (_, check) = run(&bench, "01B", seeing([banner("b")])).await;
    assert_eq!(check.status, StatusWord::Pass);
    assert!(
        check.notes[0].ends_with("now \"b\" (accepted by change window (new version))"),
        "{:?}",
        check.notes
    );
    let changes = check.evidence.expect("there is proof").changes;
    assert_eq!(
        changes[0].accepted_by.as_deref(),
        Some("change window (new version)")
    );
    assert_eq!(stands(&bench, "01C", "a").await, StatusWord::Pass);
    assert_eq!(stands(&bench, "01D", "b").await, StatusWord::Pass);
    tokio::time::advance(HOUR).await;
    assert_eq!(stands(&bench, "01E", "b").await, StatusWord::Pass);
    assert_eq!(stands(&bench, "01F", "a").await, StatusWord::Degraded);
    let severe = |severity| Rules {
        severity: [(What::Banner, severity)].into(),
        windows: Vec::new(),
    };
    rules(&bench, severe(Severity::Fail)).await;
    let (head, check) = run(&bench, "01G", seeing([banner("a")])).await;
    assert_eq!(
        (head.status, check.status),
        (StatusWord::Fail, StatusWord::Fail)
    );
    rules(&bench, severe(Severity::Ignore)).await;
    assert_eq!(stands(&bench, "01H", "c").await, StatusWord::Pass);
    rules(&bench, severe(Severity::Pass)).await;
    assert_eq!(stands(&bench, "01I", "a").await, StatusWord::Pass);
    let hows: Vec<Move> = events(&bench).into_iter().map(|(how, _)| how).collect();
    assert_eq!(hows, [Move::Expected, Move::Changed, Move::Listed]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_a_change_before_it_is_on_disk() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    let mut listener = bench.pipeline.listen();
    break_table(&bench, "changes");
    report(&bench, started("01B")).await;
    report(&bench, finished("01B", seeing([banner("b")]))).await;
    bench.balance().await;
    let failed = bench
        .pipeline
        .accept(Selection::default(), false, "cli".to_owned());
    let failed = failed.await.expect_err("it cannot be written");
    assert_eq!(failed.reason, Reason::StoreFailed);
    assert_eq!((told(&mut listener).len(), events(&bench).len()), (0, 0));
    mend_store(&bench);
    patience(async {
        while events(&bench).len() < 2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    bench.balance().await;
    assert_eq!(told(&mut listener).len(), 2);
    let hows: Vec<Move> = events(&bench).into_iter().map(|(how, _)| how).collect();
    assert_eq!(hows, [Move::Changed, Move::Accepted]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_neither_loses_nor_doubles_a_change() {
    let bench = Bench::new().await;
    assert_eq!(stands(&bench, "01A", "a").await, StatusWord::Pass);
    assert_eq!(stands(&bench, "01B", "b").await, StatusWord::Degraded);
    // Dies without a word; all that is left is the disk.
    bench.task.abort();
    bench.store.close().await;
    let bench = Bench::on(bench.directory, bench.clock).await;
    assert_eq!(stands(&bench, "01C", "b").await, StatusWord::Degraded);
    assert_eq!(events(&bench), [(Move::Changed, "\"b\"".to_owned())]);
    // Dies before it could write the next one: then it is seen anew.
    break_table(&bench, "changes");
    report(&bench, started("01D")).await;
    report(&bench, finished("01D", seeing([banner("c")]))).await;
    bench.balance().await;
    bench.task.abort();
    bench.store.close().await;
    mend_store(&bench);
    let bench = Bench::on(bench.directory, bench.clock).await;
    assert_eq!(stands(&bench, "01E", "c").await, StatusWord::Degraded);
    assert_eq!(
        events(&bench),
        [
            (Move::Changed, "\"b\"".to_owned()),
            (Move::Changed, "\"c\"".to_owned())
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_always_says_something_else_does_not_fill_the_store() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new().await;
    for round in 0..50_u32 {
        let seen = (0..250).map(|number| {
            Observation::new(What::Banner, format!("10.{round}.0.{number}:25"), ["mx"])
        });
        run(&bench, &format!("01{round:02}"), seeing(seen)).await;
        tokio::time::advance(HOUR).await;
    }
    let known = bench.store.baselines().await.expect("it is read");
    assert_eq!(known.len(), 10_000);
    assert!(known.iter().any(|(key, _)| key.subject == "10.49.0.249:25"));
    assert!(!known.iter().any(|(key, _)| key.subject == "10.0.0.0:25"));
    let text = String::from_utf8(log.0.lock().expect("nobody panicked").clone()).expect("text");
    // The first forty fill it.
    assert_eq!(text.matches("too much is remembered").count(), 10, "{text}");
    assert_eq!(text.matches("forgotten=250").count(), 10, "{text}");
}
