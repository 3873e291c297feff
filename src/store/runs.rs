//! Runs and their results, as published documents.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::outcome::Status;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::error::{Fault, StoreError};
use super::{Store, counts};
use crate::histogram::series::is_manual;
use crate::result::{CheckResult, RunHead, RunResult};
use crate::run::document::{head_cut_off, result_of};

/// Runs that an ambiguous beginning names.
const CANDIDATES: usize = 10;

/// Among so many of the newest runs those are looked for that an earlier process left under way.
const LEFT_AMONG: u32 = 20_000;

/// What the beginning of a run's id leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum RunSearch {
    /// The one run.
    One(Box<RunResult>),
    /// No run's id begins so.
    None,
    /// Several do; the newest ten.
    Several(Vec<String>),
}

/// How a check ended last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// The target's MX host.
    pub mx: Option<String>,
    /// The target's address.
    pub address: Option<String>,
    /// How it ended.
    pub status: Status,
    /// When it ended.
    pub ended_at: Timestamp,
    /// When it last ended with `pass` or `degraded`.
    pub last_success_at: Option<Timestamp>,
}

impl Store {
    /// How each check ended last, among so many checks of the newest runs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_checks(&self, among: u32) -> Result<Vec<LastCheck>, StoreError> {
        self.work(move |connection| last_checks(connection, among))
            .await
    }

    /// Finds a run by its id or any beginning of it; capital and small letters are the same.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run_by_prefix(&self, prefix: &str) -> Result<RunSearch, StoreError> {
        let prefix = prefix.to_owned();
        self.work(move |connection| search(connection, &prefix))
            .await
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn latest_runs(&self, limit: u32) -> Result<Vec<RunHead>, StoreError> {
        self.work(move |connection| latest(connection, limit)).await
    }
}

pub(super) fn search(connection: &Connection, prefix: &str) -> Result<RunSearch, Fault> {
    let mut statement = connection.prepare(
        "SELECT id, head FROM runs
         WHERE substr(id, 1, length(?1)) = ?1 COLLATE NOCASE
         ORDER BY length(id) = length(?1) DESC, started_at_us DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(CANDIDATES).unwrap_or(i64::MAX);
    let mut found: Vec<(String, String)> = statement
        .query_map(params![prefix, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let exact = found
        .first()
        .is_some_and(|(id, _)| id.eq_ignore_ascii_case(prefix));
    if found.is_empty() {
        return Ok(RunSearch::None);
    }
    if !exact && found.len() > 1 {
        let ids = found.into_iter().map(|(id, _)| id);
        return Ok(RunSearch::Several(ids.collect()));
    }
    let (id, head) = found.swap_remove(0);
    let head = parse("run", &head)?;
    let checks = checks_of(connection, &id)?;
    Ok(RunSearch::One(Box::new(result_of(head, checks))))
}

fn last_checks(connection: &Connection, among: u32) -> Result<Vec<LastCheck>, Fault> {
    let mut statement = connection.prepare(
        "SELECT document ->> '$.scenario', document ->> '$.step', document ->> '$.target.mx',
                document ->> '$.target.address', document ->> '$.status',
                document ->> '$.started_at', document ->> '$.duration_seconds'
         FROM runs JOIN checks ON checks.run = runs.id
         ORDER BY runs.started_at_us DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([among])?;
    let mut last: BTreeMap<_, LastCheck> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get::<_, Option<String>>(column);
        let (scenario, step): (String, String) = (row.get(0)?, row.get(1)?);
        let (mx, address, word) = (text(2)?, text(3)?, text(4)?);
        let known = |status: &Status| Some(status.name()) == word.as_deref();
        let (Some(status), Some(started_at)) = (
            Status::ALL.into_iter().find(known),
            text(5)?.and_then(|text| text.parse::<Timestamp>().ok()),
        ) else {
            return Err(Fault::Content(format!("a check of {scenario}/{step}")));
        };
        let took = row.get::<_, Option<f64>>(6)?.unwrap_or_default();
        let took = Duration::try_from_secs_f64(took).unwrap_or_default();
        let ended_at = started_at.saturating_add(took).unwrap_or(started_at);
        let proves = matches!(status, Status::Pass | Status::Degraded);
        let success_at = proves.then_some(ended_at);
        let key = (scenario.clone(), step.clone(), mx.clone(), address.clone());
        // The newest come first.
        let check = last.entry(key).or_insert(LastCheck {
            scenario,
            step,
            mx,
            address,
            status,
            ended_at,
            last_success_at: None,
        });
        check.last_success_at = check.last_success_at.or(success_at);
    }
    Ok(last.into_values().collect())
}

pub(super) fn latest(connection: &Connection, limit: u32) -> Result<Vec<RunHead>, Fault> {
    let mut statement = connection
        .prepare("SELECT head FROM runs ORDER BY started_at_us DESC, id DESC LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(parse("run", &row.get::<_, String>(0)?)?);
    }
    Ok(heads)
}

/// Says of the runs that an earlier process left under way that they never came to their end. Nobody else writes: a run
/// that is called under way from now on is one of this process.
pub(super) fn cut_off_left(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut statement = transaction.prepare(
        "SELECT head FROM (SELECT head, status FROM runs ORDER BY started_at_us DESC LIMIT ?1)
         WHERE CASE WHEN status = 'error' AND json_valid(head) THEN json_extract(head, '$.running') END",
    )?;
    let left = statement
        .query_map([LEFT_AMONG], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for head in left {
        save(&transaction, &[head_cut_off(parse("run", &head)?)])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes runs; what is there already is replaced.
pub(super) fn save(transaction: &Transaction<'_>, runs: &[RunHead]) -> Result<(), Fault> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO runs (id, started_at_us, head, status, manual) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET head = excluded.head, status = excluded.status",
    )?;
    for head in runs {
        let started_at = moment(&head.started_at, &head.id)?;
        upsert.execute(params![
            head.id,
            started_at.as_microsecond(),
            text("run", head)?,
            head.status.name(),
            is_manual(&head.origin),
        ])?;
    }
    Ok(())
}

/// Writes checks, whose runs are there, and counts those that are new; what is there already is replaced.
pub(super) fn save_checks(
    transaction: &Transaction<'_>,
    checks: &[(String, CheckResult)],
) -> Result<(), Fault> {
    let mut known =
        transaction.prepare_cached("SELECT 1 FROM checks WHERE run = ?1 AND number = ?2")?;
    // A run that retention has removed meanwhile takes nothing any more, and fails nothing.
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO checks (run, number, document, scenario, step, status, started_at_us)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM runs WHERE id = ?1)
         ON CONFLICT (run, number) DO UPDATE SET
             document = excluded.document, status = excluded.status",
    )?;
    for (run, check) in checks {
        let started_at = moment(&check.started_at, run)?;
        if !known.exists(params![run, check.number])? {
            counts::check(transaction, run, started_at, check)?;
        }
        upsert.execute(params![
            run,
            check.number,
            text("check", check)?,
            check.scenario,
            check.step,
            check.status.name(),
            started_at.as_microsecond(),
        ])?;
    }
    Ok(())
}

fn moment(text: &str, run: &str) -> Result<jiff::Timestamp, Fault> {
    text.parse()
        .map_err(|error| Fault::Content(format!("run {run}: {error}")))
}

fn checks_of(connection: &Connection, run: &str) -> Result<Vec<CheckResult>, Fault> {
    let mut statement =
        connection.prepare("SELECT document FROM checks WHERE run = ?1 ORDER BY number")?;
    let mut rows = statement.query([run])?;
    let mut checks = Vec::new();
    while let Some(row) = rows.next()? {
        checks.push(parse("check", &row.get::<_, String>(0)?)?);
    }
    Ok(checks)
}

fn text(what: &str, document: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(document).map_err(|error| Fault::Content(format!("a {what}: {error}")))
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Content(format!("a {what}: {error}")))
}
