//! The published documents of `baseline`: what is remembered of that which every client can see, and what happened
//! with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `baseline list --format json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineList {
    /// Version of this document's shape.
    pub schema_version: String,
    /// By subject.
    pub baselines: Vec<BaselineResult>,
}

/// `baseline show --format json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselinePages {
    /// Version of this document's shape.
    pub schema_version: String,
    /// One for each thing that is remembered of the subject.
    pub pages: Vec<BaselinePage>,
}

/// One thing that is remembered, and what happened with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselinePage {
    /// What is remembered.
    pub baseline: BaselineResult,
    /// What happened, newest first.
    pub events: Vec<EventResult>,
}

/// What is remembered of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineResult {
    /// `addresses`, `ptr`, `mx`, `ns`, `certificate`, `banner`, `ehlo` or `tls-version`.
    pub what: String,
    /// Of whom.
    pub subject: String,
    /// What is there now is not what was accepted.
    pub changed: bool,
    /// What is all right, the value accepted last first.
    pub accepted: Vec<Vec<String>>,
    /// Until then all of them are; afterwards, of those that a change window let in, at most the one that was seen last.
    /// Absent: for good. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub several_until: Option<String>,
    /// When it was accepted.
    pub accepted_at: String,
    /// Who accepted it.
    pub accepted_by: String,
    /// What was seen last; empty: nothing was there.
    pub current: Vec<String>,
    /// Since when it is so.
    pub current_since: String,
    /// When it was seen first.
    pub first_seen_at: String,
    /// When it was seen last, to the hour.
    pub last_seen_at: String,
    /// The run that saw the current value first.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// Its step.
    pub step: String,
}

/// Something that every client can see became another one, or was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventResult {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// What.
    pub what: String,
    /// Of whom.
    pub subject: String,
    /// `changed`, `expected` (a change window), `listed` (`platform.changed` says `pass`), `returned` or `accepted`.
    pub how: String,
    /// The value before; empty: nothing was there.
    pub before: Vec<String>,
    /// Since when that was so.
    pub before_since: String,
    /// The value after.
    pub after: Vec<String>,
    /// The run that saw it first.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// Its step.
    pub step: String,
    /// Who or what accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// All of it in one sentence.
    pub sentence: String,
}

/// What an acceptance did: `baseline accept --format json`, and the answer of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acceptance {
    /// Version of this document's shape.
    pub schema_version: String,
    /// So many things are meant.
    pub meant: usize,
    /// Those that were not all right, and are now.
    pub accepted: Vec<EventResult>,
}
