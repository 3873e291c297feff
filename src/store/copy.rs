//! The copy that is kept before the schema changes, so that the version before can be used again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::Fault;

/// Where the copy of a store with this schema lies: `postrider-schema1.db`, beside it.
pub(super) fn place(path: &Path, schema: i64) -> PathBuf {
    path.with_file_name(format!("postrider-schema{schema}.db"))
}

/// Keeps a copy. It has its name only when it is whole and on disk; half a copy of an earlier attempt is replaced.
pub(super) fn keep(connection: &Connection, path: &Path, schema: i64) -> Result<(), Fault> {
    let whole = place(path, schema);
    let part = whole.with_extension("part");
    let failed = |error: io::Error| {
        Fault::Copy(format!(
            "the copy {} that is kept before the schema changes cannot be written: {error}",
            whole.display()
        ))
    };
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // SQLite would create it with the umask's mode; it takes an empty file as well.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(failed)?;
    let name = part.to_str().ok_or_else(|| {
        failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "its name is not UTF-8",
        ))
    })?;
    if let Err(error) = connection.execute("VACUUM INTO ?1", [name]) {
        // Half a copy only takes room.
        let _ = fs::remove_file(&part);
        return Err(match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => failed(io::ErrorKind::StorageFull.into()),
            _ => Fault::Sql(error),
        });
    }
    // SQLite does not sync what it copies into.
    let synced = File::open(&part).and_then(|file| file.sync_all());
    synced
        .and_then(|()| fs::rename(&part, &whole))
        .and_then(|()| match whole.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        })
        .map_err(failed)
}
