//! What the API publishes beside the result document: lists of runs and of ledger entries.

use postrider_probes::observation::What;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::RunHead;
use crate::store::{EntryPage, ListedEntry, RunPage};

use super::control::{LedgerQuery, RunQuery};

/// Bumped when a reader must change. Adding a field is minor.
pub const SCHEMA_VERSION: &str = "1.0";

/// `GET /api/v1/runs`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunList {
    /// Version of this document's shape.
    pub schema_version: String,
    /// Newest first.
    pub runs: Vec<RunHead>,
    /// `before=` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_before: Option<String>,
}

/// `GET /api/v1/ledger`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LedgerList {
    /// Version of this document's shape.
    pub schema_version: String,
    /// Newest first.
    pub entries: Vec<LedgerEntry>,
}

/// One mail in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LedgerEntry {
    /// Its id, as in its Message-ID.
    pub id: String,
    /// `planned`, `accepted`, `delivered`, `lost`, …
    pub state: String,
    /// Whether something can still happen to it.
    pub open: bool,
    /// The run that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The way that it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The mailbox that it is expected in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// The folder that it is expected in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<String>,
    /// Microseconds from the final reply to the sighting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_microseconds: Option<u64>,
    /// How many copies were seen.
    pub copies: u64,
}

/// A body of `application/problem+json` (RFC 9457). It never holds internals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trouble {
    /// The words of the status code.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// What is wrong, in one sentence.
    pub detail: String,
}

/// `GET /-/ready`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Readiness {
    /// `ready` or `not-ready`.
    pub status: String,
    /// What keeps the daemon from its work.
    pub reasons: Vec<ReadinessReason>,
}

/// One thing that keeps the daemon from its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReadinessReason {
    /// The part: `store`, `scheduler`, `program`.
    pub what: String,
    /// What is wrong with it; only for those who may look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `POST /api/v1/runs`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The name of the scenario.
    pub scenario: String,
}

/// The answer to `POST /api/v1/runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunStarted {
    /// The new run's id.
    pub run: String,
}

/// `POST /api/v1/baselines/accept`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// Only of this: `banner`, `mx`, …
    pub what: Option<What>,
    /// Only of this subject, or of all on this host.
    pub subject: Option<String>,
    /// Only what this scenario saw.
    pub scenario: Option<String>,
    /// Everything; needed when nothing else is said.
    #[serde(default)]
    pub all: bool,
    /// What was right before stays right.
    #[serde(default)]
    pub also: bool,
    /// Only what did not become another one after this time, such as the time of the look at it. RFC 3339.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub unchanged_since: Option<jiff::Timestamp>,
    /// Only if this is the instance: who asks the daemon of a store must not meet another one.
    #[serde(default)]
    pub instance: Option<String>,
}

impl AcceptRequest {
    /// Whether it says what is meant.
    #[must_use]
    pub fn selects(&self) -> bool {
        self.all || self.what.is_some() || self.subject.is_some() || self.scenario.is_some()
    }
}

impl From<ListedEntry> for LedgerEntry {
    fn from(entry: ListedEntry) -> Self {
        let text = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
        Self {
            id: entry.id,
            state: entry.state,
            open: entry.open,
            run: entry.run,
            scenario: entry.scenario,
            step: entry.step,
            route: entry.route,
            mailbox: entry.mailbox,
            folder: entry.folder,
            planned_at: text(entry.planned_at),
            attempted_at: text(entry.attempted_at),
            first_seen_at: text(entry.first_seen_at),
            latency_microseconds: entry.latency_us,
            copies: entry.copies,
        }
    }
}

impl From<RunQuery> for RunPage {
    fn from(query: RunQuery) -> Self {
        let RunQuery {
            limit,
            scenario,
            before,
        } = query;
        Self {
            limit,
            scenario,
            before,
        }
    }
}

impl From<LedgerQuery> for EntryPage {
    fn from(query: LedgerQuery) -> Self {
        Self {
            limit: query.limit,
            state: query.state,
            scenario: query.scenario,
            run: query.run,
            since: query.since,
            until: query.until,
        }
    }
}
