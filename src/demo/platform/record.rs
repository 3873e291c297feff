//! What the platform saw and did, for tests to look at.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;

/// A mail that an SMTP address took over, or that it delivered without saying so.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The SMTP address it came in by.
    pub address: IpAddr,
    /// The node of that address.
    pub node: &'static str,
    /// The name given in EHLO or HELO.
    pub helo: String,
    /// Envelope sender; empty for the null sender.
    pub mail_from: String,
    /// Envelope recipients that were accepted.
    pub rcpt_to: Vec<String>,
    /// The identifier in the reply `250 2.0.0 Ok: queued as <ID>`.
    pub queue_id: String,
    /// The value of the field `Postrider-Tag`, unfolded.
    pub tag: Option<String>,
    /// Without the angle brackets.
    pub message_id: Option<String>,
    /// TLS protocol and cipher suite, if the session was encrypted.
    pub tls: Option<String>,
    /// As received after DATA, dots unstuffed.
    pub raw: Arc<[u8]>,
    /// By the platform's wall clock.
    pub at: Timestamp,
    /// On the monotonic clock.
    pub instant: Instant,
}

/// A mail that was put into a folder.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// As in [`Accepted`]; empty for mail put there by hand.
    pub queue_id: String,
    /// `INBOX`, `Junk`.
    pub folder: String,
    /// Its UID there.
    pub uid: u32,
    /// By the platform's wall clock: when it became visible.
    pub at: Timestamp,
    /// On the monotonic clock.
    pub instant: Instant,
}

/// What happened on one SMTP address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SmtpCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Open now.
    pub open: u64,
    /// The most that were open at a time.
    pub most_open: u64,
    /// Connections turned away with 421 because too many were open.
    pub turned_away: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// DATA commands, whatever the answer.
    pub data_commands: u64,
    /// QUIT commands.
    pub quits: u64,
    /// Commands other than EHLO, HELO, STARTTLS, MAIL, RCPT, DATA, RSET, NOOP and QUIT, or malformed.
    pub unknown: u64,
}

/// A change that an IMAP client made to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `UID STORE`, `STORE`, `UID EXPUNGE`, `EXPUNGE`, `CLOSE`, or `FETCH` where it set `\Seen`.
    pub command: String,
    /// The folder.
    pub folder: String,
    /// The message.
    pub uid: u32,
}

/// What happened on the IMAP server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImapCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Open now.
    pub open: u64,
    /// The most that were open at a time.
    pub most_open: u64,
    /// Successful logins.
    pub logins: u64,
    /// By name: `LOGIN`, `SELECT`, `UID FETCH`, `IDLE`, …; `malformed` for what could not be parsed.
    pub commands: BTreeMap<String, u64>,
}

/// Accepted mails, deliveries and changes that are kept; later ones are only counted.
pub(super) const KEPT: usize = 200_000;

/// Shared by all parts of the platform.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Observed>);

#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) accepted: Vec<Accepted>,
    pub(super) delivered: Vec<Delivered>,
    pub(super) changes: Vec<Change>,
    pub(super) smtp: BTreeMap<IpAddr, SmtpCounters>,
    pub(super) imap: ImapCounters,
}

impl Record {
    pub(super) fn lock(&self) -> MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn smtp(&self, address: IpAddr, note: impl FnOnce(&mut SmtpCounters)) {
        note(self.lock().smtp.entry(address).or_default());
    }

    pub(super) fn imap(&self, note: impl FnOnce(&mut ImapCounters)) {
        note(&mut self.lock().imap);
    }

    pub(super) fn imap_command(&self, name: &str) {
        self.imap(|seen| *seen.commands.entry(name.into()).or_default() += 1);
    }
}

/// Adds to a list that is bounded by [`KEPT`].
pub(super) fn keep<T>(list: &mut Vec<T>, item: T) {
    if list.len() < KEPT {
        list.push(item);
    }
}
