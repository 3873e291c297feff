//! What was said on a connection, kept as evidence: bounded, printable, without secrets.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_wire::text::RemoteText;
use tokio::time::Instant;

/// Lines kept from the start of the conversation (greeting, TLS, login).
const FIRST_LINES: usize = 40;
/// Lines kept in all; between the first ones and the newest ones the oldest give way.
const LINES: usize = 200;
/// Bytes of all kept lines together: half for the first ones, half for the newest.
const BYTES: usize = 16 * 1024;
/// Characters of one line.
const WIDTH: usize = 400;

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// We did.
    Sent,
    /// The server did.
    Received,
    /// Nobody: a remark of ours.
    Note,
}

impl Direction {
    /// The mark in front of a printed line.
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Sent => "->",
            Self::Received => "<-",
            Self::Note => "--",
        }
    }
}

/// The record of one conversation. Clones share it, so that it outlives a session that failed and
/// goes on from the plain session to the encrypted one.
#[derive(Clone)]
pub struct Transcript(Arc<Mutex<Record>>);

struct Record {
    since: Instant,
    first: Vec<(Duration, Direction, String)>,
    newest: VecDeque<(Duration, Direction, String)>,
    first_bytes: usize,
    newest_bytes: usize,
    dropped: u64,
}

impl Transcript {
    /// An empty record; times count from now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Record {
            since: Instant::now(),
            first: Vec::new(),
            newest: VecDeque::new(),
            first_bytes: 0,
            newest_bytes: 0,
            dropped: 0,
        })))
    }

    /// The lines so far: time since the start, speaker, text. A note stands where lines were dropped.
    pub fn lines(&self) -> Vec<(Duration, Direction, String)> {
        let record = self.lock();
        let mut lines = record.first.clone();
        if record.dropped > 0 {
            let at = record.newest.front().map_or(Duration::ZERO, |(at, ..)| *at);
            let text = format!("{} lines are not kept", record.dropped);
            lines.push((at, Direction::Note, text));
        }
        lines.extend(record.newest.iter().cloned());
        lines
    }

    /// Adds a line. `text` must be free of secrets; control characters are escaped here.
    pub(super) fn add(&self, direction: Direction, text: &str) {
        let text = RemoteText::new(text.as_bytes(), WIDTH).to_string();
        let mut record = self.lock();
        let line = (record.since.elapsed(), direction, text);
        let bytes = line.2.len();
        if record.dropped == 0
            && record.newest.is_empty()
            && record.first.len() < FIRST_LINES
            && record.first_bytes + bytes <= BYTES / 2
        {
            record.first_bytes += bytes;
            record.first.push(line);
            return;
        }
        record.newest_bytes += bytes;
        record.newest.push_back(line);
        while record.newest.len() > LINES - FIRST_LINES || record.newest_bytes > BYTES / 2 {
            let Some((.., text)) = record.newest.pop_front() else {
                break;
            };
            record.newest_bytes -= text.len();
            record.dropped += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").finish_non_exhaustive()
    }
}

/// The conversation as people know it from `swaks`.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, direction, text) in self.lines() {
            writeln!(f, "{:9.3} {} {text}", at.as_secs_f64(), direction.arrow())?;
        }
        Ok(())
    }
}
