//! Run ids: short, sortable by time, easy to read aloud.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use postrider_wire::message::tag::EntryId;
use rand::RngExt as _;

/// Eight characters of time (milliseconds) and two of chance, in Crockford's base 32.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    EntryId::from_parts(millis, rand::rng().random())
        .to_string()
        .chars()
        .take(10)
        .collect()
}

/// Gives the ids of many runs that may start in the same millisecond: two runs of one process never share one.
#[derive(Debug, Default)]
pub struct Ids(Mutex<Option<Timestamp>>);

impl Ids {
    /// The id of a run that starts now; its millisecond is moved on when another run has it.
    pub fn next(&self, now: Timestamp) -> String {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let millisecond = std::time::Duration::from_millis(1);
        let taken = last.filter(|last| now.as_millisecond() <= last.as_millisecond());
        // A clock that was set back must not make all ids of a year ago: only the near past is taken for the same.
        let near = taken.filter(|last| last.as_millisecond() - now.as_millisecond() < 60_000);
        let own = near.map_or(now, |last| last.saturating_add(millisecond).unwrap_or(last));
        *last = Some(own);
        new_id(own)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_of_one_moment_have_ids_of_their_own() {
        let ids = Ids::default();
        let now: Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
        let given: BTreeSet<String> = (0..10_000).map(|_| ids.next(now)).collect();
        assert_eq!(given.len(), 10_000);
    }
}
