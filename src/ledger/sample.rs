//! Entries for the tests.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::{Attempt, Draft};
use postrider_wire::message::bounce::Action;
use postrider_wire::message::tag::EntryId;

use super::fact::{Bounced, CopyKey, Fact, Latency, Noted, Planned, Sighting};
use crate::mailbox::news::MessageKey;

/// The `n`th entry.
pub(crate) fn id(n: u64) -> EntryId {
    EntryId::from_parts(1_790_000_000_000, n)
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).expect("a time in this century")
}

/// A mail to alice, expected in her INBOX within a minute.
pub(crate) fn draft(n: u64) -> Draft {
    let id = id(n);
    Draft {
        id,
        retry_of: None,
        sender: "probe@sender.example".to_owned(),
        recipient: "alice@example.net".to_owned(),
        message_id: format!("{id}@sender.example"),
        route: "mx1.example.net [192.0.2.1]:25".to_owned(),
        mx: Some("mx1.example.net".to_owned()),
        address: Some(([192, 0, 2, 1], 25).into()),
        mailbox: Some("alice".to_owned()),
        folder: "INBOX".to_owned(),
        bounces_to: Some("returns".to_owned()),
        within: Duration::from_secs(60),
    }
}

pub(crate) fn planned(n: u64) -> Fact {
    Fact::Planned(Box::new(Planned {
        draft: draft(n),
        run: "01RUN".to_owned(),
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
    }))
}

pub(crate) fn accepted() -> Attempt {
    Attempt::Accepted {
        reply: "250 2.0.0 Ok: queued as 4F2A9".to_owned(),
        queue_id: Some("4F2A9".to_owned()),
    }
}

pub(crate) fn refused() -> Attempt {
    Attempt::Refused {
        reply: "550 5.7.1 no".to_owned(),
    }
}

pub(crate) fn uncertain() -> Attempt {
    Attempt::Uncertain {
        why: "the connection was lost after the final dot".to_owned(),
    }
}

/// A message of alice's.
pub(crate) fn copy(folder: &str, uid: u32) -> CopyKey {
    CopyKey {
        mailbox: "alice".to_owned(),
        message: MessageKey {
            folder: folder.to_owned(),
            uid_validity: 1,
            uid,
        },
    }
}

pub(crate) fn sighted(copy: CopyKey) -> Fact {
    let junk = copy.message.folder == "Junk";
    Fact::Sighted(Box::new(Sighting {
        copy,
        junk,
        latency: Some(Latency {
            on_wall_clock: false,
            after: Duration::from_millis(1500),
            pushed_after: None,
        }),
        internal_date: Some(at(2)),
    }))
}

/// A bounce in the sender's mailbox that says so of alice's mail.
pub(crate) fn bounced(uid: u32, action: Action, is_proven: bool) -> Fact {
    Fact::Bounced(Box::new(Bounced {
        message: CopyKey {
            mailbox: "returns".to_owned(),
            ..copy("INBOX", uid)
        },
        is_proven,
        action,
        recipient: Some("alice@example.net".to_owned()),
        status: Some("5.1.1".to_owned()),
        diagnostic: Some("550 5.1.1 no such user".to_owned()),
        remote_mta: Some("store1.example.net".to_owned()),
        reporting_mta: Some("mx1.example.net".to_owned()),
    }))
}

pub(crate) fn retried(number: u32, outcome: Option<Attempt>) -> Fact {
    Fact::Retried { number, outcome }
}

pub(crate) fn deferred() -> Attempt {
    Attempt::Deferred {
        reply: "451 4.7.1 later".to_owned(),
    }
}

pub(crate) fn lost() -> Fact {
    Fact::Lost { looked_at: at(999) }
}

/// Facts of the first entry, a second apart.
pub(crate) fn story(facts: impl IntoIterator<Item = Fact>) -> Vec<Noted> {
    (0..)
        .zip(facts)
        .map(|(second, what)| Noted {
            at: at(second),
            entry: id(1),
            what,
        })
        .collect()
}
