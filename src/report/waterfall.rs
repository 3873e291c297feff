//! One check in full: where the time went, the hops, what the servers said.

use std::fmt::Write as _;
use std::time::Duration;

use postrider_probes::phase::Phase;
use postrider_probes::span::{duration, share};

use super::human::{arrow, reasons, target};
use super::style::{Style, word};
use crate::result::{ArrivalResult, CheckResult, RunHead};

/// Columns of the bars.
const BAR: usize = 40;

/// The first lines of a stored run.
#[must_use]
pub fn run_heading(run: &RunHead, style: Style) -> String {
    style.text(&format!(
        "run {} · {} · {} · vantage {} · {} · postrider {}\n",
        run.id,
        moment(&run.started_at),
        match run.running {
            true => "under way",
            false => word(run.status),
        },
        run.vantage,
        run.origin,
        run.version
    ))
}

/// One check on one page.
#[must_use]
pub fn page(check: &CheckResult, transcript: bool, style: Style) -> String {
    let mut text = String::new();
    let (host, address) = target(check);
    let mut target = String::new();
    if !address.is_empty() {
        target = format!(" {}{host}  {address}", arrow(check, style));
    }
    if let Some((node, role)) = check
        .target
        .as_ref()
        .and_then(|target| Some((target.node.as_ref()?, &target.role)))
    {
        let _ = write!(target, "  {node} ({role})");
    }
    let total: f64 = check.phases_seconds.values().sum();
    let heading = format!(
        "{}{target}  {} {}",
        check.step,
        "%SIGN%",
        word(check.status)
    );
    let heading = style
        .text(&heading)
        .replace("%SIGN%", &style.sign(check.status));
    let _ = writeln!(text, "{heading}     {}", duration(seconds(total)));
    if let Some(title) = &check.title {
        let _ = writeln!(text, "  {}", style.text(title));
    }
    for reason in reasons(check) {
        let _ = writeln!(text, "  {}", style.text(&reason));
    }
    text.push('\n');
    bars(check, total, style, &mut text);
    if let Some(queued) = check.queued_seconds {
        let queued = duration(seconds(queued));
        let _ = writeln!(
            text,
            "\n  before that it waited {queued} for a free connection"
        );
    }
    facts(check, style, &mut text);
    let _ = writeln!(
        text,
        "\n  {}",
        style.text(&format!(
            "{}:{} · {} · {}",
            check.source.file,
            check.source.line,
            check.kind,
            moment(&check.started_at)
        ))
    );
    if transcript {
        let lines = check
            .evidence
            .as_ref()
            .map(|evidence| evidence.transcript.as_slice())
            .unwrap_or_default();
        text.push('\n');
        if lines.is_empty() {
            text.push_str("  no dialogue was kept\n");
        }
        for line in lines {
            let _ = writeln!(text, "  {}", style.text(line));
        }
    }
    text
}

fn bars(check: &CheckResult, total: f64, style: Style, text: &mut String) {
    let mut before = 0.0;
    for phase in Phase::ALL {
        let Some(spent) = check.phases_seconds.get(phase.name()) else {
            continue;
        };
        let bar = bar(before, *spent, total);
        let beside = beside(check, phase)
            .map(|fact| format!("  {fact}"))
            .unwrap_or_default();
        let row = format!(
            "  {:<12} {:>9}  {bar}{beside}",
            phase.name(),
            duration(seconds(*spent)),
        );
        let _ = writeln!(text, "{}", style.text(row.trim_end()));
        before += spent;
        if phase == Phase::Transit {
            for arrival in check
                .evidence
                .iter()
                .flat_map(|evidence| &evidence.arrivals)
                .take(1)
            {
                hops(arrival, *spent, style, text);
            }
        }
    }
}

/// A phase in its place. Rounding can give a moment a whole column; it must not look longer than it was.
fn bar(before: f64, spent: f64, total: f64) -> String {
    let (start, end) = (column(before, total), column(before + spent, total));
    let is_moment = spent / total * BAR as f64 <= 0.5;
    let drawn = match end.saturating_sub(start) {
        columns @ 1.. if !is_moment => "▇".repeat(columns),
        _ => "▏".to_owned(),
    };
    " ".repeat(start.min(BAR - 1)) + &drawn
}

fn column(at: f64, total: f64) -> usize {
    if total <= 0.0 {
        return 0;
    }
    // In 0..=BAR by the clamp.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=BAR"
    )]
    let column = (at / total * BAR as f64).round().clamp(0.0, BAR as f64) as usize;
    column
}

/// The fact that belongs beside a phase.
fn beside(check: &CheckResult, phase: Phase) -> Option<String> {
    let evidence = check.evidence.as_ref()?;
    let smtp = evidence.smtp.as_ref();
    match phase {
        Phase::Banner => smtp?.banner.clone(),
        Phase::Tls | Phase::Starttls => {
            let tls = evidence.tls.as_ref()?;
            if tls.version.is_empty() {
                return None;
            }
            let chain = match (&tls.fault, tls.insecure) {
                (_, true) => "not checked (insecure)".to_owned(),
                (Some(fault), false) => fault.clone(),
                (None, false) => "chain ok".to_owned(),
            };
            Some(format!(
                "{} · {} · {chain}",
                tls.version,
                tls.names.join(", ")
            ))
        }
        Phase::Data => smtp?.final_reply.clone(),
        Phase::Transit => {
            let arrival = evidence.arrivals.first()?;
            Some(format!("{} uid {}", arrival.folder, arrival.uid))
        }
        _ => None,
    }
}

/// Hop by hop, by the servers' own clocks.
fn hops(arrival: &ArrivalResult, transit: f64, style: Style, text: &mut String) {
    let timed: Vec<(String, f64, bool)> = arrival
        .hops
        .iter()
        .filter_map(|hop| {
            let from = hop.from.as_deref().unwrap_or("?");
            Some((format!("{from} → {}", hop.by), hop.seconds?, hop.skewed))
        })
        .collect();
    let width = timed
        .iter()
        .map(|(name, ..)| name.chars().count())
        .max()
        .unwrap_or_default();
    for (name, spent, skewed) in timed {
        // Two hops within one second: nobody knows how much of it.
        let time = match spent < 1.0 {
            true => "< 1 s".to_owned(),
            false => duration(seconds(spent)),
        };
        let much = if spent >= 1.0 && spent >= transit / 2.0 {
            format!("  ◄ {}", share(spent / transit.max(spent)))
        } else {
            String::new()
        };
        let skew = if skewed { "  clocks disagree" } else { "" };
        let row = format!("     {name:width$}  {time:>7}{much}{skew}");
        let _ = writeln!(text, "{}", style.text(&row));
    }
    if let Some(skew) = arrival.skew_seconds.filter(|_| !arrival.hops.is_empty()) {
        let row = format!(
            "     hop clocks are the servers' own, in whole seconds; the first {}",
            beside_ours(skew)
        );
        let _ = writeln!(text, "{}", style.text(&row));
    }
}

/// How a server's clock stands to ours, when what it wrote differs by `skew` seconds. It leaves out the fraction of the
/// second, so that a clock which is right is behind by up to one, and by a little more when it wrote before it replied.
fn beside_ours(skew: f64) -> String {
    let off = |seconds: f64| duration(Duration::from_secs_f64(seconds.round().max(1.0)));
    if skew > 0.5 {
        format!("is {} ahead of ours", off(skew))
    } else if skew < -2.0 {
        format!("is {} behind ours", off(-skew))
    } else {
        "agrees with ours".to_owned()
    }
}

/// RFC 3339 as people read it, in whole seconds.
fn moment(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn facts(check: &CheckResult, style: Style, text: &mut String) {
    let Some(evidence) = &check.evidence else {
        return;
    };
    if evidence.tls.is_some() || evidence.smtp.is_some() || !evidence.answers.is_empty() {
        text.push('\n');
    }
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {}", style.text(value));
    };
    let several = !evidence.more_tls.is_empty();
    for tls in evidence.tls.iter().chain(&evidence.more_tls) {
        if let Some(address) = tls.address.as_ref().filter(|_| several) {
            fact("address", address);
        }
        fact(
            "certificate",
            &format!("{} · issued by {}", tls.names.join(", "), tls.issuer),
        );
        fact(
            "",
            &format!(
                "valid until {} · SHA-256 {}",
                tls.not_after.as_deref().map_or("?".to_owned(), moment),
                tls.fingerprint
            ),
        );
        if !tls.key.is_empty() {
            let (key, bits, signature) = (&tls.key, tls.key_bits, &tls.signature);
            fact("", &format!("{key} {bits} bits · signed with {signature}"));
        }
        for link in &tls.chain {
            fact(
                "chain",
                &format!("{} · issued by {}", link.subject, link.issuer),
            );
        }
        if !tls.version.is_empty() {
            fact("cipher", &format!("{} {}", tls.version, tls.cipher));
        }
        for offer in &tls.offers {
            let said = match &offer.refused {
                Some(how) => format!("refused: {how}"),
                None => offer.ciphers.join(", "),
            };
            fact("offers", &format!("{} {said}", offer.version));
        }
    }
    if let Some(smtp) = &evidence.smtp {
        if !smtp.keywords.is_empty() {
            fact("ehlo", &smtp.keywords.join(", "));
        }
        if let Some(id) = &smtp.queue_id {
            fact("queue id", id);
        }
    }
    if let Some(deferral) = &evidence.deferral {
        for (number, attempt) in (1..).zip(&deferral.attempts) {
            let after = duration(seconds(attempt.after_seconds));
            fact(
                &format!("attempt {number}"),
                &format!("after {after}: {}", attempt.reply),
            );
        }
        let word = match deferral.greylisted {
            true => "greylisted",
            false => "deferred",
        };
        fact(word, &duration(seconds(deferral.seconds)));
    }
    for entry in &evidence.entries {
        fact("entry", entry);
    }
    for arrival in &evidence.arrivals {
        let after = arrival
            .after_seconds
            .map_or_else(|| "?".to_owned(), |after| duration(seconds(after)));
        fact(
            "seen",
            &format!(
                "{} in {} (uid {}) after {after}",
                arrival.mailbox, arrival.folder, arrival.uid
            ),
        );
        for result in &arrival.authentication_results {
            fact("results", result);
        }
    }
    for answer in &evidence.answers {
        fact("answer", answer);
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_as_long_as_its_phase() {
        // 40 columns for 40 seconds.
        for (before, spent, drawn) in [
            (0.0, 40.0, "▇".repeat(40)),
            (0.0, 2.0, "▇▇".to_owned()),
            (3.0, 1.0, "   ▇".to_owned()),
            (0.0, 0.2, "▏".to_owned()),
            // It only crosses the middle of a column.
            (0.45, 0.1, "▏".to_owned()),
            (40.0, 0.0, " ".repeat(39) + "▏"),
        ] {
            assert_eq!(bar(before, spent, 40.0), drawn, "{spent} after {before}");
        }
        assert_eq!(bar(0.0, 0.0, 0.0), "▏");
    }

    #[test]
    fn clock_of_the_first_hop_is_compared_as_well_as_whole_seconds_allow() {
        for (skew, words) in [
            (0.4, "agrees with ours"),
            (-0.99, "agrees with ours"),
            (-1.9, "agrees with ours"),
            (0.7, "is 1 s ahead of ours"),
            (90.0, "is 1 m 30 s ahead of ours"),
            (-3.2, "is 3 s behind ours"),
            (-7200.0, "is 2 h behind ours"),
        ] {
            assert_eq!(beside_ours(skew), words, "{skew}");
        }
    }

    #[test]
    fn moment_is_shown_in_whole_seconds() {
        assert_eq!(
            moment("2026-11-21T10:58:37.527261675Z"),
            "2026-11-21 10:58:37 UTC"
        );
        assert_eq!(moment("soon"), "soon");
    }
}
