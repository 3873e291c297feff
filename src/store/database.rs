//! The database file: opened with the settings that durability needs, opened again after an I/O error.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{Fault, StoreError};
use super::lock::Lock;
use super::schema::migrate;
use super::soundness;

/// How long a lock of another SQLite client (a backup, a shell) is waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that the write-ahead log may keep on the disk.
const LOG_KEPT: i64 = 64 << 20;

/// The database in a state directory.
pub(super) const FILE_NAME: &str = "postrider.db";

/// The open file. Fields are dropped in this order: the connection is closed before the lock is let go.
#[derive(Debug)]
pub(super) struct Database {
    connection: Option<Connection>,
    path: PathBuf,
    _lock: Lock,
}

impl Database {
    /// Opens, and creates at need, the store in a state directory.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| unusable(directory, &error))?;
        let lock = Lock::acquire(directory)?;
        let path = directory.join(FILE_NAME);
        create_private(&path)?;
        let connection =
            connect(&path, lock.after_crash).map_err(|fault| fault.on_opening(&path))?;
        Ok(Self {
            connection: Some(connection),
            path,
            _lock: lock,
        })
    }

    /// Works on the database. After an I/O error the connection is given up; the next work opens and checks the
    /// file anew (an fsync that failed must not be tried again: the pages it covered may be gone).
    pub(super) fn work<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path, true).map_err(|fault| fault.at_work(&self.path))?,
        };
        let result = job(&mut connection);
        if !result.as_ref().is_err_and(Fault::spoils_connection) {
            self.connection = Some(connection);
        }
        result.map_err(|fault| fault.at_work(&self.path))
    }
}

/// The size of the files in a state directory: the database, its log and the log's index.
pub(super) fn size(directory: &Path) -> u64 {
    ["", "-wal", "-shm"]
        .into_iter()
        .filter_map(|end| std::fs::metadata(directory.join(format!("{FILE_NAME}{end}"))).ok())
        .map(|file| file.len())
        .sum()
}

/// SQLite would create the file with the umask's mode. Only a file that is not there yet is touched: closing any
/// descriptor of a file that SQLite has open would drop its locks.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn connect(path: &Path, check: bool) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Free pages can be given back only when this is said before the first page is written.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Content(format!(
            "write-ahead logging is not possible there (journal mode {mode})"
        )));
    }
    // NORMAL may lose the last commits at power loss; the ledger must not.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A log that a long reader let grow is cut when it can be.
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
    if check {
        soundness::check_at_start(&connection)?;
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unusable {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
