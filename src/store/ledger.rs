//! The ledger's events and what they add up to.

use jiff::Timestamp;
use postrider_probes::post::EntryState;
use postrider_wire::message::tag::EntryId;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::error::{Fault, StoreError};
use super::fact_record::{decode, encode, entry_id, micros, moment};
use super::{Store, counts};
use crate::ledger::Balance;
use crate::ledger::entry::Entry;
use crate::ledger::fact::Noted;
use crate::mailbox::news::Position;

/// Differences that `verify` names; the rest is only counted.
const DIFFERENCES_SHOWN: usize = 100;

/// How an entry stands, as kept beside the events for queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    pub(super) id: String,
    pub(super) run: Option<String>,
    pub(super) scenario: Option<String>,
    pub(super) step: Option<String>,
    pub(super) route: Option<String>,
    mx: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    mailbox: Option<String>,
    folder: Option<String>,
    pub(super) planned_at_us: Option<i64>,
    attempted_at_us: Option<i64>,
    pub(super) first_seen_at_us: Option<i64>,
    pub(super) latency_us: Option<i64>,
    pub(super) copies: i64,
    pub(super) state: String,
    open: bool,
    pub(super) late: bool,
}

impl EntryRow {
    /// The row of an entry.
    #[must_use]
    pub fn of(id: EntryId, entry: &Entry) -> Self {
        let planned = entry.planned().map(|(_, planned)| planned);
        let draft = planned.map(|planned| &planned.draft);
        let address = draft.and_then(|draft| draft.address);
        Self {
            id: id.to_string(),
            run: planned.map(|planned| planned.run.clone()),
            scenario: planned.map(|planned| planned.scenario.clone()),
            step: planned.map(|planned| planned.step.clone()),
            route: draft.map(|draft| draft.route.clone()),
            mx: draft.and_then(|draft| draft.mx.clone()),
            address: address.map(|address| address.ip().to_string()),
            port: address.map(|address| address.port()),
            mailbox: draft.and_then(|draft| draft.mailbox.clone()),
            folder: draft.map(|draft| draft.folder.clone()),
            planned_at_us: entry.planned().map(|(at, _)| at.as_microsecond()),
            attempted_at_us: entry.attempt().map(|(at, _)| at.as_microsecond()),
            first_seen_at_us: entry.first_seen().map(Timestamp::as_microsecond),
            latency_us: entry.latency().map(|latency| micros(latency.after)),
            copies: i64::try_from(entry.copies()).unwrap_or(i64::MAX),
            state: entry.state().name().to_owned(),
            open: entry.open(),
            late: entry.overdue().is_some() && entry.first_seen().is_some(),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            run: row.get("run")?,
            scenario: row.get("scenario")?,
            step: row.get("step")?,
            route: row.get("route")?,
            mx: row.get("mx")?,
            address: row.get("address")?,
            port: row.get("port")?,
            mailbox: row.get("mailbox")?,
            folder: row.get("folder")?,
            planned_at_us: row.get("planned_at_us")?,
            attempted_at_us: row.get("attempted_at_us")?,
            first_seen_at_us: row.get("first_seen_at_us")?,
            latency_us: row.get("latency_us")?,
            copies: row.get("copies")?,
            state: row.get("state")?,
            open: row.get("open")?,
            late: row.get("late")?,
        })
    }
}

/// What `postrider ledger verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Events folded.
    pub events: u64,
    /// Entries compared.
    pub entries: u64,
    /// How many things differ; 0 means that the books balance.
    pub different: u64,
    /// The first hundred of them, one line each.
    pub differences: Vec<String>,
}

impl Verification {
    fn differs(&mut self, line: String) {
        self.different += 1;
        if self.differences.len() < DIFFERENCES_SHOWN {
            self.differences.push(line);
        }
    }
}

impl Store {
    /// Every entry that something can still happen to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_entries(&self) -> Result<Vec<(EntryId, Entry)>, StoreError> {
        self.work(|connection| {
            let mut entries = Vec::new();
            each_entry(
                connection,
                "WHERE entry IN (SELECT id FROM entries WHERE open = 1)",
                |id, entry, _| {
                    entries.push((entry_id(&id)?, entry));
                    Ok(())
                },
            )?;
            Ok(entries)
        })
        .await
    }

    /// The mails that were seen or came back among the last so many events, in the order in which they were planned.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_fates(&self, events: u32) -> Result<Vec<Entry>, StoreError> {
        self.work(move |connection| {
            let selected = format!(
                "WHERE entry IN (SELECT entry FROM (SELECT entry, kind FROM ledger_events ORDER BY seq DESC LIMIT {events})
                                 WHERE kind IN ('bounced', 'sighted'))"
            );
            let mut entries = Vec::new();
            each_entry(connection, &selected, |_, entry, _| {
                entries.push(entry);
                Ok(())
            })?;
            Ok(entries)
        })
        .await
    }

    /// One entry, whatever its state; `None` when its id was never planned here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn entry(&self, id: EntryId) -> Result<Option<Entry>, StoreError> {
        self.work(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at_us, kind, body FROM ledger_events WHERE entry = ?1 ORDER BY seq",
            )?;
            let mut rows = statement.query([id.to_string()])?;
            let mut entry = None;
            while let Some(row) = rows.next()? {
                let (at, fact) = read_fact(row)?;
                entry.get_or_insert_with(Entry::default).learn(at, &fact);
            }
            Ok(entry)
        })
        .await
    }

    /// How many mails are where, over the whole ledger.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn balance(&self) -> Result<Balance, StoreError> {
        self.work(|connection| {
            let mut balance = Balance::default();
            let mut statement =
                connection.prepare("SELECT state, mails, extra_copies FROM tallies")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let state = EntryState::ALL
                    .into_iter()
                    .find(|state| state.name() == name)
                    .ok_or_else(|| Fault::Content(format!("an entry in state {name:?}")))?;
                balance.add(state, whole(row.get(1)?), whole(row.get(2)?));
            }
            Ok(balance)
        })
        .await
    }

    /// Where a watch goes on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn position(
        &self,
        mailbox: &str,
        folder: &str,
    ) -> Result<Option<Position>, StoreError> {
        let (mailbox, folder) = (mailbox.to_owned(), folder.to_owned());
        self.work(move |connection| {
            let found = connection
                .query_row(
                    "SELECT uid_validity, uid_next FROM positions WHERE mailbox = ?1 AND folder = ?2",
                    [&mailbox, &folder],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            Ok(found.map(|(uid_validity, uid_next)| Position {
                mailbox,
                folder,
                uid_validity,
                uid_next,
            }))
        })
        .await
    }

    /// Where every watch goes on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        self.work(|connection| {
            let mut statement = connection
                .prepare("SELECT mailbox, folder, uid_validity, uid_next FROM positions")?;
            let positions = statement.query_map([], |row| {
                Ok(Position {
                    mailbox: row.get(0)?,
                    folder: row.get(1)?,
                    uid_validity: row.get(2)?,
                    uid_next: row.get(3)?,
                })
            })?;
            Ok(positions.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Folds every event again and compares the result with what is kept beside the events.
    ///
    /// # Errors
    /// When the store cannot be read, or holds an event that no version of this program writes.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        self.work(|connection| verify(connection)).await
    }
}

/// Adds facts, numbered from the last one on.
pub(super) fn append(transaction: &Transaction<'_>, facts: &[Noted]) -> Result<(), Fault> {
    let mut seq: i64 = transaction.query_row(
        "SELECT coalesce(max(seq), 0) FROM ledger_events",
        [],
        |row| row.get(0),
    )?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO ledger_events (seq, at_us, entry, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for noted in facts {
        seq += 1;
        insert.execute(params![
            seq,
            noted.at.as_microsecond(),
            noted.entry.to_string(),
            noted.what.name(),
            encode(&noted.what)?,
        ])?;
    }
    Ok(())
}

/// Keeps how entries stand, and counts them; their runs are there already.
pub(super) fn project(transaction: &Transaction<'_>, entries: &[EntryRow]) -> Result<(), Fault> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO entries (id, run, scenario, step, route, mailbox, folder, planned_at_us,
                              attempted_at_us, first_seen_at_us, latency_us, copies, state, open,
                              mx, address, port, late, check_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19)
         ON CONFLICT (id) DO UPDATE SET
             run = excluded.run, scenario = excluded.scenario, step = excluded.step,
             route = excluded.route, mailbox = excluded.mailbox, folder = excluded.folder,
             planned_at_us = excluded.planned_at_us, attempted_at_us = excluded.attempted_at_us,
             first_seen_at_us = excluded.first_seen_at_us, latency_us = excluded.latency_us,
             copies = excluded.copies, state = excluded.state, open = excluded.open,
             mx = excluded.mx, address = excluded.address, port = excluded.port,
             late = excluded.late, check_key = excluded.check_key",
    )?;
    for row in entries {
        let key = counts::mail(transaction, row)?;
        upsert.execute(params![
            row.id,
            row.run,
            row.scenario,
            row.step,
            row.route,
            row.mailbox,
            row.folder,
            row.planned_at_us,
            row.attempted_at_us,
            row.first_seen_at_us,
            row.latency_us,
            row.copies,
            row.state,
            row.open,
            row.mx,
            row.address,
            row.port,
            row.late,
            key,
        ])?;
    }
    Ok(())
}

/// Keeps how far folders were looked at.
pub(super) fn keep_positions(
    transaction: &Transaction<'_>,
    positions: &[Position],
) -> Result<(), Fault> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO positions (mailbox, folder, uid_validity, uid_next) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (mailbox, folder) DO UPDATE SET
             uid_validity = excluded.uid_validity, uid_next = excluded.uid_next",
    )?;
    for position in positions {
        upsert.execute(params![
            position.mailbox,
            position.folder,
            position.uid_validity,
            position.uid_next,
        ])?;
    }
    Ok(())
}

pub(super) fn verify(connection: &Connection) -> Result<Verification, Fault> {
    // One view of all of it, also while another process writes.
    let connection = connection.unchecked_transaction()?;
    let mut found = Verification::default();
    let (count, last): (i64, i64) = connection.query_row(
        "SELECT count(*), coalesce(max(seq), 0) FROM ledger_events",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let removed: i64 = connection.query_row(
        "SELECT coalesce(sum(events), 0) FROM removals WHERE what = 'entries'",
        [],
        |row| row.get(0),
    )?;
    if count + removed != last {
        found.differs(format!(
            "the last event is number {last}, and there are {count}: {} are missing",
            last - count - removed
        ));
    }
    let mut kept = connection.prepare("SELECT * FROM entries WHERE id = ?1")?;
    each_entry(&connection, "", |id, entry, events| {
        found.events += events;
        found.entries += 1;
        let computed = EntryRow::of(entry_id(&id)?, &entry);
        match kept.query_row([&id], EntryRow::read).optional()? {
            Some(row) if row == computed => {}
            Some(row) => found.differs(format!(
                "entry {id} is kept as {row:?}, its events say {computed:?}"
            )),
            None => found.differs(format!("entry {id} has events and is not kept")),
        }
        Ok(())
    })?;
    let mut orphans = connection
        .prepare("SELECT id FROM entries WHERE id NOT IN (SELECT entry FROM ledger_events)")?;
    let mut rows = orphans.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.differs(format!("entry {id} is kept and has no events"));
    }
    for line in counts::differences(&connection)? {
        found.differs(line);
    }
    Ok(found)
}

/// Folds the selected events entry by entry: memory holds one entry, however long the ledger is.
fn each_entry(
    connection: &Connection,
    selected: &str,
    mut visit: impl FnMut(String, Entry, u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(&format!(
        "SELECT at_us, kind, body, entry FROM ledger_events {selected} ORDER BY entry, seq"
    ))?;
    let mut rows = statement.query([])?;
    let mut current: Option<(String, Entry, u64)> = None;
    while let Some(row) = rows.next()? {
        let id: String = row.get(3)?;
        if let Some((known, entry, events)) = current.take_if(|(known, ..)| *known != id) {
            visit(known, entry, events)?;
        }
        let (_, entry, events) = current.get_or_insert_with(|| (id, Entry::default(), 0));
        let (at, fact) = read_fact(row)?;
        entry.learn(at, &fact);
        *events += 1;
    }
    match current {
        Some((id, entry, events)) => visit(id, entry, events),
        None => Ok(()),
    }
}

fn whole(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

pub(super) fn read_fact(row: &Row<'_>) -> Result<(Timestamp, crate::ledger::fact::Fact), Fault> {
    let (at_us, kind, body): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok((moment(at_us)?, decode(&kind, &body)?))
}
