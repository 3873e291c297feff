//! What a mailbox watch and the pipeline tell each other.

use std::sync::Arc;

use jiff::Timestamp;
use postrider_probes::outcome::Failure;
use tokio::time::Instant;

use crate::ledger::recognise::Proof;

/// What a watch tells.
#[derive(Debug, Clone)]
pub enum News {
    /// A message with a tag header became visible. Whether it is ours, the ledger decides.
    Arrived(Box<Arrival>),
    /// Every new message of the folder was looked at.
    Looked {
        /// The mailbox's name.
        mailbox: String,
        /// The folder.
        folder: String,
        /// When the look began: what was visible before it was seen.
        began: Instant,
        /// The same by the wall clock.
        began_at: Timestamp,
    },
    /// The folder's UIDNEXT went back to this `uid_next` under the same UIDVALIDITY: whatever had these UIDs is gone.
    SetBack(Position),
    /// Everything below `uid_next` was looked at: where to go on after a restart.
    Position(Position),
    /// The mailbox cannot be read now; repeated failures are told once, recovery is a `Looked`.
    Blind {
        /// The mailbox's name.
        mailbox: String,
        /// The folder.
        folder: String,
        /// Why, with `imap-unavailable`, `imap-login`, `imap-protocol`, `secret-…` or a DNS, connect or TLS reason.
        failure: Failure,
    },
    /// Own messages of closed entries were removed.
    Removed {
        /// The mailbox's name.
        mailbox: String,
        /// Which messages.
        messages: Vec<MessageKey>,
    },
}

/// A message with a tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The mailbox's name.
    pub mailbox: String,
    /// Where it lies.
    pub key: MessageKey,
    /// Whether the folder is the junk folder (RFC 6154 `\Junk`).
    pub junk: bool,
    /// When it was seen, by our monotonic clock.
    pub seen: Instant,
    /// When it was seen, by the wall clock.
    pub seen_at: Timestamp,
    /// When IDLE announced it, if IDLE was running.
    pub pushed: Option<Instant>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// The header block, bounded.
    pub header: Vec<u8>,
}

/// One message of a mailbox: a UID means something only together with its UIDVALIDITY (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey {
    /// The folder's name.
    pub folder: String,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// The UID.
    pub uid: u32,
}

/// Where a watch goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The mailbox's name.
    pub mailbox: String,
    /// The folder's name.
    pub folder: String,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// The first UID that was not looked at yet.
    pub uid_next: u32,
}

/// What the pipeline wants of a mailbox's watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Folders in which something is expected; the junk folder is always watched beside them.
    pub folders: Vec<String>,
    /// How many mails are awaited now.
    pub awaited: usize,
    /// Each of them was seen already: only further copies may come, and nobody measures when.
    pub only_copies: bool,
    /// The latest final reply among them: polling is fast just after it and slows down in proportion.
    pub latest: Option<Instant>,
    /// Own messages whose entries are closed: to be removed, these and nothing else.
    pub remove: Vec<Wish>,
}

/// A message that is to be removed. Its number alone would prove nothing: a server may have given it to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where it was seen.
    pub message: MessageKey,
    /// What it must carry to be the mail that was booked.
    pub proof: Arc<Proof>,
}
