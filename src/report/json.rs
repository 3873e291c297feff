//! The result as JSON.

use serde::Serialize;

use crate::result::{CheckResult, RunResult};

/// One document, indented.
///
/// # Errors
/// When a value cannot be written as JSON; the types exclude that.
pub fn document(result: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(result).map(|text| text + "\n")
}

/// One line of `jsonl`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event", content = "data")]
enum Line<'r> {
    Check(&'r CheckResult),
    Run(&'r RunResult),
}

/// The run as the last line.
///
/// # Errors
/// As [`document`].
pub fn line(result: &RunResult) -> serde_json::Result<String> {
    serde_json::to_string(&Line::Run(result)).map(|text| text + "\n")
}

/// A check as a line of its own.
///
/// # Errors
/// As [`document`].
pub fn check_line(check: &CheckResult) -> serde_json::Result<String> {
    serde_json::to_string(&Line::Check(check)).map(|text| text + "\n")
}
