//! What is measured, and which measurements belong together.

use std::ops::RangeInclusive;
use std::time::Duration;

use postrider_probes::phase::Phase;
use postrider_probes::reason::Reason;

use crate::result::{CheckResult, StatusWord, TargetResult};

/// Which check is meant, over all runs: one step against one target. Runs that people start are never mixed with
/// those of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckKey {
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// `mx1.example.net [192.0.2.1]:25`; empty when the step is not aimed at an address.
    pub target: String,
    /// It was not the schedule that started it.
    pub manual: bool,
}

impl CheckKey {
    /// The check of a result document.
    #[must_use]
    pub fn of(check: &CheckResult, manual: bool) -> Self {
        Self {
            scenario: check.scenario.clone(),
            step: check.step.clone(),
            target: check.target.as_ref().map(target).unwrap_or_default(),
            manual,
        }
    }

    /// The check that sent a mail by this route. A route that DNS chose names no address, and such a step has no
    /// target either.
    #[must_use]
    pub fn of_mail(scenario: &str, step: &str, route: &str, manual: bool) -> Self {
        let target = if route.contains('[') { route } else { "" };
        Self {
            scenario: scenario.to_owned(),
            step: step.to_owned(),
            target: target.to_owned(),
            manual,
        }
    }
}

/// Whether a run was started by somebody, not by the schedule: it then never enters objectives and baselines.
#[must_use]
pub fn is_manual(origin: &str) -> bool {
    origin.split(' ').next() != Some("schedule")
}

/// A phase of a check as it enters its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// It came to its end.
    Took(Duration),
    /// The check ended in it: how long it would have taken nobody knows.
    Unfinished,
}

/// The phases of a check that enter its series. How long the mail was under way is not among them: that comes from
/// the ledger, which still knows it when the mail is late and the check over.
pub fn timed(check: &CheckResult) -> impl Iterator<Item = (Phase, Timed)> {
    let phases = check
        .phases_seconds
        .iter()
        .filter_map(|(name, seconds)| Some((Phase::from_name(name)?, *seconds)));
    let known: Vec<Phase> = phases.clone().map(|(phase, _)| phase).collect();
    let broke_off: Vec<Phase> = broken(check)
        .filter_map(|among| known.iter().copied().filter(|it| among.contains(it)).max())
        .collect();
    phases
        .filter(|(phase, _)| *phase != Phase::Transit)
        .map(move |(phase, seconds)| {
            let took = Duration::try_from_secs_f64(seconds);
            match took {
                Ok(took) if !broke_off.contains(&phase) => (phase, Timed::Took(took)),
                _ => (phase, Timed::Unfinished),
            }
        })
}

/// Of each finding that means that a phase never came to its end: the phases that it may have been. An expectation that
/// did not hold is none of them, and neither is a preference: then the check went on.
fn broken(check: &CheckResult) -> impl Iterator<Item = RangeInclusive<Phase>> {
    let is_broken = |status| matches!(status, StatusWord::Fail | StatusWord::Error);
    let worst = check.reason.iter().filter(move |_| is_broken(check.status));
    let findings = check.findings.iter();
    let findings = findings.filter(move |finding| is_broken(finding.status));
    worst
        .chain(findings.map(|finding| &finding.reason))
        .filter_map(|code| broke_in(Reason::from_code(code)?))
}

/// The phases of which a check with this reason broke off in the last that it entered.
fn broke_in(reason: Reason) -> Option<RangeInclusive<Phase>> {
    match reason {
        Reason::DnsTimeout | Reason::VantageDns => Some(Phase::Dns..=Phase::Dns),
        Reason::ConnectRefused
        | Reason::ConnectTimeout
        | Reason::VantageOffline
        | Reason::VantageNoIpv6
        | Reason::VantagePort25Blocked => Some(Phase::Connect..=Phase::Connect),
        Reason::BannerTimeout => Some(Phase::Banner..=Phase::Banner),
        Reason::TlsHandshake | Reason::TlsVersion => Some(Phase::Tls..=Phase::Starttls),
        Reason::SmtpTimeout => Some(Phase::Tls..=Phase::Data),
        Reason::ConnectReset => Some(Phase::Connect..=Phase::Data),
        Reason::HttpTimeout => Some(Phase::Http..=Phase::Http),
        Reason::ImapUnavailable => Some(Phase::Connect..=Phase::ImapFetch),
        // What waits for a mail is cut off in `transit`, long after the dialogue came to its end.
        Reason::Overrun | Reason::Cancelled | Reason::Internal => Some(Phase::Dns..=Phase::Http),
        _ => None,
    }
}

/// As the ledger names routes.
fn target(target: &TargetResult) -> String {
    let TargetResult {
        mx, address, port, ..
    } = target;
    format!("{mx} [{address}]:{}", port.unwrap_or(25))
}
