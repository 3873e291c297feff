//! Taking away what is too old or too much, a little at a time, and noting what went (rule: nothing vanishes without
//! a trace). Entries that something can still happen to are never touched.

use std::collections::BTreeMap;

use jiff::Timestamp;
use postrider_wire::message::tag::EntryId;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::counts::hour_of;
use super::error::Fault;

/// Entries of one transaction.
const ENTRIES: u64 = 100;
/// Checks of one transaction.
const CHECKS: u64 = 300;
/// Hourly rows of one transaction.
const ROWS: u32 = 2_000;

/// Which details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs that passed; mails that were delivered in time and once.
    Ordinary,
    /// All others as well.
    Any,
}

/// What one transaction removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// Entries, checks or rows.
    pub(super) rows: u64,
    /// Facts of the ledger.
    pub(super) events: u64,
    /// Runs.
    pub(super) runs: u64,
}

/// Removes the oldest closed entries that were planned before a time.
pub(super) fn entries(
    connection: &mut Connection,
    kind: Kind,
    before: Timestamp,
    most: u64,
    now: Timestamp,
) -> Result<Removed, Fault> {
    let limit = ENTRIES.min(most);
    // The conditions of two indexes, word for word. Ids begin with the time, so they are in the order of time. The
    // newest fact of all stays: the next one gets its number from it.
    const ORDINARY: &str = "open = 0 AND state = 'delivered' AND late = 0 AND copies <= 1";
    const OTHER: &str = "open = 0 AND (state <> 'delivered' OR late = 1 OR copies > 1)";
    let first = |condition: &str| {
        format!(
            "SELECT id, state, copies, coalesce(planned_at_us, 0) FROM entries
             WHERE {condition} AND id < ?1
               AND id <> (SELECT entry FROM ledger_events ORDER BY seq DESC LIMIT 1)
             ORDER BY id LIMIT ?2"
        )
    };
    let bound =
        EntryId::from_parts(u64::try_from(before.as_millisecond()).unwrap_or(0), 0).to_string();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut gone = Vec::new();
    let conditions: &[&str] = match kind {
        Kind::Ordinary => &[ORDINARY],
        Kind::Any => &[ORDINARY, OTHER],
    };
    for condition in conditions {
        let mut statement = transaction.prepare_cached(&first(condition))?;
        let rows = statement.query_map(
            params![bound, number(limit.saturating_sub(gone.len() as u64))],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            },
        )?;
        for row in rows {
            gone.push(row?);
        }
    }
    let mut removed = Removed::default();
    for (id, state, copies, planned_at_us) in gone {
        let events = transaction
            .prepare_cached("DELETE FROM ledger_events WHERE entry = ?1")?
            .execute([&id])? as u64;
        transaction
            .prepare_cached("DELETE FROM entries WHERE id = ?1")?
            .execute([&id])?;
        removed.rows += 1;
        removed.events += events;
        let trace = Trace {
            hour: hour_of(planned_at_us),
            what: "entries",
            state: &state,
            removed: 1,
            events,
            extra_copies: copies.saturating_sub(1).max(0),
        };
        trace.note(&transaction, now)?;
    }
    transaction.commit()?;
    Ok(removed)
}

/// Removes the oldest run that began before a time, or some of its checks when it has many. A run under way stays: who
/// started it must be known when its next checks are counted.
pub(super) fn run(
    connection: &mut Connection,
    kind: Kind,
    before: Timestamp,
    now: Timestamp,
) -> Result<Removed, Fault> {
    let condition = match kind {
        Kind::Ordinary => "status = 'pass' AND",
        Kind::Any => "",
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removed = Removed::default();
    let mut runs = transaction.prepare_cached(&format!(
        "SELECT id, status, started_at_us FROM runs
         WHERE {condition} started_at_us < ?1
           AND NOT coalesce(CASE WHEN status = 'error' AND json_valid(head)
                                 THEN json_extract(head, '$.running') END, 0)
         ORDER BY started_at_us LIMIT ?2"
    ))?;
    let oldest: Vec<(String, String, i64)> = runs
        .query_map(params![before.as_microsecond(), number(CHECKS)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    drop(runs);
    for (id, status, started_at_us) in oldest {
        let room = CHECKS.saturating_sub(removed.rows);
        if room == 0 {
            break;
        }
        let checks = transaction
            .prepare_cached(
                "DELETE FROM checks WHERE run = ?1 AND number IN
                     (SELECT number FROM checks WHERE run = ?1 ORDER BY number LIMIT ?2)",
            )?
            .execute(params![id, number(room)])?;
        let checks = checks as u64;
        removed.rows += checks;
        let mut trace = Trace {
            hour: hour_of(started_at_us),
            what: "runs",
            state: &status,
            removed: 0,
            events: checks,
            extra_copies: 0,
        };
        if checks < room {
            transaction
                .prepare_cached("DELETE FROM runs WHERE id = ?1")?
                .execute([&id])?;
            trace.removed = 1;
            removed.runs += 1;
        }
        trace.note(&transaction, now)?;
    }
    transaction.commit()?;
    Ok(removed)
}

/// Rows by hour that can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hourly {
    /// Single samples.
    Samples,
    /// Histograms.
    Series,
    /// Counts of checks.
    Checks,
    /// Counts of mails.
    Mails,
}

impl Hourly {
    /// What is history, and goes together.
    pub(super) const HISTORY: [Self; 3] = [Self::Series, Self::Checks, Self::Mails];

    fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Samples => ("sample_hours", "series"),
            Self::Series => ("series_hours", "series"),
            Self::Checks => ("check_hours", "check_key, status"),
            Self::Mails => ("mail_hours", "check_key, state"),
        }
    }
}

/// Removes the oldest rows of hours before this one.
pub(super) fn hours(
    connection: &mut Connection,
    rows: Hourly,
    before: i64,
    now: Timestamp,
) -> Result<Removed, Fault> {
    let (table, key) = rows.table();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut by_hour: BTreeMap<i64, u64> = BTreeMap::new();
    let mut delete = transaction.prepare_cached(&format!(
        "DELETE FROM {table} WHERE (hour, {key}) IN
             (SELECT hour, {key} FROM {table} WHERE hour < ?1 ORDER BY hour LIMIT ?2)
         RETURNING hour"
    ))?;
    let mut gone = delete.query(params![before, ROWS])?;
    while let Some(row) = gone.next()? {
        *by_hour.entry(row.get(0)?).or_default() += 1;
    }
    drop(gone);
    drop(delete);
    let mut removed = Removed::default();
    for (hour, rows) in by_hour {
        removed.rows += rows;
        let trace = Trace {
            hour,
            what: table,
            state: "",
            removed: rows,
            events: 0,
            extra_copies: 0,
        };
        trace.note(&transaction, now)?;
    }
    transaction.commit()?;
    Ok(removed)
}

/// What went.
struct Trace<'t> {
    hour: i64,
    what: &'t str,
    state: &'t str,
    removed: u64,
    events: u64,
    extra_copies: i64,
}

impl Trace<'_> {
    fn note(&self, transaction: &Transaction<'_>, now: Timestamp) -> Result<(), Fault> {
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO removals (hour, what, state, removed, events, extra_copies, last_at_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (hour, what, state) DO UPDATE SET
                 removed = removed + excluded.removed, events = events + excluded.events,
                 extra_copies = extra_copies + excluded.extra_copies, last_at_us = excluded.last_at_us",
        )?;
        upsert.execute(params![
            self.hour,
            self.what,
            self.state,
            number(self.removed),
            number(self.events),
            self.extra_copies,
            now.as_microsecond()
        ])?;
        Ok(())
    }
}

/// For a column.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
