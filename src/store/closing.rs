//! The end of an hour: single samples become one histogram for each series, and lie packed beside it for some weeks.
//! What is closed and what is open can be told apart at any moment, so it can be interrupted at any moment.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::counts::{HOUR_US, hour_of};
use super::error::Fault;
use crate::histogram::packed::{MOST, Sample, pack, unpack};
use crate::histogram::series::Timed;
use crate::histogram::{Encoder, Histogram, HistogramError};

/// Series that one transaction looks at.
const SERIES: u32 = 50;
/// Samples after which a transaction takes no further series.
const ENOUGH: usize = 5_000;
/// Samples of one series that one transaction takes.
const SAMPLES: u32 = 20_000;

/// What one transaction did.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// Histograms written.
    pub(super) hours: u64,
    /// The last series that it looked at; none: there is nothing left.
    pub(super) last: Option<i64>,
    /// What could not be closed, and why.
    pub(super) problems: Vec<String>,
}

/// Closes hours that ended at or before a time, for the next few series after one.
pub(super) fn close_some(
    connection: &mut Connection,
    after: i64,
    ended_us: i64,
) -> Result<Closed, Fault> {
    let before_us = hour_of(ended_us) * HOUR_US;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut closed = Closed::default();
    let mut encoder = Encoder::default();
    let mut histogram = Histogram::new().map_err(|error| Fault::Content(error.to_string()))?;
    let mut taken = 0;
    for series in waiting(&transaction, after, before_us)? {
        let samples = samples(&transaction, series, before_us)?;
        taken += samples.len();
        // A full load may end within an hour; what is left of it is added the next time.
        let last_us = samples.last().map(|(at_us, _)| *at_us);
        let mut hours: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for (at_us, timed) in samples {
            let after_ms = u32::try_from(at_us.rem_euclid(HOUR_US) / 1000).unwrap_or(0);
            hours
                .entry(hour_of(at_us))
                .or_default()
                .push(Sample { after_ms, timed });
        }
        for (hour, samples) in hours {
            match close(
                &transaction,
                hour,
                series,
                &samples,
                &mut histogram,
                &mut encoder,
            )? {
                Ok(()) => closed.hours += 1,
                Err(error) => closed.problems.push(format!(
                    "{} samples of series {series} cannot be added to its stored hour {hour}: {error}",
                    samples.len()
                )),
            }
        }
        if let Some(last_us) = last_us {
            // What could not be added to a broken histogram goes as well, and was told: it would come back for ever.
            transaction.execute(
                "DELETE FROM samples WHERE series = ?1 AND at_us <= ?2",
                params![series, last_us],
            )?;
        }
        closed.last = Some(series);
        if taken >= ENOUGH {
            break;
        }
    }
    transaction.commit()?;
    Ok(closed)
}

fn waiting(transaction: &Transaction<'_>, after: i64, before_us: i64) -> Result<Vec<i64>, Fault> {
    let mut statement = transaction.prepare_cached(
        "SELECT DISTINCT series FROM samples WHERE series > ?1 AND at_us < ?2 ORDER BY series LIMIT ?3",
    )?;
    let series = statement.query_map(params![after, before_us, SERIES], |row| row.get(0))?;
    Ok(series.collect::<Result<_, _>>()?)
}

fn samples(
    transaction: &Transaction<'_>,
    series: i64,
    before_us: i64,
) -> Result<Vec<(i64, Timed)>, Fault> {
    let mut statement = transaction.prepare_cached(
        "SELECT at_us, took_us FROM samples WHERE series = ?1 AND at_us < ?2 ORDER BY at_us LIMIT ?3",
    )?;
    let rows = statement.query_map(params![series, before_us, SAMPLES], |row| {
        Ok((row.get(0)?, timed(row.get(1)?)))
    })?;
    let mut samples: Vec<(i64, Timed)> = rows.collect::<Result<_, _>>()?;
    if samples.len() == SAMPLES as usize {
        // All of the last moment or nothing of it: it is removed by its time.
        let last = samples.last().map(|(at_us, _)| *at_us);
        let whole = samples
            .iter()
            .rposition(|(at_us, _)| Some(*at_us) != last)
            .map_or(samples.len(), |index| index + 1);
        samples.truncate(whole);
    }
    Ok(samples)
}

/// A measurement of a column.
pub(super) fn timed(took_us: Option<i64>) -> Timed {
    match took_us {
        Some(micros) => Timed::Took(Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
        None => Timed::Unfinished,
    }
}

/// Writes the hour, together with what was closed of it before. The inner error: what lies there cannot be read, and
/// stays as it is.
fn close(
    transaction: &Transaction<'_>,
    hour: i64,
    series: i64,
    samples: &[Sample],
    histogram: &mut Histogram,
    encoder: &mut Encoder,
) -> Result<Result<(), HistogramError>, Fault> {
    histogram.reset();
    let mut unfinished: i64 = 0;
    for sample in samples {
        match sample.timed {
            Timed::Took(took) => histogram.record(took),
            Timed::Unfinished => unfinished += 1,
        }
    }
    let mut known = transaction.prepare_cached(
        "SELECT unfinished, histogram,
                (SELECT packed FROM sample_hours WHERE hour = ?1 AND series = ?2)
         FROM series_hours WHERE hour = ?1 AND series = ?2",
    )?;
    let found: Option<(i64, Vec<u8>, Option<Vec<u8>>)> = known
        .query_row(params![hour, series], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let mut all = samples.to_vec();
    if let Some((before, stored, packed)) = found {
        unfinished = unfinished.saturating_add(before);
        let earlier = packed.map_or(Ok(Vec::new()), |packed| unpack(&packed));
        match earlier.and_then(|earlier| histogram.add_encoded(&stored).map(|()| earlier)) {
            Ok(earlier) => all.extend(earlier),
            Err(error) => return Ok(Err(error)),
        }
    }
    all.truncate(MOST);
    let encoded = match histogram.encode(encoder) {
        Ok(encoded) => encoded,
        Err(error) => return Ok(Err(error)),
    };
    let n = i64::try_from(histogram.len()).unwrap_or(i64::MAX);
    let mut row = transaction.prepare_cached(
        "INSERT OR REPLACE INTO series_hours (hour, series, n, unfinished, histogram)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    row.execute(params![hour, series, n, unfinished, encoded])?;
    let mut row = transaction.prepare_cached(
        "INSERT OR REPLACE INTO sample_hours (hour, series, packed) VALUES (?1, ?2, ?3)",
    )?;
    row.execute(params![hour, series, pack(&all)])?;
    Ok(Ok(()))
}
