//! Checks as a table and as CSV.

use std::fmt::Write as _;
use std::time::Duration;

use postrider_probes::span::duration;

use super::csv;
use super::style::Style;
use crate::result::listing::{CheckListing, ListedCheck};

/// One line for each check, and the reason under each that did not pass.
#[must_use]
pub fn table(listing: &CheckListing, style: Style) -> String {
    let names: Vec<String> = listing
        .checks
        .iter()
        .map(|check| format!("{}/{}", check.run, check.number))
        .collect();
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let run_width = longest(&mut names.iter().map(|name| name.chars().count()));
    let what_width = longest(
        &mut listing
            .checks
            .iter()
            .map(|check| what(check).chars().count()),
    );
    let mut text = String::new();
    for (name, check) in names.iter().zip(&listing.checks) {
        let time = duration(Duration::from_secs_f64(check.duration_seconds.max(0.0)));
        let cells = format!(
            "{}  {name:run_width$}  {:what_width$}  {time:>9}  {}",
            moment(&check.started_at),
            what(check),
            check.target.as_deref().unwrap_or_default(),
        );
        let _ = writeln!(
            text,
            "{} {}",
            style.sign(check.status),
            style.text(cells.trim_end())
        );
        if let (Some(reason), Some(message)) = (&check.reason, &check.message) {
            let _ = writeln!(text, "    {}", style.text(&format!("{reason}: {message}")));
        }
    }
    text
}

/// With a heading line.
#[must_use]
pub fn csv(listing: &CheckListing) -> String {
    let mut text = csv::line([
        "run",
        "number",
        "started_at",
        "origin",
        "scenario",
        "step",
        "target",
        "status",
        "reason",
        "message",
        "duration_seconds",
    ]);
    for check in &listing.checks {
        text.push_str(&csv::line([
            check.run.as_str(),
            &check.number.to_string(),
            &check.started_at,
            &check.origin,
            &check.scenario,
            &check.step,
            check.target.as_deref().unwrap_or_default(),
            check.status.name(),
            check.reason.as_deref().unwrap_or_default(),
            check.message.as_deref().unwrap_or_default(),
            &check.duration_seconds.to_string(),
        ]));
    }
    text
}

fn what(check: &ListedCheck) -> String {
    format!("{}/{}", check.scenario, check.step)
}

/// To the second.
fn moment(rfc3339: &str) -> String {
    rfc3339.parse::<jiff::Timestamp>().map_or_else(
        |_| rfc3339.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
