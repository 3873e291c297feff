//! Looking things up in the ledger: mails by what they are, paths by what became of their mails, one mail's whole life.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::EntryState;
use postrider_wire::message::tag::EntryId;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::Store;
use super::error::{Fault, StoreError};
use super::fact_record::{entry_id, moment};
use super::ledger::read_fact;
use super::reader::Reader;
use crate::ledger::fact::{LedgerEvent, Noted};

/// No answer has more mails, nor more paths.
pub const MAILS_LIMIT: u32 = 100_000;

/// Which mails. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailFilter {
    /// In this state.
    pub state: Option<EntryState>,
    /// Of this scenario.
    pub scenario: Option<String>,
    /// Of this step.
    pub step: Option<String>,
    /// By this MX host, to this address, or by a route in which this text stands.
    pub target: Option<String>,
    /// Planned then or later.
    pub since: Option<Timestamp>,
    /// Planned before that.
    pub until: Option<Timestamp>,
}

/// One mail, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its entry.
    pub id: EntryId,
    /// Its state.
    pub state: EntryState,
    /// The run.
    pub run: Option<String>,
    /// The scenario.
    pub scenario: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// Where it went, for people.
    pub route: Option<String>,
    /// The MX host, when one was aimed at.
    pub mx: Option<String>,
    /// The address, when one was aimed at.
    pub address: Option<String>,
    /// The mailbox where it belongs.
    pub mailbox: Option<String>,
    /// When it was planned.
    pub planned_at: Option<Timestamp>,
    /// When the attempt that decided had its outcome.
    pub attempted_at: Option<Timestamp>,
    /// When the first copy was seen.
    pub first_seen_at: Option<Timestamp>,
    /// From the final reply to the first copy.
    pub latency: Option<Duration>,
    /// Copies seen.
    pub copies: u64,
}

/// What became of the mails of one path: a step's mails to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathCounts {
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// Where they went, for people.
    pub route: String,
    /// The MX host, when one was aimed at.
    pub mx: Option<String>,
    /// The address, when one was aimed at.
    pub address: Option<String>,
    /// All of them.
    pub planned: u64,
    /// Delivered, in time or late.
    pub delivered: u64,
    /// Delivered, but after their time.
    pub late: u64,
    /// Lost: a look proved it.
    pub lost: u64,
    /// Bounced.
    pub bounced: u64,
    /// Refused for good or for now.
    pub refused: u64,
    /// Of which nobody knows: uncertain, overdue, unverifiable.
    pub unknown: u64,
    /// Mails of which more than one copy was seen.
    pub duplicated: u64,
    /// Copies beyond the first, over all of them.
    pub extra_copies: u64,
}

impl MailFilter {
    /// The condition in SQL, and its values.
    fn condition(&self) -> (String, Vec<Value>) {
        let mut parts = vec!["1".to_owned()];
        let mut values = Vec::new();
        let mut add = |part: &str, value: String| {
            values.push(Value::Text(value));
            parts.push(part.replace('?', &format!("?{}", values.len())));
        };
        if let Some(state) = self.state {
            add("state = ?", state.name().to_owned());
        }
        if let Some(scenario) = &self.scenario {
            add("scenario = ?", scenario.clone());
        }
        if let Some(step) = &self.step {
            add("step = ?", step.clone());
        }
        if let Some(target) = &self.target {
            add(
                "(mx = lower(?) OR address = ? OR instr(lower(route), lower(?)) > 0)",
                target.clone(),
            );
        }
        // Ids sort by the time in them, and are the key of the table: a period costs what it holds, however long the
        // ledger is.
        if let Some(since) = self.since {
            add("id >= ?", first_of(since).to_string());
        }
        if let Some(until) = self.until {
            add("id < ?", first_of(until).to_string());
        }
        (parts.join(" AND "), values)
    }
}

/// The least id of a moment.
fn first_of(moment: Timestamp) -> EntryId {
    EntryId::from_parts(u64::try_from(moment.as_millisecond()).unwrap_or(0), 0)
}

impl Store {
    /// The newest mails that match, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn mails(&self, filter: MailFilter, limit: u32) -> Result<Vec<MailRow>, StoreError> {
        self.work(move |connection| mails(connection, &filter, limit))
            .await
    }

    /// What became of the mails that match, path by path.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn paths(&self, filter: MailFilter) -> Result<Vec<PathCounts>, StoreError> {
        self.work(move |connection| paths(connection, &filter))
            .await
    }
}

impl Reader {
    /// The newest mails that match, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn mails(&self, filter: &MailFilter, limit: u32) -> Result<Vec<MailRow>, StoreError> {
        self.read(|connection| mails(connection, filter, limit))
    }

    /// What became of the mails that match, path by path.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn paths(&self, filter: &MailFilter) -> Result<Vec<PathCounts>, StoreError> {
        self.read(|connection| paths(connection, filter))
    }

    /// Every event of one mail, in order; none when it was never planned here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events_of(&self, id: EntryId) -> Result<Vec<LedgerEvent>, StoreError> {
        self.read(|connection| events_of(connection, id))
    }
}

fn mails(connection: &Connection, filter: &MailFilter, limit: u32) -> Result<Vec<MailRow>, Fault> {
    let (condition, mut values) = filter.condition();
    values.push(Value::Integer(limit.min(MAILS_LIMIT).into()));
    let mut statement = connection.prepare(&format!(
        "SELECT * FROM entries WHERE {condition} ORDER BY id DESC LIMIT ?{}",
        values.len()
    ))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut mails = Vec::new();
    while let Some(row) = rows.next()? {
        mails.push(mail(row)?);
    }
    Ok(mails)
}

fn mail(row: &Row<'_>) -> Result<MailRow, Fault> {
    let time = |name: &str| -> Result<Option<Timestamp>, Fault> {
        row.get::<_, Option<i64>>(name)?.map(moment).transpose()
    };
    let latency: Option<i64> = row.get("latency_us")?;
    Ok(MailRow {
        id: entry_id(&row.get::<_, String>("id")?)?,
        state: state(&row.get::<_, String>("state")?)?,
        run: row.get("run")?,
        scenario: row.get("scenario")?,
        step: row.get("step")?,
        route: row.get("route")?,
        mx: row.get("mx")?,
        address: row.get("address")?,
        mailbox: row.get("mailbox")?,
        planned_at: time("planned_at_us")?,
        attempted_at: time("attempted_at_us")?,
        first_seen_at: time("first_seen_at_us")?,
        latency: latency.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0))),
        copies: row.get::<_, i64>("copies")?.try_into().unwrap_or(0),
    })
}

fn state(name: &str) -> Result<EntryState, Fault> {
    EntryState::ALL
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| Fault::Content(format!("an entry in state {name:?}")))
}

fn paths(connection: &Connection, filter: &MailFilter) -> Result<Vec<PathCounts>, Fault> {
    let (condition, values) = filter.condition();
    // Late is what was overdue before it was seen: the event says so for good.
    let mut statement = connection.prepare(&format!(
        "SELECT coalesce(scenario, '') AS scenario, coalesce(step, '') AS step, coalesce(route, '') AS route,
                max(mx) AS mx, max(address) AS address, count(*) AS planned,
                count(*) FILTER (WHERE state = 'delivered') AS delivered,
                count(*) FILTER (WHERE state = 'delivered' AND EXISTS (
                    SELECT 1 FROM ledger_events WHERE entry = entries.id AND kind = 'overdue')) AS late,
                count(*) FILTER (WHERE state = 'lost') AS lost,
                count(*) FILTER (WHERE state = 'bounced') AS bounced,
                count(*) FILTER (WHERE state IN ('refused', 'deferred')) AS refused,
                count(*) FILTER (WHERE state IN ('uncertain', 'overdue', 'unverifiable')) AS unknown,
                count(*) FILTER (WHERE copies > 1) AS duplicated,
                sum(max(copies - 1, 0)) AS extra_copies
         FROM entries WHERE {condition}
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {MAILS_LIMIT}"
    ))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |name: &str| -> rusqlite::Result<u64> {
            let count: i64 = row.get(name)?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        paths.push(PathCounts {
            scenario: row.get("scenario")?,
            step: row.get("step")?,
            route: row.get("route")?,
            mx: row.get("mx")?,
            address: row.get("address")?,
            planned: count("planned")?,
            delivered: count("delivered")?,
            late: count("late")?,
            lost: count("lost")?,
            bounced: count("bounced")?,
            refused: count("refused")?,
            unknown: count("unknown")?,
            duplicated: count("duplicated")?,
            extra_copies: count("extra_copies")?,
        });
    }
    Ok(paths)
}

fn events_of(connection: &Connection, id: EntryId) -> Result<Vec<LedgerEvent>, Fault> {
    let mut statement = connection.prepare(
        "SELECT at_us, kind, body, seq FROM ledger_events WHERE entry = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, what) = read_fact(row)?;
        events.push(LedgerEvent {
            seq: row.get::<_, i64>(3)?.try_into().unwrap_or(0),
            noted: Noted {
                at,
                entry: id,
                what,
            },
        });
    }
    Ok(events)
}
