//! One mail's whole life: the published document, and the page for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use postrider_probes::span::duration;
use serde::Serialize;

use crate::result::ArrivalResult;

/// One mail's life, as it is published.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// Version of this document.
    pub schema_version: &'static str,
    /// Its entry.
    pub entry: String,
    /// Where it stands, or stood from then on.
    pub state: &'static str,
    /// Without the angle brackets.
    pub message_id: String,
    /// Envelope sender.
    pub sender: String,
    /// Envelope recipient.
    pub recipient: String,
    /// Where it went, for people.
    pub route: String,
    /// The mailbox where it belongs; none when nobody looks for it.
    pub mailbox: Option<String>,
    /// The folder where it belongs.
    pub folder: String,
    /// The run.
    pub run: String,
    /// The number of the check in the run.
    pub check: Option<u32>,
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// How often it was sent, or was to be sent.
    pub attempts: usize,
    /// From the first refusal with 4yz to the acceptance.
    pub deferred_seconds: Option<f64>,
    /// From the final reply to the first copy.
    pub latency_seconds: Option<f64>,
    /// Measured by the wall clock, because the program was started again in between.
    pub latency_on_wall_clock: bool,
    /// Copies seen.
    pub copies: usize,
    /// Its facts, in order.
    pub events: Vec<Event>,
    /// Copies that its check saw, with their hops.
    pub arrivals: Vec<ArrivalResult>,
}

/// One event, in words.
#[derive(Debug, Serialize)]
pub struct Event {
    /// Its number in the ledger.
    pub number: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// Since the first fact.
    pub after_seconds: f64,
    /// Its kind.
    pub what: &'static str,
    /// In words.
    pub text: String,
    /// Where it stands, or stood from then on.
    pub state: &'static str,
    /// What had been said of it, wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<&'static str>,
}

/// The document, indented.
///
/// # Errors
/// When a value cannot be written as JSON; the types exclude that.
pub fn document(trace: &Trace) -> serde_json::Result<String> {
    serde_json::to_string_pretty(trace).map(|text| text + "\n")
}

/// One page.
#[must_use]
pub fn page(trace: &Trace) -> String {
    let mut text = format!("mail {}  {}\n", trace.entry, trace.state);
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<11} {value}");
    };
    fact("from", &trace.sender);
    fact("to", &trace.recipient);
    fact("route", &trace.route);
    fact("Message-ID", &format!("<{}>", trace.message_id));
    let mailbox = trace.mailbox.as_deref().unwrap_or("nobody looks for it");
    fact("expected in", &format!("{mailbox} {}", trace.folder));
    let check = trace
        .check
        .map(|number| format!("/{number}"))
        .unwrap_or_default();
    fact(
        "sent by",
        &format!(
            "{}/{} in run {}{check}",
            trace.scenario, trace.step, trace.run
        ),
    );
    let seconds = |seconds: f64| duration(std::time::Duration::from_secs_f64(seconds.max(0.0)));
    if let Some(deferred) = trace.deferred_seconds {
        fact(
            "deferred",
            &format!("{} over {} attempts", seconds(deferred), trace.attempts),
        );
    }
    if let Some(latency) = trace.latency_seconds {
        fact("latency", &seconds(latency));
    }
    fact("copies", &trace.copies.to_string());
    text.push('\n');
    for event in &trace.events {
        let at: Result<Timestamp, _> = event.at.parse();
        let at = at.map_or_else(
            |_| event.at.clone(),
            |at| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        );
        let _ = writeln!(
            text,
            "  {at}  {:>9}  {:<12} {}",
            format!("+{}", seconds(event.after_seconds)),
            event.what,
            event.text
        );
        if let Some(wrong) = event.corrected {
            let _ = writeln!(
                text,
                "  {:>36}  {:<12} {} was wrong, it is {}",
                "", "corrected", wrong, event.state
            );
        }
    }
    for arrival in &trace.arrivals {
        let _ = writeln!(
            text,
            "\n  hops to {} {} (the servers' own clocks)",
            arrival.mailbox, arrival.folder
        );
        for hop in &arrival.hops {
            let spent = hop.seconds.map(seconds).unwrap_or_default();
            let skew = match hop.skewed {
                true => "  clocks disagree",
                false => "",
            };
            let _ = writeln!(text, "  {spent:>9}  {}{skew}", hop.by);
        }
    }
    if let Some(number) = trace.check {
        let _ = writeln!(
            text,
            "\n  the dialogue: postrider show {}/{number} --transcript",
            trace.run
        );
    }
    text
}
