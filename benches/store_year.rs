//! The store that a year of 100 checks, each every minute, leaves behind: its size, and how long it takes to open it
//! and to report a week.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use postrider::histogram::packed::{Sample, pack};
use postrider::histogram::series::Timed;
use postrider::histogram::{Encoder, Histogram};
use postrider::ledger::Ledger;
use postrider::ledger::fact::{CopyKey, Fact, Latency, Noted, Sighting};
use postrider::mailbox::news::MessageKey;
use postrider::result::{CheckResult, EvidenceResult, RunHead, StatusWord, TargetResult};
use postrider::store::{Batch, EntryRow, Retention, Store};
use postrider_wire::message::tag::EntryId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::lab::{POSTRIDER, finish};
use crate::ledger_writes::{accepted, planned};
use crate::spread::verdict;

const CHECKS: i64 = 100;
const HOURS: i64 = 365 * 24;
const HOUR: i64 = 3600;
const SAMPLES_AN_HOUR: u32 = 60;
/// Phases of a delivery: usual time and spread, in milliseconds.
const PHASES: [(&str, f64, f64); 10] = [
    ("dns", 12.0, 0.5),
    ("connect", 21.0, 0.1),
    ("banner", 110.0, 0.4),
    ("ehlo", 22.0, 0.1),
    ("starttls", 64.0, 0.2),
    ("mail", 23.0, 0.1),
    ("rcpt", 35.0, 0.3),
    ("data", 310.0, 0.4),
    ("transit", 4200.0, 0.5),
    ("imap-search", 30.0, 0.3),
];
/// Different hours of a phase; they repeat.
const VARIETY: usize = 200;

pub(crate) fn measure() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let now = Timestamp::from_second(postrider::clock::now().as_second() / HOUR * HOUR + 600)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let began = Instant::now();
    runtime.block_on(seed(path, now))?;
    println!("  seeded in {:.0} s", began.elapsed().as_secs_f64());

    let bytes = std::fs::metadata(path.join("postrider.db"))?.len();
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    println!(
        "  a year of {CHECKS} checks a minute: {mebibytes:.0} MiB; target < 2048 MiB: {}",
        verdict(mebibytes < 2048.0)
    );
    sizes(path)?;
    for (name, crashed) in [("after an orderly end", false), ("after a crash", true)] {
        if crashed {
            std::fs::write(path.join("lock"), "1\n")?;
        }
        let began = Instant::now();
        let store = runtime.block_on(Store::open(path))?;
        runtime.block_on(store.balance())?;
        runtime.block_on(store.open_entries())?;
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "  open {name}, read balance and open entries: {:.0} ms; target < 1000 ms: {}",
            seconds * 1e3,
            verdict(seconds < 1.0)
        );
        let began = Instant::now();
        let done = runtime.block_on(store.maintain(now, Retention::default()))?;
        println!(
            "  maintain: {:.0} ms, {} entries, {} checks and {} hourly rows removed, more: {}",
            began.elapsed().as_secs_f64() * 1e3,
            done.entries,
            done.checks,
            done.hourly_rows,
            done.more
        );
        runtime.block_on(store.close());
    }
    let state = path.to_str().context("a path in UTF-8")?;
    for (what, since, more) in [
        ("a week, all checks       ", "7d", &[][..]),
        (
            "a week, one scenario     ",
            "7d",
            &["--scenario", "scenario-7"],
        ),
        (
            "90 days, one scenario    ",
            "90d",
            &["--scenario", "scenario-7"],
        ),
    ] {
        let mut command = std::process::Command::new(POSTRIDER);
        command
            .args(["--storage.path", state, "report", "--since", since])
            .args(more);
        let ended = finish(&mut command, &[0])?;
        println!(
            "  report --since {since:<3} {what} {:>7.0} ms, CPU {:>7.0} ms, {} lines",
            ended.wall.as_secs_f64() * 1e3,
            ended.cpu.as_secs_f64() * 1e3,
            ended
                .output
                .stdout
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
        );
    }
    let mut command = std::process::Command::new(POSTRIDER);
    command.args(["--storage.path", state, "history", "--status", "fail"]);
    let ended = finish(&mut command, &[0])?;
    println!(
        "  history --status fail (none among all): {:.0} ms",
        ended.wall.as_secs_f64() * 1e3
    );
    Ok(())
}

async fn seed(path: &Path, now: Timestamp) -> anyhow::Result<()> {
    let keep = Retention::default();
    let store = Store::open(path).await?;
    details(&store, now, &keep).await?;
    store.close().await;
    // The hours go in by SQL: through commits it would take as long as the year did, nearly.
    let mut connection = Connection::open(path.join("postrider.db"))?;
    connection.pragma_update(None, "synchronous", "off")?;
    hours(&mut connection, now, &keep)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// The newest mails and checks, as many as are kept, through commits.
async fn details(store: &Store, now: Timestamp, keep: &Retention) -> anyhow::Result<()> {
    let mut ledger = Ledger::default();
    let newest = now.as_second();
    let mails = i64::try_from(keep.entries)?;
    let checks = i64::try_from(keep.checks)?;
    for first in (0..mails).step_by(2000) {
        let mut batch = Batch::default();
        for n in first..first + 2000 {
            let at = Timestamp::from_second(newest - (mails - n) * 60 / CHECKS)?;
            let number = u64::try_from(n)?;
            let id = EntryId::from_parts(u64::try_from(at.as_millisecond())?, number);
            let copy = CopyKey {
                mailbox: "alice".to_owned(),
                message: MessageKey {
                    folder: "INBOX".to_owned(),
                    uid_validity: 1_700_000_000,
                    uid: u32::try_from(n)?,
                },
            };
            let sighting = Sighting {
                copy: copy.clone(),
                junk: false,
                latency: Some(Latency {
                    on_wall_clock: false,
                    after: Duration::from_millis(4200 + number % 1000),
                    pushed_after: None,
                }),
                internal_date: Some(at),
            };
            for what in [
                planned(id),
                accepted(),
                Fact::Sighted(Box::new(sighting)),
                Fact::Removed(copy),
            ] {
                let noted = Noted {
                    at,
                    entry: id,
                    what,
                };
                ledger.apply(&noted);
                batch.facts.push(noted);
            }
            let entry = ledger.entry(id).context("it was just applied")?;
            batch.entries.push(EntryRow::of(id, entry));
            ledger.release(id);
            if mails - n <= checks {
                let run = format!("1QF{n:07}");
                batch.runs.push(head(&run, at));
                batch.checks.push((run, check(n, at, &id.to_string())));
            }
        }
        store.commit(Arc::new(batch)).await?;
    }
    Ok(())
}

fn head(run: &str, at: Timestamp) -> RunHead {
    RunHead {
        id: run.to_owned(),
        origin: "schedule".to_owned(),
        vantage: "fra-1".to_owned(),
        started_at: at.to_string(),
        duration_seconds: 5.1,
        status: StatusWord::Pass,
        version: "0.1.0".to_owned(),
        config_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            .to_owned(),
        scenarios: Vec::new(),
        running: false,
        cancelled: None,
    }
}

/// A check that passed, with a dialogue of the usual length.
fn check(n: i64, at: Timestamp, entry: &str) -> CheckResult {
    let line = |n: usize| format!("+0.{n:03} <~ 250-mx1.example.net says something of fifty bytes");
    CheckResult {
        number: 1,
        scenario: format!("scenario-{}", n % CHECKS),
        step: "primary".to_owned(),
        title: None,
        kind: "deliver".to_owned(),
        target: Some(TargetResult {
            mx: "mx1.example.net".to_owned(),
            preference: 10,
            address: "192.0.2.10".to_owned(),
            port: Some(25),
            family: "ipv4".to_owned(),
            node: Some("filter1".to_owned()),
            role: "primary".to_owned(),
        }),
        status: StatusWord::Pass,
        reason: None,
        message: None,
        findings: Vec::new(),
        notes: vec!["250".to_owned(), "INBOX".to_owned()],
        attempts: 1,
        started_at: at.to_string(),
        duration_seconds: 5.1,
        queued_seconds: None,
        phases_seconds: PHASES
            .iter()
            .map(|(name, ms, _)| ((*name).to_owned(), ms / 1e3))
            .collect(),
        source: postrider::result::SourceResult {
            file: "scenarios/mx-delivery.yaml".to_owned(),
            line: 20,
        },
        evidence: Some(EvidenceResult {
            transcript: (0..30).map(line).collect(),
            entries: vec![entry.to_owned()],
            ..EvidenceResult::default()
        }),
    }
}

/// Histograms of the year, and single samples of the last weeks.
fn hours(connection: &mut Connection, now: Timestamp, keep: &Retention) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut shapes = Vec::new();
    for (_, usual, spread) in PHASES {
        let mut of_phase = Vec::new();
        for _ in 0..VARIETY {
            of_phase.push(hour_of(usual, spread, &mut rng)?);
        }
        shapes.push(of_phase);
    }
    let last = now.as_second() / HOUR;
    let single = last - i64::try_from(keep.samples.as_secs())? / HOUR;
    let mut transaction = connection.transaction()?;
    transaction
        .execute_batch("DELETE FROM samples; DELETE FROM series; DELETE FROM check_hours")?;
    for check in 0..CHECKS {
        transaction.execute(
            "INSERT OR IGNORE INTO check_keys (scenario, step, target, manual)
             VALUES (?1, 'primary', 'mx1.example.net [192.0.2.10]:25', 0)",
            [format!("scenario-{check}")],
        )?;
    }
    transaction.execute_batch(&PHASES.map(|(name, ..)| format!(
        "INSERT INTO series (check_key, phase) SELECT id, '{name}' FROM check_keys WHERE scenario LIKE 'scenario-%';"
    )).concat())?;
    let keys: Vec<i64> = numbers(
        &transaction,
        "SELECT id FROM check_keys WHERE scenario LIKE 'scenario-%'",
    )?;
    for first in (last - HOURS..last).step_by(240) {
        {
            let mut histogram = transaction.prepare(
                "INSERT INTO series_hours (hour, series, n, unfinished, histogram) VALUES (?1, ?2, ?3, 0, ?4)",
            )?;
            let mut samples = transaction
                .prepare("INSERT INTO sample_hours (hour, series, packed) VALUES (?1, ?2, ?3)")?;
            let mut checks = transaction
                .prepare("INSERT INTO check_hours (hour, check_key, status, checks) VALUES (?1, ?2, 'pass', 60)")?;
            let mut mails = transaction.prepare(
                "INSERT OR REPLACE INTO mail_hours (hour, check_key, state, mails, late, extra_copies)
                 VALUES (?1, ?2, 'delivered', 60, 0, 0)",
            )?;
            for hour in first..(first + 240).min(last) {
                for series in 0..CHECKS * PHASES.len() as i64 {
                    let phase = usize::try_from(series / CHECKS)?;
                    let (encoded, packed) = &shapes[phase][rng.random_range(0..VARIETY)];
                    histogram.execute(params![hour, series + 1, SAMPLES_AN_HOUR, encoded])?;
                    if hour >= single {
                        samples.execute(params![hour, series + 1, packed])?;
                    }
                }
                for key in &keys {
                    checks.execute([hour, *key])?;
                    mails.execute([hour, *key])?;
                }
            }
        }
        transaction.commit()?;
        transaction = connection.transaction()?;
    }
    // The ledger has said what was removed, hour by hour.
    let said = transaction.execute(
        "INSERT INTO removals (hour, what, state, removed, events, extra_copies, last_at_us)
         SELECT hour, 'entries', 'delivered', 6000, 24000, 0, 0 FROM series_hours WHERE series = 1 AND hour < ?1",
        [last - 34],
    )?;
    transaction.execute(
        "UPDATE tallies SET mails = mails + 6000 * ?1 WHERE state = 'delivered'",
        [i64::try_from(said)?],
    )?;
    transaction.commit()?;
    Ok(())
}

/// One hour of a phase: its histogram and its samples.
fn hour_of(usual: f64, spread: f64, rng: &mut StdRng) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut histogram = Histogram::new()?;
    let mut samples = Vec::new();
    for minute in 0..SAMPLES_AN_HOUR {
        // Twelve uniform numbers make a normal one; its exponential is what latencies look like.
        let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let took = Duration::from_secs_f64(usual / 1e3 * (normal * spread).exp());
        histogram.record(took);
        samples.push(Sample {
            after_ms: minute * 60_000 + rng.random_range(0..1000),
            timed: Timed::Took(took),
        });
    }
    Ok((histogram.encode(&mut Encoder::default())?, pack(&samples)))
}

fn numbers(connection: &Connection, sql: &str) -> anyhow::Result<Vec<i64>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The largest tables.
fn sizes(path: &Path) -> anyhow::Result<()> {
    let connection = Connection::open(path.join("postrider.db"))?;
    let mut statement = connection
        .prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 8")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?))
    })?;
    for row in rows {
        let (name, bytes) = row?;
        println!("    {name:<24} {:>7.0} MiB", bytes / f64::from(1 << 20));
    }
    Ok(())
}
