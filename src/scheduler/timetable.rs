//! The planned starts of one schedule: pure.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::plan::{Schedule, When};

/// Planned starts of a pattern that are counted one by one; a leap over more counts as so many.
const COUNTED: u64 = 10_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// Gives the planned starts.
///
/// An interval is a grid over all time, moved by a part of itself that follows from the scenario's name alone: a
/// restart keeps the phase, and ten thousand scenarios of one minute spread over the minute.
///
/// A pattern follows its zone. A fixed time that does not exist on a day is planned once, at the first moment after
/// the gap; one that exists twice is planned at its first coming alone. Patterns that repeat within the day (`*/5 * * * *`)
/// go by what has passed: they leave out the gap and run in both hours of the overlap.
#[derive(Debug, Clone)]
pub struct Timetable(Rule);

#[derive(Debug, Clone)]
enum Rule {
    /// In nanoseconds.
    Every {
        every: i128,
        offset: i128,
    },
    Cron {
        cron: Box<Cron>,
        zone: TimeZone,
    },
}

impl Timetable {
    /// The timetable of a scenario.
    ///
    /// # Errors
    /// When the schedule makes no sense, which `config` would have found.
    pub fn new(scenario: &str, schedule: &Schedule) -> Result<Self, String> {
        Ok(Self(match &schedule.when {
            When::Every(every) => {
                let millis = every.as_millis().max(1);
                let offset = u128::from(spread(scenario)) % millis;
                let nanos = |millis: u128| {
                    i128::try_from(millis).unwrap_or(i128::from(u64::MAX)) * NANOS_PER_MILLI
                };
                Rule::Every {
                    every: nanos(millis),
                    offset: nanos(offset),
                }
            }
            When::Cron { pattern, timezone } => Rule::Cron {
                cron: CronParser::builder()
                    .seconds(Seconds::Disallowed)
                    .year(Year::Disallowed)
                    .build()
                    .parse(pattern)
                    .map(Box::new)
                    .map_err(|error| error.to_string())?,
                zone: TimeZone::get(timezone).map_err(|error| error.to_string())?,
            },
        }))
    }

    /// The first planned start after a moment; `None` at the end of time.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every { every, offset } => {
                let past = (after.as_nanosecond() - offset).div_euclid(*every);
                Timestamp::from_nanosecond((past + 1) * every + offset).ok()
            }
            Rule::Cron { cron, zone } => {
                let mut from = after.to_zoned(zone.clone());
                // Around a change of the clocks the answer may be the same moment in its other dress.
                for _ in 0..4 {
                    let next = cron.find_next_occurrence(&from, false).ok()?;
                    if next.timestamp() > after {
                        return Some(next.timestamp());
                    }
                    from = after
                        .checked_add(Duration::from_secs(60))
                        .ok()?
                        .to_zoned(zone.clone());
                }
                None
            }
        }
    }

    /// From a planned start on: the last one that is not after `until`, and how many come before it.
    #[must_use]
    pub fn latest(&self, first: Timestamp, until: Timestamp) -> (Timestamp, u64) {
        match &self.0 {
            Rule::Every { every, .. } => {
                let steps = (until.as_nanosecond() - first.as_nanosecond()).div_euclid(*every);
                let latest = Timestamp::from_nanosecond(first.as_nanosecond() + steps * every);
                match (latest, u64::try_from(steps)) {
                    (Ok(latest), Ok(steps)) => (latest, steps),
                    _ => (first, 0),
                }
            }
            Rule::Cron { cron, zone } => {
                let (mut latest, mut before) = (first, 0);
                while let Some(next) = self.next_after(latest).filter(|next| *next <= until) {
                    (latest, before) = (next, before + 1);
                    if before >= COUNTED {
                        let last =
                            cron.find_previous_occurrence(&until.to_zoned(zone.clone()), true);
                        latest = last.map_or(latest, |last| last.timestamp().max(latest));
                        break;
                    }
                }
                (latest, before)
            }
        }
    }

    /// How many starts are planned for a second, on average.
    pub(super) fn per_second(&self) -> f64 {
        match &self.0 {
            Rule::Every { every, .. } => 1e9 / *every as f64,
            // A pattern has whole minutes.
            Rule::Cron { .. } => 1.0 / 60.0,
        }
    }
}

/// FNV-1a with a last stir: the same number for a name in every version and on every machine.
fn spread(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(name: &str, every: Duration) -> Timetable {
        let schedule = Schedule {
            when: When::Every(every),
            jitter: Duration::ZERO,
            max_in_flight: 1,
        };
        Timetable::new(name, &schedule).unwrap()
    }

    fn cron(pattern: &str, timezone: &str) -> Timetable {
        let schedule = Schedule {
            when: When::Cron {
                pattern: pattern.to_owned(),
                timezone: timezone.to_owned(),
            },
            jitter: Duration::ZERO,
            max_in_flight: 1,
        };
        Timetable::new("any", &schedule).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The planned starts in a stretch of time.
    fn starts(table: &Timetable, after: &str, until: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut last = at(after);
        while let Some(next) = table.next_after(last).filter(|next| *next <= at(until)) {
            assert!(next > last);
            found.push(next.to_string());
            last = next;
        }
        found
    }

    #[test]
    fn interval_keeps_its_phase_over_restarts() {
        let table = every("mx-delivery", Duration::from_secs(300));
        let first = table.next_after(at("2026-11-24T03:00:00Z")).unwrap();
        for later in [
            "2026-11-24T09:17:31Z",
            "2027-03-28T01:30:00Z",
            "1969-07-20T20:17:40Z",
        ] {
            let next = table.next_after(at(later)).unwrap();
            let apart = next.as_millisecond() - first.as_millisecond();
            assert_eq!(apart.rem_euclid(300_000), 0, "{later}");
            assert!(next > at(later) && next.as_second() - at(later).as_second() <= 300);
        }
    }

    #[test]
    fn ten_thousand_scenarios_spread_over_their_minute() {
        let mut seconds = [0_u32; 60];
        for number in 0..10_000 {
            let table = every(&format!("scenario-{number}"), Duration::from_secs(60));
            let next = table.next_after(Timestamp::UNIX_EPOCH).unwrap();
            seconds[usize::try_from(next.as_second()).unwrap() % 60] += 1;
        }
        // 167 on average; by chance alone 6 sigma are 77.
        assert!(
            seconds.iter().all(|count| (90..=244).contains(count)),
            "{seconds:?}"
        );
    }

    #[test]
    fn interval_counts_exactly_over_any_leap() {
        let table = every("a", Duration::from_secs(60));
        let first = table.next_after(at("2026-01-01T00:00:00Z")).unwrap();
        for (seconds, count) in [(0, 0), (59, 0), (60, 1), (61, 1), (315_576_000, 5_259_600)] {
            let until = first.saturating_add(Duration::from_secs(seconds)).unwrap();
            let (latest, before) = table.latest(first, until);
            assert_eq!(before, count);
            assert!(latest <= until && table.next_after(latest).unwrap() > until);
        }
    }

    #[test]
    fn time_that_does_not_exist_runs_once_when_the_gap_is_over() {
        // Europe/Amsterdam, 2027-03-28: 02:00 becomes 03:00 at 01:00 UTC.
        let table = cron("30 2 * * *", "Europe/Amsterdam");
        assert_eq!(
            starts(&table, "2027-03-27T00:00:00Z", "2027-03-29T12:00:00Z"),
            [
                "2027-03-27T01:30:00Z",
                "2027-03-28T01:00:00Z",
                "2027-03-29T00:30:00Z"
            ]
        );
    }

    #[test]
    fn time_that_exists_twice_runs_once() {
        // Europe/Amsterdam, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
        let table = cron("30 2 * * *", "Europe/Amsterdam");
        assert_eq!(
            starts(&table, "2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z"),
            [
                "2026-10-24T00:30:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z"
            ]
        );
        // A restart between the two does not run it again.
        let between = at("2026-10-25T00:45:00Z");
        assert_eq!(
            table.next_after(between).unwrap(),
            at("2026-10-26T01:30:00Z")
        );
    }

    #[test]
    fn pattern_within_the_day_follows_what_has_passed() {
        let table = cron("*/30 * * * *", "Europe/Amsterdam");
        assert_eq!(
            starts(&table, "2026-10-24T23:59:00Z", "2026-10-25T02:00:00Z").len(),
            5
        );
        assert_eq!(
            starts(&table, "2027-03-27T23:59:00Z", "2027-03-28T02:00:00Z").len(),
            5
        );
    }

    #[test]
    fn long_leap_over_a_pattern_is_counted_only_so_far() {
        let table = cron("* * * * *", "UTC");
        let (latest, before) = table.latest(at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:30Z"));
        assert_eq!((latest, before), (at("2036-01-01T00:00:00Z"), COUNTED));
    }
}
