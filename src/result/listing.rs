//! The published document of `postrider history`: checks, newest first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StatusWord;

/// Checks, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckListing {
    /// Version of this document's shape.
    pub schema_version: String,
    /// The checks.
    pub checks: Vec<ListedCheck>,
}

/// One of them; all of it is in `postrider show RUN/NUMBER`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedCheck {
    /// The run's id.
    pub run: String,
    /// Its number in the run.
    pub number: u32,
    /// Who asked for the run.
    pub origin: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// Host, address and port, when the step is aimed at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// One of the five words.
    pub status: StatusWord,
    /// Reason code of the worst finding; absent on `pass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sentence that follows the reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds.
    pub duration_seconds: f64,
}
