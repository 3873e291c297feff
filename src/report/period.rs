//! A period for people: for each check how many did what, where its mails are, and how long its phases took.

use std::fmt::Write as _;
use std::time::Duration;

use postrider_probes::span::duration;

use super::style::Style;
use crate::histogram::quantile::Quantile;
use crate::result::period::{CheckPeriod, MailCounts, PeriodReport, PhasePeriod, RunsWord};

/// The whole report.
#[must_use]
pub fn report(period: &PeriodReport, style: Style) -> String {
    let runs = match period.runs {
        RunsWord::Scheduled => "scheduled runs",
        RunsWord::Manual => "runs that people started",
    };
    let mut text = style.text(&format!(
        "{} – {} UTC · {runs}\n",
        hour(&period.since),
        hour(&period.until)
    ));
    if period.checks.is_empty() {
        let other = match period.runs {
            RunsWord::Scheduled => "; runs that people started are left out: --manual shows them",
            RunsWord::Manual => "",
        };
        text.push_str(&style.text(&format!("nothing is known of this period{other}\n")));
    }
    for check in &period.checks {
        text.push_str(&block(check, style));
    }
    text
}

fn block(check: &CheckPeriod, style: Style) -> String {
    let name = format!("{}/{}", check.scenario, check.step);
    let target = check.target.as_deref().unwrap_or_default();
    let mut text = format!(
        "\n{}  {}",
        style.strong(&style.text(&name)),
        style.text(target)
    )
    .trim_end_matches(' ')
    .to_owned();
    text.push('\n');
    let mut lines = String::new();
    let counts = check.counts;
    let success = check.success.map_or_else(
        || "success –".to_owned(),
        |share| format!("success {} of {}", percent(share.ratio), grouped(share.n)),
    );
    let _ = writeln!(
        lines,
        "  {success} · {} passed · {} degraded · {} failed · {} not tested · {} skipped",
        grouped(counts.pass),
        grouped(counts.degraded),
        grouped(counts.fail),
        grouped(counts.error),
        grouped(counts.skip)
    );
    if let Some(mails) = &check.mails {
        lines.push_str(&mail_line(mails));
    }
    if !check.phases.is_empty() {
        lines.push_str(&phase_table(&check.phases));
    }
    text.push_str(&style.text(&lines));
    text
}

/// What is wrong stands there even when it is none; other states only when there are any.
fn mail_line(mails: &MailCounts) -> String {
    let of = |state: &str| mails.states.get(state).copied().unwrap_or_default();
    let mut line = format!(
        "  mails {} · {} delivered · {} late · {} lost · {} duplicate · {} not arrived",
        grouped(mails.planned),
        grouped(of("delivered")),
        grouped(mails.late),
        grouped(of("lost")),
        grouped(mails.extra_copies),
        grouped(mails.not_arrived)
    );
    let others = mails
        .states
        .iter()
        .filter(|(state, _)| !["delivered", "lost"].contains(&state.as_str()));
    for (state, count) in others.filter(|(_, count)| **count > 0) {
        let _ = write!(line, " · {} {state}", grouped(*count));
    }
    line + "\n"
}

fn phase_table(phases: &[PhasePeriod]) -> String {
    let mut text = format!("  {:<12} {:>9}", "phase", "samples");
    for quantile in Quantile::ALL {
        let _ = write!(text, "  {:>8}", quantile.name());
    }
    let _ = writeln!(text, "  {:>8}  unfinished", "max");
    for phase in phases {
        let time = |seconds: Option<f64>| {
            seconds.map_or_else(
                || "–".to_owned(),
                |seconds| duration(Duration::from_secs_f64(seconds.max(0.0))),
            )
        };
        let _ = write!(text, "  {:<12} {:>9}", phase.phase, grouped(phase.samples));
        for quantile in Quantile::ALL {
            let value = phase.quantiles_seconds.get(quantile.name()).copied();
            let _ = write!(text, "  {:>8}", time(value));
        }
        let _ = writeln!(
            text,
            "  {:>8}  {:>10}",
            time(phase.max_seconds),
            grouped(phase.unfinished)
        );
    }
    text
}

/// `99.96 %`: rounded down, so that only all is 100 %.
fn percent(ratio: f64) -> String {
    let hundredths = (ratio.clamp(0.0, 1.0) * 10_000.0 + 1e-6).floor();
    let text = format!("{:.2}", hundredths / 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `10 071`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn hour(rfc3339: &str) -> String {
    rfc3339.parse::<jiff::Timestamp>().map_or_else(
        |_| rfc3339.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_is_a_hundred_percent() {
        for (good, n, text) in [
            (1, 1, "100 %"),
            (99_999, 100_000, "99.99 %"),
            (8_637, 8_640, "99.96 %"),
            (999, 1000, "99.9 %"),
            (1, 2, "50 %"),
            (0, 7, "0 %"),
        ] {
            assert_eq!(percent(f64::from(good) / f64::from(n)), text);
        }
    }

    #[test]
    fn numbers_are_read_in_groups() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (10_071, "10 071"),
            (1_000_000, "1 000 000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
