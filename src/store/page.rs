//! Pages of runs and of ledger entries, newest first: for the API. Ids begin with the time, so the newest are at the end
//! of the primary key, and a page costs what it shows.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Reader;
use super::error::{Fault, StoreError};
use super::fact_record::moment;
use crate::result::RunHead;

/// Runs that a filter looks through. A scenario that has not run for longer is found by `show`.
const RUNS_LOOKED_AT: u32 = 20_000;
/// Entries that a filter looks through.
const ENTRIES_LOOKED_AT: u32 = 1_000_000;

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPage {
    /// At most so many.
    pub limit: u32,
    /// Only runs that took this scenario.
    pub scenario: Option<String>,
    /// Only runs that are older than the one with this id.
    pub before: Option<String>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// At most so many.
    pub limit: u32,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this scenario.
    pub scenario: Option<String>,
    /// Only of this run.
    pub run: Option<String>,
    /// Only planned at this time or later.
    pub since: Option<Timestamp>,
    /// Only planned before this time.
    pub until: Option<Timestamp>,
}

/// How an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    /// Its id.
    pub id: String,
    /// The name of its state.
    pub state: String,
    /// Whether something can still happen to it.
    pub open: bool,
    /// The run that planned it.
    pub run: Option<String>,
    /// The scenario.
    pub scenario: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// The way that it was sent.
    pub route: Option<String>,
    /// The mailbox that it is expected in.
    pub mailbox: Option<String>,
    /// The folder that it is expected in.
    pub folder: Option<String>,
    /// When it was planned.
    pub planned_at: Option<Timestamp>,
    /// When its outcome was known.
    pub attempted_at: Option<Timestamp>,
    /// When it was first seen.
    pub first_seen_at: Option<Timestamp>,
    /// Microseconds from the final reply to the sighting.
    pub latency_us: Option<u64>,
    /// How many copies were seen.
    pub copies: u64,
}

impl Reader {
    /// Runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn run_page(&self, page: &RunPage) -> Result<Vec<RunHead>, StoreError> {
        self.read(|connection| runs(connection, page))
    }

    /// Entries of the ledger, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn entry_page(&self, page: &EntryPage) -> Result<Vec<ListedEntry>, StoreError> {
        self.read(|connection| entries(connection, page))
    }
}

fn runs(connection: &Connection, page: &RunPage) -> Result<Vec<RunHead>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT head FROM (
             SELECT head, started_at_us, id FROM runs
             WHERE ?2 IS NULL OR (started_at_us, id) < (SELECT started_at_us, id FROM runs WHERE id = ?2)
             ORDER BY started_at_us DESC, id DESC LIMIT ?4)
         WHERE ?1 IS NULL OR EXISTS (
             SELECT 1 FROM json_each(head, '$.scenarios') WHERE json_extract(value, '$.name') = ?1)
         ORDER BY started_at_us DESC, id DESC LIMIT ?3",
    )?;
    let mut rows = statement.query(params![
        page.scenario,
        page.before,
        page.limit,
        RUNS_LOOKED_AT
    ])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let head: String = row.get(0)?;
        let head = serde_json::from_str(&head)
            .map_err(|error| Fault::Content(format!("a run: {error}")))?;
        heads.push(head);
    }
    Ok(heads)
}

fn entries(connection: &Connection, page: &EntryPage) -> Result<Vec<ListedEntry>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM (SELECT * FROM entries ORDER BY id DESC LIMIT ?7)
         WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR scenario = ?2) AND (?3 IS NULL OR run = ?3)
           AND (?4 IS NULL OR planned_at_us >= ?4) AND (?5 IS NULL OR planned_at_us < ?5)
         ORDER BY id DESC LIMIT ?6",
    )?;
    let mut rows = statement.query(params![
        page.state,
        page.scenario,
        page.run,
        page.since.map(Timestamp::as_microsecond),
        page.until.map(Timestamp::as_microsecond),
        page.limit,
        ENTRIES_LOOKED_AT
    ])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let time = |name: &str| {
            let at_us: Option<i64> = row.get(name)?;
            at_us.map(moment).transpose()
        };
        let latency_us: Option<i64> = row.get("latency_us")?;
        let copies: i64 = row.get("copies")?;
        entries.push(ListedEntry {
            id: row.get("id")?,
            state: row.get("state")?,
            open: row.get("open")?,
            run: row.get("run")?,
            scenario: row.get("scenario")?,
            step: row.get("step")?,
            route: row.get("route")?,
            mailbox: row.get("mailbox")?,
            folder: row.get("folder")?,
            planned_at: time("planned_at_us")?,
            attempted_at: time("attempted_at_us")?,
            first_seen_at: time("first_seen_at_us")?,
            latency_us: latency_us.and_then(|latency| u64::try_from(latency).ok()),
            copies: u64::try_from(copies).unwrap_or_default(),
        });
    }
    Ok(entries)
}
