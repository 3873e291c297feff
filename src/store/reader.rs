//! Looking into a store that another process may be writing: for `show`, `ledger`, `trace`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::timeout;

use super::database::{BUSY_TIMEOUT, FILE_NAME};
use super::error::{Fault, StoreError};
use super::ledger::{self, Verification};
use super::runs::{self, RunSearch};
use super::{identity, lock, schema};
use crate::result::RunHead;

/// A report reads the hours of a period again for each series; the negative number means KiB.
const CACHE_KIB: i64 = -65_536;

/// A read that is to stop and has not is told so again after this time.
const STOPPED_AGAIN: Duration = Duration::from_millis(50);

/// A store that is only read. It takes no lock, so it works beside a running instance.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the store in a state directory; `None` when there is none yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", CACHE_KIB)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            schema::check(&connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|fault: Fault| fault.on_opening(&path))?;
        Ok(Some(Self { connection, path }))
    }

    /// Opens the store and reads something on a thread of its own; `None` when there is no store. Returns only when that
    /// thread has ended, so whoever counts such reads counts what is really at work.
    ///
    /// # Errors
    /// See [`StoreError`]; also when it takes longer than `within`, and then the statement is stopped.
    pub async fn look<T: Send + 'static>(
        directory: PathBuf,
        within: Duration,
        job: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let path = directory.join(FILE_NAME);
        let (opened, handle) = oneshot::channel();
        let mut reading = tokio::task::spawn_blocking(move || {
            let Some(reader) = Self::open(&directory)? else {
                return Ok(None);
            };
            // Nobody takes it when the time is over already: then nothing is read.
            match opened.send(reader.connection.get_interrupt_handle()) {
                Ok(()) => job(&reader).map(Some),
                Err(_) => Ok(None),
            }
        });
        let failed = |problem: JoinError| StoreError::Failed {
            path: path.clone(),
            problem: problem.to_string(),
        };
        if let Ok(read) = timeout(within, &mut reading).await {
            return read.map_err(failed)?;
        }
        let mut handle = handle;
        handle.close();
        if let Ok(handle) = handle.try_recv() {
            // Between two statements there is nothing to stop.
            loop {
                handle.interrupt();
                if timeout(STOPPED_AGAIN, &mut reading).await.is_ok() {
                    break;
                }
            }
        } else {
            // It still opens: that takes no longer than a lock is waited for.
            let _ = reading.await;
        }
        Err(StoreError::TookTooLong { path, within })
    }

    /// Folds every event again and compares the result with what is kept beside the events.
    ///
    /// # Errors
    /// When the store cannot be read, or holds an event that no version of this program writes.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        self.read(|connection| {
            schema::require_current(connection)?;
            ledger::verify(connection)
        })
    }

    /// Reads something.
    pub(super) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        job(&self.connection).map_err(|fault| fault.at_work(&self.path))
    }

    /// Finds a run by its id or any beginning of it; capital and small letters are the same.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn run_by_prefix(&self, prefix: &str) -> Result<RunSearch, StoreError> {
        self.read(|connection| runs::search(connection, prefix))
    }

    /// Whether a living process has the store open: what is under way in it is then really so.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.path.parent().is_some_and(lock::is_held)
    }

    /// Which instance's store this is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn instance(&self) -> Result<String, StoreError> {
        self.read(identity::instance)
    }

    /// The newest run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_run(&self) -> Result<Option<RunHead>, StoreError> {
        let heads = self.read(|connection| runs::latest(connection, 1))?;
        Ok(heads.into_iter().next())
    }
}
