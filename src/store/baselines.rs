//! Baselines and changes: what every client can see.

use jiff::Timestamp;
use postrider_probes::observation::{Values, What};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use super::error::{Fault, StoreError};
use super::{Reader, Store, schema};
use crate::baseline::{Baseline, Change, Key, Move, SeenBy};

/// Changes of one transaction that removes them.
const REMOVED_AT_ONCE: u64 = 2_000;

impl Store {
    /// Every baseline.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn baselines(&self) -> Result<Vec<(Key, Baseline)>, StoreError> {
        self.work(|connection| all(connection)).await
    }
}

impl Reader {
    /// Every baseline, by subject.
    ///
    /// # Errors
    /// When the store cannot be read, or has another schema.
    pub fn baselines(&self) -> Result<Vec<(Key, Baseline)>, StoreError> {
        self.read(|connection| {
            schema::require_current(connection)?;
            all(connection)
        })
    }

    /// The newest changes, of everything or of one subject; newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or has another schema.
    pub fn changes(&self, key: Option<&Key>, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.read(|connection| {
            schema::require_current(connection)?;
            changes(connection, key, limit)
        })
    }
}

/// Writes baselines as they are now; those without any are forgotten.
pub(super) fn save(
    transaction: &Transaction<'_>,
    baselines: &std::collections::BTreeMap<Key, Option<Baseline>>,
) -> Result<(), Fault> {
    let mut upsert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO baselines (what, subject, accepted, windowed, several_until_us, accepted_at_us,
             accepted_by, first_seen_at_us, current, current_since_us, last_seen_at_us, run, scenario, step)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let mut forget =
        transaction.prepare_cached("DELETE FROM baselines WHERE what = ?1 AND subject = ?2")?;
    for (key, baseline) in baselines {
        let Some(baseline) = baseline else {
            forget.execute(params![key.what.name(), key.subject])?;
            continue;
        };
        upsert.execute(params![
            key.what.name(),
            key.subject,
            texts(&baseline.accepted)?,
            texts(&baseline.windowed)?,
            baseline.several_until.map(Timestamp::as_microsecond),
            baseline.accepted_at.as_microsecond(),
            baseline.accepted_by,
            baseline.first_seen_at.as_microsecond(),
            text(&baseline.current)?,
            baseline.current_since.as_microsecond(),
            baseline.last_seen_at.as_microsecond(),
            baseline.seen_by.run,
            baseline.seen_by.scenario,
            baseline.seen_by.step,
        ])?;
    }
    Ok(())
}

/// Writes changes, in order.
pub(super) fn append(transaction: &Transaction<'_>, changes: &[Change]) -> Result<(), Fault> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO changes (at_us, what, subject, how, before, before_since_us, after, run, scenario, step, accepted_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for change in changes {
        insert.execute(params![
            change.at.as_microsecond(),
            change.key.what.name(),
            change.key.subject,
            change.how.name(),
            text(&change.before)?,
            change.before_since.as_microsecond(),
            text(&change.after)?,
            change.seen_by.run,
            change.seen_by.scenario,
            change.seen_by.step,
            change.accepted_by,
        ])?;
    }
    Ok(())
}

/// Removes the oldest changes: those before a time, and those beyond a number. How many went.
pub(super) fn remove(
    connection: &mut Connection,
    before: Timestamp,
    keep: u64,
) -> Result<u64, Fault> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let gone = transaction
        .prepare_cached(
            "DELETE FROM changes WHERE id IN (
                 SELECT id FROM changes
                 WHERE at_us < ?1 OR id <= (SELECT id FROM changes ORDER BY id DESC LIMIT 1 OFFSET ?2)
                 ORDER BY id LIMIT ?3)",
        )?
        .execute(params![before.as_microsecond(), number(keep), number(REMOVED_AT_ONCE)])?;
    transaction.commit()?;
    Ok(gone as u64)
}

fn all(connection: &Connection) -> Result<Vec<(Key, Baseline)>, Fault> {
    let mut statement = connection.prepare(
        "SELECT what, subject, run, scenario, step, accepted, several_until_us, accepted_at_us, accepted_by,
                first_seen_at_us, current, current_since_us, last_seen_at_us, windowed
         FROM baselines ORDER BY subject, what",
    )?;
    let mut rows = statement.query([])?;
    let mut baselines = Vec::new();
    while let Some(row) = rows.next()? {
        let until: Option<i64> = row.get(6)?;
        let baseline = Baseline {
            accepted: lists(&row.get::<_, String>(5)?)?,
            windowed: lists(&row.get::<_, String>(13)?)?,
            several_until: until.map(moment).transpose()?,
            accepted_at: moment(row.get(7)?)?,
            accepted_by: row.get(8)?,
            first_seen_at: moment(row.get(9)?)?,
            current: values(&row.get::<_, String>(10)?)?,
            current_since: moment(row.get(11)?)?,
            last_seen_at: moment(row.get(12)?)?,
            seen_by: seen_by(row)?,
        };
        baselines.push((key(row)?, baseline));
    }
    Ok(baselines)
}

fn changes(connection: &Connection, of: Option<&Key>, limit: u32) -> Result<Vec<Change>, Fault> {
    let mut statement = connection.prepare(
        "SELECT what, subject, run, scenario, step, at_us, how, before, before_since_us, after, accepted_by
         FROM changes WHERE ?1 IS NULL OR (what = ?1 AND subject = ?2) ORDER BY id DESC LIMIT ?3",
    )?;
    let (what, subject) = (
        of.map(|of| of.what.name()),
        of.map(|of| of.subject.as_str()),
    );
    let mut rows = statement.query(params![what, subject, limit])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let how: String = row.get(6)?;
        changes.push(Change {
            at: moment(row.get(5)?)?,
            key: key(row)?,
            how: Move::ALL
                .into_iter()
                .find(|known| known.name() == how)
                .ok_or_else(|| Fault::Content(format!("a change that is `{how}`")))?,
            before: values(&row.get::<_, String>(7)?)?,
            before_since: moment(row.get(8)?)?,
            after: values(&row.get::<_, String>(9)?)?,
            seen_by: seen_by(row)?,
            accepted_by: row.get(10)?,
        });
    }
    Ok(changes)
}

/// The first two columns.
fn key(row: &Row<'_>) -> Result<Key, Fault> {
    let what: String = row.get(0)?;
    Ok(Key {
        what: What::from_name(&what)
            .ok_or_else(|| Fault::Content(format!("a baseline of `{what}`")))?,
        subject: row.get(1)?,
    })
}

/// The next three columns.
fn seen_by(row: &Row<'_>) -> Result<SeenBy, Fault> {
    Ok(SeenBy {
        run: row.get(2)?,
        scenario: row.get(3)?,
        step: row.get(4)?,
    })
}

fn moment(us: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(us).map_err(|error| Fault::Content(format!("a baseline: {error}")))
}

fn text(values: &Values) -> Result<String, Fault> {
    json(&values.iter().collect::<Vec<_>>())
}

fn texts(lists: &[Values]) -> Result<String, Fault> {
    let lists: Vec<Vec<&str>> = lists.iter().map(|values| values.iter().collect()).collect();
    json(&lists)
}

fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Content(format!("a baseline: {error}")))
}

fn values(text: &str) -> Result<Values, Fault> {
    let values: Vec<String> = serde_json::from_str(text)
        .map_err(|error| Fault::Content(format!("a baseline: {error}")))?;
    Ok(values.into_iter().collect())
}

fn lists(text: &str) -> Result<Vec<Values>, Fault> {
    let lists: Vec<Vec<String>> = serde_json::from_str(text)
        .map_err(|error| Fault::Content(format!("a baseline: {error}")))?;
    Ok(lists.into_iter().map(Values::from_iter).collect())
}
