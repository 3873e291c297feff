//! The pipeline's state, changed input by input. Nothing here waits: what must be written gathers in a batch, what
//! must be told in a list, until the task has made the batch durable.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::outcome::{Failure, Status};
use postrider_probes::post::{Account, Attempt, Draft, EntryState};
use postrider_wire::message::tag::{EntryId, Tag, TagKey};
use tokio::time::Instant;

use super::baselines::{AcceptedChanges, Baselines};
use super::mailboxes::{Mailboxes, Stake};
use super::restraint::Restraint;
use super::returned::{bounced, told};
use super::seen::{Accepted, Seen, copy_of, latency_on_wall_clock};
use super::witness::{LedgerChange, Situation};
use super::{Correction, Told};
use crate::baseline::{Change, SeenBy, Selection};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::deadline::Deadlines;
use crate::ledger::entry::Entry;
use crate::ledger::fact::{CopyKey, Fact, Noted, Planned, Sighting};
use crate::ledger::recognise::Proof;
use crate::mailbox::news::{Arrival, MessageKey, Position, Returned};
use crate::result::RunHead;
use crate::run::event::CheckFinished;
use crate::store::Batch;

/// Copies of one mail whose details are kept for whoever waits; more are only counted.
const DETAILED_COPIES: usize = 16;

/// Everything that the pipeline holds in memory.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    pub(super) mailboxes: Mailboxes,
    pub(super) baselines: Baselines,
    pub(super) unsaved: Batch,
    /// Entries that `unsaved` or the watches changed, whose consequences are still to be drawn.
    pub(super) touched: BTreeSet<EntryId>,
    pub(super) told: Vec<Told>,
    /// What `unsaved` changed of entries, in order.
    pub(super) changes: Vec<LedgerChange>,
    /// What `unsaved` changed of what clients can see, in order.
    pub(super) noticed: Vec<Arc<Change>>,
    pub(super) runs: HashMap<String, OpenRun>,
    restraint: Restraint,
    deadlines: Deadlines,
    live: HashMap<EntryId, Live>,
    key: TagKey,
    clock: Clock,
    pub(super) lost_after: Duration,
}

/// A run that has not ended.
#[derive(Debug, Default)]
pub(super) struct OpenRun {
    pub(super) head: Option<RunHead>,
    /// A check of it could not be written, and was told so.
    pub(super) disowned: bool,
    /// The worst that its checks became when they were compared with what is remembered.
    pub(super) compared: Option<Status>,
    pub(super) entries: Vec<EntryId>,
}

/// What only this process knows of an entry in memory.
#[derive(Debug, Default)]
struct Live {
    /// When the final reply was read, or the hope of one given up.
    replied: Option<Instant>,
    /// Nobody waits for it any more.
    released: bool,
    /// Whoever waits was told of a look that began after its time was over.
    looked: bool,
    /// And that look was into the junk folder, too, as far as there is one.
    looked_beside: bool,
    seen: Vec<Seen>,
}

/// What is to be done about an entry's place in memory.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is still open.
    Here {
        /// How it stands.
        account: Box<Account>,
        /// Nobody waits for it any more.
        released: bool,
    },
    /// Only the store knows it from now on.
    Left,
}

impl Books {
    pub(super) fn new(ledger: Ledger, key: TagKey, clock: Clock, lost_after: Duration) -> Self {
        Self {
            ledger,
            mailboxes: Mailboxes::default(),
            baselines: Baselines::default(),
            unsaved: Batch::default(),
            touched: BTreeSet::new(),
            told: Vec::new(),
            changes: Vec::new(),
            noticed: Vec::new(),
            runs: HashMap::new(),
            restraint: Restraint::default(),
            deadlines: Deadlines::default(),
            live: HashMap::new(),
            key,
            clock,
            lost_after,
        }
    }

    /// Compares what a check saw with what is remembered, and gives the check's status after that.
    pub(super) fn compare(&mut self, finished: &mut CheckFinished) {
        let seen_by = SeenBy {
            run: finished.check.run.clone(),
            scenario: finished.check.scenario.clone(),
            step: finished.check.step.clone(),
        };
        let outcome = &mut finished.outcome;
        let now = self.clock.now();
        let changes = self
            .baselines
            .look(outcome, &seen_by, now, &mut self.unsaved);
        self.notice(&changes);
    }

    /// An operator accepts what was seen last.
    pub(super) fn accept(
        &mut self,
        selection: &Selection,
        also: bool,
        by: &str,
    ) -> AcceptedChanges {
        let now = self.clock.now();
        let accepted = self
            .baselines
            .accept(selection, also, by, now, &mut self.unsaved);
        self.notice(&accepted.changes);
        accepted
    }

    fn notice(&mut self, changes: &[Change]) {
        for change in changes.iter().cloned().map(Arc::new) {
            self.told.push(Told::Changed(Arc::clone(&change)));
            self.noticed.push(change);
        }
    }

    /// Whether an entry is in memory; if not, the store has to be asked.
    pub(super) fn holds(&self, id: EntryId) -> bool {
        self.ledger.entry(id).is_some()
    }

    /// Takes an entry from the store. Whoever waited for it has gone.
    pub(super) fn take_back(&mut self, id: EntryId, entry: Entry) {
        let waited = entry
            .attempt()
            .map(|(at, _)| Duration::try_from(self.clock.now().duration_since(at)));
        // A clock that was set back must not make it wait longer than it should.
        let waited = waited.and_then(Result::ok).unwrap_or_default();
        let known_overdue = entry.overdue().is_some() || entry.unverifiable().is_some();
        let within = entry.within().filter(|_| !known_overdue);
        let waits = waits_for_arrival(&entry);
        let live = Live {
            released: true,
            ..Live::default()
        };
        self.live.insert(id, live);
        self.ledger.restore(id, entry);
        self.touched.insert(id);
        if waits {
            let now = Instant::now();
            let overdue_at = within.map(|within| later(now, within.saturating_sub(waited)));
            let lost_at = later(now, self.lost_after.saturating_sub(waited));
            self.deadlines.wait(id, overdue_at, lost_at);
        }
    }

    /// How a mail of an earlier process ended, in the order in which they were planned.
    pub(super) fn remember(&mut self, entry: &Entry) {
        if let Some((planned_at, planned)) = entry.planned() {
            let failed = entry.failed();
            let at = failed.map_or(planned_at, |(at, _)| at);
            let words = failed.map(|(_, bounced)| bounced.words());
            self.restraint.changed(planned, entry.state(), at, words);
        }
    }

    /// Why a mail must not be sent now.
    pub(super) fn forbids(&mut self, draft: &Draft) -> Option<Failure> {
        self.restraint.forbids(draft, self.clock.now())
    }

    /// An earlier process ended before it could say what became of these.
    pub(super) fn settle_interrupted(&mut self) {
        let interrupted: Vec<EntryId> = self
            .ledger
            .entries()
            .filter(|(_, entry)| entry.is_trying())
            .map(|(id, _)| id)
            .collect();
        for id in interrupted {
            self.give_up_outcome(id, "the program ended before the outcome was recorded");
        }
    }

    /// A mail is about to be sent. False: there is one with that id already.
    pub(super) fn plan(&mut self, planned: Planned) -> bool {
        let id = planned.draft.id;
        if self.holds(id) {
            return false;
        }
        let run = self.runs.entry(planned.run.clone()).or_default();
        run.entries.push(id);
        self.live.insert(id, Live::default());
        self.note(id, self.clock.now(), Fact::Planned(Box::new(planned)));
        true
    }

    /// What became of it.
    pub(super) fn record(&mut self, id: EntryId, attempt: Attempt, replied: Instant) {
        let accepted = matches!(attempt, Attempt::Accepted { .. });
        self.live.entry(id).or_default().replied = Some(replied);
        let number = self.ledger.entry(id).map_or(1, Entry::last_try);
        let fact = match number {
            1 => Fact::Attempted(attempt),
            number => Fact::Retried {
                number,
                outcome: Some(attempt),
            },
        };
        self.note(id, self.clock.at(replied), fact);
        if accepted {
            self.measure_what_was_seen_before(id);
        }
        let waits = self
            .ledger
            .entry(id)
            .filter(|entry| waits_for_arrival(entry));
        let Some(entry) = waits else { return };
        // Of a mail that perhaps never was accepted nobody can say that it is late.
        let within = entry.within().filter(|_| accepted);
        let overdue_at = within.map(|within| later(replied, within));
        let lost_at = later(replied, self.lost_after);
        self.deadlines.wait(id, overdue_at, lost_at);
    }

    /// What was refused for now is about to be sent again. False: that is not so.
    pub(super) fn retry(&mut self, id: EntryId) -> bool {
        let Some(entry) = self.ledger.entry(id) else {
            return false;
        };
        let refused = matches!(entry.attempt(), Some((_, Attempt::Deferred { .. })));
        if !refused || entry.is_trying() {
            return false;
        }
        let number = entry.last_try() + 1;
        // Nothing was replied to this attempt yet.
        self.live.entry(id).or_default().replied = None;
        let outcome = None;
        self.note(id, self.clock.now(), Fact::Retried { number, outcome });
        true
    }

    /// Nobody waits for it any more. `may_be_taken`: its final dot may have been written.
    pub(super) fn release(&mut self, id: EntryId, may_be_taken: bool) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        live.released = true;
        self.touched.insert(id);
        if !self.ledger.entry(id).is_some_and(Entry::is_trying) {
            return;
        }
        if may_be_taken {
            self.give_up_outcome(id, "the check ended before the final reply came");
        } else {
            let why = "the check ended before the message was complete".to_owned();
            self.record(id, Attempt::NotSent { why }, Instant::now());
        }
    }

    /// A message with a tag that can be read became visible; its entry is in memory if there is one.
    pub(super) fn arrived(&mut self, tag: &Tag, arrival: &Arrival) {
        let id = tag.id;
        let planned = self.ledger.entry(id).and_then(Entry::planned);
        let ours = planned.is_some_and(|(_, planned)| {
            Proof::of(&planned.draft, &self.key).holds(tag, &arrival.header)
        });
        if !ours {
            self.foreign(arrival);
            return;
        }
        let copy = copy_of(arrival);
        let Some(entry) = self.ledger.entry(id).filter(|entry| !entry.knows(&copy)) else {
            return;
        };
        let replied_at = accepted_at(entry);
        let live = self.live.entry(id).or_default();
        let accepted = accepted(live, replied_at);
        let seen = Seen::of(arrival);
        let latency = match (accepted, replied_at) {
            (Some(accepted), _) => Some(seen.latency(accepted)),
            (None, Some(replied_at)) => Some(latency_on_wall_clock(replied_at, arrival.seen_at)),
            (None, None) => None,
        };
        if !live.released && live.seen.len() < DETAILED_COPIES {
            live.seen.push(seen);
        }
        let sighting = Sighting {
            copy,
            junk: arrival.junk,
            latency,
            internal_date: arrival.internal_date,
        };
        self.note(id, arrival.seen_at, Fact::Sighted(Box::new(sighting)));
    }

    /// A bounce names an entry, which is in memory if there is one.
    pub(super) fn returned(&mut self, id: EntryId, returned: &Returned) {
        let entry = self.ledger.entry(id);
        let bounced = entry.and_then(|entry| {
            let (_, planned) = entry.planned()?;
            bounced(returned, &planned.draft, &self.key)
        });
        let (Some(entry), Some(bounced)) = (entry, bounced) else {
            return self.not_ours(&returned.mailbox, &returned.key);
        };
        if entry.knows_bounce(&bounced.message) {
            return;
        }
        if !entry.takes_bounce(&bounced) {
            tracing::debug!(entry = %id, "one bounce too many");
            return;
        }
        tracing::info!(entry = %id, action = bounced.action.name(), is_proven = bounced.is_proven, words = bounced.words(), "a bounce");
        self.note(id, returned.seen_at, Fact::Bounced(Box::new(bounced)));
    }

    /// A message with a tag that is not ours: quoted, forwarded, replayed, forged, or of another instance.
    pub(super) fn foreign(&mut self, arrival: &Arrival) {
        self.not_ours(&arrival.mailbox, &arrival.key);
    }

    fn not_ours(&mut self, mailbox: &str, key: &MessageKey) {
        let MessageKey { folder, uid, .. } = key;
        tracing::debug!(mailbox, folder, uid, "a tag that is not ours");
        self.ledger.count_foreign();
    }

    /// A folder was looked at.
    pub(super) fn looked(&mut self, mailbox: &str, folder: &str, began: Instant, at: Timestamp) {
        for id in self.mailboxes.looked(mailbox, folder, began, at) {
            self.touched.insert(id);
        }
    }

    /// A folder cannot be read.
    pub(super) fn blind(&mut self, mailbox: &str, folder: &str, failure: Failure) {
        for id in self.mailboxes.blind(mailbox, folder, failure) {
            self.touched.insert(id);
        }
    }

    /// A folder lost messages that it once had, and gives their UIDs from `uid_next` on to others, as after a restore
    /// from a backup: the copies that were seen there are not there any more.
    pub(super) fn set_back(&mut self, position: &Position) {
        let Position {
            mailbox,
            folder,
            uid_validity,
            uid_next,
        } = position;
        let is_gone = |copy: &CopyKey| {
            let message = &copy.message;
            copy.mailbox == *mailbox
                && message.folder == *folder
                && message.uid_validity == *uid_validity
                && message.uid >= *uid_next
        };
        let gone: Vec<(EntryId, CopyKey)> = self
            .ledger
            .entries()
            .flat_map(|(id, entry)| entry.to_remove().map(move |copy| (id, copy)))
            .filter(|(_, copy)| is_gone(copy))
            .map(|(id, copy)| (id, copy.clone()))
            .collect();
        if gone.is_empty() {
            return;
        }
        let (copies, at) = (gone.len(), self.clock.now());
        tracing::warn!(
            mailbox,
            folder,
            uid_next,
            copies,
            "not removed: the folder was set back, and its UIDs mean other messages"
        );
        for (id, copy) in gone {
            self.mailboxes.removed(mailbox, &copy.message);
            self.note(id, at, Fact::Removed(copy));
        }
    }

    /// How far a folder was looked at.
    pub(super) fn position(&mut self, position: Position) {
        let Position {
            mailbox, folder, ..
        } = &position;
        let stale = self
            .mailboxes
            .numbered(mailbox, folder, position.uid_validity);
        self.removed(mailbox, stale);
        let same = |known: &Position| known.mailbox == *mailbox && known.folder == *folder;
        self.unsaved.positions.retain(|known| !same(known));
        self.unsaved.positions.push(position);
    }

    /// Own messages were removed.
    pub(super) fn removed(&mut self, mailbox: &str, messages: Vec<MessageKey>) {
        for message in messages {
            let Some(id) = self.mailboxes.removed(mailbox, &message) else {
                continue;
            };
            let mailbox = mailbox.to_owned();
            let copy = CopyKey { mailbox, message };
            self.note(id, self.clock.now(), Fact::Removed(copy));
        }
    }

    /// When a deadline passes next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Draws the conclusions that are due.
    pub(super) fn pass_deadlines(&mut self) {
        let (ledger, mailboxes) = (&self.ledger, &self.mailboxes);
        let due = self.deadlines.due(Instant::now(), |id, since| {
            let (_, planned) = ledger.entry(id)?.planned()?;
            let mailbox = planned.draft.mailbox.as_ref()?;
            mailboxes.looked_since(mailbox, &planned.draft.folder, since)
        });
        for (id, fact) in due {
            self.note(id, self.clock.now(), fact);
        }
    }

    /// Takes back what was planned and did not become durable.
    pub(super) fn retract(&mut self, id: EntryId) {
        self.unsaved.facts.retain(|noted| noted.entry != id);
        self.changes.retain(|change| change.entry != id);
        self.ledger.retract(id);
        self.forget(id);
    }

    /// Draws the consequences for an entry: what its mailbox is watched for, what its account says. Copies are
    /// removed and entries leave memory only when what is known of them is durable.
    pub(super) fn stand(&mut self, id: EntryId, durable: bool) -> Option<Standing> {
        let entry = self.ledger.entry(id)?;
        let live = self.live.get_mut(&id)?;
        if !waits_for_arrival(entry) {
            self.deadlines.settle(id);
        }
        if live.released && durable && !entry.open() {
            self.ledger.release(id);
            self.forget(id);
            return Some(Standing::Left);
        }
        if live.released && durable {
            let mut copies = entry.to_remove().peekable();
            if let (Some(_), Some((_, planned))) = (copies.peek(), entry.planned()) {
                let proof = Arc::new(Proof::of(&planned.draft, &self.key));
                copies.for_each(|copy| self.mailboxes.remove(copy, &proof));
            }
        }
        let draft = entry.planned().map(|(_, planned)| &planned.draft);
        let place = draft.and_then(|draft| Some((draft.mailbox.clone()?, draft.folder.clone())));
        // A look before its time was over proves nothing: it may have come after.
        let due = draft
            .zip(live.replied)
            .map(|(draft, replied)| later(replied, draft.within));
        let looked = place.as_ref().zip(due).is_some_and(|(place, due)| {
            self.mailboxes
                .looked_since(&place.0, &place.1, due)
                .is_some()
        });
        live.looked |= looked;
        let blind_junk = place
            .as_ref()
            .and_then(|(mailbox, folder)| self.mailboxes.blindness_beside(mailbox, folder));
        live.looked_beside |= live.looked && blind_junk.is_none();
        let account = Account {
            state: entry.state(),
            arrivals: live.arrivals(accepted_at(entry)),
            bounce: told(entry),
            blind: place
                .as_ref()
                .and_then(|(mailbox, folder)| self.mailboxes.blindness(mailbox, folder))
                .cloned(),
            looked: live.looked,
            blind_junk: blind_junk.filter(|_| !live.looked_beside).cloned(),
            unsaved: None,
        };
        let released = live.released;
        self.mailboxes.stake(id, stake(entry, live));
        Some(Standing::Here {
            account: Box::new(account),
            released,
        })
    }

    /// Brings what is awaited up to date, before anything of it is durable.
    pub(super) fn expect_touched(&mut self) {
        for id in &self.touched {
            if let (Some(entry), Some(live)) = (self.ledger.entry(*id), self.live.get(id)) {
                self.mailboxes.stake(*id, stake(entry, live));
            }
        }
    }

    /// Takes a fact into the account and into what is to be written.
    fn note(&mut self, id: EntryId, at: Timestamp, what: Fact) {
        let noted = Noted {
            at,
            entry: id,
            what,
        };
        let before = self.ledger.entry(id).map(Situation::of);
        let change = self.ledger.apply(&noted);
        let entry = self.ledger.entry(id);
        let changed = entry.and_then(|entry| LedgerChange::of(id, at, before, entry));
        self.changes.extend(changed);
        if let Some((entry, (_, planned))) = entry.and_then(|entry| Some((entry, entry.planned()?)))
            && before.is_some_and(|before| before.state != entry.state())
        {
            let words = entry.failed().map(|(_, bounced)| bounced.words());
            self.restraint.changed(planned, entry.state(), at, words);
        }
        if let (true, Some(before)) = (change.corrected, change.before) {
            let after = change.after;
            tracing::info!(entry = %id, before = before.name(), after = after.name(), "a mail that had been given up turned up");
            let correction = self.correction(&noted, before, after);
            self.told
                .extend(correction.map(Arc::new).map(Told::Corrected));
        }
        if change.duplicated {
            tracing::info!(entry = %id, "a second copy turned up");
            self.told.push(Told::Duplicated { entry: id });
        }
        self.unsaved.facts.push(noted);
        self.touched.insert(id);
    }

    /// What is to be told of a mail that turned up; `noted` is the fact that showed it.
    fn correction(
        &self,
        noted: &Noted,
        before: EntryState,
        after: EntryState,
    ) -> Option<Correction> {
        let entry = self.ledger.entry(noted.entry)?;
        let (_, planned) = entry.planned()?;
        let seen_in = match &noted.what {
            Fact::Sighted(sighting) => Some(&sighting.copy.mailbox),
            _ => planned.draft.mailbox.as_ref(),
        };
        Some(Correction {
            entry: noted.entry,
            before,
            after,
            run: planned.run.clone(),
            scenario: planned.scenario.clone(),
            step: planned.step.clone(),
            route: planned.draft.route.clone(),
            mailbox: seen_in.cloned().unwrap_or_default(),
            arrived_after: entry.latency().map(|latency| latency.after),
        })
    }

    fn give_up_outcome(&mut self, id: EntryId, why: &str) {
        let attempt = Attempt::Uncertain {
            why: why.to_owned(),
        };
        self.record(id, attempt, Instant::now());
    }

    /// Copies that were seen before the final reply was recorded can be timed now.
    fn measure_what_was_seen_before(&mut self, id: EntryId) {
        let Some(replied_at) = self.ledger.entry(id).and_then(accepted_at) else {
            return;
        };
        let Some(live) = self.live.get(&id) else {
            return;
        };
        let Some(accepted) = accepted(live, Some(replied_at)) else {
            return;
        };
        let measured: Vec<(Timestamp, Sighting)> = live
            .seen
            .iter()
            .filter_map(|seen| {
                let copies = self.ledger.entry(id)?.seen_copies();
                let (_, copy) = copies.into_iter().find(|(key, _)| **key == seen.copy)?;
                let sighting = Sighting {
                    copy: seen.copy.clone(),
                    junk: seen.junk,
                    latency: Some(seen.latency(accepted)),
                    internal_date: copy.internal_date,
                };
                Some((copy.seen_at, sighting))
            })
            .collect();
        for (seen_at, sighting) in measured {
            self.note(id, seen_at, Fact::Sighted(Box::new(sighting)));
        }
    }

    fn forget(&mut self, id: EntryId) {
        self.live.remove(&id);
        self.deadlines.settle(id);
        self.mailboxes.stake(id, None);
        self.touched.remove(&id);
    }
}

impl Live {
    fn arrivals(
        &self,
        replied_at: Option<Timestamp>,
    ) -> Vec<postrider_probes::outcome::ArrivalFacts> {
        let accepted = accepted(self, replied_at);
        self.copies().map(|seen| seen.facts(accepted)).collect()
    }

    /// Each copy once: when a folder was numbered anew, all that is in it was seen again.
    fn copies(&self) -> impl Iterator<Item = &Seen> {
        let mut numberings: Vec<(_, usize)> = Vec::new();
        for seen in &self.seen {
            let numbering = numbering(seen);
            match numberings.iter_mut().find(|(known, _)| *known == numbering) {
                Some((_, copies)) => *copies += 1,
                None => numberings.push((numbering, 1)),
            }
        }
        self.seen.iter().filter(move |seen| {
            let (folder, uid_validity) = numbering(seen);
            let here = numberings.iter().filter(|((known, _), _)| *known == folder);
            // Of equal ones the first: it was seen when the mail came.
            let fullest = here.rev().max_by_key(|(_, copies)| *copies);
            fullest.is_some_and(|((_, known), _)| *known == uid_validity)
        })
    }
}

/// A folder, and its numbering in which the copy was seen.
fn numbering(seen: &Seen) -> ((&String, &String), u32) {
    let CopyKey { mailbox, message } = &seen.copy;
    ((mailbox, &message.folder), message.uid_validity)
}

/// When it was accepted, by both clocks, if both are known.
fn accepted(live: &Live, replied_at: Option<Timestamp>) -> Option<Accepted> {
    Some(Accepted {
        replied: live.replied?,
        replied_at: replied_at?,
    })
}

/// When the positive final reply came.
fn accepted_at(entry: &Entry) -> Option<Timestamp> {
    match entry.attempt()? {
        (at, Attempt::Accepted { .. }) => Some(at),
        _ => None,
    }
}

/// What an entry wants of its mailbox.
fn stake(entry: &Entry, live: &Live) -> Option<Stake> {
    // Whoever waits may wait for more copies than the first.
    let awaited = !live.released && entry.may_arrive();
    let (_, planned) = entry.planned().filter(|_| awaited || expects(entry))?;
    let due = live
        .replied
        .map(|replied| later(replied, planned.draft.within));
    Some(Stake {
        mailbox: planned.draft.mailbox.clone()?,
        folder: planned.draft.folder.clone(),
        awaited,
        seen: !expects(entry),
        bounces_to: planned.draft.bounces_to.clone(),
        replied: live.replied,
        unlooked: due.filter(|_| awaited && !live.looked),
    })
}

/// Whether its mail is still to come.
fn expects(entry: &Entry) -> bool {
    entry.may_arrive() && !matches!(entry.state(), EntryState::Delivered | EntryState::Junked)
}

/// Whether a deadline means anything for it.
fn waits_for_arrival(entry: &Entry) -> bool {
    entry.attempt().is_some() && expects(entry)
}

/// A moment in the future; at most a century away, so that no sum overflows.
fn later(from: Instant, wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    from + wait.min(CENTURY)
}
