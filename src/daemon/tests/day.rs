//! A virtual day of one scenario: a delay, a loss, a late find and an outage, and what the metrics say at which minute.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::EntryState;
use postrider_probes::slots::Slots;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::platform::{Platform, Way};
use crate::clock::Clock;
use crate::config::{self, plan::Plan};
use crate::daemon::RESTORED_CHECKS;
use crate::daemon::hall::Hall;
use crate::daemon::notify::Notify;
use crate::ledger::Balance;
use crate::mailbox::{self, Watches};
use crate::metrics::{Format, Metrics};
use crate::pipeline::{self, Correction, PipelineHandle, Settings, Told};
use crate::run::Engine;
use crate::scheduler::{self, Scheduled};
use crate::store::Store;
use crate::vantage::Vantage;

const MAIN: &str = "\
version: 1
include: [daily.yaml]
vantage: fra-1
lost_after: 2h
platform:
  domains: [example.net]
  nodes:
    filter1: { primary: [192.0.2.1] }
senders:
  outside: { address: probe@outside.example.org, helo: fra-1.outside.example.org }
mailboxes:
  alice:
    address: alice@example.net
    imap: { server: 127.0.0.1, port: 143, tls: none }
    username: alice
    password_file: password
";

const DAILY: &str = "\
version: 1
name: daily
schedule: { every: 5m }
timeout: 4m
message: { from: outside, to: alice }
steps:
  - id: mail
    for_each: { mx_of: example.net, family: ipv4 }
    deliver: { to_address: '${item.address}', tls: none, expect: { arrives: { within: 2m } } }
";

const MIDNIGHT: &str = "2026-09-21T00:00:00Z";
const WHOLE_DAY: u64 = 1440;

thread_local! {
    /// The engine and the watches ask a plain function for the time. The runtime of a test has one thread.
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
}

fn now() -> Timestamp {
    CLOCK.get().expect("the day has begun").now()
}

/// What the metrics say at a minute: counters since midnight, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    runs: u64,
    sent: u64,
    delivered: u64,
    late: u64,
    lost: u64,
    in_flight: u64,
    status: &'static str,
}

/// The plan of the day. Each run begins in the first minute of its five, so at a full five minutes it has ended.
fn plan(directory: &Path) -> Plan {
    for (name, text) in [
        ("postrider.yaml", MAIN),
        ("daily.yaml", DAILY),
        ("password", "secret\n"),
    ] {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("it is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("it is ours");
    }
    let loaded = config::load(&directory.join("postrider.yaml"));
    let text = loaded.render(config::Format::Full, false);
    loaded.plan.unwrap_or_else(|| panic!("{text}"))
}

/// One process.
struct Life {
    scheduler: scheduler::Handle,
    scheduling: JoinHandle<()>,
    pipeline: PipelineHandle,
    booking: JoinHandle<()>,
    listening: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

type Corrections = Arc<Mutex<Vec<Correction>>>;

impl Life {
    /// As `Daemon::start`, with another network and clock, and without what answers the outside.
    async fn begin(
        directory: &Path,
        platform: &Arc<Platform>,
        clock: Clock,
        corrections: &Corrections,
    ) -> Self {
        let plan = plan(directory);
        let store = Store::open(&directory.join("state"))
            .await
            .expect("it opens");
        let positions = store.positions().await.expect("read");
        let metrics = Arc::new(Metrics::new(&plan, clock.now()));
        metrics.restore(&store.last_checks(RESTORED_CHECKS).await.expect("read"));
        let settings = Settings {
            lost_after: plan.lost_after,
            clock,
        };
        let witness = Arc::clone(&metrics) as _;
        let (pipeline, booking) = pipeline::start_with(store, settings, witness)
            .await
            .expect("it starts");
        let listening = tokio::spawn(listen(pipeline.clone(), Arc::clone(corrections)));
        let net: Arc<Way> = Arc::new(Way(Arc::clone(platform)));
        let interests = pipeline.clone();
        let watches = Watches::start(mailbox::Setup {
            net: Arc::clone(&net) as _,
            accounts: plan.mailboxes.clone(),
            news: pipeline.news(),
            interest: move |mailbox: &str| interests.interest(mailbox),
            positions,
            now,
            seed: 7,
        });
        watches.resume();
        let scheduled = Scheduled::all_of(&plan);
        let engine = Engine {
            slots: Arc::new(Slots::new(plan.connections_per_address)),
            plan: Arc::new(plan),
            vantage: Arc::new(Vantage::new(Vec::new(), Arc::clone(&net) as _, now)),
            net,
            pipeline: pipeline.clone(),
            watches,
            now,
        };
        let hall = Hall::new(Arc::new(engine), clock, Arc::new(Notify::default()));
        let (scheduler, scheduling) = scheduler::start(&scheduled, Arc::new(hall), clock, 7);
        Self {
            scheduler,
            scheduling,
            pipeline,
            booking,
            listening,
            metrics,
        }
    }

    /// Ends it as kill(2) does: nobody says goodbye, nothing is written any more.
    async fn cut_off(self) {
        for task in [self.scheduling, self.listening, self.booking] {
            task.abort();
            let cut_off = task.await.expect_err("it did not end by itself");
            assert!(cut_off.is_cancelled(), "{cut_off}");
        }
    }

    fn values(&self) -> BTreeMap<String, f64> {
        let text = self.metrics.exposition(Format::Text, None);
        let text = String::from_utf8(text).expect("text");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), value.parse().expect("a number")))
            .collect()
    }

    fn read(&self) -> Reading {
        let values = self.values();
        let count = |series: &str| {
            let value = values.get(series);
            *value.unwrap_or_else(|| panic!("no {series} in {values:#?}")) as u64
        };
        let mails = |what: &str| {
            count(&format!(
                "postrider_messages_{what}_total{{scenario=\"daily\",step=\"mail\",mx=\"mx1.example.net\"}}"
            ))
        };
        assert_eq!(count("postrider_runs_missed_total{scenario=\"daily\"}"), 0);
        assert_eq!(mails("duplicated"), 0);
        assert_eq!(count("postrider_store_write_failures_total"), 0);
        let check = "scenario=\"daily\",step=\"mail\",mx=\"mx1.example.net\",address=\"192.0.2.1\"";
        let status = ["pass", "degraded", "fail", "error", "skip"]
            .into_iter()
            .filter(|status| {
                count(&format!(
                    "postrider_check_status{{{check},status=\"{status}\"}}"
                )) == 1
            })
            .collect::<Vec<_>>();
        let [status] = status.as_slice() else {
            panic!("one status, not {status:?}");
        };
        let proven = count(&format!("postrider_check_success{{{check}}}"));
        assert_eq!(proven, u64::from(*status == "pass"));
        Reading {
            runs: count("postrider_runs_total{scenario=\"daily\"}"),
            sent: mails("sent"),
            delivered: mails("delivered"),
            late: mails("late"),
            lost: mails("lost"),
            in_flight: count("postrider_messages_in_flight"),
            status,
        }
    }
}

async fn listen(pipeline: PipelineHandle, corrections: Corrections) {
    let mut told = pipeline.listen();
    drop(pipeline);
    loop {
        match told.recv().await.expect("nothing is missed") {
            Told::Corrected(correction) => corrections
                .lock()
                .expect("it is not poisoned")
                .push(Arc::unwrap_or_clone(correction)),
            Told::Duplicated { entry } => panic!("{entry} came twice"),
            Told::Run(_) | Told::Changed(_) => {}
        }
    }
}

/// What a day gave.
struct Day {
    readings: Vec<(&'static str, Reading)>,
    corrections: Vec<Correction>,
    balance: Balance,
    /// Messages that lie in the INBOX.
    left: usize,
}

impl Day {
    /// Lives through a day, and reads the metrics at these times. At `killed_at` everything is dropped and begun anew.
    async fn live(times: &[&'static str], killed_at: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let midnight: Timestamp = MIDNIGHT.parse().expect("a time");
        let clock = Clock::starting_at(midnight);
        CLOCK.set(Some(clock));
        let began = Instant::now();
        let platform = Arc::new(Platform::new(midnight, clock));
        let corrections = Corrections::default();
        let mut life = Life::begin(directory.path(), &platform, clock, &corrections).await;
        let mut readings = Vec::new();
        let mut earlier = [0; 5];
        for minute in 1..=WHOLE_DAY {
            sleep_until(began + Duration::from_secs(60 * minute)).await;
            let time = times.iter().find(|time| minute_of(time) == minute);
            if let Some(time) = time {
                let here = life.read();
                let Reading {
                    runs,
                    sent,
                    delivered,
                    late,
                    lost,
                    ..
                } = here;
                let [a, b, c, d, e] = earlier;
                let whole = Reading {
                    runs: runs + a,
                    sent: sent + b,
                    delivered: delivered + c,
                    late: late + d,
                    lost: lost + e,
                    ..here
                };
                readings.push((*time, whole));
            }
            if minute == minute_of("15:00") {
                assert_eq!(platform.find(), 6);
            }
            if killed_at == minute {
                let before = life.read();
                let Reading {
                    runs,
                    sent,
                    delivered,
                    late,
                    lost,
                    ..
                } = before;
                earlier = [runs, sent, delivered, late, lost];
                life.cut_off().await;
                life = Life::begin(directory.path(), &platform, clock, &corrections).await;
                // What stands is there again before anything has happened; counters begin anew.
                let after = life.read();
                assert_eq!(
                    (after.in_flight, after.status),
                    (before.in_flight, before.status)
                );
            }
        }
        let balance = life.pipeline.balance().await.expect("the pipeline lives");
        let delays = "postrider_run_start_delay_seconds_bucket{scenario=\"daily\",le=\"0.25\"}";
        assert_eq!(
            life.values().get(delays).copied(),
            Some((288 - earlier[0]) as f64),
            "on time"
        );
        assert!(life.scheduler.ticked_at().elapsed() < Duration::from_secs(5));
        life.cut_off().await;
        let corrections = corrections.lock().expect("it is not poisoned").clone();
        Self {
            readings,
            corrections,
            balance,
            left: platform.messages(),
        }
    }
}

fn minute_of(time: &str) -> u64 {
    let (hours, minutes) = time.split_once(':').expect("hours and minutes");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    number(hours) * 60 + number(minutes)
}

/// Time, then the reading in the order of its fields.
type Row = (&'static str, [u64; 6], &'static str);

/// One run in each five minutes, so 12 an hour.
const EXPECTED: [Row; 18] = [
    ("00:05", [1, 1, 1, 0, 0, 0], "pass"),
    // From six to seven each mail takes an hour: it is under way, its check fails after two minutes.
    ("06:00", [72, 72, 72, 0, 0, 0], "pass"),
    ("06:05", [73, 73, 72, 0, 0, 1], "fail"),
    ("06:30", [78, 78, 72, 0, 0, 6], "fail"),
    ("07:00", [84, 84, 72, 0, 0, 12], "fail"),
    // The late ones come in between those that are on time again.
    ("07:30", [90, 90, 84, 6, 0, 6], "pass"),
    ("08:00", [96, 96, 96, 12, 0, 0], "pass"),
    // From ten to half past they vanish. Two hours after its final reply each of the six is lost.
    ("10:00", [120, 120, 120, 12, 0, 0], "pass"),
    ("10:15", [123, 123, 120, 12, 0, 3], "fail"),
    ("10:30", [126, 126, 120, 12, 0, 6], "fail"),
    ("12:00", [144, 144, 138, 12, 0, 6], "pass"),
    ("12:15", [147, 147, 141, 12, 3, 3], "pass"),
    ("12:30", [150, 150, 144, 12, 6, 0], "pass"),
    // At three they turn up: late and delivered. That they were lost once is not taken back.
    ("15:00", [180, 180, 174, 12, 6, 0], "pass"),
    ("15:02", [181, 181, 181, 18, 6, 0], "pass"),
    // From six to twenty past nobody listens: four runs, and no mail was taken.
    ("18:20", [220, 216, 216, 18, 6, 0], "fail"),
    ("18:25", [221, 217, 217, 18, 6, 0], "pass"),
    ("24:00", [288, 284, 284, 18, 6, 0], "pass"),
];

/// The kill falls between the final replies of the six and their loss, and changes no number of the day.
#[tokio::test(start_paused = true)]
async fn a_day_with_a_kill_at_noon_shows_delay_loss_late_find_and_outage_at_the_right_minute() {
    let times = EXPECTED.map(|(time, ..)| time);
    let day = Day::live(&times, minute_of("12:00")).await;
    let expected = EXPECTED.map(|(time, numbers, status)| {
        let [runs, sent, delivered, late, lost, in_flight] = numbers;
        let reading = Reading {
            runs,
            sent,
            delivered,
            late,
            lost,
            in_flight,
            status,
        };
        (time, reading)
    });
    let different: Vec<_> = day
        .readings
        .iter()
        .zip(&expected)
        .filter(|(is, should)| is != should)
        .collect();
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(day.readings.len(), expected.len());

    // Twelve had been overdue, six lost; each is put right once.
    let mut of: BTreeMap<_, Vec<(EntryState, EntryState)>> = BTreeMap::new();
    for correction in &day.corrections {
        let change = (correction.before, correction.after);
        of.entry(correction.entry.to_string())
            .or_default()
            .push(change);
    }
    let count = |before| {
        let told = [(before, EntryState::Delivered)];
        of.values().filter(|changes| **changes == told).count()
    };
    assert_eq!(
        (count(EntryState::Overdue), count(EntryState::Lost)),
        (12, 6)
    );
    assert_eq!((of.len(), day.corrections.len()), (18, 18));

    assert_eq!(day.balance.of(EntryState::Delivered), 284);
    assert_eq!(day.balance.of(EntryState::Lost), 0);
    // Told by the second process.
    assert_eq!((day.balance.corrected, day.balance.extra_copies), (6, 0));
    assert_eq!(day.left, 0, "own mail is removed");
}
