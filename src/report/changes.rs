//! What every client can see: what is remembered of it, and what happened with it.

use std::fmt::Write as _;

use super::style::Style;
use crate::result::StatusWord;
use crate::result::changes::{Acceptance, BaselinePage, BaselineResult, EventResult};

/// Characters of a value in a table: a certificate with its fingerprint fits.
const VALUE: usize = 150;

/// One line for each thing; below those that are not as they should be, what they should be.
#[must_use]
pub fn table(baselines: &[BaselineResult], style: Style) -> String {
    let width = |of: fn(&BaselineResult) -> &str| {
        let lengths = baselines
            .iter()
            .map(|baseline| of(baseline).chars().count());
        lengths.max().unwrap_or(0)
    };
    let (what, subject) = (
        width(|baseline| &baseline.what),
        width(|baseline| &baseline.subject),
    );
    let mut text = String::new();
    for baseline in baselines {
        let sign = style.sign(match baseline.changed {
            true => StatusWord::Degraded,
            false => StatusWord::Pass,
        });
        let line = format!(
            "{:subject$}  {:what$}  since {}  {}",
            baseline.subject,
            baseline.what,
            day(&baseline.current_since),
            short(&baseline.current),
        );
        let _ = writeln!(text, "{sign} {}", style.text(&line));
        if baseline.changed {
            let accepted = baseline.accepted.first();
            let before = accepted.map_or_else(String::new, |values| short(values));
            let since = day(&baseline.accepted_at);
            let line = format!("should be, since {since}: {before}");
            let _ = writeln!(text, "    {}", style.text(&line));
        }
    }
    text
}

/// Everything that is remembered of one thing.
#[must_use]
pub fn page(page: &BaselinePage, style: Style) -> String {
    let BaselinePage { baseline, events } = page;
    let mut text = format!("{} of {}\n", baseline.what, baseline.subject);
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    row("now", &list(&baseline.current));
    row("since", &moment(&baseline.current_since));
    if !baseline.run.is_empty() {
        let seen_by = format!(
            "{}/{} in run {}",
            baseline.scenario, baseline.step, baseline.run
        );
        row("seen by", &seen_by);
    }
    for (index, values) in baseline.accepted.iter().enumerate() {
        row(if index == 0 { "all right" } else { "and" }, &list(values));
    }
    if let Some(until) = &baseline.several_until {
        row("both until", &moment(until));
    }
    let accepted = format!(
        "{} by {}",
        moment(&baseline.accepted_at),
        baseline.accepted_by
    );
    row("accepted", &accepted);
    row("first seen", &moment(&baseline.first_seen_at));
    row("last seen", &moment(&baseline.last_seen_at));
    if baseline.changed {
        row("", "it is not as it should be: postrider explain changed");
    }
    for event in events {
        let _ = writeln!(text, "  {}", line(event));
    }
    style.text(&text)
}

/// What an acceptance did.
#[must_use]
pub fn accepted(done: &Acceptance, style: Style) -> String {
    let mut text = String::new();
    for event in &done.accepted {
        let _ = writeln!(text, "accepted: {}", event.sentence);
    }
    if done.accepted.is_empty() {
        let things = match done.meant {
            1 => "it is".to_owned(),
            meant => format!("all {meant} are"),
        };
        let _ = writeln!(text, "nothing to accept: {things} as accepted before");
    }
    style.text(&text)
}

fn line(event: &EventResult) -> String {
    let by = match &event.accepted_by {
        Some(by) => format!(" (by {by})"),
        None => format!(" (seen by {}/{})", event.scenario, event.step),
    };
    format!(
        "{} {:<9} {}{by}",
        moment(&event.at),
        event.how,
        event.sentence
    )
}

fn list(values: &[String]) -> String {
    match values {
        [] => "nothing".to_owned(),
        values => values.join(", "),
    }
}

fn short(values: &[String]) -> String {
    let text = list(values);
    if text.chars().count() <= VALUE {
        return text;
    }
    text.chars().take(VALUE).chain(['…']).collect()
}

/// `2026-11-24 03:11` of an RFC 3339 time in UTC.
fn moment(time: &str) -> String {
    let minutes = time.get(..16).unwrap_or(time);
    minutes.replace('T', " ")
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(changed: bool) -> BaselineResult {
        let now = if changed { "b" } else { "a" };
        let at = |day: u32| format!("2026-11-{day:02}T03:11:08.5Z");
        BaselineResult {
            what: "banner".to_owned(),
            subject: "192.0.2.1:25".to_owned(),
            changed,
            accepted: vec![vec!["a".to_owned()]],
            several_until: None,
            accepted_at: at(1),
            accepted_by: "first sighting".to_owned(),
            current: vec![now.to_owned()],
            current_since: at(2),
            first_seen_at: at(1),
            last_seen_at: at(3),
            run: "01RUN".to_owned(),
            scenario: "mx".to_owned(),
            step: "deliver".to_owned(),
        }
    }

    #[test]
    fn a_list_says_what_is_not_as_it_should_be() {
        let long = BaselineResult {
            what: "ehlo".to_owned(),
            current: vec!["X".repeat(170)],
            ..baseline(false)
        };
        assert_eq!(
            table(&[baseline(true), long], Style::PLAIN),
            format!(
                "▲ 192.0.2.1:25  banner  since 2026-11-02  b\n    should be, since 2026-11-01: a\n\
                 ✓ 192.0.2.1:25  ehlo    since 2026-11-02  {}…\n",
                "X".repeat(150)
            )
        );
    }

    #[test]
    fn a_list_can_be_plain() {
        let plain = Style {
            ascii: true,
            ..Style::PLAIN
        };
        assert_eq!(
            table(&[baseline(true)], plain),
            "warn 192.0.2.1:25  banner  since 2026-11-02  b\n    should be, since 2026-11-01: a\n"
        );
    }

    #[test]
    fn a_page_says_everything() {
        let event = EventResult {
            at: "2026-11-02T03:11:08Z".to_owned(),
            what: "banner".to_owned(),
            subject: "192.0.2.1:25".to_owned(),
            how: "changed".to_owned(),
            before: vec!["a".to_owned()],
            before_since: String::new(),
            after: vec!["b".to_owned()],
            run: "01RUN".to_owned(),
            scenario: "mx".to_owned(),
            step: "deliver".to_owned(),
            accepted_by: None,
            sentence: "a became b".to_owned(),
        };
        let shown = page(
            &BaselinePage {
                baseline: baseline(true),
                events: vec![event.clone()],
            },
            Style::PLAIN,
        );
        for part in [
            "banner of 192.0.2.1:25\n",
            "now          b\n",
            "all right    a\n",
            "seen by      mx/deliver in run 01RUN\n",
            "accepted     2026-11-01 03:11 by first sighting\n",
            "  2026-11-02 03:11 changed   a became b (seen by mx/deliver)\n",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        let done = |meant, events: &[EventResult]| Acceptance {
            schema_version: String::new(),
            meant,
            accepted: events.to_vec(),
        };
        assert_eq!(
            accepted(&done(3, &[event]), Style::PLAIN),
            "accepted: a became b\n"
        );
        assert_eq!(
            accepted(&done(2, &[]), Style::PLAIN),
            "nothing to accept: all 2 are as accepted before\n"
        );
    }
}
