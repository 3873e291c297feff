//! How many mails and checks ended how, by check and hour: written in the commit that changes them, so that they are
//! still known when retention has removed what was counted.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::error::Fault;
use super::ledger::EntryRow;
use super::measured;
use crate::histogram::series::CheckKey;
use crate::result::CheckResult;

/// Microseconds of an hour.
pub(super) const HOUR_US: i64 = 3_600_000_000;
/// Checks that are told apart. What DNS answers makes targets, so their number must have a limit; the rest share one.
const KEYS: i64 = 100_000;
/// The target of the rest.
const OTHERS: &str = "(other targets)";

/// The whole hour of a time.
pub(super) fn hour_of(at_us: i64) -> i64 {
    at_us.div_euclid(HOUR_US)
}

/// Where a mail is counted, and as what.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    hour: i64,
    key: i64,
    state: String,
    late: bool,
    extra_copies: i64,
}

/// Moves a mail to where it is counted now, and takes its latency into the series when it was seen just now. Gives
/// the key of its check.
pub(super) fn mail(transaction: &Transaction<'_>, row: &EntryRow) -> Result<i64, Fault> {
    let mut known = transaction.prepare_cached(
        "SELECT planned_at_us, check_key, state, late, copies, latency_us FROM entries WHERE id = ?1",
    )?;
    let before = known
        .query_row([&row.id], |known| {
            let planned_at_us: Option<i64> = known.get(0)?;
            let place = Place {
                hour: hour_of(planned_at_us.unwrap_or(0)),
                key: known.get::<_, Option<i64>>(1)?.unwrap_or(0),
                state: known.get(2)?,
                late: known.get(3)?,
                extra_copies: known.get::<_, i64>(4)?.saturating_sub(1).max(0),
            };
            let measured = known.get::<_, Option<i64>>(5)?.is_some();
            Ok((place, planned_at_us.is_some(), measured))
        })
        .optional()?;
    // Whose mail it is does not change once it is planned.
    let settled = before.as_ref().filter(|(_, planned, _)| *planned);
    let key = match settled {
        Some((place, ..)) => place.key,
        None => key_of_mail(transaction, row)?,
    };
    let now = Place {
        hour: hour_of(row.planned_at_us.unwrap_or(0)),
        key,
        state: row.state.clone(),
        late: row.late,
        extra_copies: row.copies.saturating_sub(1).max(0),
    };
    let measured = before.as_ref().is_some_and(|(_, _, measured)| *measured);
    if let (Some(at_us), Some(took_us), false) = (row.first_seen_at_us, row.latency_us, measured) {
        measured::transit(transaction, key, at_us, took_us)?;
    }
    let before = before.map(|(place, ..)| place);
    if before.as_ref() != Some(&now) {
        if let Some(before) = before {
            add_mail(transaction, &before, -1)?;
        }
        add_mail(transaction, &now, 1)?;
    }
    Ok(key)
}

fn key_of_mail(transaction: &Transaction<'_>, row: &EntryRow) -> Result<i64, Fault> {
    let mut origin = transaction.prepare_cached("SELECT manual FROM runs WHERE id = ?1")?;
    let manual: Option<bool> = origin
        .query_row([row.run.as_deref().unwrap_or_default()], |run| run.get(0))
        .optional()?;
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let key = CheckKey::of_mail(
        &text(&row.scenario),
        &text(&row.step),
        &text(&row.route),
        // Of a run that nobody told of it is not known that the schedule started it.
        manual.unwrap_or(true),
    );
    key_id(transaction, &key)
}

fn add_mail(transaction: &Transaction<'_>, place: &Place, sign: i64) -> Result<(), Fault> {
    let extra_copies = sign * place.extra_copies;
    let late = sign * i64::from(place.late);
    let mut by_hour = transaction.prepare_cached(
        "INSERT INTO mail_hours (hour, check_key, state, mails, late, extra_copies)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (hour, check_key, state) DO UPDATE SET
             mails = mails + excluded.mails, late = late + excluded.late,
             extra_copies = extra_copies + excluded.extra_copies",
    )?;
    by_hour.execute(params![
        place.hour,
        place.key,
        place.state,
        sign,
        late,
        extra_copies
    ])?;
    if sign < 0 {
        let mut empty = transaction.prepare_cached(
            "DELETE FROM mail_hours WHERE hour = ?1 AND check_key = ?2 AND state = ?3 AND mails = 0",
        )?;
        empty.execute(params![place.hour, place.key, place.state])?;
    }
    let mut in_all = transaction.prepare_cached(
        "INSERT INTO tallies (state, mails, extra_copies) VALUES (?1, ?2, ?3)
         ON CONFLICT (state) DO UPDATE SET
             mails = mails + excluded.mails, extra_copies = extra_copies + excluded.extra_copies",
    )?;
    in_all.execute(params![place.state, sign, extra_copies])?;
    Ok(())
}

/// Counts a check that ended; its run is there already.
pub(super) fn check(
    transaction: &Transaction<'_>,
    run: &str,
    started_at: Timestamp,
    check: &CheckResult,
) -> Result<(), Fault> {
    let mut origin = transaction.prepare_cached("SELECT manual FROM runs WHERE id = ?1")?;
    let manual: Option<bool> = origin.query_row([run], |run| run.get(0)).optional()?;
    let key = key_id(transaction, &CheckKey::of(check, manual.unwrap_or(true)))?;
    let mut add = transaction.prepare_cached(
        "INSERT INTO check_hours (hour, check_key, status, checks) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (hour, check_key, status) DO UPDATE SET checks = checks + 1",
    )?;
    let at_us = started_at.as_microsecond();
    add.execute(params![hour_of(at_us), key, check.status.name()])?;
    measured::phases(transaction, key, at_us, check)
}

/// The number of a check; a new one gets the next.
fn key_id(transaction: &Transaction<'_>, key: &CheckKey) -> Result<i64, Fault> {
    let mut known = transaction.prepare_cached(
        "SELECT id FROM check_keys WHERE scenario = ?1 AND step = ?2 AND target = ?3 AND manual = ?4",
    )?;
    let mut find = |target: &str| {
        known
            .query_row(params![key.scenario, key.step, target, key.manual], |row| {
                row.get(0)
            })
            .optional()
    };
    if let Some(id) = find(&key.target)? {
        return Ok(id);
    }
    let last: i64 =
        transaction.query_row("SELECT coalesce(max(id), 0) FROM check_keys", [], |row| {
            row.get(0)
        })?;
    let target = if last < KEYS { &key.target } else { OTHERS };
    if let (OTHERS, Some(id)) = (target, find(OTHERS)?) {
        return Ok(id);
    }
    transaction.execute(
        "INSERT INTO check_keys (scenario, step, target, manual) VALUES (?1, ?2, ?3, ?4)",
        params![key.scenario, key.step, target, key.manual],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// What the counts say otherwise than the entries that are kept and the removals that were noted.
pub(super) fn differences(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(
        "WITH counted AS (
             SELECT state, count(*) AS mails, sum(max(copies - 1, 0)) AS extra FROM entries GROUP BY state
             UNION ALL
             SELECT state, sum(removed), sum(extra_copies) FROM removals WHERE what = 'entries' GROUP BY state
             UNION ALL
             SELECT state, -mails, -extra_copies FROM tallies
         )
         SELECT state, sum(mails), sum(extra) FROM counted GROUP BY state
         HAVING sum(mails) <> 0 OR sum(extra) <> 0",
    )?;
    let lines = statement.query_map([], |row| {
        let (state, mails, extra): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!(
            "the balance of {state} differs by {mails} mails and {extra} extra copies from what is kept and was removed"
        ))
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
