//! What may follow the first attempt, and for most mails does not: further attempts, and bounces.

use std::collections::BTreeMap;

use jiff::Timestamp;
use postrider_probes::post::Attempt;

use super::entry::better;
use super::fact::{Bounced, CopyKey};

/// Attempts of one mail that are kept.
const ATTEMPTS_LIMIT: u32 = 100;
/// Bounces of one mail that are kept: which of them does not depend on the order in which they came.
const BOUNCES_LIMIT: usize = 20;

/// Later attempts by their number, and bounces by where they lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Aftermath {
    retries: BTreeMap<u32, Retry>,
    bounces: BTreeMap<CopyKey, (Timestamp, Bounced)>,
}

/// One later attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Retry {
    pub(super) began: Option<Timestamp>,
    pub(super) outcome: Option<(Timestamp, Attempt)>,
}

impl Aftermath {
    pub(super) fn learn_retry(&mut self, at: Timestamp, number: u32, outcome: Option<&Attempt>) {
        if !(2..=ATTEMPTS_LIMIT).contains(&number) {
            return;
        }
        let retry = self.retries.entry(number).or_default();
        match outcome {
            None => retry.began = Some(retry.began.map_or(at, |known| known.min(at))),
            Some(attempt) => better(&mut retry.outcome, at, attempt),
        }
    }

    /// Of what one message says, and of all that say something, the best stay: the rank of what was dropped can only
    /// have been worse, so nothing depends on the order.
    pub(super) fn learn_bounce(&mut self, at: Timestamp, bounced: &Bounced) {
        let new = (at, bounced.clone());
        match self.bounces.get_mut(&bounced.message) {
            Some(known) if (!new.1.is_proven, &new) < (!known.1.is_proven, &*known) => *known = new,
            Some(_) => {}
            None => {
                self.bounces.insert(bounced.message.clone(), new);
            }
        }
        if self.bounces.len() > BOUNCES_LIMIT
            && let Some((_, worst)) = self.worst_bounce()
        {
            let worst = worst.clone();
            self.bounces.remove(&worst);
        }
    }

    /// Whether there is room for one more, or one that is worth less: what anybody may write never displaces anything.
    pub(super) fn takes_bounce(&self, bounced: &Bounced) -> bool {
        let new = (!bounced.is_proven, &bounced.message);
        self.bounces.len() < BOUNCES_LIMIT
            || bounced.is_proven && self.worst_bounce().is_none_or(|worst| new < worst)
    }

    /// The one to be dropped first: unproven ones before proven ones, then the newest.
    fn worst_bounce(&self) -> Option<(bool, &CopyKey)> {
        let ranks = self.bounces.iter();
        ranks
            .map(|(key, (_, bounced))| (!bounced.is_proven, key))
            .max()
    }

    pub(super) fn retries(&self) -> impl DoubleEndedIterator<Item = (u32, &Retry)> {
        self.retries.iter().map(|(number, retry)| (*number, retry))
    }

    pub(super) fn bounces(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&CopyKey, Timestamp, &Bounced)> {
        self.bounces
            .iter()
            .map(|(key, (at, bounced))| (key, *at, bounced))
    }
}
