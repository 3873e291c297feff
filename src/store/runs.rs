//! Runs and their results, as published documents.

use rusqlite::{Connection, Transaction, params};

use super::error::{Fault, StoreError};
use super::{Store, counts};
use crate::histogram::series::is_manual;
use crate::result::{CheckResult, RunHead, RunResult};
use crate::run::document::result_of;

/// Runs that an ambiguous beginning names.
const CANDIDATES: usize = 10;

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

impl Store {
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
