//! What came of a check, as samples and as a log.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use postrider_probes::outcome::{Outcome, Status, TlsFacts};
use postrider_probes::phase::Phase;

use super::modules::Module;

/// A check that ended.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) module: Module,
    pub(super) outcome: &'a Outcome,
    pub(super) took: Duration,
    /// The address that was asked for.
    pub(super) address: Option<IpAddr>,
}

impl Measured<'_> {
    fn is_success(&self) -> bool {
        matches!(self.outcome.status(), Status::Pass | Status::Degraded)
    }

    fn tls(&self) -> Option<&TlsFacts> {
        let tls = self.outcome.evidence.tls.as_ref();
        tls.filter(|tls| !tls.fingerprint.is_empty())
    }

    fn address(&self) -> Option<IpAddr> {
        let evidence = &self.outcome.evidence;
        let of_tls = evidence.tls.as_ref().and_then(|tls| tls.address);
        of_tls
            .map(|address| address.ip())
            .or_else(|| evidence.smtp.as_ref()?.address)
            .or(self.address)
    }

    /// Of the certificate and of everything that came with it.
    fn earliest_end(&self) -> Option<jiff::Timestamp> {
        let tls = self.tls()?;
        let chain = tls.chain.iter().map(|link| link.not_after);
        std::iter::once(tls.not_after).chain(chain).flatten().min()
    }
}

/// The samples, in the text format.
pub(super) fn metrics(measured: &Measured<'_>) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, samples: &[(String, f64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| [(String::new(), value)];
    let phases = &measured.outcome.phases;
    gauge(
        "probe_success",
        "1 if everything held, else 0.",
        &one(if measured.is_success() { 1.0 } else { 0.0 }),
    );
    gauge(
        "probe_duration_seconds",
        "How long the whole check took.",
        &one(measured.took.as_secs_f64()),
    );
    gauge(
        "probe_dns_lookup_time_seconds",
        "How long the questions to DNS took.",
        &one(phases.get(Phase::Dns).unwrap_or_default().as_secs_f64()),
    );
    gauge(
        "probe_ip_protocol",
        "4 or 6, by the address that was contacted; 0 when there was none.",
        &one(match measured.address() {
            Some(IpAddr::V4(_)) => 4.0,
            Some(IpAddr::V6(_)) => 6.0,
            None => 0.0,
        }),
    );
    if let Some(end) = measured.earliest_end() {
        gauge(
            "probe_ssl_earliest_cert_expiry",
            "When the first certificate of the chain ends, in seconds since 1970.",
            &one(end.as_second() as f64),
        );
    }
    if let Some(tls) = measured.tls().filter(|tls| !tls.version.is_empty()) {
        let spelt = tls.version.replacen("TLSv", "TLS ", 1);
        gauge(
            "probe_tls_version_info",
            "1; the version is the label.",
            &[(format!("{{version=\"{spelt}\"}}"), 1.0)],
        );
    }
    if measured.module.is_smtp() {
        let of_dialogue = phases.iter().filter(|(phase, _)| *phase != Phase::Dns);
        let samples: Vec<(String, f64)> = of_dialogue
            .map(|(phase, spent)| (format!("{{phase=\"{phase}\"}}"), spent.as_secs_f64()))
            .collect();
        if !samples.is_empty() {
            gauge(
                "probe_smtp_duration_seconds",
                "How long each part of the dialogue took.",
                &samples,
            );
        }
    }
    if measured.module == Module::DnsMx {
        let answers = if measured.is_success() {
            measured.outcome.evidence.answers.len()
        } else {
            0
        };
        gauge(
            "probe_dns_answer_rrs",
            "Records in the answer.",
            &one(answers as f64),
        );
    }
    text
}

/// What happened, line by line. Nothing in a transcript is a secret.
pub(super) fn log(measured: &Measured<'_>, target: &str) -> String {
    let outcome = measured.outcome;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "module {} target {}: {}",
        measured.module.name(),
        target.escape_debug(),
        outcome.status()
    );
    for finding in &outcome.findings {
        let _ = writeln!(text, "{}", finding.line());
    }
    for (phase, spent) in outcome.phases.iter() {
        let _ = writeln!(text, "{phase} {:.3} s", spent.as_secs_f64());
    }
    for answer in &outcome.evidence.answers {
        let _ = writeln!(text, "{answer}");
    }
    for line in &outcome.evidence.transcript {
        let at = line.at.as_secs_f64();
        let _ = writeln!(text, "{at:7.3} {} {}", line.mark.glyph(), line.text);
    }
    text
}
