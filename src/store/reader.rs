//! Looking into a store that another process may be writing: for `show`, `ledger`, `trace`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::database::{BUSY_TIMEOUT, FILE_NAME};
use super::error::{Fault, StoreError};
use super::ledger::{self, Verification};
use super::runs::{self, RunSearch};
use super::{lock, schema};
use crate::result::RunHead;

/// A report reads the hours of a period again for each series; the negative number means KiB.
const CACHE_KIB: i64 = -65_536;

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

    /// The newest run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_run(&self) -> Result<Option<RunHead>, StoreError> {
        let heads = self.read(|connection| runs::latest(connection, 1))?;
        Ok(heads.into_iter().next())
    }
}
