//! The schema and its history.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::copy;
use super::error::Fault;

/// Each brings the schema from the version before to its own; never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// `Post` in ASCII: marks the file as ours (SQLite's `application_id`).
const APPLICATION_ID: i64 = 0x506f_7374;

/// Whether this version can read the store as it is.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let (owner, found) = marks(connection)?;
    if owner != APPLICATION_ID {
        return Err(foreign());
    }
    refuse_newer(found)
}

/// Whether the store holds what a query needs. A reader changes nothing, so it cannot bring it up to date.
pub(super) fn require_current(connection: &Connection) -> Result<(), Fault> {
    let (_, found) = marks(connection)?;
    match found < latest() {
        true => Err(Fault::Older {
            found,
            needed: latest(),
        }),
        false => Ok(()),
    }
}

/// Brings the schema up to date, each step in a transaction of its own: whenever it is interrupted, it goes on where
/// it was. A store that holds something is copied before.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    let (owner, found) = marks(connection)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && tables > 0 {
        return Err(foreign());
    }
    refuse_newer(found)?;
    if found > 0 && found < latest() && holds_something(connection)? {
        copy::keep(connection, path, found)?;
    }
    for version in found..latest() {
        step(connection, version)?;
    }
    Ok(())
}

/// From one version to the next, unless somebody else has done it meanwhile.
fn step(connection: &mut Connection, from: i64) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (_, found) = marks(&transaction)?;
    refuse_newer(found)?;
    let migration = usize::try_from(from)
        .ok()
        .and_then(|from| MIGRATIONS.get(from));
    if let Some(migration) = migration.filter(|_| found == from) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", from + 1)?;
    }
    transaction.commit()?;
    Ok(())
}

fn holds_something(connection: &Connection) -> Result<bool, Fault> {
    let holds = "SELECT EXISTS (SELECT 1 FROM ledger_events) OR EXISTS (SELECT 1 FROM runs)";
    Ok(connection.query_row(holds, [], |row| row.get(0))?)
}

/// Whose file it is, and its version.
fn marks(connection: &Connection) -> Result<(i64, i64), Fault> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn refuse_newer(found: i64) -> Result<(), Fault> {
    let known = latest();
    match found > known {
        true => Err(Fault::Newer { found, known }),
        false => Ok(()),
    }
}

fn foreign() -> Fault {
    Fault::Content("it is the database of another program".to_owned())
}

#[cfg(test)]
pub(super) mod old {
    //! Stores of earlier versions, for the tests.

    use super::{APPLICATION_ID, Connection, MIGRATIONS};

    /// Makes an empty file one of this version.
    pub(in crate::store) fn begin(connection: &Connection, version: i64) -> rusqlite::Result<()> {
        for (_, migration) in (0..version).zip(MIGRATIONS) {
            connection.execute_batch(migration)?;
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", version)
    }
}
