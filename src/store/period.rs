//! How all checks did over a period, from what is kept by hour. One series is added up at a time: memory does not
//! grow with the length of the period or the number of series.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::phase::Phase;
use postrider_probes::post::EntryState;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::counts::{HOUR_US, hour_of};
use super::error::{Fault, StoreError};
use super::fact_record::moment;
use super::{Reader, Store, closing, schema};
use crate::histogram::Histogram;
use crate::histogram::packed::unpack;
use crate::histogram::quantile::Quantile;
use crate::histogram::series::Timed;
use crate::result::period::{
    CheckPeriod, MailCounts, PeriodCounts, PeriodReport, PhasePeriod, RunsWord, ShareResult,
};
use crate::result::{SCHEMA_VERSION, StatusWord};

/// Which period, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodSearch {
    /// From the hour in which this lies.
    pub since: Timestamp,
    /// To the end of the hour before which this lies.
    pub until: Timestamp,
    /// Only this scenario.
    pub scenario: Option<String>,
    /// The runs that people started, in the place of the schedule's.
    pub manual: bool,
}

impl Reader {
    /// How all checks did over a period.
    ///
    /// # Errors
    /// When the store cannot be read, or has another schema.
    pub fn period(&self, search: &PeriodSearch) -> Result<PeriodReport, StoreError> {
        self.read(|connection| {
            schema::require_current(connection)?;
            report(connection, search)
        })
    }
}

impl Store {
    /// How all checks did over a period.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn period(&self, search: PeriodSearch) -> Result<PeriodReport, StoreError> {
        self.work(move |connection| report(connection, &search))
            .await
    }
}

/// Whole hours, the last one not included.
#[derive(Debug, Clone, Copy)]
struct Hours {
    from: i64,
    to: i64,
}

fn report(connection: &Connection, search: &PeriodSearch) -> Result<PeriodReport, Fault> {
    let until_us = search.until.as_microsecond();
    let hours = Hours {
        from: hour_of(search.since.as_microsecond()),
        to: until_us.div_euclid(HOUR_US) + i64::from(until_us.rem_euclid(HOUR_US) > 0),
    };
    let told = hours;
    let hours = hours.known(connection)?;
    let mut checks = Vec::new();
    let mut histogram = Histogram::new().map_err(|error| Fault::Content(error.to_string()))?;
    let mut counts = counts(connection, hours)?;
    let mut mails = mails(connection, hours)?;
    let mut statement = connection.prepare(
        "SELECT id, scenario, step, target FROM check_keys
         WHERE manual = ?1 AND (?2 IS NULL OR scenario = ?2) ORDER BY scenario, step, target",
    )?;
    let mut rows = statement.query(params![search.manual, search.scenario])?;
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        let (scenario, step): (String, String) = (row.get(1)?, row.get(2)?);
        let target: String = row.get(3)?;
        let name = format!("{scenario}/{step} {target}");
        let counts = counts.remove(&key).unwrap_or_default();
        let mails = mails.remove(&key);
        let phases = phases(connection, key, hours, &name, &mut histogram)?;
        if counts == PeriodCounts::default() && mails.is_none() && phases.is_empty() {
            continue;
        }
        checks.push(CheckPeriod {
            scenario,
            step,
            target: Some(target).filter(|target| !target.is_empty()),
            success: success(counts),
            counts,
            mails,
            phases,
        });
    }
    Ok(PeriodReport {
        schema_version: SCHEMA_VERSION.to_owned(),
        since: moment(told.from.saturating_mul(HOUR_US))?.to_string(),
        until: moment(told.to.saturating_mul(HOUR_US))?.to_string(),
        runs: match search.manual {
            true => RunsWord::Manual,
            false => RunsWord::Scheduled,
        },
        checks,
    })
}

impl Hours {
    /// Those of which anything can be known: nobody has to look through the hours since 1970.
    fn known(self, connection: &Connection) -> Result<Self, Fault> {
        let edge = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let mut first = i64::MAX;
        let mut last = i64::MIN;
        for table in ["series_hours", "check_hours", "mail_hours"] {
            first = first.min(edge(&format!("SELECT min(hour) FROM {table}"))?.unwrap_or(first));
            last = last.max(edge(&format!("SELECT max(hour) FROM {table}"))?.unwrap_or(last));
        }
        if let Some(oldest) = edge("SELECT min(at_us) FROM samples")? {
            first = first.min(hour_of(oldest));
        }
        if let Some(newest) = edge("SELECT max(at_us) FROM samples")? {
            last = last.max(hour_of(newest));
        }
        Ok(Self {
            from: self.from.max(first),
            to: self.to.min(last.saturating_add(1)),
        })
    }
}

fn counts(connection: &Connection, hours: Hours) -> Result<BTreeMap<i64, PeriodCounts>, Fault> {
    let mut statement = connection.prepare(
        "SELECT check_key, status, sum(checks) FROM check_hours
         WHERE hour >= ?1 AND hour < ?2 GROUP BY check_key, status",
    )?;
    let mut rows = statement.query([hours.from, hours.to])?;
    let mut all: BTreeMap<i64, PeriodCounts> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let counts = all.entry(row.get(0)?).or_default();
        let status: String = row.get(1)?;
        let count = whole(row.get(2)?);
        let is = |word: StatusWord| word.name() == status;
        *match () {
            () if is(StatusWord::Pass) => &mut counts.pass,
            () if is(StatusWord::Degraded) => &mut counts.degraded,
            () if is(StatusWord::Fail) => &mut counts.fail,
            () if is(StatusWord::Skip) => &mut counts.skip,
            () => &mut counts.error,
        } += count;
    }
    Ok(all)
}

fn success(counts: PeriodCounts) -> Option<ShareResult> {
    let good = counts.pass + counts.degraded;
    let n = good + counts.fail;
    (n > 0).then(|| ShareResult {
        ratio: good as f64 / n as f64,
        n,
    })
}

fn mails(connection: &Connection, hours: Hours) -> Result<BTreeMap<i64, MailCounts>, Fault> {
    let awaited = [
        EntryState::Accepted,
        EntryState::Overdue,
        EntryState::Lost,
        EntryState::Unverifiable,
    ]
    .map(EntryState::name);
    let mut statement = connection.prepare(
        "SELECT check_key, state, sum(mails), sum(late), sum(extra_copies) FROM mail_hours
         WHERE hour >= ?1 AND hour < ?2 GROUP BY check_key, state",
    )?;
    let mut rows = statement.query([hours.from, hours.to])?;
    let mut all: BTreeMap<i64, MailCounts> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let counts = all.entry(row.get(0)?).or_default();
        let state: String = row.get(1)?;
        let mails = whole(row.get(2)?);
        counts.planned += mails;
        counts.late += whole(row.get(3)?);
        counts.extra_copies += whole(row.get(4)?);
        if awaited.contains(&state.as_str()) {
            counts.not_arrived += mails;
        }
        counts.states.insert(state, mails);
    }
    Ok(all)
}

fn phases(
    connection: &Connection,
    key: i64,
    hours: Hours,
    name: &str,
    histogram: &mut Histogram,
) -> Result<Vec<PhasePeriod>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT id, phase FROM series WHERE check_key = ?1")?;
    let mut series: Vec<(i64, Option<Phase>, String)> = statement
        .query_map([key], |row| {
            let phase: String = row.get(1)?;
            Ok((row.get(0)?, Phase::from_name(&phase), phase))
        })?
        .collect::<Result<_, _>>()?;
    series.sort_by_key(|(_, phase, _)| *phase);
    let mut phases = Vec::new();
    for (id, _, phase) in series {
        histogram.reset();
        let unfinished = add_up(connection, id, hours, &format!("{name} {phase}"), histogram)?;
        if histogram.is_empty() && unfinished == 0 {
            continue;
        }
        let quantiles = Quantile::ALL.into_iter().filter_map(|quantile| {
            let time = histogram.quantile(quantile)?;
            Some((quantile.name().to_owned(), seconds(time)))
        });
        phases.push(PhasePeriod {
            phase,
            samples: histogram.len(),
            unfinished,
            quantiles_seconds: quantiles.collect(),
            max_seconds: histogram.max().map(seconds),
        });
    }
    Ok(phases)
}

/// Adds the hours of a series to the histogram; gives how many were never finished. Hours whose single samples are
/// kept are added from those, which is exact and fast; older ones from their histograms; open ones from the samples
/// that came in.
fn add_up(
    connection: &Connection,
    series: i64,
    hours: Hours,
    name: &str,
    histogram: &mut Histogram,
) -> Result<u64, Fault> {
    let broken = |hour: i64, error| {
        Fault::Content(format!(
            "what is stored of {name} (series {series}, hour {hour}) cannot be read: {error}"
        ))
    };
    let mut unfinished: u64 = 0;
    let mut take = |timed: Timed, histogram: &mut Histogram| match timed {
        Timed::Took(took) => histogram.record(took),
        Timed::Unfinished => unfinished += 1,
    };
    let oldest: Option<i64> =
        connection.query_row("SELECT min(hour) FROM sample_hours", [], |row| row.get(0))?;
    // The oldest hour may have been removed in part.
    let single_from = oldest.map_or(i64::MAX, |oldest| oldest.saturating_add(1));
    let mut packed = connection
        .prepare_cached("SELECT packed FROM sample_hours WHERE hour = ?1 AND series = ?2")?;
    for hour in hours.from.max(single_from)..hours.to {
        let row: Option<Vec<u8>> = packed
            .query_row([hour, series], |row| row.get(0))
            .optional()?;
        let samples = row.map_or(Ok(Vec::new()), |row| unpack(&row));
        for sample in samples.map_err(|error| broken(hour, error))? {
            take(sample.timed, histogram);
        }
    }
    let mut open = connection.prepare_cached(
        "SELECT took_us FROM samples WHERE series = ?1 AND at_us >= ?2 AND at_us < ?3",
    )?;
    let edge = |hour: i64| hour.saturating_mul(HOUR_US);
    let mut rows = open.query([series, edge(hours.from), edge(hours.to)])?;
    while let Some(row) = rows.next()? {
        take(closing::timed(row.get(0)?), histogram);
    }
    let mut stored = connection.prepare_cached(
        "SELECT unfinished, histogram FROM series_hours WHERE hour = ?1 AND series = ?2",
    )?;
    for hour in hours.from..hours.to.min(single_from) {
        let row: Option<(i64, Vec<u8>)> = stored
            .query_row([hour, series], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((never, bytes)) = row {
            unfinished += whole(never);
            histogram
                .add_encoded(&bytes)
                .map_err(|error| broken(hour, error))?;
        }
    }
    Ok(unfinished)
}

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// To microseconds: more digits are noise.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}
