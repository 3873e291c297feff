//! The ledger as a probe sees it: plan before connecting, record what happened, wait for what arrives.

use std::time::Duration;

use postrider_wire::message::tag::EntryId;
use tokio::sync::watch;

use crate::net::BoxFuture;
use crate::outcome::{ArrivalFacts, Failure};

/// What is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The entry's id; it is in the tag.
    pub id: EntryId,
    /// The entry before it, when this is a retry after a 4xx.
    pub retry_of: Option<EntryId>,
    /// Envelope sender.
    pub sender: String,
    /// Envelope recipient.
    pub recipient: String,
    /// `Message-ID` without the angle brackets.
    pub message_id: String,
    /// The address that it goes to and its labels: `mx2.example.net [192.0.2.1]:25`.
    pub route: String,
    /// The mailbox that it should turn up in; `None` when nobody looks for it.
    pub mailbox: Option<String>,
    /// The folder that it should turn up in.
    pub folder: String,
    /// After this time since the final reply it is overdue.
    pub within: Duration,
}

/// What became of the attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It never came to the final dot, and no reply refused it: no connection, no TLS, a cut before the dot.
    NotSent {
        /// Why, one line.
        why: String,
    },
    /// 5yz.
    Refused {
        /// The reply.
        reply: String,
    },
    /// 4yz.
    Deferred {
        /// The reply.
        reply: String,
    },
    /// The connection was lost or the time ran out after the final dot: nobody knows. Never sent again.
    Uncertain {
        /// What happened, one line.
        why: String,
    },
    /// 2yz to the final dot.
    Accepted {
        /// The reply.
        reply: String,
        /// Queue id, when the reply names one.
        queue_id: Option<String>,
    },
}

/// The states of an entry (design: "The tag and the ledger").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryState {
    /// Committed; nothing was sent yet, as far as the store knows.
    Planned,
    /// Never sent.
    NotSent,
    /// Refused for good.
    Refused,
    /// Refused for now.
    Deferred,
    /// Nobody knows.
    Uncertain,
    /// Accepted and awaited.
    Accepted,
    /// Seen where it belongs.
    Delivered,
    /// Seen in the junk folder.
    Junked,
    /// Seen in quarantine.
    Held,
    /// A bounce came back.
    Bounced,
    /// Not seen within its time.
    Overdue,
    /// Not seen within `lost_after`, and a successful look after that proved it.
    Lost,
    /// Not seen, and we could not look.
    Unverifiable,
}

impl EntryState {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::Planned,
        Self::NotSent,
        Self::Refused,
        Self::Deferred,
        Self::Uncertain,
        Self::Accepted,
        Self::Delivered,
        Self::Junked,
        Self::Held,
        Self::Bounced,
        Self::Overdue,
        Self::Lost,
        Self::Unverifiable,
    ];

    /// The word used everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::NotSent => "not-sent",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Uncertain => "uncertain",
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Junked => "junked",
            Self::Held => "held",
            Self::Bounced => "bounced",
            Self::Overdue => "overdue",
            Self::Lost => "lost",
            Self::Unverifiable => "unverifiable",
        }
    }
}

/// What is known of an entry now, for whoever waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Its state.
    pub state: EntryState,
    /// Every copy seen, in the order seen. Junk and other folders included.
    pub arrivals: Vec<ArrivalFacts>,
    /// Set while the mailbox cannot be read: why, one line with its reason code's area (`imap-login: …`).
    pub blind: Option<Failure>,
    /// Every folder of the mailbox was looked into with success after the time of the entry (`within`, from the final
    /// reply on) was over: what is not among the arrivals was not there.
    pub looked: bool,
    /// Set while the junk folder beside the entry's own cannot be read: why. Unless it was looked into when the time was
    /// over, nobody knows whether the mail is in there.
    pub blind_junk: Option<Failure>,
    /// Set while something became known that cannot be written (`store-failed`). It is not told before it is: the rest
    /// of the account may be behind.
    pub unsaved: Option<Failure>,
}

/// The ledger. Each call returns only after its effect is durable.
pub trait Post: Send + Sync + std::fmt::Debug {
    /// Makes a new, unused entry id.
    fn new_id(&self) -> EntryId;

    /// The tag of an entry, as the header field's value.
    fn tag(&self, draft: &Draft) -> String;

    /// Commits the intent to send. Nothing may be sent when it fails (`store-failed`).
    fn plan(&self, draft: Draft) -> BoxFuture<'_, Result<(), Failure>>;

    /// Says, before the final dot is written, that from now on the mail may be taken. A check that ends without
    /// [`record`](Self::record) leaves a mail of which this was said `uncertain`, and any other `not-sent`.
    fn completing(&self, id: EntryId);

    /// Takes that back: a reply to the final dot refused the mail. It may go to the next host, and nobody has it until
    /// then.
    fn refused(&self, id: EntryId);

    /// Commits what became of it. The clock of the delivery starts with an `Accepted` at `replied`
    /// (the moment when the final reply was read), not when this call returns.
    fn record(
        &self,
        id: EntryId,
        attempt: Attempt,
        replied: tokio::time::Instant,
    ) -> BoxFuture<'_, Result<(), Failure>>;

    /// The entry's account, now and whenever it changes. Call it after `plan`.
    fn follow(&self, id: EntryId) -> watch::Receiver<Account>;
}
