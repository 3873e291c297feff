//! What runs report.

use std::path::PathBuf;
use std::time::Duration;

use postrider_probes::outcome::{Finding, Mark, Outcome, Status, TranscriptLine};
use postrider_probes::phase::Phase;
use postrider_probes::post::EntryState;
use postrider_probes::reason::Reason;
use postrider_probes::target::{Role, Target};

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::bench::{Bench, key, patience, removals};
use super::faults::{break_table, mend_store};
use crate::config::plan::Source;
use crate::ledger::sample::{accepted, at, draft, id};
use crate::pipeline::Told;
use crate::result::{RunResult, StatusWord};
use crate::run::document::{document, head_at_end, head_at_start, result_of};
use crate::run::event::{CheckFinished, CheckName, Event, RunFinished, RunStarted};
use crate::store::RunSearch;

fn started() -> Event {
    Event::RunStarted(RunStarted {
        run: "01RUN".to_owned(),
        origin: "cli".to_owned(),
        vantage: "lab".to_owned(),
        config_sha256: "00".to_owned(),
        scenarios: vec![("flow".to_owned(), None)],
        planned_at: at(0),
        late: Duration::ZERO,
        started_at: at(0),
    })
}

fn finished(number: u32) -> Event {
    let mut outcome = Outcome::default();
    outcome
        .phases
        .add(Phase::Connect, Duration::from_nanos(1_234_567));
    outcome.add(Finding::new(Reason::Slow, "transit 1 m 7 s"));
    outcome.add(Finding::new(
        Reason::Smtp5xx,
        "550 5.7.1 no (after RCPT TO)",
    ));
    outcome.evidence.transcript.push(TranscriptLine {
        at: Duration::from_micros(12_345),
        mark: Mark::Received,
        text: "220 mx1.example.net ESMTP".to_owned(),
    });
    Event::CheckFinished(Box::new(CheckFinished {
        check: CheckName {
            run: "01RUN".to_owned(),
            number,
            scenario: "flow".to_owned(),
            step: "primary".to_owned(),
            kind: "deliver",
            target: Some(Target {
                domain: "example.test".into(),
                mx: "mx1.example.net".to_owned(),
                preference: 10,
                address: "2001:db8::1".parse().expect("an address"),
                node: Some("filter1".to_owned()),
                role: Role::Primary,
            }),
            port: Some(25),
        },
        title: None,
        source: Source {
            file: PathBuf::from("flow.yaml"),
            line: 12,
        },
        started_at: at(1),
        took: Duration::from_millis(250),
        outcome,
    }))
}

fn ended() -> Event {
    Event::RunFinished(RunFinished {
        run: "01RUN".to_owned(),
        status: Status::Fail,
        took: Duration::from_secs(2),
        cancelled: None,
    })
}

fn passed(number: u32) -> Event {
    let Event::CheckFinished(mut check) = finished(number) else {
        panic!("it is a check");
    };
    check.outcome.findings.clear();
    Event::CheckFinished(check)
}

/// A run whose checks all passed.
fn ended_well() -> Event {
    Event::RunFinished(RunFinished {
        run: "01RUN".to_owned(),
        status: Status::Pass,
        took: Duration::from_secs(2),
        cancelled: None,
    })
}

/// The document of the run, from what is told of it until its end.
async fn heard(listener: &mut broadcast::Receiver<Told>) -> RunResult {
    let (mut head, mut checks) = (None, Vec::new());
    loop {
        let Told::Run(event) = patience(listener.recv()).await.expect("it is told") else {
            panic!("nothing was corrected");
        };
        match event.as_ref() {
            Event::RunStarted(started) => head = Some(head_at_start(started)),
            Event::RunMissed(_) | Event::CheckStarted(_) => {}
            Event::CheckFinished(finished) => checks.push(document(finished)),
            Event::RunFinished(finished) => {
                let head = head.expect("it began before it ended");
                return result_of(head_at_end(head, finished), checks);
            }
        }
    }
}

async fn report(bench: &Bench, event: Event) {
    let sent = bench.pipeline.events().send(event).await;
    sent.expect("the pipeline lives");
    tokio::task::yield_now().await;
}

async fn stored(bench: &Bench) -> crate::result::RunResult {
    bench.balance().await;
    match bench.store.run_by_prefix("01R").await.expect("it is read") {
        RunSearch::One(run) => *run,
        other => panic!("one run, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn run_that_has_not_ended_does_not_read_like_one_that_passed() {
    let bench = Bench::new().await;
    report(&bench, started()).await;
    report(&bench, finished(1)).await;
    let run = stored(&bench).await;
    assert_eq!(run.run.status, StatusWord::Error);
    assert_eq!((run.run.running, run.run.cancelled), (true, None));
    assert_eq!(run.checks.len(), 1);
    report(&bench, ended()).await;
    let run = stored(&bench).await.run;
    assert_eq!((run.running, run.status), (false, StatusWord::Fail));
}

#[tokio::test(start_paused = true)]
async fn result_document_says_what_the_run_gave() {
    let bench = Bench::new().await;
    for event in [started(), finished(1), ended()] {
        report(&bench, event).await;
    }
    let mut run = stored(&bench).await;
    run.run.version = "0.0.0".to_owned();
    insta::assert_snapshot!(serde_json::to_string_pretty(&run).expect("it is JSON"));
}

#[tokio::test(start_paused = true)]
async fn end_of_a_run_releases_its_mails() {
    let bench = Bench::new().await;
    report(&bench, started()).await;
    let _account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.balance().await;
    let interest = bench.pipeline.interest("alice");
    assert_eq!(removals(&interest), []);
    report(&bench, ended()).await;
    bench.balance().await;
    assert_eq!(removals(&interest), [key("INBOX", 7)]);
}

#[tokio::test(start_paused = true)]
async fn events_are_told_in_order_after_they_were_stored() {
    let bench = Bench::new().await;
    let mut listener = bench.pipeline.listen();
    for event in [started(), finished(1), finished(2), ended()] {
        report(&bench, event).await;
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        let Told::Run(event) = listener.recv().await.expect("it is told") else {
            panic!("nothing was corrected");
        };
        heard.push(match *event {
            Event::RunStarted(_) => "run started".to_owned(),
            Event::CheckStarted(_) => "check started".to_owned(),
            Event::CheckFinished(ref finished) => format!("check {}", finished.check.number),
            Event::RunFinished(_) => "run finished".to_owned(),
            Event::RunMissed(ref missed) => format!("missed {}", missed.times),
        });
    }
    assert_eq!(heard, ["run started", "check 1", "check 2", "run finished"]);
}

#[tokio::test(start_paused = true)]
async fn check_that_cannot_be_written_is_told_as_store_failed_and_never_as_passed() {
    let bench = Bench::new().await;
    let mut listener = bench.pipeline.listen();
    report(&bench, started()).await;
    bench.balance().await;
    break_table(&bench, "checks");
    report(&bench, passed(1)).await;
    report(&bench, finished(2)).await;
    bench.balance().await;
    mend_store(&bench);
    for event in [passed(3), ended_well()] {
        report(&bench, event).await;
    }
    let heard = heard(&mut listener).await;
    let statuses: Vec<_> = heard
        .checks
        .iter()
        .map(|check| (check.status, check.reason.as_deref(), check.findings.len()))
        .collect();
    assert_eq!(
        statuses,
        [
            (StatusWord::Error, Some("store-failed"), 1),
            // What the platform did wrong is not hidden by what we did.
            (StatusWord::Fail, Some("smtp-5xx"), 3),
            (StatusWord::Pass, None, 0),
        ]
    );
    assert_eq!(heard.run.status, StatusWord::Error);
    // What was told is what is written in the end.
    assert_eq!(stored(&bench).await, heard);
}

#[tokio::test(start_paused = true)]
async fn run_whose_end_cannot_be_written_did_not_pass() {
    let bench = Bench::new().await;
    let mut listener = bench.pipeline.listen();
    report(&bench, started()).await;
    report(&bench, passed(1)).await;
    bench.balance().await;
    break_table(&bench, "runs");
    report(&bench, ended_well()).await;
    let heard = heard(&mut listener).await;
    assert_eq!(heard.run.status, StatusWord::Error);
    let why = heard.run.cancelled.clone().unwrap_or_default();
    assert!(why.contains("database or disk is full"), "{why}");
    mend_store(&bench);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stored(&bench).await, heard);
}

#[tokio::test(start_paused = true)]
async fn check_of_an_unknown_run_does_no_harm() {
    let bench = Bench::new().await;
    report(&bench, finished(1)).await;
    bench.balance().await;
    let found = bench
        .store
        .run_by_prefix("01RUN")
        .await
        .expect("it is read");
    assert_eq!(found, RunSearch::None);
    let _account = bench.planned(1).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_hangs_while_more_waits_for_the_store_than_is_kept() {
    let bench = Bench::new().await;
    report(&bench, started()).await;
    let _account = bench.planned(1).await;
    break_table(&bench, "checks");
    for number in 1..=20_200 {
        let sent = patience(bench.pipeline.events().send(passed(number))).await;
        sent.expect("the pipeline lives");
    }
    bench.balance().await;
    let refused = patience(bench.post.plan(draft(2))).await;
    assert_eq!(
        refused.map_err(|failure| failure.reason),
        Err(Reason::StoreFailed)
    );
    // What became of a mail is never dropped.
    let recorded = patience(bench.post.record(id(1), accepted(), Instant::now())).await;
    assert_eq!(
        recorded.map_err(|failure| failure.reason),
        Err(Reason::StoreFailed)
    );
    patience(report(&bench, ended_well())).await;
    patience(bench.pipeline.release(id(1))).await;

    mend_store(&bench);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let run = stored(&bench).await;
    assert_eq!(run.run.status, StatusWord::Error);
    let kept = run.checks.len();
    assert!((19_000..=20_000).contains(&kept), "{kept}");
    assert_eq!(bench.stored(1).await.state(), EntryState::Accepted);
    bench.post.plan(draft(2)).await.expect("it is planned");
}
