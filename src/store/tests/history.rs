//! What is measured is counted once, by hour, and added up for any period.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::runs::{check, head};
use super::{directory, open, write};
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, Latency, Noted, Sighting};
use crate::ledger::sample::{accepted, at, copy, id, lost, planned};
use crate::result::period::{CheckPeriod, PeriodReport, ShareResult};
use crate::result::{CheckResult, RunHead, StatusWord};
use crate::store::{Batch, CheckSearch, PeriodSearch, Reader, Retention, Store};

pub(super) fn scheduled(id: &str, second: i64) -> RunHead {
    RunHead {
        origin: "schedule".to_owned(),
        ..head(id, second)
    }
}

fn timed(number: u32, second: i64, status: StatusWord, connect: f64) -> CheckResult {
    CheckResult {
        started_at: at(second).to_string(),
        phases_seconds: [("connect".to_owned(), connect), ("dns".to_owned(), 0.02)].into(),
        reason: match status {
            StatusWord::Fail => Some("connect-timeout".to_owned()),
            StatusWord::Error => Some("overrun".to_owned()),
            _ => None,
        },
        ..check(number, status)
    }
}

async fn commit(store: &Store, runs: Vec<RunHead>, checks: Vec<(&str, CheckResult)>) {
    let batch = Batch {
        runs,
        checks: checks
            .into_iter()
            .map(|(run, check)| (run.to_owned(), check))
            .collect(),
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.expect("it is written");
}

pub(super) async fn period(store: &Store, from: i64, to: i64, manual: bool) -> PeriodReport {
    let search = PeriodSearch {
        since: at(from),
        until: at(to),
        scenario: None,
        manual,
    };
    store.period(search).await.expect("it is read")
}

fn phase<'c>(check: &'c CheckPeriod, name: &str) -> &'c crate::result::period::PhasePeriod {
    let found = check.phases.iter().find(|phase| phase.phase == name);
    found.unwrap_or_else(|| panic!("no {name} in {check:?}"))
}

fn noted(n: u64, second: i64, what: Fact) -> Noted {
    Noted {
        at: at(second),
        entry: id(n),
        what,
    }
}

fn seen(n: u64, second: i64, after: Duration) -> Noted {
    let sighting = Sighting {
        copy: copy("INBOX", u32::try_from(n).expect("a small number")),
        junk: false,
        latency: Some(Latency {
            on_wall_clock: false,
            after,
            pushed_after: None,
        }),
        internal_date: None,
    };
    noted(n, second, Fact::Sighted(Box::new(sighting)))
}

#[tokio::test]
async fn checks_are_counted_and_timed_once_and_manual_runs_apart() {
    let directory = directory();
    let store = open(directory.path()).await;
    commit(
        &store,
        vec![scheduled("01RUN", 0), head("02CLI", 0)],
        vec![],
    )
    .await;
    for _ in 0..2 {
        // The second time as after a commit of which nobody knows whether it was done.
        commit(
            &store,
            vec![],
            vec![
                ("01RUN", timed(1, 1, StatusWord::Pass, 0.020)),
                ("01RUN", timed(2, 2, StatusWord::Fail, 10.0)),
                ("01RUN", timed(3, 3, StatusWord::Error, 0.5)),
                ("02CLI", timed(1, 4, StatusWord::Pass, 5.0)),
            ],
        )
        .await;
    }
    let report = period(&store, 0, 10, false).await;
    assert_eq!(report.checks.len(), 1);
    let check = &report.checks[0];
    assert_eq!(
        (check.scenario.as_str(), check.step.as_str()),
        ("flow", "primary")
    );
    let counts = check.counts;
    assert_eq!((counts.pass, counts.fail, counts.error), (1, 1, 1));
    assert_eq!(check.success, Some(ShareResult { ratio: 0.5, n: 2 }));
    assert_eq!(check.mails, None);
    let (dns, connect) = (phase(check, "dns"), phase(check, "connect"));
    assert_eq!((dns.samples, dns.unfinished), (3, 0));
    assert_eq!((connect.samples, connect.unfinished), (1, 2));
    assert!((connect.max_seconds.expect("one") - 0.02).abs() < 0.001);
    assert_eq!(connect.quantiles_seconds.len(), 0);

    let manual = period(&store, 0, 10, true).await;
    assert_eq!(manual.checks[0].counts.pass, 1);
    assert!(
        phase(&manual.checks[0], "connect")
            .max_seconds
            .expect("one")
            > 4.9
    );
}

#[tokio::test]
async fn mails_are_where_the_ledger_has_them_and_move_with_it() {
    let directory = directory();
    let store = open(directory.path()).await;
    commit(&store, vec![scheduled("01RUN", 0)], vec![]).await;
    let mut ledger = Ledger::default();
    for n in 1..=3 {
        let facts = vec![
            noted(n, 0, planned(n)),
            noted(n, 1, Fact::Attempted(accepted())),
        ];
        write(&store, &mut ledger, facts).await;
    }
    write(
        &store,
        &mut ledger,
        vec![seen(1, 3, Duration::from_secs(2))],
    )
    .await;
    let facts = vec![
        noted(2, 70, Fact::Overdue),
        noted(3, 70, Fact::Overdue),
        noted(3, 100, lost()),
    ];
    write(&store, &mut ledger, facts).await;
    let mails = |report: PeriodReport| report.checks[0].mails.clone().expect("there are some");
    let before = mails(period(&store, 0, 10, false).await);
    assert_eq!((before.planned, before.not_arrived, before.late), (3, 2, 0));
    assert_eq!(before.states["lost"], 1);

    // Both turn up, hours later, one of them twice.
    let found = vec![
        seen(2, 8000, Duration::from_secs(7999)),
        seen(3, 8001, Duration::from_secs(8000)),
        noted(
            3,
            8002,
            Fact::Sighted(Box::new(Sighting {
                copy: copy("INBOX", 77),
                junk: false,
                latency: None,
                internal_date: None,
            })),
        ),
    ];
    write(&store, &mut ledger, found).await;
    let report = period(&store, 0, 10, false).await;
    let after = mails(report);
    assert_eq!((after.planned, after.not_arrived, after.late), (3, 0, 2));
    assert_eq!(after.extra_copies, 1);
    assert_eq!(
        after.states.into_iter().collect::<Vec<_>>(),
        [("delivered".to_owned(), 3)]
    );
    let report = period(&store, 0, 8100, false).await;
    let transit = phase(&report.checks[0], "transit");
    assert_eq!((transit.samples, transit.unfinished), (3, 0));
    assert_eq!(
        report.checks[0].target.as_deref(),
        Some("mx1.example.net [192.0.2.1]:25")
    );
    let verification = store.verify().await.expect("it is read");
    assert_eq!(verification.differences, Vec::<String>::new());
}

#[tokio::test]
async fn an_hour_is_closed_once_and_late_samples_are_added() {
    let directory = directory();
    let store = open(directory.path()).await;
    // 1 790 000 000 is 800 s into its hour.
    let runs = vec![scheduled("01RUN", 0)];
    let checks = (1..=30).map(|n| ("01RUN", timed(n, i64::from(n), StatusWord::Pass, 0.1)));
    commit(&store, runs, checks.collect()).await;
    let open_hour = period(&store, 0, 10, false).await;

    let maintain = |second| store.maintain(at(second), Retention::default());
    let early = maintain(2900).await.expect("it works");
    assert_eq!(early.closed_hours, 0, "samples may still be on their way");
    let closed = maintain(2930).await.expect("it works");
    assert_eq!((closed.closed_hours, closed.problems.len()), (2, 0));
    assert_eq!(maintain(2931).await.expect("it works").closed_hours, 0);
    assert_eq!(period(&store, 0, 10, false).await, open_hour);

    // The clock was set back: one more sample for the hour that is closed.
    commit(
        &store,
        vec![],
        vec![("01RUN", timed(31, 40, StatusWord::Pass, 3.0))],
    )
    .await;
    assert_eq!(maintain(2940).await.expect("it works").closed_hours, 2);
    let report = period(&store, 0, 10, false).await;
    let connect = phase(&report.checks[0], "connect");
    assert_eq!(connect.samples, 31);
    assert!(connect.max_seconds.expect("some") > 2.9);
    // The same from the histograms alone.
    let only = store.work(|connection| {
        connection.execute_batch("DELETE FROM sample_hours")?;
        Ok(())
    });
    only.await.expect("they are removed");
    assert_eq!(period(&store, 0, 10, false).await, report);
}

#[tokio::test]
async fn damaged_histogram_is_named_and_not_taken_for_nothing() {
    let directory = directory();
    let store = open(directory.path()).await;
    let runs = vec![scheduled("01RUN", 0)];
    commit(
        &store,
        runs,
        vec![("01RUN", timed(1, 1, StatusWord::Pass, 0.1))],
    )
    .await;
    store
        .maintain(at(7200), Retention::default())
        .await
        .expect("it works");
    let damage = store.work(|connection| {
        connection.execute_batch(
            "DELETE FROM sample_hours; UPDATE series_hours SET histogram = x'1c84931400000002beef'",
        )?;
        Ok(())
    });
    damage.await.expect("it is damaged");
    let search = PeriodSearch {
        since: at(0),
        until: at(10),
        scenario: None,
        manual: false,
    };
    let error = store
        .period(search)
        .await
        .expect_err("it is damaged")
        .to_string();
    assert!(
        error.contains("what is stored of flow/primary  dns (series"),
        "{error}"
    );
    assert!(
        error.contains("hour 497222) cannot be read: a histogram: "),
        "{error}"
    );
    // A late sample cannot be added, and that is told.
    commit(
        &store,
        vec![],
        vec![("01RUN", timed(2, 2, StatusWord::Pass, 0.1))],
    )
    .await;
    let done = store
        .maintain(at(7300), Retention::default())
        .await
        .expect("it works");
    assert_eq!((done.closed_hours, done.problems.len()), (0, 2));
    assert!(
        done.problems[0].starts_with("1 samples of series"),
        "{:?}",
        done.problems
    );
}

#[tokio::test]
async fn targets_of_the_same_step_are_apart_and_scenarios_can_be_chosen() {
    let directory = directory();
    let store = open(directory.path()).await;
    let other = CheckResult {
        scenario: "other".to_owned(),
        ..timed(3, 1, StatusWord::Pass, 0.1)
    };
    let aimed = |number, address: &str| CheckResult {
        target: Some(crate::result::TargetResult {
            mx: "mx1.example.net".to_owned(),
            preference: 10,
            address: address.to_owned(),
            port: Some(25),
            family: "ipv4".to_owned(),
            node: None,
            role: "primary".to_owned(),
        }),
        ..timed(number, 1, StatusWord::Pass, 0.1)
    };
    let checks = vec![
        ("01RUN", aimed(1, "192.0.2.1")),
        ("01RUN", aimed(2, "192.0.2.2")),
        ("01RUN", other),
    ];
    commit(&store, vec![scheduled("01RUN", 0)], checks).await;
    let report = period(&store, 0, 10, false).await;
    let targets: Vec<_> = report
        .checks
        .iter()
        .map(|check| check.target.as_deref())
        .collect();
    let expected = [
        Some("mx1.example.net [192.0.2.1]:25"),
        Some("mx1.example.net [192.0.2.2]:25"),
        None,
    ];
    assert_eq!(targets, expected);
    let search = PeriodSearch {
        since: at(0),
        until: at(10),
        scenario: Some("other".to_owned()),
        manual: false,
    };
    let only = store.period(search).await.expect("it is read");
    assert_eq!(only.checks.len(), 1);
    // What lies before or after is another period.
    assert_eq!(period(&store, -7200, -3600, false).await.checks, []);
    assert_eq!(period(&store, 3600, 9000, false).await.checks, []);
}

#[tokio::test]
async fn recent_checks_are_listed_newest_first_and_filtered() {
    let directory = directory();
    let store = open(directory.path()).await;
    let checks = vec![
        ("01RUN", timed(1, 1, StatusWord::Pass, 0.1)),
        ("01RUN", timed(2, 5, StatusWord::Fail, 0.1)),
        ("02CLI", timed(1, 3, StatusWord::Pass, 0.1)),
    ];
    commit(
        &store,
        vec![scheduled("01RUN", 0), head("02CLI", 0)],
        checks,
    )
    .await;
    let reader = Reader::open(directory.path())
        .expect("it opens")
        .expect("it is there");
    let list = |search: CheckSearch| {
        let listing = reader.checks(&search).expect("it is read");
        listing
            .checks
            .into_iter()
            .map(|check| format!("{}/{}", check.run, check.number))
            .collect::<Vec<_>>()
    };
    let all = || CheckSearch {
        limit: 10,
        ..CheckSearch::default()
    };
    assert_eq!(list(all()), ["01RUN/2", "02CLI/1", "01RUN/1"]);
    assert_eq!(list(CheckSearch { limit: 1, ..all() }), ["01RUN/2"]);
    let failed = CheckSearch {
        status: Some(StatusWord::Fail),
        ..all()
    };
    assert_eq!(list(failed), ["01RUN/2"]);
    let since: Option<Timestamp> = Some(at(3));
    assert_eq!(list(CheckSearch { since, ..all() }), ["01RUN/2", "02CLI/1"]);
    let step = Some("nothing".to_owned());
    assert_eq!(list(CheckSearch { step, ..all() }), Vec::<String>::new());
    let scenario = Some("flow".to_owned());
    assert_eq!(list(CheckSearch { scenario, ..all() }).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn a_period_is_the_same_open_closed_and_from_histograms(
        samples in proptest::collection::vec((0..20_000_i64, 1..400_000_u32, any::<bool>()), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
        runtime.block_on(async {
            let directory = directory();
            let store = open(directory.path()).await;
            let checks = samples.iter().zip(1..).map(|((second, micros, passed), number)| {
                let status = if *passed { StatusWord::Pass } else { StatusWord::Fail };
                ("01RUN", timed(number, *second, status, f64::from(*micros) / 1e6))
            });
            commit(&store, vec![scheduled("01RUN", 0)], checks.collect()).await;
            let expected = period(&store, 0, 30_000, false).await;
            // Hour by hour, as time goes by.
            for second in (0..30_000).step_by(1700) {
                store.maintain(at(second), Retention::default()).await.expect("it works");
                assert_eq!(period(&store, 0, 30_000, false).await, expected);
            }
            let gone = store.work(|connection| {
                let left: i64 =
                    connection.query_row("SELECT count(*) FROM samples", [], |row| row.get(0))?;
                connection.execute_batch("DELETE FROM sample_hours")?;
                Ok(left)
            });
            assert_eq!(gone.await.expect("they are removed"), 0);
            assert_eq!(period(&store, 0, 30_000, false).await, expected);
        });
    }
}
