//! What can become known of an entry.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::{Attempt, Draft};
use postrider_wire::message::bounce::Action;
use postrider_wire::message::tag::EntryId;

use crate::mailbox::news::MessageKey;

/// One fact of one entry, as it stands in the ledger for good.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEvent {
    /// From 1, without gaps over the whole ledger.
    pub seq: u64,
    /// The fact.
    pub noted: Noted,
}

/// One fact of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// When it happened, by the wall clock.
    pub at: Timestamp,
    /// The entry.
    pub entry: EntryId,
    /// What became known.
    pub what: Fact,
}

/// What became known of an entry. Facts may come in any order and more than once.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// It is about to be sent; on disk before anyone connects.
    Planned(Box<Planned>),
    /// What became of the attempt; the event's time is that of the final reply, or of the failure.
    Attempted(Attempt),
    /// A later attempt with the same envelope and the same message, as an MTA makes one after a 4yz.
    Retried {
        /// From 2.
        number: u32,
        /// What became of it, at the event's time; `None`: it is about to be made, on disk before anyone connects.
        outcome: Option<Attempt>,
    },
    /// A copy was seen; the event's time is that of the sighting.
    Sighted(Box<Sighting>),
    /// A bounce tells of it; the event's time is that of the sighting of the bounce.
    Bounced(Box<Bounced>),
    /// Not seen within its time.
    Overdue,
    /// Not seen within `lost_after`, and not there in a look that began after that: proof of absence.
    Lost {
        /// When that look began.
        looked_at: Timestamp,
    },
    /// Not seen within `lost_after`, and no look succeeded since.
    Unverifiable,
    /// A copy, or a bounce, was removed from its mailbox, by us.
    Removed(CopyKey),
}

impl Fact {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::Attempted(_) => "attempted",
            Self::Retried { .. } => "retried",
            Self::Sighted(_) => "sighted",
            Self::Bounced(_) => "bounced",
            Self::Overdue => "overdue",
            Self::Lost { .. } => "lost",
            Self::Unverifiable => "unverifiable",
            Self::Removed(_) => "removed",
        }
    }
}

/// What is to be sent, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The mail.
    pub draft: Draft,
    /// The run's id.
    pub run: String,
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
}

/// One copy of a mail: where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CopyKey {
    /// The mailbox's name in the configuration.
    pub mailbox: String,
    /// The message in it.
    pub message: MessageKey,
}

/// A copy as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Which copy.
    pub copy: CopyKey,
    /// It lay in the junk folder.
    pub junk: bool,
    /// How long it took, once the time of the final reply is known.
    pub latency: Option<Latency>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
}

/// What a bounce says of a mail. The text is safe to show and short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounced {
    /// Where the bounce itself lies.
    pub message: CopyKey,
    /// It returned our tag, made with our key for this mail. Else it only names the mail's `Message-ID`, which anybody
    /// may do: then it is noted and decides nothing.
    pub is_proven: bool,
    /// What happened.
    pub action: Action,
    /// The recipient that it tells of.
    pub recipient: Option<String>,
    /// The enhanced status code.
    pub status: Option<String>,
    /// The words of the host that refused.
    pub diagnostic: Option<String>,
    /// The host that refused.
    pub remote_mta: Option<String>,
    /// The host that wrote the bounce.
    pub reporting_mta: Option<String>,
}

impl Bounced {
    /// Who refused, in which words: `store1.example.net: 550 5.1.1 no such user`.
    #[must_use]
    pub fn words(&self) -> String {
        let host = self.remote_mta.as_ref().or(self.reporting_mta.as_ref());
        let words = self.diagnostic.as_ref().or(self.status.as_ref());
        match (host, words) {
            (Some(host), Some(words)) => format!("{host}: {words}"),
            (Some(host), None) => host.clone(),
            (None, Some(words)) => words.clone(),
            (None, None) => "without a reason".to_owned(),
        }
    }
}

/// From the final reply to the sighting. Never negative. The order is that of trust: a time of the monotonic clock
/// comes before one of the wall clock, then the shorter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latency {
    /// Measured by the wall clock, because the program was started again in between.
    pub on_wall_clock: bool,
    /// Until it was visible.
    pub after: Duration,
    /// Until IDLE announced it, if IDLE was running.
    pub pushed_after: Option<Duration>,
}
