//! The result for people: one line for each check, the reason under every check that did not pass.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use postrider_probes::span::duration;

use super::style::{Style, rank};
use crate::result::{CheckResult, RunResult, StatusWord};

/// Widths of the columns of one scenario.
#[derive(Debug, Clone, Copy, Default)]
struct Columns {
    step: usize,
    host: usize,
    address: usize,
    notes: usize,
    time: usize,
    /// Between step and host: room for the arrow of a route.
    gap: usize,
}

impl Columns {
    fn of<'r>(checks: impl Iterator<Item = &'r CheckResult>, style: Style) -> Self {
        checks.fold(Self::default(), |widths, check| {
            let (host, address) = target(check);
            Self {
                step: widths.step.max(check.step.chars().count()),
                host: widths.host.max(host.chars().count()),
                address: widths.address.max(address.chars().count()),
                notes: widths.notes.max(notes(check).chars().count()),
                time: widths.time.max(time(check).chars().count()),
                gap: widths.gap.max(arrow(check, style).chars().count() + 1),
            }
        })
    }
}

/// The first line: who looks, from where, at what.
#[must_use]
pub fn heading(version: &str, vantage: &str, file: &str, run: &str, style: Style) -> String {
    style.text(&format!(
        "postrider {version} · vantage {vantage} · {file} · run {run}\n"
    ))
}

/// One check as it ends, for streams that are not terminals: `scenario/step`, so that it can be searched for.
#[must_use]
pub fn line(check: &CheckResult, style: Style) -> String {
    let (host, address) = target(check);
    let mut parts = vec![format!("{}/{}", check.scenario, check.step)];
    let host = format!("{}{host}", arrow(check, style));
    parts.extend(
        [host.trim().to_owned(), address, notes(check)]
            .into_iter()
            .filter(|part| !part.is_empty()),
    );
    parts.push(time(check));
    let mut text = format!(
        "{} {}\n",
        style.sign(check.status),
        style.text(&parts.join("  "))
    );
    for reason in reasons(check) {
        let _ = writeln!(text, "    {}", style.text(&reason));
    }
    text
}

/// What stands at the end: on a terminal all checks, worst last, then the counts; elsewhere the counts, because each
/// check has already had its line. `show` is as in [`blocks`].
#[must_use]
pub fn ending(result: &RunResult, terminal: bool, show: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    if terminal {
        text.push_str(&blocks(result, show, style));
    }
    text.push_str(&counts(result, style));
    text
}

/// Every scenario with its checks, worst last. `show` is the command that finds this result again, if one can.
#[must_use]
pub fn blocks(result: &RunResult, show: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    let mut names: Vec<&str> = Vec::new();
    for check in &result.checks {
        if !names.contains(&check.scenario.as_str()) {
            names.push(&check.scenario);
        }
    }
    let mut told = HashSet::new();
    for name in names {
        let mut checks: Vec<&CheckResult> = result
            .checks
            .iter()
            .filter(|check| check.scenario == name)
            .collect();
        checks.sort_by_key(|check| (rank(check.status), check.number));
        let columns = Columns::of(checks.iter().copied(), style);
        let title = result
            .run
            .scenarios
            .iter()
            .find(|scenario| scenario.name == name)
            .and_then(|scenario| scenario.title.as_deref())
            .map(|title| format!("  {}", style.text(title)))
            .unwrap_or_default();
        let _ = writeln!(text, "\n{}{title}", style.strong(&style.text(name)));
        for check in checks {
            text.push_str(&row(check, columns, style));
            text.push_str(&below(check, result, show, &mut told, style));
        }
    }
    text
}

fn row(check: &CheckResult, columns: Columns, style: Style) -> String {
    let (host, address) = target(check);
    let cells = format!(
        "{:step$}{:>gap$}{host:host_width$}  {address:address_width$}  {:notes$}  {:>time$}",
        check.step,
        arrow(check, style),
        notes(check),
        time(check),
        gap = columns.gap,
        step = columns.step,
        host_width = columns.host,
        address_width = columns.address,
        notes = columns.notes,
        time = columns.time,
    );
    format!(
        "  {} {}\n",
        style.sign(check.status),
        style.text(cells.trim_end())
    )
}

/// The reason, and what an operator would look up next.
fn below(
    check: &CheckResult,
    result: &RunResult,
    show: Option<&str>,
    told: &mut HashSet<String>,
    style: Style,
) -> String {
    let mut text = String::new();
    if check.status == StatusWord::Pass || check.findings.is_empty() {
        return text;
    }
    let cause = format!("{} {}", target(check).1, reasons(check).join("\n"));
    if check.target.is_some() && !told.insert(cause) {
        return style.text("      same cause as above\n");
    }
    for reason in reasons(check) {
        let _ = writeln!(text, "      {}", style.text(&reason));
    }
    if let Some(hint) = other_family(check, result) {
        let _ = writeln!(text, "      {}", style.text(&hint));
    }
    let has_more =
        matches!(check.status, StatusWord::Fail | StatusWord::Error) && check.evidence.is_some();
    if let Some(show) = show.filter(|_| has_more) {
        let next = format!("→ {show} {}/{} --transcript", result.run.id, check.number);
        let _ = writeln!(text, "      {}", style.text(&next));
    }
    text
}

/// `code: message` for each cause. Consequences stand among the notes.
#[must_use]
pub fn reasons(check: &CheckResult) -> Vec<String> {
    check
        .causes()
        .map(|finding| format!("{}: {}", finding.reason, finding.message))
        .collect()
}

fn other_family(check: &CheckResult, result: &RunResult) -> Option<String> {
    let own = check
        .target
        .as_ref()
        .filter(|_| check.status == StatusWord::Fail)?;
    let other = result.checks.iter().find(|other| {
        other.step == check.step
            && other.scenario == check.scenario
            && other.status == StatusWord::Pass
            && other
                .target
                .as_ref()
                .is_some_and(|target| target.mx == own.mx && target.family != own.family)
    })?;
    let family = if other.target.as_ref()?.family == "ipv4" {
        "IPv4"
    } else {
        "IPv6"
    };
    Some(format!("{family} of the same host works"))
}

/// `2 failed (1 cause) · 1 degraded · 8 passed · 0 not tested · 0 skipped     11 of 11 checks in 1 m 12 s`.
#[must_use]
pub fn counts(result: &RunResult, style: Style) -> String {
    let counts = &result.counts;
    let causes: HashSet<_> = result
        .checks
        .iter()
        .filter(|check| check.status == StatusWord::Fail)
        .map(|check| {
            (
                check.target.as_ref().map(|target| target.address.clone()),
                check.reason.clone(),
            )
        })
        .collect();
    let causes = match causes.len() {
        0 => String::new(),
        _ if causes.len() == counts.fail as usize => String::new(),
        1 => " (1 cause)".to_owned(),
        n => format!(" ({n} causes)"),
    };
    let done = counts.pass + counts.degraded + counts.fail + counts.error;
    let took = duration(Duration::from_secs_f64(
        result.run.duration_seconds.max(0.0),
    ));
    let mut text = format!(
        "\n{} failed{causes} · {} degraded · {} passed · {} not tested · {} skipped     {done} of {} checks in {took}\n",
        counts.fail,
        counts.degraded,
        counts.pass,
        counts.error,
        counts.skip,
        result.checks.len(),
    );
    if result.run.running {
        text.push_str("the run has not ended yet\n");
    }
    if let Some(why) = &result.run.cancelled {
        let _ = writeln!(text, "ended early: {why}");
    }
    style.text(&text)
}

/// Where to read on: `show` is the command that finds the run.
#[must_use]
pub fn saved(run: &str, show: &str, style: Style) -> String {
    style.text(&format!("run {run} saved · {show} {run}\n"))
}

/// Stands before a host that a route led to, not one that was aimed at.
pub(super) fn arrow(check: &CheckResult, style: Style) -> String {
    match target(check) {
        (_, address) if check.target.is_none() && !address.is_empty() => style.text("→ "),
        _ => " ".to_owned(),
    }
}

/// Host and address: those aimed at, or those that a route led to.
pub(super) fn target(check: &CheckResult) -> (String, String) {
    if let Some(target) = &check.target {
        return (target.mx.clone(), target.address.clone());
    }
    let led_to = check
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.smtp.as_ref());
    match led_to {
        Some(smtp) => (
            smtp.host.clone().unwrap_or_default(),
            smtp.address.clone().unwrap_or_default(),
        ),
        None => (String::new(), String::new()),
    }
}

fn notes(check: &CheckResult) -> String {
    let mut notes = check.notes.clone();
    // The time beside it leaves this out; who waits for the run wonders where it went.
    if let Some(queued) = check.queued_seconds.filter(|queued| *queued >= 1.0) {
        notes.push(format!(
            "waited {}",
            duration(Duration::from_secs_f64(queued))
        ));
    }
    notes.join("  ")
}

/// From the first byte until the message was visible, or until the check ended.
fn time(check: &CheckResult) -> String {
    let phases: f64 = check.phases_seconds.values().sum();
    let seconds = if check.phases_seconds.is_empty() {
        check.duration_seconds
    } else {
        phases
    };
    duration(Duration::from_secs_f64(seconds.max(0.0)))
}
