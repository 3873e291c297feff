//! The published document of `postrider report --since`: how all checks did over a period.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodReport {
    /// Version of this document's shape.
    pub schema_version: String,
    /// The beginning, a whole hour; RFC 3339, UTC.
    pub since: String,
    /// The end, a whole hour; RFC 3339, UTC.
    pub until: String,
    /// Whose runs: those of the schedule, or those that people started.
    pub runs: RunsWord,
    /// Every check that something is known of, by scenario, step and target.
    pub checks: Vec<CheckPeriod>,
}

/// Whose runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunsWord {
    /// The schedule's.
    Scheduled,
    /// Those that people started.
    Manual,
}

/// One check over the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckPeriod {
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// Host, address and port, when the step is aimed at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How many checks ended how.
    pub counts: PeriodCounts,
    /// The share that passed or was degraded, of all that were judged; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<ShareResult>,
    /// Its mails, when it sends any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails: Option<MailCounts>,
    /// How long its phases took, in the order in which a check passes through them.
    pub phases: Vec<PhasePeriod>,
}

/// How many checks have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodCounts {
    /// Passed.
    pub pass: u64,
    /// Degraded.
    pub degraded: u64,
    /// Failed.
    pub fail: u64,
    /// Not tested.
    pub error: u64,
    /// Skipped.
    pub skip: u64,
}

/// A share, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShareResult {
    /// From 0 to 1.
    pub ratio: f64,
    /// Of so many.
    pub n: u64,
}

/// What became of the mails that were planned in the period, as far as it is known today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailCounts {
    /// All of them.
    pub planned: u64,
    /// How many are in which state of the ledger.
    pub states: BTreeMap<String, u64>,
    /// Arrived, but after their time.
    pub late: u64,
    /// Accepted and not seen so far, whatever the reason: the times below know nothing of them.
    pub not_arrived: u64,
    /// Copies beyond the first.
    pub extra_copies: u64,
}

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhasePeriod {
    /// The phase; `transit` is the delivery, from the final reply until the mail was visible.
    pub phase: String,
    /// So many were timed.
    pub samples: u64,
    /// So many checks broke off in it, so that nobody knows how long it would have taken.
    pub unfinished: u64,
    /// Percentiles in seconds: `p50`, `p95`, `p99`, `p99.9`. One that the samples cannot carry is absent; they need
    /// 2, 20, 100 and 1000 of them.
    pub quantiles_seconds: BTreeMap<String, f64>,
    /// The longest in seconds; absent when none was timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
}
