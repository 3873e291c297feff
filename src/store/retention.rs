//! What is kept for how long: decisions only, from numbers to numbers.

use std::time::Duration;

use jiff::Timestamp;

use super::counts::hour_of;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// However many there are, entries stay at least so long: a second copy of a mail may come hours later.
const ENTRIES_AT_LEAST: Duration = DAY;
/// Whatever the limits, nothing younger is removed: it is what people look at now.
const UNTOUCHED: Duration = Duration::from_secs(3600);
/// How far the clock that ages things may move at once. A clock that jumps a year ahead for an hour must not remove
/// the year; after a month's sleep it takes some hours to catch up.
const STRIDE: Duration = Duration::from_secs(3600);
/// Details beyond the ordinary (failed, late, twice) may be so many times as many as the ordinary ones.
const EXTRAORDINARY: u64 = 2;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Hourly histograms and counts (`--storage.retention.time`).
    pub time: Duration,
    /// Bytes of the store (`--storage.retention.size`).
    pub size: u64,
    /// Single samples.
    pub samples: Duration,
    /// Runs with their checks and dialogues, and the entries of mails that nothing can happen to any more.
    pub details: Duration,
    /// Checks of runs that passed, at most; the oldest go first.
    pub checks: u64,
    /// Mails that were delivered in time and once, at most; the oldest go first.
    pub entries: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            time: 400 * DAY,
            size: 5_000_000_000,
            samples: 21 * DAY,
            details: 90 * DAY,
            checks: 75_000,
            entries: 200_000,
        }
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Occupancy {
    /// Bytes in use.
    pub(super) bytes: u64,
    /// Checks.
    pub(super) checks: u64,
    /// Entries.
    pub(super) entries: u64,
}

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// Histograms and counts of earlier hours.
    pub(super) history_before: i64,
    /// Single samples of earlier hours.
    pub(super) samples_before: i64,
    /// Every detail that began before.
    pub(super) details_before: Timestamp,
    /// Entries planned before may be removed when there are too many.
    pub(super) entries_before: Timestamp,
    /// Runs that began before may be removed when there are too many.
    pub(super) runs_before: Timestamp,
    /// Changes of what clients can see that are older go.
    pub(super) changes_before: Timestamp,
    /// So many ordinary checks too many.
    pub(super) ordinary_checks: u64,
    /// So many ordinary entries too many.
    pub(super) ordinary_entries: u64,
    /// So many checks of any kind too many.
    pub(super) checks: u64,
    /// So many closed entries of any kind too many.
    pub(super) entries: u64,
    /// The store is larger than it may be: of what began before, the oldest goes until it is not.
    pub(super) too_large_before: Option<Timestamp>,
}

/// Decides what is to go.
pub(super) fn decide(now: Timestamp, keep: &Retention, there_is: Occupancy) -> Decision {
    let ago = |time: Duration| now.saturating_sub(time).unwrap_or(Timestamp::MIN);
    let hour = |time: Duration| hour_of(ago(time).as_microsecond());
    Decision {
        history_before: hour(keep.time),
        samples_before: hour(keep.samples.min(keep.time)),
        details_before: ago(keep.details.min(keep.time)),
        changes_before: ago(keep.time),
        entries_before: ago(ENTRIES_AT_LEAST.min(keep.time)),
        runs_before: ago(UNTOUCHED.min(keep.time)),
        ordinary_checks: there_is.checks.saturating_sub(keep.checks),
        ordinary_entries: there_is.entries.saturating_sub(keep.entries),
        checks: there_is
            .checks
            .saturating_sub(keep.checks.saturating_mul(1 + EXTRAORDINARY)),
        entries: there_is
            .entries
            .saturating_sub(keep.entries.saturating_mul(1 + EXTRAORDINARY)),
        too_large_before: (there_is.bytes > keep.size).then(|| ago(UNTOUCHED)),
    }
}

/// The time by which things age: the clock's, but never far ahead of the last one used.
pub(super) fn advance(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let Some(last) = last else { return now };
    now.min(last.saturating_add(STRIDE).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_kind_has_its_own_time() {
        let decision = decide(
            at(400 * 86_400 + 7_200),
            &Retention::default(),
            Occupancy::default(),
        );
        assert_eq!(decision.history_before, 2);
        assert_eq!(decision.samples_before, (400 - 21) * 24 + 2);
        assert_eq!(decision.details_before, at(310 * 86_400 + 7_200));
        assert_eq!(decision.changes_before, at(7_200));
        assert_eq!(decision.entries_before, at(399 * 86_400 + 7_200));
        assert_eq!(decision.runs_before, at(400 * 86_400 + 3_600));
        assert_eq!(decision.too_large_before, None);
        assert_eq!((decision.ordinary_checks, decision.entries), (0, 0));
    }

    #[test]
    fn numbers_and_size_are_limits_as_well() {
        let keep = Retention {
            size: 1000,
            checks: 10,
            entries: 20,
            ..Retention::default()
        };
        let there_is = Occupancy {
            bytes: 1001,
            checks: 31,
            entries: 59,
        };
        let decision = decide(at(1_800_000_000), &keep, there_is);
        assert_eq!((decision.ordinary_checks, decision.checks), (21, 1));
        assert_eq!((decision.ordinary_entries, decision.entries), (39, 0));
        assert_eq!(decision.too_large_before, Some(at(1_800_000_000 - 3600)));
    }

    #[test]
    fn a_short_time_shortens_everything() {
        let keep = Retention {
            time: Duration::from_secs(7200),
            ..Retention::default()
        };
        let now = at(1_800_000_000);
        let decision = decide(now, &keep, Occupancy::default());
        assert_eq!(decision.samples_before, decision.history_before);
        assert_eq!(decision.details_before, at(1_800_000_000 - 7200));
        assert_eq!(decision.entries_before, decision.details_before);
    }

    #[test]
    fn a_clock_that_jumps_ages_nothing_at_once() {
        let year = 366 * 86_400;
        assert_eq!(advance(None, at(50)), at(50));
        assert_eq!(advance(Some(at(50)), at(350)), at(350));
        assert_eq!(advance(Some(at(50)), at(50 + year)), at(3650));
        assert_eq!(advance(Some(at(50 + year)), at(50)), at(50));
    }

    proptest! {
        #[test]
        fn nothing_young_is_ever_removed(now in 0..4_000_000_000_i64, bytes: u64, checks: u64, entries: u64) {
            let there_is = Occupancy { bytes, checks, entries };
            let decision = decide(at(now), &Retention::default(), there_is);
            let young = at(now - 3600);
            prop_assert!(decision.details_before <= young && decision.entries_before <= young && decision.runs_before <= young);
            prop_assert!(decision.too_large_before.is_none_or(|before| before <= young));
            prop_assert!(decision.history_before <= decision.samples_before);
        }
    }
}
