//! Runs and their results, as published documents.

use rusqlite::{Connection, Transaction, params};

use super::Store;
use super::error::{Fault, StoreError};
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

/// Writes runs and checks; what is there already is replaced.
pub(super) fn save(
    transaction: &Transaction<'_>,
    runs: &[RunHead],
    checks: &[(String, CheckResult)],
) -> Result<(), Fault> {
    let mut upsert_run = transaction.prepare_cached(
        "INSERT INTO runs (id, started_at_us, head) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET head = excluded.head",
    )?;
    for head in runs {
        let started_at: jiff::Timestamp = head
            .started_at
            .parse()
            .map_err(|error| Fault::Content(format!("run {}: {error}", head.id)))?;
        let text = text("run", head)?;
        upsert_run.execute(params![head.id, started_at.as_microsecond(), text])?;
    }
    let mut upsert_check = transaction.prepare_cached(
        "INSERT INTO checks (run, number, document) VALUES (?1, ?2, ?3)
         ON CONFLICT (run, number) DO UPDATE SET document = excluded.document",
    )?;
    for (run, check) in checks {
        upsert_check.execute(params![run, check.number, text("check", check)?])?;
    }
    Ok(())
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

fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Content(format!("a {what}: {error}")))
}
