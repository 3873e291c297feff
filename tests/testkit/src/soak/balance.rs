//! The account of every mail: what the servers took and delivered against what the ledger says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A mail as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// With angle brackets.
    pub message_id: String,
    /// The word of its state.
    pub state: String,
    /// How many copies were seen.
    pub copies: u32,
}

/// How it adds up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Mails in the ledger, by state.
    pub states: BTreeMap<String, usize>,
    /// Mails that a node took responsibility for.
    pub accepted: usize,
    /// Mails that were put into a mailbox.
    pub delivered: usize,
    /// Mails that the platform put into the mailbox more than once, and the ledger says so.
    pub duplicated: usize,
    /// Mails taken or delivered of which the ledger does not say so yet.
    pub awaited: usize,
    /// One line for each mail that does not add up.
    pub unexplained: Vec<String>,
}

impl Balance {
    /// Compares. `accepted` and `delivered` hold a Message-ID as often as it was taken and put into a mailbox.
    #[must_use]
    pub fn of(entries: &[Entry], accepted: Vec<String>, delivered: Vec<String>) -> Self {
        let (times_accepted, times_delivered) = (counted(accepted), counted(delivered));
        let mut balance = Self {
            accepted: times_accepted.len(),
            delivered: times_delivered.len(),
            ..Self::default()
        };
        let mut known = BTreeSet::new();
        for entry in entries {
            *balance.states.entry(entry.state.clone()).or_default() += 1;
            known.insert(entry.message_id.as_str());
            let times =
                |of: &BTreeMap<String, usize>| of.get(&entry.message_id).copied().unwrap_or(0);
            let (taken, put) = (times(&times_accepted), times(&times_delivered));
            let said = entry.state.as_str();
            let unexplained = &mut balance.unexplained;
            let mut wrong = |what: &str| {
                unexplained.push(format!(
                    "{} is {said} with {} copies, {what}: taken {taken}, delivered {put} times",
                    entry.message_id, entry.copies
                ));
            };
            match (taken, put, said) {
                (2.., ..) => wrong("sent twice"),
                (1, 1.., "delivered") if entry.copies as usize != put => wrong("copies miscounted"),
                (1, 1, "delivered") => {}
                // The platform itself did that, as when a mailbox goes away in mid-delivery; the ledger has to say so.
                (1, 2.., "delivered") => balance.duplicated += 1,
                (1, 0 | 1, "accepted" | "overdue" | "uncertain" | "planned") => {
                    balance.awaited += 1
                }
                (0, 0, "not-sent" | "refused" | "deferred" | "uncertain") => {}
                (0, 0, "planned") => balance.awaited += 1,
                _ => wrong("wrong in the books"),
            }
        }
        for unknown in times_accepted
            .keys()
            .chain(times_delivered.keys())
            .filter(|id| !known.contains(id.as_str()))
        {
            balance.unexplained.push(format!(
                "{unknown} was sent, and the ledger does not know it"
            ));
        }
        balance
    }

    /// Whether every mail that was taken has arrived and was seen.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.awaited == 0 && self.accepted == self.delivered
    }
}

/// The entries of a store.
///
/// # Errors
/// It cannot be read.
pub(super) fn entries(store: &Path) -> io::Result<Vec<Entry>> {
    read(store).map_err(io::Error::other)
}

fn read(store: &Path) -> rusqlite::Result<Vec<Entry>> {
    // Not read-only: the write-ahead log needs its index.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = rusqlite::Connection::open_with_flags(store, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mut statement = connection.prepare("SELECT id, state, copies FROM entries")?;
    let rows = statement.query_map([], |row| {
        let id: String = row.get(0)?;
        Ok(Entry {
            message_id: format!("<{}@outside.test>", id.to_lowercase()),
            state: row.get(1)?,
            copies: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// The Message-IDs of the mails that a Postfix took responsibility for: `cleanup` names them as it reads them, `qmgr`
/// names the queue file once it is complete. The id of a queue file that is gone comes again, some times in an hour.
pub(super) fn accepted(log: &str) -> Vec<String> {
    let mut taken = Vec::new();
    let mut read = BTreeMap::new();
    for line in log.lines() {
        if let Some((queue_id, id)) = of(line, "/cleanup[", "message-id=") {
            read.insert(queue_id, id);
        } else if let Some((queue_id, _)) = of(line, "/qmgr[", "from=") {
            // It is named again at each further attempt to deliver it.
            taken.extend(read.remove(queue_id).map(str::to_owned));
        }
    }
    taken
}

/// Queue id and value of `… postfix/DAEMON[pid]: QUEUEID: KEYvalue`.
fn of<'l>(line: &'l str, daemon: &str, key: &str) -> Option<(&'l str, &'l str)> {
    let (_, rest) = line.split_once(daemon)?;
    let (_, rest) = rest.split_once("]: ")?;
    let (queue_id, rest) = rest.split_once(": ")?;
    Some((queue_id, rest.strip_prefix(key)?))
}

fn counted(ids: Vec<String>) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for id in ids {
        *times.entry(id).or_default() += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_what_was_taken() {
        let log = "\
Nov 21 12:00:00 h postfix/cleanup[7]: AAA: message-id=<1@x>
Nov 21 12:00:00 h postfix/qmgr[5]: AAA: from=<p@x>, size=900, nrcpt=1 (queue active)
Nov 21 12:00:01 h postfix/cleanup[7]: BBB: message-id=<2@x>
Nov 21 12:00:02 h postfix/qmgr[5]: AAA: from=<p@x>, size=900, nrcpt=1 (queue active)
Nov 21 12:00:02 h postfix/qmgr[5]: AAA: removed
Nov 21 12:10:00 h postfix/cleanup[7]: AAA: message-id=<3@x>
Nov 21 12:10:00 h postfix/qmgr[5]: AAA: from=<p@x>, size=900, nrcpt=1 (queue active)
Nov 21 12:20:00 h postfix/cleanup[7]: AAA: message-id=<4@x>
Nov 21 12:20:00 h postfix/qmgr[5]: AAA: from=<p@x>, size=900, nrcpt=1 (queue active)
";
        assert_eq!(accepted(log), ["<1@x>", "<3@x>", "<4@x>"]);
    }

    #[test]
    fn each_way_of_not_adding_up_is_named() {
        let cases = [
            // taken, delivered, state, copies, awaited, unexplained
            (1, 1, "delivered", 1, 0, ""),
            (0, 0, "not-sent", 0, 0, ""),
            (0, 0, "uncertain", 0, 0, ""),
            (1, 0, "accepted", 0, 1, ""),
            (1, 1, "uncertain", 0, 1, ""),
            (1, 1, "delivered", 2, 0, "copies miscounted"),
            (1, 2, "delivered", 2, 0, ""),
            (1, 2, "delivered", 1, 0, "copies miscounted"),
            (2, 2, "delivered", 2, 0, "sent twice"),
            (1, 1, "not-sent", 0, 0, "wrong in the books"),
            (0, 0, "accepted", 0, 0, "wrong in the books"),
            (0, 0, "delivered", 1, 0, "wrong in the books"),
            (1, 1, "lost", 0, 0, "wrong in the books"),
        ];
        for (taken, put, state, copies, awaited, unexplained) in cases {
            let id = "<1@x>".to_owned();
            let entry = Entry {
                message_id: id.clone(),
                state: state.to_owned(),
                copies,
            };
            let balance = Balance::of(&[entry], vec![id.clone(); taken], vec![id; put]);
            assert_eq!(balance.awaited, awaited, "{state}");
            assert_eq!(
                balance.unexplained.is_empty(),
                unexplained.is_empty(),
                "{balance:?}"
            );
            assert!(
                balance
                    .unexplained
                    .iter()
                    .all(|line| line.contains(unexplained))
            );
        }
        let unknown = Balance::of(&[], vec!["<2@x>".to_owned()], Vec::new());
        assert_eq!(unknown.unexplained.len(), 1);
    }
}
