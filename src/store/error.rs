//! What can go wrong with the store, in words that say what to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;
use thiserror::Error;

/// The store cannot be opened, or failed at work.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store in {} is in use by {}; stop that process, or give this one a directory of its own with --storage.path",
        path.display(),
        owner(*pid)
    )]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Who has it, when that could be read.
        pid: Option<u32>,
    },
    /// Written by a later version of this program.
    #[error(
        "the store {} has schema {found}, this version knows no later one than {known}; use the newer version again, or another --storage.path",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Written by an earlier version, and only to be read.
    #[error(
        "the store {} has schema {found}, this needs {needed}; the next `run` or `serve` brings it up to date",
        path.display()
    )]
    Older {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// What is needed.
        needed: i64,
    },
    /// It has to be brought up to date, and no copy could be kept before.
    #[error("the store {} was left as it is: {problem}", path.display())]
    NoCopy {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// There is no room.
    #[error(
        "the store {} is full: {problem}; make room on its disk, or lower --storage.retention.size: nothing is sent until it can be written",
        path.display()
    )]
    Full {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// It can only be read.
    #[error(
        "the store {} is read-only: {problem}; nothing is sent until it can be written",
        path.display()
    )]
    ReadOnly {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// Another program works on the file itself.
    #[error(
        "the store {} is locked by another program (a backup, a shell) for more than 5 s: {problem}",
        path.display()
    )]
    Locked {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// Not one of our stores, or broken.
    #[error(
        "the store {} is damaged: {problem}; it was left as it is: restore it from a copy, or move it away to begin a new one",
        path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be created or opened.
    #[error(
        "the store {} cannot be used: {problem}; make it readable and writable for this user, or name another place with --storage.path",
        path.display()
    )]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// A read was stopped.
    #[error(
        "reading the store {} took longer than {} s and was stopped",
        path.display(),
        within.as_secs()
    )]
    TookTooLong {
        /// The database file.
        path: PathBuf,
        /// The time that it had.
        within: Duration,
    },
    /// It was closed before.
    #[error("the store in {} is closed: the program is ending", path.display())]
    Closed {
        /// The state directory.
        path: PathBuf,
    },
    /// It failed at work: disk full, I/O error, lock.
    #[error("the store {} failed: {problem}", path.display())]
    Failed {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
}

/// What a piece of work on the database met; the path is added outside.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    /// A stored value that no version of this program writes.
    Content(String),
    Newer {
        found: i64,
        known: i64,
    },
    Older {
        found: i64,
        needed: i64,
    },
    /// The copy before a migration could not be kept.
    Copy(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// Whether the connection is not to be trusted any more: what an fsync that failed has left behind nobody knows.
    pub(super) fn spoils_connection(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }

    /// As met while opening.
    pub(super) fn on_opening(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match (self.code(), self) {
            (_, Self::Newer { found, known }) => StoreError::Newer { path, found, known },
            (_, Self::Older { found, needed }) => StoreError::Older {
                path,
                found,
                needed,
            },
            (_, Self::Copy(problem)) => StoreError::NoCopy { path, problem },
            (_, Self::Content(problem)) => StoreError::Damaged { path, problem },
            (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), Self::Sql(error)) => {
                StoreError::Damaged {
                    path,
                    problem: error.to_string(),
                }
            }
            (code, Self::Sql(error)) => {
                let problem = error.to_string();
                match code {
                    Some(ErrorCode::DiskFull) => StoreError::Full { path, problem },
                    Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path, problem },
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                        StoreError::Locked { path, problem }
                    }
                    _ => StoreError::Unusable { path, problem },
                }
            }
        }
    }

    /// As met at work.
    pub(super) fn at_work(self, path: &Path) -> StoreError {
        match self {
            Self::Sql(_) => match self.on_opening(path) {
                StoreError::Unusable { path, problem } => StoreError::Failed { path, problem },
                other => other,
            },
            other => other.on_opening(path),
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Content(_) | Self::Newer { .. } | Self::Older { .. } | Self::Copy(_) => None,
        }
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}
