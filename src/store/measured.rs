//! Single measurements, as they come in: the open hours.

use std::time::Duration;

use postrider_probes::phase::Phase;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::error::Fault;
use super::fact_record::micros;
use crate::histogram::series::{Timed, timed};
use crate::result::CheckResult;

/// How long a mail was under way.
pub(super) fn transit(
    transaction: &Transaction<'_>,
    key: i64,
    at_us: i64,
    took_us: i64,
) -> Result<(), Fault> {
    let took = Duration::from_micros(u64::try_from(took_us).unwrap_or(0));
    add(transaction, key, Phase::Transit, at_us, Timed::Took(took))
}

/// The phases of a check.
pub(super) fn phases(
    transaction: &Transaction<'_>,
    key: i64,
    at_us: i64,
    check: &CheckResult,
) -> Result<(), Fault> {
    timed(check).try_for_each(|(phase, timed)| add(transaction, key, phase, at_us, timed))
}

fn add(
    transaction: &Transaction<'_>,
    key: i64,
    phase: Phase,
    at_us: i64,
    timed: Timed,
) -> Result<(), Fault> {
    let mut known =
        transaction.prepare_cached("SELECT id FROM series WHERE check_key = ?1 AND phase = ?2")?;
    let found: Option<i64> = known
        .query_row(params![key, phase.name()], |row| row.get(0))
        .optional()?;
    let series = match found {
        Some(series) => series,
        None => {
            transaction.execute(
                "INSERT INTO series (check_key, phase) VALUES (?1, ?2)",
                params![key, phase.name()],
            )?;
            transaction.last_insert_rowid()
        }
    };
    let took_us = match timed {
        Timed::Took(took) => Some(micros(took)),
        Timed::Unfinished => None,
    };
    let mut insert = transaction
        .prepare_cached("INSERT INTO samples (at_us, series, took_us) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![at_us, series, took_us])?;
    Ok(())
}
