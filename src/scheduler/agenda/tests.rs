use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::plan::When;

const BEGIN: &str = "2026-11-24T03:00:00Z";

/// The two clocks, moved by hand.
struct Clocks {
    wall: Timestamp,
    mono: Instant,
}

impl Clocks {
    fn new() -> Self {
        Self {
            wall: BEGIN.parse().unwrap(),
            mono: Instant::now(),
        }
    }

    fn now(&self) -> Moment {
        Moment {
            wall: self.wall,
            mono: self.mono,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.wall = self.wall.saturating_add(time).unwrap();
        self.mono += time;
    }

    fn jump(&mut self, by: SignedDuration) {
        self.wall = self.wall.saturating_add(by).unwrap();
    }
}

fn scenario(name: &str, when: When, jitter: Duration, max_in_flight: u32) -> Scheduled {
    Scheduled {
        scenario: name.to_owned(),
        schedule: Some(Schedule {
            when,
            jitter,
            max_in_flight,
        }),
    }
}

fn every(name: &str, seconds: u64) -> Scheduled {
    let when = When::Every(Duration::from_secs(seconds));
    scenario(name, when, Duration::ZERO, 1)
}

fn agenda(scenarios: &[Scheduled], clocks: &Clocks) -> Agenda {
    let mut agenda = Agenda::new(clocks.now(), 7);
    agenda.replace(scenarios, clocks.now());
    agenda
}

fn starts(happenings: &[Happening]) -> Vec<&Start> {
    let starts = happenings.iter().filter_map(|happening| match happening {
        Happening::Due(start) => Some(start),
        _ => None,
    });
    starts.collect()
}

fn misses(happenings: &[Happening]) -> Vec<(u64, &'static str)> {
    let missed = happenings.iter().filter_map(|happening| match happening {
        Happening::Missed(missed) => Some((missed.times, missed.why.name())),
        _ => None,
    });
    missed.collect()
}

/// Goes from one due time to the next for so long, ends each run at once, and gives all that happened.
fn go(agenda: &mut Agenda, clocks: &mut Clocks, time: Duration) -> Vec<Happening> {
    let end = clocks.mono + time;
    let mut all = Vec::new();
    loop {
        let happenings = agenda.tick(clocks.now());
        for start in starts(&happenings) {
            agenda.finished(&start.scenario.clone());
        }
        all.extend(happenings);
        let left = end.saturating_duration_since(clocks.mono);
        if left.is_zero() {
            return all;
        }
        let quiet = agenda.quiet_for(clocks.now()).unwrap_or(left);
        clocks.pass(
            quiet
                .clamp(Duration::from_millis(1), Duration::from_secs(2))
                .min(left),
        );
    }
}

#[test]
fn planned_start_is_kept_when_the_loop_is_late_and_the_delay_is_measured() {
    let mut clocks = Clocks::new();
    let mut agenda = agenda(&[every("a", 300)], &clocks);
    let planned = agenda.stands()[0].next.unwrap();
    clocks.pass(agenda.quiet_for(clocks.now()).unwrap() + Duration::from_millis(2500));
    let happenings = agenda.tick(clocks.now());
    assert_eq!(
        happenings,
        [Happening::Due(Start {
            scenario: "a".into(),
            planned_at: planned,
            late: Duration::from_millis(2500),
        })]
    );
}

#[test]
fn stall_gives_one_start_and_tells_of_the_missed_ones() {
    let mut clocks = Clocks::new();
    let mut agenda = agenda(&[every("a", 60)], &clocks);
    clocks.pass(agenda.quiet_for(clocks.now()).unwrap() + Duration::from_secs(600));
    let happenings = agenda.tick(clocks.now());
    assert_eq!(misses(&happenings), [(10, "stalled")]);
    assert_eq!(starts(&happenings).len(), 1);
    assert_eq!(starts(&happenings)[0].late, Duration::ZERO);
    assert!(agenda.tick(clocks.now()).is_empty());
}

#[test]
fn slow_run_makes_the_next_start_missed_and_no_run_more_than_allowed() {
    let mut clocks = Clocks::new();
    let when = When::Every(Duration::from_secs(60));
    let mut agenda = agenda(&[scenario("a", when, Duration::ZERO, 2)], &clocks);
    let mut told = Vec::new();
    for _ in 0..4 {
        clocks.pass(agenda.quiet_for(clocks.now()).unwrap());
        told.extend(agenda.tick(clocks.now()));
    }
    assert_eq!(
        (starts(&told).len(), misses(&told)),
        (2, vec![(1, "in-flight"); 2])
    );
    assert_eq!(agenda.begin("a"), Err(TooMany(2)));
    agenda.finished("a");
    assert_eq!(agenda.begin("a"), Ok(()));
    assert_eq!(agenda.stands()[0].in_flight, 2);
}

#[test]
fn leap_of_the_wall_clock_gives_one_start_each_and_no_burst() {
    let names: Vec<String> = (0..2000).map(|number| format!("s{number}")).collect();
    let scenarios: Vec<Scheduled> = names.iter().map(|name| every(name, 3600)).collect();
    let ten_years = SignedDuration::from_hours(24 * 3653);
    for by in [
        ten_years,
        -ten_years,
        SignedDuration::from_hours(24),
        SignedDuration::from_hours(-24),
    ] {
        let mut clocks = Clocks::new();
        let mut agenda = agenda(&scenarios, &clocks);
        go(&mut agenda, &mut clocks, Duration::from_secs(600));
        clocks.jump(by);
        let first = go(&mut agenda, &mut clocks, Duration::from_secs(1));
        assert!(first.contains(&Happening::Jumped(by)), "{by}");
        // 20 at once, then as many more a second as the pace and the plan give.
        assert!(starts(&first).len() <= 50, "{by}: {}", starts(&first).len());
        let rest = go(&mut agenda, &mut clocks, Duration::from_secs(3590));
        let last = go(&mut agenda, &mut clocks, Duration::from_secs(20));
        let mut count: BTreeMap<&str, u32> = BTreeMap::new();
        for start in starts(&first).into_iter().chain(starts(&rest)) {
            *count.entry(&start.scenario).or_default() += 1;
            assert!(start.late < Duration::from_secs(120), "{by}: {start:?}");
        }
        // One for what was leapt over, one as planned in the hour.
        assert!(count.values().all(|count| *count <= 2), "{by}");
        count.extend(starts(&last).into_iter().map(|start| (&*start.scenario, 1)));
        assert_eq!(count.len(), 2000, "{by}: none is forgotten");
    }
}

#[test]
fn small_step_back_repeats_no_planned_start() {
    let mut clocks = Clocks::new();
    let mut agenda = agenda(&[every("a", 60)], &clocks);
    let mut told = go(&mut agenda, &mut clocks, Duration::from_secs(200));
    clocks.jump(SignedDuration::from_secs(-45));
    told.extend(go(&mut agenda, &mut clocks, Duration::from_secs(200)));
    let planned: Vec<Timestamp> = starts(&told).iter().map(|start| start.planned_at).collect();
    assert!(planned.is_sorted_by(|a, b| a < b), "{planned:?}");
    assert!(misses(&told).is_empty());
}

#[test]
fn unchanged_schedule_is_not_disturbed_by_another_plan() {
    let mut clocks = Clocks::new();
    let minute = When::Every(Duration::from_secs(60));
    let jittery = scenario("a", minute, Duration::from_secs(50), 1);
    let mut agenda = agenda(&[jittery.clone(), every("b", 60)], &clocks);
    agenda.begin("b").unwrap();
    let before = agenda.stands()[0].clone();
    clocks.pass(Duration::from_millis(3));
    agenda.replace(&[every("c", 60), jittery, every("b", 300)], clocks.now());
    let after = agenda.stands();
    assert_eq!(after[0], before);
    assert_eq!(after.len(), 3);
    assert_eq!(after[1].in_flight, 1);
    // Gone and back again: its run still counts.
    agenda.replace(&[], clocks.now());
    agenda.replace(&[every("b", 60)], clocks.now());
    assert_eq!(agenda.begin("b"), Err(TooMany(1)));
}

#[test]
fn ten_thousand_checks_each_minute_get_their_turn_in_time() {
    let scenarios: Vec<Scheduled> = (0..10_000)
        .map(|number| every(&format!("s{number}"), 60))
        .collect();
    let mut clocks = Clocks::new();
    let mut agenda = agenda(&scenarios, &clocks);
    let told = go(&mut agenda, &mut clocks, Duration::from_secs(60));
    assert_eq!(starts(&told).len(), 10_000);
    assert!(
        starts(&told)
            .iter()
            .all(|start| start.late <= Duration::from_millis(1))
    );
    assert!(misses(&told).is_empty());
}

#[derive(Debug, Clone)]
enum Act {
    Pass(u64),
    Jump(i64),
    Finish,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let ten_years = 10 * 365 * 86_400_i64;
    let act = prop_oneof![
        8 => (1_u64..20_000).prop_map(Act::Pass),
        2 => (20_000_u64..4_000_000).prop_map(Act::Pass),
        1 => (0..=ten_years).prop_map(Act::Jump),
        6 => Just(Act::Finish),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    /// Forward only: every planned start is told once, in order, and never more runs are in flight than allowed.
    #[test]
    fn started_and_missed_are_all_that_was_planned(
        acts in acts(),
        seconds in 1_u64..7200,
        jitter in 0_u64..100,
        limit in 1_u32..4,
    ) {
        let mut clocks = Clocks::new();
        let when = When::Every(Duration::from_secs(seconds));
        let jitter = Duration::from_secs(seconds) * u32::try_from(jitter).unwrap() / 100;
        let one = scenario("a", when, jitter, limit);
        let table = Timetable::new("a", one.schedule.as_ref().unwrap()).unwrap();
        let mut agenda = agenda(&[one], &clocks);
        let first = table.next_after(clocks.wall).unwrap();
        let (mut told, mut running, mut last) = (0, 0, Timestamp::MIN);
        for act in acts {
            match act {
                Act::Pass(millis) => clocks.pass(Duration::from_millis(millis)),
                Act::Jump(by) => clocks.jump(SignedDuration::from_secs(by)),
                Act::Finish if running > 0 => {
                    agenda.finished("a");
                    running -= 1;
                }
                Act::Finish => {}
            }
            let happenings = agenda.tick(clocks.now());
            // One for what was slept through; with jitter and short intervals the next may follow within the second.
            prop_assert!(starts(&happenings).len() <= 2);
            for happening in &happenings {
                let planned = match happening {
                    Happening::Due(start) => {
                        running += 1;
                        told += 1;
                        prop_assert!(start.planned_at <= clocks.wall, "never early");
                        start.planned_at
                    }
                    Happening::Missed(missed) => {
                        told += missed.times;
                        missed.planned_at
                    }
                    Happening::Jumped(_) => continue,
                };
                prop_assert!(planned > last, "{planned} after {last}");
                last = planned;
                prop_assert!(running <= limit);
            }
            // What is told so far is the timetable up to the next planned start.
            let next = agenda.stands()[0].next.unwrap();
            let (_, grid) = table.latest(first, next);
            prop_assert_eq!(told, grid);
        }
    }

    /// Any direction: nothing comes twice at once, and the next start is never further away than two intervals.
    #[test]
    fn no_leap_makes_a_burst_or_a_silence(
        jumps in prop::collection::vec(-315_576_000_i64..315_576_000, 1..8),
        seconds in 1_u64..86_400,
    ) {
        let mut clocks = Clocks::new();
        let mut agenda = agenda(&[every("a", seconds)], &clocks);
        for by in jumps {
            clocks.jump(SignedDuration::from_secs(by));
            let happenings = agenda.tick(clocks.now());
            prop_assert!(starts(&happenings).len() <= 1);
            if !starts(&happenings).is_empty() {
                agenda.finished("a");
            }
            let quiet = agenda.quiet_for(clocks.now()).unwrap();
            prop_assert!(quiet <= Duration::from_secs(2 * seconds), "{quiet:?}");
            clocks.pass(quiet / 2);
        }
    }
}
