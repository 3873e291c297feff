//! All that leaves a run.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::target::Target;

use crate::config::plan::Source;

/// One thing that happened in a run, in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// A run began.
    RunStarted(RunStarted),
    /// A check began; for progress displays.
    CheckStarted(CheckName),
    /// A check ended.
    CheckFinished(Box<CheckFinished>),
    /// A run ended; nothing follows with its id.
    RunFinished(RunFinished),
    /// Planned starts that will never be.
    RunMissed(RunMissed),
}

/// A run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStarted {
    /// Its id.
    pub run: String,
    /// Who asked for it: `cli user@host`, `schedule`, …
    pub origin: String,
    /// The vantage's name.
    pub vantage: String,
    /// The hash of the configuration.
    pub config_sha256: String,
    /// The scenarios that it takes: name and title.
    pub scenarios: Vec<(String, Option<String>)>,
    /// When it was planned to start; time starts here.
    pub planned_at: Timestamp,
    /// How much later it started, by the monotonic clock.
    pub late: Duration,
    /// When it started.
    pub started_at: Timestamp,
}

/// Which check is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckName {
    /// The run's id.
    pub run: String,
    /// From 1, in the order of the plan.
    pub number: u32,
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// The verb.
    pub kind: &'static str,
    /// The item of `for_each`, if any.
    pub target: Option<Target>,
    /// The TCP port of the target, when it is known.
    pub port: Option<u16>,
}

/// A check ended.
#[derive(Debug, Clone)]
pub struct CheckFinished {
    /// Which.
    pub check: CheckName,
    /// The step's title.
    pub title: Option<String>,
    /// Where the step is written.
    pub source: Source,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took in all.
    pub took: Duration,
    /// What it gave.
    pub outcome: Outcome,
}

/// A run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFinished {
    /// Its id.
    pub run: String,
    /// The worst status of its checks.
    pub status: Status,
    /// Since it started.
    pub took: Duration,
    /// Why it ended early, when it did.
    pub cancelled: Option<String>,
}

/// Planned starts of a scenario that will never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMissed {
    /// The scenario.
    pub scenario: String,
    /// The first of them.
    pub planned_at: Timestamp,
    /// How many they are.
    pub times: u64,
    /// Why.
    pub why: WhyMissed,
}

/// Why a planned start is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyMissed {
    /// As many runs of the scenario as may be were in flight.
    InFlight,
    /// The program had no time, and the next planned start came.
    Stalled,
    /// The wall clock jumped over it, or the machine slept.
    ClockJumped,
    /// The scenario left the configuration just before.
    Removed,
}

impl WhyMissed {
    /// As it stands in logs and labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::Stalled => "stalled",
            Self::ClockJumped => "clock-jumped",
            Self::Removed => "removed",
        }
    }
}
