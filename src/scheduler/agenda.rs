//! What is due: a state machine without a clock.
//!
//! Every planned start is told exactly once, as started or as missed. Whatever the clocks do, a scenario gets at most
//! one start for what it slept through, and the starts of many are let go at a pace.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::pace::Pace;
use super::timetable::Timetable;
use crate::config::plan::{Plan, Schedule};
use crate::run::event::{RunMissed, WhyMissed};

/// A start that is later than this makes way for a planned start that has come since.
const LATE: Duration = Duration::from_secs(1);
/// The wall clock has jumped when it differs so much from what the monotonic clock says. NTP's own steps are rarer and
/// its corrections far smaller.
const JUMP: Duration = Duration::from_secs(2);

/// A scenario and its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The scenario's name.
    pub scenario: String,
    /// None: it runs only when it is asked for.
    pub schedule: Option<Schedule>,
}

impl Scheduled {
    /// Those of a plan.
    #[must_use]
    pub fn all_of(plan: &Plan) -> Vec<Self> {
        let scenarios = plan.scenarios.iter();
        let scheduled = scenarios.map(|scenario| Self {
            scenario: scenario.name.clone(),
            schedule: scenario.schedule.clone(),
        });
        scheduled.collect()
    }
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock: decides what is planned.
    pub wall: Timestamp,
    /// The monotonic clock: measures.
    pub mono: Instant,
}

/// What a tick gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Start this; it counts as in flight until [`Agenda::finished`].
    Due(Start),
    /// These planned starts will not be.
    Missed(RunMissed),
    /// The wall clock has jumped by so much.
    Jumped(SignedDuration),
}

/// A start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The scenario.
    pub scenario: Arc<str>,
    /// When it was planned, jitter included.
    pub planned_at: Timestamp,
    /// How long ago that is, by the monotonic clock.
    pub late: Duration,
}

/// How a scenario stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The scenario.
    pub scenario: Arc<str>,
    /// The next planned start, if any is.
    pub next: Option<Timestamp>,
    /// Its runs now.
    pub in_flight: u32,
}

/// As many runs of the scenario as may be are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} of its runs are in flight, and no more may be")]
pub struct TooMany(pub u32);

/// All scenarios and their next starts.
#[derive(Debug)]
pub struct Agenda {
    jobs: HashMap<Arc<str>, Job>,
    /// Also of scenarios that are gone from the plan.
    in_flight: HashMap<Arc<str>, u32>,
    /// When each is to be looked at next, by the wall clock.
    queue: BTreeSet<(Timestamp, Arc<str>)>,
    pace: Pace,
    dice: StdRng,
    last: Moment,
    /// Where the monotonic clock is counted from.
    epoch: Instant,
}

#[derive(Debug)]
struct Job {
    schedule: Option<Schedule>,
    next: Option<Next>,
}

/// The next start of a scenario.
#[derive(Debug)]
struct Next {
    timetable: Timetable,
    /// On the timetable.
    slot: Timestamp,
    /// With jitter.
    planned: Timestamp,
    /// The same on the monotonic clock, as an offset: it may lie before the clock's beginning.
    planned_mono: SignedDuration,
    /// When it is looked at.
    due: Timestamp,
    /// It is late, and the pace has given it its moment.
    paced: bool,
    /// It became due by a jump of the wall clock.
    leapt: bool,
}

impl Agenda {
    /// An agenda without scenarios. The same seed gives the same jitter.
    #[must_use]
    pub fn new(now: Moment, seed: u64) -> Self {
        Self {
            jobs: HashMap::new(),
            in_flight: HashMap::new(),
            queue: BTreeSet::new(),
            pace: Pace::new(0.0),
            dice: StdRng::seed_from_u64(seed),
            last: now,
            epoch: now.mono,
        }
    }

    /// Takes over another plan. A scenario whose schedule stays as it is keeps its next start; what is in flight
    /// stays in flight.
    pub fn replace(&mut self, scenarios: &[Scheduled], now: Moment) {
        let mut before = std::mem::take(&mut self.jobs);
        self.queue.clear();
        for scenario in scenarios {
            let name: Arc<str> = scenario.scenario.as_str().into();
            let kept = before
                .remove(&name)
                .filter(|job| job.schedule == scenario.schedule);
            let job = kept.unwrap_or_else(|| Job {
                schedule: scenario.schedule.clone(),
                next: self.first(scenario, now),
            });
            if let Some(next) = &job.next {
                self.queue.insert((next.due, Arc::clone(&name)));
            }
            self.jobs.insert(name, job);
        }
        let tables = self.jobs.values().filter_map(|job| job.next.as_ref());
        let rate = tables.map(|next| next.timetable.per_second()).sum();
        self.pace.set(rate);
    }

    fn first(&mut self, scenario: &Scheduled, now: Moment) -> Option<Next> {
        let schedule = scenario.schedule.as_ref()?;
        let timetable = match Timetable::new(&scenario.scenario, schedule) {
            Ok(timetable) => timetable,
            Err(error) => {
                tracing::error!(scenario = scenario.scenario, %error, "the schedule cannot be used");
                return None;
            }
        };
        let slot = timetable.next_after(now.wall)?;
        let mut next = Next {
            timetable,
            slot,
            planned: slot,
            planned_mono: SignedDuration::ZERO,
            due: slot,
            paced: false,
            leapt: false,
        };
        next.plan(slot, schedule.jitter, &mut self.dice);
        next.anchor(self.mono(now), now.wall);
        Some(next)
    }

    /// Everything that is due by now, the longest overdue first.
    pub fn tick(&mut self, now: Moment) -> Vec<Happening> {
        let mut happenings = Vec::new();
        if let Some(jump) = self.notice(now) {
            happenings.push(Happening::Jumped(jump));
            self.follow_jump(now, jump);
        }
        while let Some((_, name)) = self
            .queue
            .first()
            .filter(|(due, _)| *due <= now.wall)
            .cloned()
        {
            self.queue.pop_first();
            self.one(&name, now, &mut happenings);
        }
        happenings
    }

    /// How long nothing is due; `None`: nothing ever is.
    #[must_use]
    pub fn quiet_for(&self, now: Moment) -> Option<Duration> {
        let (due, _) = self.queue.first()?;
        Some(Duration::try_from(due.duration_since(now.wall)).unwrap_or_default())
    }

    /// A run that nobody planned begins.
    ///
    /// # Errors
    /// When as many as may be are in flight.
    pub fn begin(&mut self, scenario: &str) -> Result<(), TooMany> {
        let limit = self.jobs.get(scenario).map_or(1, Job::limit);
        let running = self.in_flight.entry(scenario.into()).or_default();
        if *running >= limit {
            return Err(TooMany(limit));
        }
        *running += 1;
        Ok(())
    }

    /// A run has ended.
    pub fn finished(&mut self, scenario: &str) {
        if let Some(running) = self.in_flight.get_mut(scenario) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.in_flight.remove(scenario);
            }
        }
    }

    /// How every scenario of the plan stands, by name.
    #[must_use]
    pub fn stands(&self) -> Vec<Stand> {
        let mut stands: Vec<Stand> = self
            .jobs
            .iter()
            .map(|(scenario, job)| Stand {
                scenario: Arc::clone(scenario),
                next: job.next.as_ref().map(|next| next.planned),
                in_flight: self.in_flight.get(scenario).copied().unwrap_or(0),
            })
            .collect();
        stands.sort_by(|a, b| a.scenario.cmp(&b.scenario));
        stands
    }

    /// The look at one scenario whose time has come.
    fn one(&mut self, name: &Arc<str>, now: Moment, happenings: &mut Vec<Happening>) {
        let mono = self.mono(now);
        let Some(job) = self.jobs.get_mut(name) else {
            return;
        };
        let limit = job.limit();
        let jitter = job
            .schedule
            .as_ref()
            .map_or(Duration::ZERO, |schedule| schedule.jitter);
        let Some(next) = job.next.as_mut() else {
            return;
        };
        let late = Duration::try_from(now.wall.duration_since(next.planned)).unwrap_or_default();
        if late > LATE {
            let (latest, passed) = next.timetable.latest(next.slot, now.wall);
            if passed > 0 {
                let why = match next.leapt {
                    true => WhyMissed::ClockJumped,
                    false => WhyMissed::Stalled,
                };
                happenings.push(missed(name, next.planned, passed, why));
                next.planned_mono += latest.duration_since(next.planned);
                (next.slot, next.planned) = (latest, latest);
            }
            if !next.paced {
                next.paced = true;
                let wait = self.pace.take(now.mono);
                if !wait.is_zero() {
                    next.due = now.wall.saturating_add(wait).unwrap_or(Timestamp::MAX);
                    self.queue.insert((next.due, Arc::clone(name)));
                    return;
                }
            }
        }
        let running = self.in_flight.entry(Arc::clone(name)).or_default();
        if *running >= limit {
            happenings.push(missed(name, next.planned, 1, WhyMissed::InFlight));
        } else {
            *running += 1;
            happenings.push(Happening::Due(Start {
                scenario: Arc::clone(name),
                planned_at: next.planned,
                late: Duration::try_from(mono - next.planned_mono).unwrap_or_default(),
            }));
        }
        match next.timetable.next_after(next.slot) {
            Some(slot) => {
                next.plan(slot, jitter, &mut self.dice);
                next.anchor(mono, now.wall);
                self.queue.insert((next.due, Arc::clone(name)));
            }
            None => job.next = None,
        }
    }

    /// How much the wall clock has moved beside the monotonic one since the last look, when it is a jump.
    fn notice(&mut self, now: Moment) -> Option<SignedDuration> {
        let passed = now.mono.saturating_duration_since(self.last.mono);
        let expected = self
            .last
            .wall
            .saturating_add(passed)
            .unwrap_or(Timestamp::MAX);
        let by = now.wall.duration_since(expected);
        self.last = now;
        (by.unsigned_abs() >= JUMP).then_some(by)
    }

    /// Puts every next start right after a jump. What was overdue before it, or is by it, is dealt with as late.
    fn follow_jump(&mut self, now: Moment, by: SignedDuration) {
        let mono = self.mono(now);
        self.queue.clear();
        for (name, job) in &mut self.jobs {
            let jitter = job
                .schedule
                .as_ref()
                .map_or(Duration::ZERO, |schedule| schedule.jitter);
            let Some(next) = job.next.as_mut() else {
                continue;
            };
            next.paced = false;
            if by.is_negative() {
                // A small step back is waited out, so that no planned start comes twice. After a long one that would
                // mean silence: the timetable begins anew.
                let first = next.timetable.next_after(now.wall);
                let second = first.and_then(|first| next.timetable.next_after(first));
                if let (Some(first), Some(second)) = (first, second)
                    && second < next.slot
                {
                    next.plan(first, jitter, &mut self.dice);
                }
            }
            next.due = next.planned;
            if next.planned > now.wall {
                next.leapt = false;
                next.anchor(mono, now.wall);
            } else {
                next.leapt = true;
            }
            self.queue.insert((next.due, Arc::clone(name)));
        }
    }

    /// The monotonic clock as a number. Only differences mean anything.
    fn mono(&self, now: Moment) -> SignedDuration {
        let since = now.mono.saturating_duration_since(self.epoch);
        SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX)
    }
}

impl Job {
    fn limit(&self) -> u32 {
        self.schedule
            .as_ref()
            .map_or(1, |schedule| schedule.max_in_flight)
    }
}

impl Next {
    /// Plans a slot, with jitter that never reaches the slot after it.
    fn plan(&mut self, slot: Timestamp, jitter: Duration, dice: &mut StdRng) {
        self.slot = slot;
        self.planned = slot;
        if !jitter.is_zero()
            && let Some(after) = self.timetable.next_after(slot)
        {
            let room = Duration::try_from(after.duration_since(slot)).unwrap_or_default();
            let most = jitter.min(room.saturating_sub(Duration::from_millis(1)));
            let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
            let delay = Duration::from_millis(dice.random_range(0..=most));
            self.planned = slot.saturating_add(delay).unwrap_or(slot);
        }
        self.due = self.planned;
        self.paced = false;
        self.leapt = false;
    }

    /// Notes when the planned start is on the monotonic clock.
    fn anchor(&mut self, mono: SignedDuration, wall: Timestamp) {
        self.planned_mono = mono.saturating_add(self.planned.duration_since(wall));
    }
}

fn missed(scenario: &Arc<str>, planned_at: Timestamp, times: u64, why: WhyMissed) -> Happening {
    Happening::Missed(RunMissed {
        scenario: scenario.to_string(),
        planned_at,
        times,
        why,
    })
}
