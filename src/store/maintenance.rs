//! What has to be done from time to time: hours are closed, what is too old or too much is removed, free pages are
//! given back. Small steps, so that a commit never waits long.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::{Fault, StoreError};
use super::removal::{self, Hourly, Kind, Removed};
use super::retention::{Occupancy, advance, decide};
use super::{Retention, Store, baselines, closing};

/// An hour is closed so long after its end: what was measured in it may still be on its way to the store.
const GRACE_US: i64 = 120_000_000;
/// Transactions of one kind in one call; there may be more to do then.
const STEPS: u32 = 100;
/// Changes of what clients can see, at most: a value that goes to and fro adds one at each look.
const CHANGES: u64 = 20_000;
/// Pages that are given back in one step.
const PAGES: i64 = 1000;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Hours of a series that were closed.
    pub closed_hours: u64,
    /// Runs removed.
    pub runs: u64,
    /// Their checks.
    pub checks: u64,
    /// Ledger entries removed.
    pub entries: u64,
    /// Their facts.
    pub events: u64,
    /// Hourly rows removed.
    pub hourly_rows: u64,
    /// Changes of what clients can see removed.
    pub changes: u64,
    /// Bytes that were given back to the file system.
    pub freed_bytes: u64,
    /// Bytes of the file in use.
    pub used_bytes: u64,
    /// The limit of steps was reached: there is more to do.
    pub more: bool,
    /// What could not be done: a stored histogram that cannot be read.
    pub problems: Vec<String>,
}

impl Store {
    /// Closes hours, removes what the retention says, gives back free pages; call it every few minutes, and again at
    /// once when there is more to do. Commits get their turn between its steps.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn maintain(
        &self,
        now: Timestamp,
        keep: Retention,
    ) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        self.close_hours(now, &mut done).await?;
        let (aged, there_is) = self
            .work(move |connection| {
                let aged = age(connection, now)?;
                Ok((aged, occupancy(connection)?))
            })
            .await?;
        let decision = decide(aged, &keep, there_is);
        self.remove_history(decision.history_before, aged, &mut done)
            .await?;
        let samples = decision.samples_before;
        self.remove_hourly(Hourly::Samples, samples, aged, &mut done)
            .await?;
        self.remove_changes(decision.changes_before, &mut done)
            .await?;
        let all = u64::MAX;
        for (kind, before, most) in [
            (Kind::Any, decision.details_before, all),
            (
                Kind::Ordinary,
                decision.entries_before,
                decision.ordinary_entries,
            ),
            (Kind::Any, decision.entries_before, decision.entries),
        ] {
            let left = most.saturating_sub(done.entries);
            self.remove_entries(kind, before, left, aged, &mut done)
                .await?;
        }
        for (kind, before, most) in [
            (Kind::Any, decision.details_before, all),
            (
                Kind::Ordinary,
                decision.runs_before,
                decision.ordinary_checks,
            ),
            (Kind::Any, decision.runs_before, decision.checks),
        ] {
            let left = most.saturating_sub(done.checks);
            self.remove_runs(kind, before, left, aged, &mut done)
                .await?;
        }
        if let Some(before) = decision.too_large_before {
            self.shrink(before, aged, keep.size, &mut done).await?;
        }
        self.compact(&mut done).await?;
        Ok(done)
    }

    async fn close_hours(&self, now: Timestamp, done: &mut Maintained) -> Result<(), StoreError> {
        let ended_us = now.as_microsecond().saturating_sub(GRACE_US);
        let mut after = 0;
        for _ in 0..STEPS {
            let closed = self
                .work(move |connection| closing::close_some(connection, after, ended_us))
                .await?;
            done.closed_hours += closed.hours;
            done.problems.extend(closed.problems);
            match closed.last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
        done.more = true;
        Ok(())
    }

    async fn remove_history(
        &self,
        before: i64,
        now: Timestamp,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        for rows in Hourly::HISTORY {
            self.remove_hourly(rows, before, now, done).await?;
        }
        Ok(())
    }

    async fn remove_hourly(
        &self,
        rows: Hourly,
        before: i64,
        now: Timestamp,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        for _ in 0..STEPS {
            let step = self.work(move |connection| removal::hours(connection, rows, before, now));
            let removed = step.await?;
            done.hourly_rows += removed.rows;
            if removed.rows == 0 {
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }

    async fn remove_changes(
        &self,
        before: Timestamp,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        for _ in 0..STEPS {
            let step = self.work(move |connection| baselines::remove(connection, before, CHANGES));
            let removed = step.await?;
            done.changes += removed;
            if removed == 0 {
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }

    async fn remove_entries(
        &self,
        kind: Kind,
        before: Timestamp,
        most: u64,
        now: Timestamp,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        let mut left = most;
        for _ in 0..STEPS {
            if left == 0 {
                return Ok(());
            }
            let step =
                self.work(move |connection| removal::entries(connection, kind, before, left, now));
            let removed = step.await?;
            done.entries += removed.rows;
            done.events += removed.events;
            left = left.saturating_sub(removed.rows);
            if removed.rows == 0 {
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }

    async fn remove_runs(
        &self,
        kind: Kind,
        before: Timestamp,
        most: u64,
        now: Timestamp,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        let mut left = most;
        for _ in 0..STEPS {
            if left == 0 {
                return Ok(());
            }
            let step = self.work(move |connection| removal::run(connection, kind, before, now));
            let removed = step.await?;
            done.runs += removed.runs;
            done.checks += removed.rows;
            left = left.saturating_sub(removed.rows);
            if removed == Removed::default() {
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }

    /// Removes the oldest until the store is small enough: ordinary details first, histograms last.
    async fn shrink(
        &self,
        before: Timestamp,
        now: Timestamp,
        size: u64,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        let hour = super::counts::hour_of(before.as_microsecond());
        for _ in 0..STEPS {
            let removed = self
                .work(move |connection| {
                    if occupancy(connection)?.bytes <= size {
                        return Ok(None);
                    }
                    shrink_once(connection, before, hour, now).map(Some)
                })
                .await?;
            let Some((entries, runs, hourly)) = removed else {
                return Ok(());
            };
            done.entries += entries.rows;
            done.events += entries.events;
            done.runs += runs.runs;
            done.checks += runs.rows;
            done.hourly_rows += hourly.rows;
            if entries.rows + runs.rows + runs.runs + hourly.rows == 0 {
                // Everything that is left is young, or still open.
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }

    /// Gives back pages when many are free; a few are always, and are used again.
    async fn compact(&self, done: &mut Maintained) -> Result<(), StoreError> {
        for _ in 0..STEPS {
            let (freed, used) = self.work(give_back).await?;
            done.freed_bytes += freed;
            done.used_bytes = used;
            if freed == 0 {
                return Ok(());
            }
        }
        done.more = true;
        Ok(())
    }
}

fn shrink_once(
    connection: &mut Connection,
    before: Timestamp,
    hour: i64,
    now: Timestamp,
) -> Result<(Removed, Removed, Removed), Fault> {
    let none = Removed::default();
    for kind in [Kind::Ordinary, Kind::Any] {
        let entries = removal::entries(connection, kind, before, u64::MAX, now)?;
        let runs = removal::run(connection, kind, before, now)?;
        if entries != none || runs != none {
            return Ok((entries, runs, none));
        }
        if kind == Kind::Ordinary {
            let samples = removal::hours(connection, Hourly::Samples, hour, now)?;
            if samples != none {
                return Ok((none, none, samples));
            }
        }
    }
    let mut gone = none;
    for rows in Hourly::HISTORY {
        gone.rows += removal::hours(connection, rows, hour, now)?.rows;
    }
    Ok((none, none, gone))
}

/// The time by which things age, kept for the next time.
fn age(connection: &mut Connection, now: Timestamp) -> Result<Timestamp, Fault> {
    const NAME: &str = "aged_until_us";
    let last: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [NAME], |row| {
            row.get(0)
        })
        .optional()?;
    let last = last
        .and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)))
        .and_then(|us| Timestamp::from_microsecond(us).ok());
    let aged = advance(last, now);
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![NAME, aged.as_microsecond().to_be_bytes()],
    )?;
    Ok(aged)
}

fn occupancy(connection: &Connection) -> Result<Occupancy, Fault> {
    let (pages, free, page) = pages(connection)?;
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let planned = number("SELECT coalesce(sum(mails), 0) FROM tallies")?;
    let gone = number("SELECT coalesce(sum(removed), 0) FROM removals WHERE what = 'entries'")?;
    Ok(Occupancy {
        bytes: whole((pages - free) * page),
        checks: whole(number("SELECT count(*) FROM checks")?),
        entries: whole(planned - gone),
    })
}

/// Pages, free ones among them, and bytes of one.
fn pages(connection: &Connection) -> Result<(i64, i64, i64), Fault> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((
        pragma("page_count")?,
        pragma("freelist_count")?,
        pragma("page_size")?,
    ))
}

/// Bytes given back, and bytes in use.
fn give_back(connection: &mut Connection) -> Result<(u64, u64), Fault> {
    let (before, free, page) = pages(connection)?;
    let used = u64::try_from((before - free) * page).unwrap_or(0);
    if free < PAGES || free < before / 10 {
        return Ok((0, used));
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = vacuum.query([])?;
    // It works page by page, as its rows are asked for.
    while rows.next()?.is_some() {}
    drop(rows);
    drop(vacuum);
    let (after, ..) = pages(connection)?;
    let freed = (before - after).max(0) * page;
    Ok((u64::try_from(freed).unwrap_or(0), used))
}
