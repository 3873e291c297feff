//! One check in full: where the time went, the hops, what the servers said.

use std::fmt::Write as _;
use std::time::Duration;

use postrider_probes::phase::Phase;
use postrider_probes::span::{duration, share};

use super::human::reasons;
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
        run.started_at,
        word(run.status),
        run.vantage,
        run.origin,
        run.version
    ))
}

/// One check on one page.
#[must_use]
pub fn page(check: &CheckResult, transcript: bool, style: Style) -> String {
    let mut text = String::new();
    let target = check
        .target
        .as_ref()
        .map(|target| {
            let node = target
                .node
                .as_ref()
                .map(|node| format!("  {node} ({})", target.role))
                .unwrap_or_default();
            format!("  {}  {}{node}", target.mx, target.address)
        })
        .unwrap_or_default();
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
    facts(check, style, &mut text);
    let _ = writeln!(
        text,
        "\n  {}",
        style.text(&format!(
            "{}:{} · {} · {}",
            check.source.file, check.source.line, check.kind, check.started_at
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
        let start = column(before, total);
        let end = column(before + spent, total);
        let bar = if end > start {
            "▇".repeat(end - start)
        } else {
            "▏".to_owned()
        };
        let beside = beside(check, phase)
            .map(|fact| format!("  {fact}"))
            .unwrap_or_default();
        let row = format!(
            "  {:<12} {:>9}  {}{bar}{beside}",
            phase.name(),
            duration(seconds(*spent)),
            " ".repeat(start.min(BAR - 1))
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
    for hop in &arrival.hops {
        let Some(spent) = hop.seconds else { continue };
        let from = hop.from.as_deref().unwrap_or("?");
        let much = if spent >= 1.0 && spent >= transit / 2.0 {
            format!("  ◄ {}", share(spent / transit.max(spent)))
        } else {
            String::new()
        };
        let skew = if hop.skewed { "  clocks disagree" } else { "" };
        let row = format!(
            "     {from} → {}   {}{much}{skew}",
            hop.by,
            duration(seconds(spent))
        );
        let _ = writeln!(text, "{}", style.text(&row));
    }
    if let Some(skew) = arrival.skew_seconds.filter(|_| !arrival.hops.is_empty()) {
        let row = format!(
            "     hop clocks are the servers' own, in whole seconds; the first is {skew:+.1} s from ours"
        );
        let _ = writeln!(text, "{}", style.text(&row));
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
    if let Some(tls) = &evidence.tls {
        fact(
            "certificate",
            &format!("{} · issued by {}", tls.names.join(", "), tls.issuer),
        );
        fact(
            "",
            &format!(
                "valid until {} · SHA-256 {}",
                tls.not_after.as_deref().unwrap_or("?"),
                tls.fingerprint
            ),
        );
        fact("cipher", &format!("{} {}", tls.version, tls.cipher));
    }
    if let Some(smtp) = &evidence.smtp {
        if !smtp.keywords.is_empty() {
            fact("ehlo", &smtp.keywords.join(", "));
        }
        if let Some(id) = &smtp.queue_id {
            fact("queue id", id);
        }
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
