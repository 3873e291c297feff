//! The account of every test mail: a pure state machine over facts. It reads no clock and no disk; what it is told
//! is told again by the store after a restart, and gives the same account.

mod aftermath;
pub mod deadline;
pub mod entry;
pub mod fact;
pub mod recognise;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use postrider_probes::post::EntryState;
use postrider_wire::message::tag::EntryId;

use entry::Entry;
use fact::{LedgerEvent, Noted};

/// The entries that something can still happen to, and the balance over all that ever were.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: HashMap<EntryId, Entry>,
    balance: Balance,
}

/// What a fact changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Before; `None` for a new entry.
    pub before: Option<EntryState>,
    /// After.
    pub after: EntryState,
    /// A verdict was wrong and is now put right: a mail that was given up, or that was never to arrive, turned up.
    /// True once for each entry.
    pub corrected: bool,
    /// A second copy was seen. True once for each entry, however many follow.
    pub duplicated: bool,
}

impl Ledger {
    /// A ledger that goes on from an earlier one, of which only the balance is held in memory.
    #[must_use]
    pub fn continuing(balance: Balance) -> Self {
        Self {
            entries: HashMap::new(),
            balance,
        }
    }

    /// The account that these events give.
    pub fn fold<'e>(events: impl IntoIterator<Item = &'e LedgerEvent>) -> Self {
        let mut ledger = Self::default();
        for event in events {
            ledger.apply(&event.noted);
        }
        ledger
    }

    /// Adds a fact.
    pub fn apply(&mut self, noted: &Noted) -> Change {
        let id = noted.entry;
        let known = self
            .entries
            .get(&id)
            .map(|entry| (entry.state(), entry.copies()));
        let entry = self.entries.entry(id).or_default();
        entry.learn(noted.at, &noted.what);
        let (after, copies) = (entry.state(), entry.copies());

        let before = known.map(|(before, copies_before)| {
            self.balance.forget(before, copies_before);
            before
        });
        self.balance.count(after, copies);
        let corrected = before.is_some_and(given_up)
            && matches!(after, EntryState::Delivered | EntryState::Junked);
        if corrected {
            self.balance.corrected += 1;
        }
        let copies_before = known.map_or(0, |(_, copies_before)| copies_before);
        Change {
            before,
            after,
            corrected,
            duplicated: copies_before < 2 && copies >= 2,
        }
    }

    /// Takes back an entry that was left to the store; it is in the balance already.
    pub fn restore(&mut self, id: EntryId, entry: Entry) {
        self.entries.insert(id, entry);
    }

    /// Leaves an entry to the store; it stays in the balance.
    pub fn release(&mut self, id: EntryId) {
        self.entries.remove(&id);
    }

    /// Undoes the planning of an entry that did not become durable; nothing was sent.
    pub fn retract(&mut self, id: EntryId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.balance.forget(entry.state(), entry.copies());
        }
    }

    /// An entry in memory.
    #[must_use]
    pub fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// Every entry in memory.
    pub fn entries(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// How many mails are where.
    #[must_use]
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// Counts a message that bears a tag and is not ours.
    pub fn count_foreign(&mut self) {
        self.balance.foreign += 1;
    }
}

/// How many mails are where. Every mail is in exactly one state, so the states add up to all that was planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    by_state: BTreeMap<EntryState, u64>,
    /// Copies beyond the first, over all mails.
    pub extra_copies: u64,
    /// Verdicts that were put right, since the program started.
    pub corrected: u64,
    /// Messages with a tag that were not ours (quoted, forwarded, forged), since the program started.
    pub foreign: u64,
}

impl Balance {
    /// How many mails are in this state.
    #[must_use]
    pub fn of(&self, state: EntryState) -> u64 {
        self.by_state.get(&state).copied().unwrap_or_default()
    }

    /// All mails that were ever planned.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.by_state.values().sum()
    }

    /// Adds so many mails in a state, with their extra copies.
    pub fn add(&mut self, state: EntryState, mails: u64, extra_copies: u64) {
        let count = self.by_state.entry(state).or_default();
        *count = count.saturating_add(mails);
        self.extra_copies = self.extra_copies.saturating_add(extra_copies);
    }

    fn count(&mut self, state: EntryState, copies: usize) {
        self.add(state, 1, extra(copies));
    }

    fn forget(&mut self, state: EntryState, copies: usize) {
        let count = self.by_state.entry(state).or_default();
        *count = count.saturating_sub(1);
        self.extra_copies = self.extra_copies.saturating_sub(extra(copies));
    }
}

/// States that said, or will say, that the mail is not to come.
fn given_up(state: EntryState) -> bool {
    matches!(
        state,
        EntryState::NotSent
            | EntryState::Refused
            | EntryState::Deferred
            | EntryState::Overdue
            | EntryState::Lost
            | EntryState::Unverifiable
            | EntryState::Bounced
    )
}

fn extra(copies: usize) -> u64 {
    u64::try_from(copies.saturating_sub(1)).unwrap_or(u64::MAX)
}
