//! What checks saw that every client can see, compared with what is remembered of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use postrider_probes::observation::Observation;
use postrider_probes::outcome::{ChangeFacts, Outcome, Status};
use postrider_probes::reason::Reason;

use crate::baseline::rules::Rules;
use crate::baseline::{Baseline, Change, Key, SeenBy, Selection, Verdict, accept, look};
use crate::store::Batch;

/// So many things are remembered. A name server that always gives other addresses must not fill the store: what was not
/// seen for the longest time makes room.
const MOST: usize = 10_000;

/// All baselines, and what the operator says of changes.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    known: HashMap<Key, Baseline>,
    pub(super) rules: Arc<Rules>,
}

/// What an operator's acceptance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptedChanges {
    /// So many baselines are meant.
    pub meant: usize,
    /// Those of which another value is all right now.
    pub changes: Vec<Change>,
}

impl Baselines {
    pub(super) fn new(known: Vec<(Key, Baseline)>) -> Self {
        Self {
            known: known.into_iter().collect(),
            rules: Arc::default(),
        }
    }

    /// Judges everything that a check saw: findings and notes go into its outcome, what is to be remembered into the
    /// batch. What happened with it.
    pub(super) fn look(
        &mut self,
        outcome: &mut Outcome,
        seen_by: &SeenBy,
        now: Timestamp,
        unsaved: &mut Batch,
    ) -> Vec<Change> {
        // A network that is not the usual one shows other servers.
        if outcome.findings.iter().any(|known| is_ours(known.reason)) {
            return Vec::new();
        }
        // Before any finding of ours is in it.
        let is_broken = outcome.status() >= Status::Error;
        let mut changes = Vec::new();
        let mut forgotten = 0_usize;
        for seen in std::mem::take(&mut outcome.observations) {
            let key = Key::of(&seen);
            // What is there during an outage is not what should be: the next good look is the first sighting.
            if is_broken && !self.known.contains_key(&key) {
                continue;
            }
            let judged = look(self.known.get(&key), &seen, seen_by, now, &self.rules);
            tell(outcome, &judged.verdict, judged.change.as_ref(), &seen);
            if let Some(baseline) = judged.remember {
                forgotten += usize::from(self.make_room(&key, unsaved));
                unsaved
                    .baselines
                    .insert(key.clone(), Some(baseline.clone()));
                self.known.insert(key, baseline);
            }
            changes.extend(judged.change);
        }
        // One line for a check: it may have seen hundreds of new things.
        if forgotten > 0 {
            let SeenBy { scenario, step, .. } = seen_by;
            tracing::warn!(
                forgotten, most = MOST, %scenario, %step,
                "too much is remembered: what was not seen for the longest time is forgotten, and a change of it with it"
            );
        }
        unsaved.changes.extend(changes.iter().cloned());
        changes
    }

    /// Accepts what is there now.
    pub(super) fn accept(
        &mut self,
        selection: &Selection,
        also: bool,
        by: &str,
        now: Timestamp,
        unsaved: &mut Batch,
    ) -> AcceptedChanges {
        let known = self.known.iter_mut();
        // In order: the events of one acceptance are the same each time.
        let meant: BTreeMap<_, _> = known
            .filter(|(key, baseline)| selection.takes(key, baseline))
            .collect();
        let mut accepted = AcceptedChanges {
            meant: meant.len(),
            changes: Vec::new(),
        };
        for (key, known) in meant {
            if let Some((baseline, change)) = accept(key, known, also, by, now) {
                unsaved
                    .baselines
                    .insert(key.clone(), Some(baseline.clone()));
                *known = baseline;
                accepted.changes.push(change);
            }
        }
        unsaved.changes.extend(accepted.changes.iter().cloned());
        accepted
    }

    /// Whether something had to go.
    fn make_room(&mut self, key: &Key, unsaved: &mut Batch) -> bool {
        if self.known.len() < MOST || self.known.contains_key(key) {
            return false;
        }
        let oldest = self
            .known
            .iter()
            .min_by_key(|(_, known)| known.last_seen_at);
        let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
            return false;
        };
        tracing::debug!(%oldest, "forgotten, to make room");
        self.known.remove(&oldest);
        unsaved.baselines.insert(oldest, None);
        true
    }
}

/// A vantage without IPv6 is none of them: it sees the same over IPv4 as everyone, and over IPv6 nothing.
fn is_ours(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::VantageOffline | Reason::VantagePort25Blocked | Reason::VantageDns
    )
}

fn tell(outcome: &mut Outcome, verdict: &Verdict, change: Option<&Change>, seen: &Observation) {
    let facts = |before, since, accepted_by| ChangeFacts {
        what: seen.what,
        subject: seen.subject.clone(),
        before,
        since,
        after: seen.values.clone(),
        accepted_by,
    };
    match (verdict, change) {
        (
            Verdict::Changed {
                finding,
                before,
                since,
            },
            _,
        ) => {
            outcome.add(finding.clone());
            let facts = facts(before.clone(), *since, None);
            outcome.evidence.changes.push(facts);
        }
        (Verdict::Noted(sentence), Some(change)) => {
            outcome.notes.push(sentence.clone());
            let by = change.accepted_by.clone();
            let facts = facts(change.before.clone(), change.before_since, by);
            outcome.evidence.changes.push(facts);
        }
        (Verdict::Noted(_) | Verdict::AllRight, _) => {}
    }
}
