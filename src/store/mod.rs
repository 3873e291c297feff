//! What is remembered: the ledger's events, runs and their results, positions in mailboxes. The only place that
//! knows SQL.

mod baselines;
mod closing;
mod copy;
mod counts;
mod database;
mod error;
mod fact_record;
mod identity;
mod ledger;
mod listing;
mod lock;
mod mails;
mod maintenance;
mod measured;
mod page;
mod period;
mod reader;
mod removal;
mod retention;
mod runs;
mod schema;
mod soundness;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::Mutex;

use database::Database;
use error::Fault;

pub use error::StoreError;
pub use identity::Identity;
pub use ledger::{EntryRow, Verification};
pub use listing::CheckSearch;
pub use mails::{MAILS_LIMIT, MailFilter, MailRow, PathCounts};
pub use maintenance::Maintained;
pub use page::{EntryPage, ListedEntry, RunPage};
pub use period::PeriodSearch;
pub use reader::Reader;
pub use retention::Retention;
pub use runs::{LastCheck, RunSearch};

use crate::baseline::{Baseline, Change, Key};
use crate::ledger::fact::Noted;
use crate::mailbox::news::Position;
use crate::result::{CheckResult, RunHead};

/// The open store. Clones share it; it is closed by [`Store::close`], or when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    // One piece of work at a time, in the order asked for, on a thread where blocking is allowed. A thread of our
    // own would do as well, but tokio's paused clock does not know that somebody waits for it.
    database: Arc<Mutex<Option<Database>>>,
    directory: Arc<Path>,
    identity: Identity,
}

/// What becomes durable together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Facts, in order; each gets the next number.
    pub facts: Vec<Noted>,
    /// How the entries stand after those facts.
    pub entries: Vec<EntryRow>,
    /// How far mailboxes were looked at.
    pub positions: Vec<Position>,
    /// Runs that began or ended.
    pub runs: Vec<RunHead>,
    /// Checks that ended, with their run's id.
    pub checks: Vec<(String, CheckResult)>,
    /// How baselines are now; `None`: forgotten.
    pub baselines: BTreeMap<Key, Option<Baseline>>,
    /// Changes, in order.
    pub changes: Vec<Change>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.entries.is_empty()
            && self.positions.is_empty()
            && self.runs.is_empty()
            && self.checks.is_empty()
            && self.baselines.is_empty()
            && self.changes.is_empty()
    }

    /// Whether there is nothing to write but positions.
    pub(crate) fn only_positions(&self) -> bool {
        !self.positions.is_empty()
            && self.facts.is_empty()
            && self.entries.is_empty()
            && self.runs.is_empty()
            && self.checks.is_empty()
            && self.baselines.is_empty()
            && self.changes.is_empty()
    }
}

impl Store {
    /// Opens the store in a state directory, and begins one when there is none. One process at a time.
    ///
    /// # Errors
    /// See [`StoreError`]. A store that is there and cannot be read is never replaced.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let owned = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let mut database = Database::open(&owned)?;
            let identity = database.work(identity::load_or_make)?;
            if let Err(error) = database.work(runs::cut_off_left) {
                tracing::warn!(%error, "runs that an earlier process left under way keep that name");
            }
            Ok((database, identity))
        });
        let (database, identity) = opened.await.unwrap_or_else(|panic| {
            Err(StoreError::Failed {
                path: directory.to_owned(),
                problem: panic.to_string(),
            })
        })?;
        Ok(Self {
            database: Arc::new(Mutex::new(Some(database))),
            directory: directory.into(),
            identity,
        })
    }

    /// Who we are: the key of the tags.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Writes all of it or nothing. When this returns, it is on disk.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn commit(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.work(move |connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            // Runs first: mails and checks are counted by who started their run.
            runs::save(&transaction, &batch.runs)?;
            ledger::append(&transaction, &batch.facts)?;
            ledger::project(&transaction, &batch.entries)?;
            ledger::keep_positions(&transaction, &batch.positions)?;
            runs::save_checks(&transaction, &batch.checks)?;
            baselines::save(&transaction, &batch.baselines)?;
            baselines::append(&transaction, &batch.changes)?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// The size of its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        database::size(&self.directory)
    }

    /// Closes it, for every clone: waits for the work in hand, brings the file up to date and lets go of the lock.
    pub async fn close(&self) {
        let database = self.database.lock().await.take();
        // Closing writes to the disk. There is nobody to tell of a panic in it.
        let _ = tokio::task::spawn_blocking(move || drop(database)).await;
    }

    /// Checks every page of the file: minutes, for a large one. What is wrong, one line each.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub async fn check_file(&self) -> Result<Vec<String>, StoreError> {
        self.work(|connection| soundness::check_all(connection))
            .await
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut database = Arc::clone(&self.database).lock_owned().await;
        let path = self.directory.to_path_buf();
        let worked = tokio::task::spawn_blocking(move || match database.as_mut() {
            Some(database) => database.work(job),
            None => Err(StoreError::Closed { path }),
        });
        worked.await.unwrap_or_else(|panic| {
            Err(StoreError::Failed {
                path: self.directory.to_path_buf(),
                problem: panic.to_string(),
            })
        })
    }
}
