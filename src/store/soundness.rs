//! How much of the file is checked, and when. All of a large store takes minutes: that is for `ledger verify`. After a
//! crash, or an I/O error, a small one is checked in full, of a large one what the next writes build on. The
//! write-ahead log has check sums of its own.

use rusqlite::Connection;

use super::error::Fault;

/// Up to this size the whole file is checked at start; it takes less than half a second.
const WHOLE: i64 = 32 << 20;
/// Problems that a full check names.
const NAMED: u32 = 100;

/// Checks what can be checked in a fraction of a second.
pub(super) fn check_at_start(connection: &Connection) -> Result<(), Fault> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("page_count")?.saturating_mul(pragma("page_size")?) <= WHOLE {
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        return match verdict == "ok" {
            true => Ok(()),
            false => Err(Fault::Content(verdict)),
        };
    }
    // The first and the last row of each table: root, and both edges of each tree.
    let mut names =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")?;
    let tables: Vec<(String, String)> = names
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (table, sql) in tables {
        let key = match sql.contains("WITHOUT ROWID") {
            true => primary_key(connection, &table)?,
            false => vec!["rowid".to_owned()],
        };
        for order in ["ASC", "DESC"] {
            let by: Vec<String> = key
                .iter()
                .map(|column| format!("{column} {order}"))
                .collect();
            let edge = format!("SELECT * FROM {table} ORDER BY {} LIMIT 10", by.join(", "));
            let mut statement = connection.prepare(&edge)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
    }
    Ok(())
}

fn primary_key(connection: &Connection, table: &str) -> Result<Vec<String>, Fault> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let columns = statement.query_map([table], |row| row.get(0))?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// Checks every page; what is wrong, one line each.
pub(super) fn check_all(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
    let lines: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
