//! What the API publishes beside the result document: lists of runs and of ledger entries.

use schemars::JsonSchema;
use serde::Serialize;

use crate::result::RunHead;

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
