//! The account of one mail. Facts are joined, never overwritten: any order and any repetition of the same facts ends
//! in the same entry, so a crash, a retry or a replay can do no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::{Attempt, EntryState};
use postrider_wire::message::bounce::Action;

use super::aftermath::Aftermath;
use super::fact::{Bounced, CopyKey, Fact, Latency, Planned, Sighting};

/// Copies of one mail that are told apart. A mail loop makes thousands; which of them are kept does not depend on
/// the order in which they were seen.
const COPIES_LIMIT: usize = 1000;

/// Everything known of one mail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    planned: Option<(Timestamp, Box<Planned>)>,
    attempt: Option<(Timestamp, Attempt)>,
    copies: BTreeMap<CopyKey, SeenCopy>,
    removed: BTreeSet<CopyKey>,
    overdue: Option<Timestamp>,
    lost: Option<(Timestamp, Timestamp)>,
    unverifiable: Option<Timestamp>,
    /// Most mails have none: they must not pay for it.
    aftermath: Option<Box<Aftermath>>,
}

/// One attempt to send a mail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Try<'e> {
    /// From 1.
    pub number: u32,
    /// When it was made known that it is about to be made; of the first that is the plan.
    pub began: Option<Timestamp>,
    /// What became of it, and when.
    pub outcome: Option<(Timestamp, &'e Attempt)>,
}

/// What is known of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCopy {
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// It lies in the junk folder.
    pub junk: bool,
    /// How long it took.
    pub latency: Option<Latency>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
}

impl Entry {
    /// Adds a fact. Adding it again changes nothing.
    pub fn learn(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Planned(planned) => self.learn_planned(at, planned),
            Fact::Attempted(attempt) => self.learn_attempt(at, attempt),
            Fact::Retried { number, outcome } => {
                let aftermath = self.aftermath.get_or_insert_default();
                aftermath.learn_retry(at, *number, outcome.as_ref());
            }
            Fact::Sighted(sighting) => self.learn_sighting(at, sighting),
            Fact::Bounced(bounced) => {
                let aftermath = self.aftermath.get_or_insert_default();
                aftermath.learn_bounce(at, bounced);
            }
            Fact::Overdue => self.overdue = earliest(self.overdue, at),
            Fact::Lost { looked_at } => self.lost = earliest(self.lost, (at, *looked_at)),
            Fact::Unverifiable => self.unverifiable = earliest(self.unverifiable, at),
            Fact::Removed(copy) => {
                self.removed.insert(copy.clone());
                if self.removed.len() > COPIES_LIMIT {
                    self.removed.pop_last();
                }
            }
        }
    }

    /// Where it stands, by precedence: what was seen beats what was concluded, that beats what was said.
    #[must_use]
    pub fn state(&self) -> EntryState {
        if let Some(seen) = self.seen() {
            return seen;
        }
        if self.failed().is_some() {
            return EntryState::Bounced;
        }
        match self.attempt().map(|(_, attempt)| attempt) {
            None => EntryState::Planned,
            Some(Attempt::NotSent { .. }) => EntryState::NotSent,
            Some(Attempt::Refused { .. }) => EntryState::Refused,
            Some(Attempt::Deferred { .. }) => EntryState::Deferred,
            // Absence proves nothing of a mail that perhaps was never accepted.
            Some(Attempt::Uncertain { .. }) => EntryState::Uncertain,
            Some(Attempt::Accepted { .. }) if self.lost.is_some() => EntryState::Lost,
            Some(Attempt::Accepted { .. }) if self.unverifiable.is_some() => {
                EntryState::Unverifiable
            }
            Some(Attempt::Accepted { .. }) if self.overdue.is_some() => EntryState::Overdue,
            Some(Attempt::Accepted { .. }) => EntryState::Accepted,
        }
    }

    /// Whether something can still happen that the ledger has to wait for or see to: an outcome, an arrival, the
    /// removal of a copy. What is not open is known only to the store; should its mail turn up, it is read back.
    #[must_use]
    pub fn open(&self) -> bool {
        self.to_remove().next().is_some() || self.seen().is_none() && self.may_arrive()
    }

    /// The copies and the proven bounces that are still in their mailboxes, as far as we know. Those of an older
    /// UIDVALIDITY are gone or have another name now (RFC 9051 §2.3.1.1).
    pub fn to_remove(&self) -> impl Iterator<Item = &CopyKey> {
        // Backwards: the newest numbering of a folder comes first.
        let bounces = self
            .aftermath
            .iter()
            .flat_map(|after| after.bounces().rev());
        let proven = bounces.filter(|(.., bounced)| bounced.is_proven);
        let bounces = newest_numbering(proven.map(|(key, ..)| key));
        newest_numbering(self.copies.keys().rev())
            .chain(bounces)
            .filter(|copy| !self.removed.contains(*copy))
    }

    /// How many copies were seen. When a folder was numbered anew its copies are seen again; they count once.
    #[must_use]
    pub fn copies(&self) -> usize {
        let mut by_numbering: BTreeMap<(&str, &str), BTreeMap<u32, usize>> = BTreeMap::new();
        for CopyKey { mailbox, message } in self.copies.keys() {
            *by_numbering
                .entry((mailbox, &message.folder))
                .or_default()
                .entry(message.uid_validity)
                .or_default() += 1;
        }
        by_numbering
            .values()
            .filter_map(|numberings| numberings.values().max())
            .sum()
    }

    /// What was planned, and when.
    #[must_use]
    pub fn planned(&self) -> Option<(Timestamp, &Planned)> {
        self.planned
            .as_ref()
            .map(|(at, planned)| (*at, planned.as_ref()))
    }

    /// What became of the attempt that decided, and when: of several the one after which the mail was in other hands,
    /// or perhaps was, else the last that got a reply.
    #[must_use]
    pub fn attempt(&self) -> Option<(Timestamp, &Attempt)> {
        let decided = self
            .tries()
            .filter_map(|one| Some((one.number, one.outcome?)));
        let best = decided.max_by_key(|(number, (_, attempt))| (weight(attempt), *number));
        best.map(|(_, outcome)| outcome)
    }

    /// Every attempt, in order.
    pub fn tries(&self) -> impl Iterator<Item = Try<'_>> {
        let first = Try {
            number: 1,
            began: self.planned.as_ref().map(|(at, _)| *at),
            outcome: self.attempt.as_ref().map(|(at, attempt)| (*at, attempt)),
        };
        let retries = self.aftermath.iter().flat_map(|after| after.retries());
        std::iter::once(first).chain(retries.map(|(number, retry)| Try {
            number,
            began: retry.began,
            outcome: retry.outcome.as_ref().map(|(at, attempt)| (*at, attempt)),
        }))
    }

    /// The number of the last attempt that was made, or is about to be.
    #[must_use]
    pub fn last_try(&self) -> u32 {
        self.tries().last().map_or(1, |last| last.number)
    }

    /// Whether an attempt was about to be made of which nothing more is known.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.tries()
            .last()
            .is_none_or(|last| last.outcome.is_none())
    }

    /// For how long it was refused with 4yz before it was accepted: from the first refusal to the acceptance.
    #[must_use]
    pub fn deferred_for(&self) -> Option<Duration> {
        let mut deferrals = self
            .tries()
            .filter_map(|one| one.outcome)
            .filter(|(_, attempt)| matches!(attempt, Attempt::Deferred { .. }));
        let (since, _) = deferrals.next()?;
        let (until, _) = self
            .attempt()
            .filter(|(_, attempt)| matches!(attempt, Attempt::Accepted { .. }))?;
        Duration::try_from(until.duration_since(since)).ok()
    }

    /// Every bounce, with the time when it was seen.
    pub fn bounces(&self) -> impl Iterator<Item = (Timestamp, &Bounced)> {
        let bounces = self.aftermath.iter().flat_map(|after| after.bounces());
        bounces.map(|(_, at, bounced)| (at, bounced))
    }

    /// Whether a bounce that was not seen before changes anything. As many as one mail can have are kept; without this,
    /// whoever knows a `Message-ID` could make the ledger grow for ever.
    #[must_use]
    pub fn takes_bounce(&self, bounced: &Bounced) -> bool {
        let after = self.aftermath.as_ref();
        after.is_none_or(|after| after.takes_bounce(bounced))
    }

    /// Whether a bounce was seen before.
    #[must_use]
    pub fn knows_bounce(&self, message: &CopyKey) -> bool {
        self.bounces()
            .any(|(_, bounced)| bounced.message == *message)
    }

    /// The first proven bounce that says that it was given up.
    #[must_use]
    pub fn failed(&self) -> Option<(Timestamp, &Bounced)> {
        self.proven(Action::Failed)
    }

    /// The first proven bounce that says that it is late.
    #[must_use]
    pub fn delayed(&self) -> Option<(Timestamp, &Bounced)> {
        self.proven(Action::Delayed)
    }

    fn proven(&self, action: Action) -> Option<(Timestamp, &Bounced)> {
        self.bounces()
            .filter(|(_, bounced)| bounced.is_proven && bounced.action == action)
            .min()
    }

    /// Every copy seen.
    pub fn seen_copies(&self) -> impl Iterator<Item = (&CopyKey, &SeenCopy)> {
        self.copies.iter()
    }

    /// Whether a copy was seen before.
    #[must_use]
    pub fn knows(&self, copy: &CopyKey) -> bool {
        self.copies.contains_key(copy)
    }

    /// When a copy was first seen.
    #[must_use]
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.copies.values().map(|copy| copy.seen_at).min()
    }

    /// The best-known time from the final reply to the first copy where it belongs, or, when there is none, anywhere.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.copies
            .iter()
            .filter_map(|(key, copy)| Some((!self.in_place(key, copy), copy.latency?)))
            .min()
            .map(|(_, latency)| latency)
    }

    /// When it became overdue.
    #[must_use]
    pub fn overdue(&self) -> Option<Timestamp> {
        self.overdue
    }

    /// When it was given up as lost. The time stays when the mail turns up after all.
    #[must_use]
    pub fn lost(&self) -> Option<Timestamp> {
        self.lost.map(|(at, _)| at)
    }

    /// When we gave up looking without having been able to.
    #[must_use]
    pub fn unverifiable(&self) -> Option<Timestamp> {
        self.unverifiable
    }

    /// How long after the final reply it is due, for a mail that somebody looks for.
    #[must_use]
    pub fn within(&self) -> Option<Duration> {
        let (_, planned) = self.planned()?;
        planned.draft.mailbox.as_ref()?;
        Some(planned.draft.within)
    }

    fn learn_planned(&mut self, at: Timestamp, planned: &Planned) {
        // There is one plan for each id; should there be two, the choice must not depend on their order.
        let key = |at: Timestamp, planned: &Planned| (at, format!("{planned:?}"));
        match &self.planned {
            Some((known_at, known)) if key(*known_at, known) <= key(at, planned) => {}
            _ => self.planned = Some((at, Box::new(planned.clone()))),
        }
    }

    fn learn_attempt(&mut self, at: Timestamp, attempt: &Attempt) {
        better(&mut self.attempt, at, attempt);
    }

    fn learn_sighting(&mut self, at: Timestamp, sighting: &Sighting) {
        let copy = self
            .copies
            .entry(sighting.copy.clone())
            .or_insert_with(|| SeenCopy {
                seen_at: at,
                junk: sighting.junk,
                latency: sighting.latency,
                internal_date: sighting.internal_date,
            });
        copy.seen_at = copy.seen_at.min(at);
        copy.junk &= sighting.junk;
        copy.latency = least(copy.latency, sighting.latency);
        copy.internal_date = least(copy.internal_date, sighting.internal_date);
        if self.copies.len() > COPIES_LIMIT {
            self.copies.pop_last();
        }
    }

    /// The state that the copies give by themselves.
    fn seen(&self) -> Option<EntryState> {
        if self
            .copies
            .iter()
            .any(|(key, copy)| self.in_place(key, copy))
        {
            Some(EntryState::Delivered)
        } else if self.copies.keys().any(|key| self.in_mailbox(key)) {
            Some(EntryState::Junked)
        } else {
            None
        }
    }

    /// In its mailbox, and not in the junk folder unless that is where it is expected.
    fn in_place(&self, key: &CopyKey, copy: &SeenCopy) -> bool {
        let expected_there = || {
            self.planned
                .as_ref()
                .is_some_and(|(_, planned)| planned.draft.folder == key.message.folder)
        };
        self.in_mailbox(key) && (!copy.junk || expected_there())
    }

    /// Somebody else's mailbox is not where it belongs. A mail that nobody looks for belongs wherever it is found.
    fn in_mailbox(&self, key: &CopyKey) -> bool {
        self.planned.as_ref().is_some_and(|(_, planned)| {
            let expected = planned.draft.mailbox.as_ref();
            expected.is_none_or(|expected| *expected == key.mailbox)
        })
    }

    /// Whether its mail can be expected: it may have been sent, somebody looks for it, and it was not given up.
    #[must_use]
    pub fn may_arrive(&self) -> bool {
        if self.failed().is_some() {
            return false;
        }
        if self.is_trying() {
            return true;
        }
        match self.attempt() {
            None => true,
            Some((_, Attempt::Accepted { .. } | Attempt::Uncertain { .. })) => {
                self.within().is_some() && self.lost.is_none()
            }
            Some((
                _,
                Attempt::NotSent { .. } | Attempt::Refused { .. } | Attempt::Deferred { .. },
            )) => false,
        }
    }
}

/// Of copies, folder by folder and the newest first, those of the newest numbering.
fn newest_numbering<'k>(
    keys: impl Iterator<Item = &'k CopyKey>,
) -> impl Iterator<Item = &'k CopyKey> {
    let mut folder = None;
    keys.filter(move |CopyKey { mailbox, message }| {
        let this = (mailbox, &message.folder);
        if folder.is_none_or(|(known, _)| known != this) {
            folder = Some((this, message.uid_validity));
        }
        folder == Some((this, message.uid_validity))
    })
}

/// Keeps the better of two reports of one attempt, whichever came first.
pub(super) fn better(known: &mut Option<(Timestamp, Attempt)>, at: Timestamp, attempt: &Attempt) {
    let key = |at: Timestamp, attempt: &Attempt| {
        (
            std::cmp::Reverse(certainty(attempt)),
            at,
            format!("{attempt:?}"),
        )
    };
    match known {
        Some((known_at, known)) if key(*known_at, known) <= key(at, attempt) => {}
        _ => *known = Some((at, attempt.clone())),
    }
}

/// Which of several attempts decides. Unlike two reports of one attempt, each is a fact of its own: a mail that was
/// refused for now at first and then perhaps taken was perhaps taken.
fn weight(attempt: &Attempt) -> u8 {
    match attempt {
        Attempt::NotSent { .. } => 0,
        Attempt::Deferred { .. } => 1,
        Attempt::Refused { .. } => 2,
        Attempt::Uncertain { .. } => 3,
        Attempt::Accepted { .. } => 4,
    }
}

/// Which of two reports of an attempt is believed: a reply over silence, the last word over an earlier one.
fn certainty(attempt: &Attempt) -> u8 {
    match attempt {
        Attempt::Uncertain { .. } => 0,
        Attempt::NotSent { .. } => 1,
        Attempt::Deferred { .. } => 2,
        Attempt::Refused { .. } => 3,
        Attempt::Accepted { .. } => 4,
    }
}

fn earliest<T: Ord>(known: Option<T>, new: T) -> Option<T> {
    least(known, Some(new))
}

/// The lesser of two; something is less than nothing.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
