//! Until when each mail is waited for. Ages are measured by the monotonic clock, so that a jump of the wall clock
//! loses nothing; "lost" needs a look that began after the deadline.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use postrider_wire::message::tag::EntryId;
use tokio::time::Instant;

use super::fact::Fact;

/// So long after the deadline a look may still succeed before the mail is called unverifiable. Longer than the
/// slowest look of a working watch.
pub const GRACE: Duration = Duration::from_secs(15 * 60);

/// The deadlines of every mail that is waited for.
#[derive(Debug, Default)]
pub struct Deadlines {
    awaited: HashMap<EntryId, Awaited>,
    queue: BTreeSet<(Instant, EntryId)>,
    /// Past `lost_after`, and no look since.
    unproven: BTreeSet<EntryId>,
}

#[derive(Debug, Clone, Copy)]
struct Awaited {
    next: Step,
    at: Instant,
    lost_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Overdue,
    Lost,
    Unverifiable,
    Nothing,
}

impl Deadlines {
    /// Waits for a mail until `lost_at`; it is overdue at `overdue_at`, unless that was told before.
    pub fn wait(&mut self, id: EntryId, overdue_at: Option<Instant>, lost_at: Instant) {
        self.settle(id);
        let overdue = overdue_at.filter(|overdue_at| *overdue_at < lost_at);
        let (next, at) = overdue.map_or((Step::Lost, lost_at), |at| (Step::Overdue, at));
        self.schedule(id, Awaited { next, at, lost_at });
    }

    /// Stops waiting.
    pub fn settle(&mut self, id: EntryId) {
        if let Some(awaited) = self.awaited.remove(&id) {
            self.queue.remove(&(awaited.at, id));
        }
        self.unproven.remove(&id);
    }

    /// When [`Self::due`] has something to say next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// What has become true by `now`, and what a look has proved since. `looked` gives the wall time of a successful
    /// look into every folder where the mail could be, when one began after the given moment.
    pub fn due(
        &mut self,
        now: Instant,
        looked: impl Fn(EntryId, Instant) -> Option<Timestamp>,
    ) -> Vec<(EntryId, Fact)> {
        let mut facts = self.prove(&looked);
        while let Some((_, id)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            let Some(awaited) = self.awaited.get(&id).copied() else {
                self.queue.pop_first();
                continue;
            };
            facts.extend(self.pass(id, awaited, &looked).map(|fact| (id, fact)));
        }
        facts
    }

    /// The mails past their deadline that a look now proves to be absent.
    fn prove(
        &mut self,
        looked: &impl Fn(EntryId, Instant) -> Option<Timestamp>,
    ) -> Vec<(EntryId, Fact)> {
        let proven: Vec<(EntryId, Timestamp)> = self
            .unproven
            .iter()
            .filter_map(|id| Some((*id, looked(*id, self.awaited.get(id)?.lost_at)?)))
            .collect();
        proven
            .into_iter()
            .map(|(id, looked_at)| {
                self.settle(id);
                (id, Fact::Lost { looked_at })
            })
            .collect()
    }

    fn pass(
        &mut self,
        id: EntryId,
        awaited: Awaited,
        looked: &impl Fn(EntryId, Instant) -> Option<Timestamp>,
    ) -> Option<Fact> {
        let Awaited { next, lost_at, .. } = awaited;
        match next {
            Step::Overdue => {
                self.reschedule(id, Step::Lost, lost_at, lost_at);
                Some(Fact::Overdue)
            }
            Step::Lost => {
                if let Some(looked_at) = looked(id, lost_at) {
                    self.settle(id);
                    return Some(Fact::Lost { looked_at });
                }
                self.unproven.insert(id);
                self.reschedule(id, Step::Unverifiable, lost_at + GRACE, lost_at);
                None
            }
            Step::Unverifiable => {
                // It stays unproven: a look tomorrow can still decide.
                self.reschedule(id, Step::Nothing, awaited.at, lost_at);
                self.queue.remove(&(awaited.at, id));
                Some(Fact::Unverifiable)
            }
            Step::Nothing => {
                self.queue.remove(&(awaited.at, id));
                None
            }
        }
    }

    fn reschedule(&mut self, id: EntryId, next: Step, at: Instant, lost_at: Instant) {
        if let Some(old) = self.awaited.remove(&id) {
            self.queue.remove(&(old.at, id));
        }
        self.schedule(id, Awaited { next, at, lost_at });
    }

    fn schedule(&mut self, id: EntryId, awaited: Awaited) {
        self.queue.insert((awaited.at, id));
        self.awaited.insert(id, awaited);
    }
}
