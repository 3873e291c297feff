//! What the configuration leads to: the checks that have series before they ran, and how many series there may be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::{Span, Timestamp};
use postrider_probes::Probe;
use postrider_probes::observation::What;

use super::catalogue::{Family, Kind};
use super::histogram::BOUNDS;
use crate::config::plan::{ForEach, Inventory, Plan, Preference, Scenario, Schedule, Step, When};

/// The steps of a configuration, by scenario and id.
pub(super) type Known = BTreeMap<(String, String), KnownStep>;

/// What is known of a step before it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownStep {
    /// It makes one check for each address.
    pub(super) expands: bool,
    /// The addresses that the inventory lets us expect; empty when it says nothing.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// It sends mail that is looked for.
    pub(super) sends: bool,
    /// What its look-ups ask for.
    pub(super) record_type: String,
}

/// Every step of the plan.
pub(super) fn steps(plan: &Plan) -> Known {
    let mut known = Known::new();
    for scenario in &plan.scenarios {
        for step in &scenario.steps {
            let key = (scenario.name.clone(), step.id.clone());
            known.insert(key, of_step(plan, scenario, step));
        }
    }
    known
}

fn of_step(plan: &Plan, scenario: &Scenario, step: &Step) -> KnownStep {
    let addresses = |for_each| addresses(for_each, &plan.inventory);
    KnownStep {
        expands: step.for_each.is_some(),
        addresses: step.for_each.as_ref().map(addresses).unwrap_or_default(),
        sends: step.probe.watches(&scenario.message).is_some(),
        record_type: match &step.probe {
            Probe::Dns(dns) => dns.r#type.value.clone(),
            Probe::Imap(_) => "A+AAAA".to_owned(),
            _ => "MX".to_owned(),
        },
    }
}

/// The addresses that a `for_each` takes, if DNS is as the inventory says.
fn addresses(for_each: &ForEach, inventory: &Inventory) -> BTreeSet<IpAddr> {
    let is_ours = match for_each.mx_of.literal() {
        Some(domain) => {
            let named = |known: &String| {
                known
                    .trim_end_matches('.')
                    .eq_ignore_ascii_case(domain.trim_end_matches('.'))
            };
            inventory.domains.is_empty() || inventory.domains.iter().any(named)
        }
        None => true,
    };
    let nodes = inventory.nodes.iter().filter(|_| is_ours);
    let taken = nodes.flat_map(|node| {
        let primary = node
            .primary
            .iter()
            .filter(|_| for_each.preference != Preference::NotLowest);
        let fallback = node
            .fallback
            .iter()
            .filter(|_| for_each.preference != Preference::Lowest);
        primary.chain(fallback)
    });
    let of_family = |address: &&IpAddr| for_each.family.holds(**address);
    taken.filter(of_family).copied().collect()
}

/// The longest time between two planned starts. A pattern's is looked for in the five weeks from `now` on.
pub(super) fn interval(schedule: &Schedule, now: Timestamp) -> Option<Duration> {
    const MOST_STARTS: usize = 2_000;
    match &schedule.when {
        When::Every(every) => Some(*every),
        When::Cron { pattern, timezone } => {
            let parser = CronParser::builder()
                .seconds(Seconds::Disallowed)
                .year(Year::Disallowed)
                .build();
            let cron = parser.parse(pattern).ok()?;
            let zone = jiff::tz::TimeZone::get(timezone).ok()?;
            let start = now.to_zoned(zone);
            let end = start.checked_add(Span::new().weeks(5)).ok()?;
            let (mut longest, mut before) = (None, None);
            let mut from = start;
            for _ in 0..MOST_STARTS {
                let Ok(next) = cron.find_next_occurrence(&from, false) else {
                    break;
                };
                if let Some(before) = before.replace(next.timestamp()) {
                    let gap = Duration::try_from(next.timestamp().duration_since(before)).ok();
                    longest = longest.max(gap);
                }
                // A rare start still has a gap of its own.
                if next > end && longest.is_some() {
                    break;
                }
                from = next;
            }
            longest
        }
    }
}

/// About how many series the configuration gives, all samples counted: never too few unless checks fail for many
/// different reasons.
#[must_use]
pub fn expected_series(plan: &Plan) -> usize {
    /// Classic buckets with the infinite one, sum and count.
    const HISTOGRAM: usize = BOUNDS.len() + 3;
    /// Addresses of an expansion of which the inventory says nothing.
    const UNKNOWN_ADDRESSES: usize = 4;
    /// Reasons that a check fails for.
    const REASONS: usize = 4;
    /// Different SMTP replies of one host.
    const REPLIES: usize = 12;
    let fixed = Family::ALL
        .iter()
        .map(|family| family.description())
        .filter(|description| description.labels.is_empty())
        .count()
        // The two info metrics, both families of the vantage, and what can change.
        + 4
        + What::ALL.len();
    // Interval, runs, missed runs, start delay.
    let scenarios = plan.scenarios.len() * (3 + HISTOGRAM);
    let series_of = |(step, known): (&Step, KnownStep)| {
        let checks = match (known.expands, known.addresses.len()) {
            (false, _) => 1,
            (true, 0) => UNKNOWN_ADDRESSES,
            (true, addresses) => addresses,
        };
        // Success, five statuses, checks, last run, last success.
        let judged = 9 + REASONS;
        let phases = match &step.probe {
            Probe::Imap(_) => 6,
            Probe::Dns(_) => 1,
            Probe::Wait(_) => 0,
            _ => 9,
        };
        let speaks_smtp = matches!(step.probe, Probe::Deliver(_));
        let sent = usize::from(known.sends) * (HISTOGRAM + 5);
        let certificate = usize::from(phases > 1);
        // An address has at most one name here, so there are no more hosts than addresses.
        checks
            * (judged
                + phases * HISTOGRAM
                + usize::from(speaks_smtp) * REPLIES
                + sent
                + certificate)
            + usize::from(phases > 0) * HISTOGRAM
            + REASONS
    };
    let steps = plan.scenarios.iter().flat_map(|scenario| {
        let steps = scenario.steps.iter();
        steps.map(move |step| (step, of_step(plan, scenario, step)))
    });
    fixed + scenarios + steps.map(series_of).sum::<usize>()
}

/// How many samples a label set makes.
#[must_use]
pub(super) fn samples(family: Family) -> usize {
    match family.description().kind {
        Kind::Counter | Kind::Gauge => 1,
        Kind::Histogram => BOUNDS.len() + 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(when: When) -> Option<Duration> {
        let schedule = Schedule {
            when,
            jitter: Duration::ZERO,
            max_in_flight: 1,
        };
        // A Saturday.
        let now = "2026-11-21T12:00:00Z".parse().expect("a time");
        interval(&schedule, now)
    }

    fn cron(pattern: &str) -> Option<u64> {
        let when = When::Cron {
            pattern: pattern.to_owned(),
            timezone: "Europe/Amsterdam".to_owned(),
        };
        every(when).map(|gap| gap.as_secs() / 60)
    }

    #[test]
    fn interval_is_the_longest_gap() {
        let five = Duration::from_secs(300);
        assert_eq!(every(When::Every(five)), Some(five));
        assert_eq!(cron("*/5 * * * *"), Some(5));
        assert_eq!(cron("0 8-18 * * *"), Some(14 * 60));
        assert_eq!(cron("0 9 * * 1-5"), Some(3 * 24 * 60));
        assert_eq!(cron("30 12 * * TUE"), Some(7 * 24 * 60));
        // Only twice a year: longer than what is looked at, and found all the same.
        assert!(cron("0 0 1 1,7 *").is_some_and(|minutes| minutes > 180 * 24 * 60));
    }
}
