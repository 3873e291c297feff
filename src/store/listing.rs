//! Checks, newest first.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::error::{Fault, StoreError};
use super::{Reader, runs, schema};
use crate::histogram::series::CheckKey;
use crate::result::listing::{CheckListing, ListedCheck};
use crate::result::{CheckResult, SCHEMA_VERSION, StatusWord};

/// Which checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckSearch {
    /// Only of this scenario.
    pub scenario: Option<String>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only with this status.
    pub status: Option<StatusWord>,
    /// Only those that began at or after this.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

impl Reader {
    /// Checks, newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or has another schema.
    pub fn checks(&self, search: &CheckSearch) -> Result<CheckListing, StoreError> {
        self.read(|connection| {
            schema::require_current(connection)?;
            list(connection, search)
        })
    }
}

fn list(connection: &Connection, search: &CheckSearch) -> Result<CheckListing, Fault> {
    let mut statement = connection.prepare(
        "WITH found AS (
             SELECT run, number FROM checks INDEXED BY checks_by_time
             WHERE (?1 IS NULL OR scenario = ?1) AND (?2 IS NULL OR step = ?2)
               AND (?3 IS NULL OR status = ?3) AND started_at_us >= ?4
             ORDER BY started_at_us DESC, run DESC, number DESC LIMIT ?5
         )
         SELECT checks.run, checks.document, json_extract(runs.head, '$.origin')
         FROM found JOIN checks ON checks.run = found.run AND checks.number = found.number
              JOIN runs ON runs.id = checks.run
         ORDER BY checks.started_at_us DESC, checks.run DESC, checks.number DESC",
    )?;
    let mut rows = statement.query(params![
        search.scenario,
        search.step,
        search.status.map(StatusWord::name),
        search.since.map_or(i64::MIN, Timestamp::as_microsecond),
        search.limit
    ])?;
    let mut checks = Vec::new();
    while let Some(row) = rows.next()? {
        let run: String = row.get(0)?;
        let check: CheckResult = runs::parse("check", &row.get::<_, String>(1)?)?;
        let target = CheckKey::of(&check, false).target;
        checks.push(ListedCheck {
            run,
            number: check.number,
            origin: row.get(2)?,
            started_at: check.started_at,
            scenario: check.scenario,
            step: check.step,
            target: Some(target).filter(|target| !target.is_empty()),
            status: check.status,
            reason: check.reason,
            message: check.message,
            duration_seconds: check.duration_seconds,
        });
    }
    Ok(CheckListing {
        schema_version: SCHEMA_VERSION.to_owned(),
        checks,
    })
}
