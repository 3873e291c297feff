//! From a run's events to metrics.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_probes::target::Target;

use super::State;
use super::catalogue::Family;
use super::expected::KnownStep;
use super::series::Table;
use crate::run::event::{CheckFinished, CheckName, Event, RunFinished, RunMissed, RunStarted};

/// Metrics of one check: scenario, step, MX host and address are their first labels.
const OF_A_CHECK: [Family; 6] = [
    Family::CheckSuccess,
    Family::CheckStatus,
    Family::Checks,
    Family::CheckFailures,
    Family::CheckLastRun,
    Family::CheckLastSuccess,
];
/// The replies that servers have reason to give (RFC 5321, 4954, 3207, 7504, 7505, 1870).
const CODES: [u16; 42] = [
    211, 214, 220, 221, 235, 250, 251, 252, 334, 354, 421, 432, 450, 451, 452, 454, 455, 458, 459,
    500, 501, 502, 503, 504, 521, 523, 525, 530, 534, 535, 538, 541, 550, 551, 552, 553, 554, 555,
    556, 571, 557, 558,
];
/// Runs that are followed at the same time.
const MOST_RUNS: usize = 10_000;

/// A run that has not ended.
#[derive(Debug, Default)]
pub(super) struct OpenRun {
    scenarios: Vec<String>,
    scheduled: bool,
    steps: BTreeMap<(String, String), Seen>,
}

/// What was seen of a step in a run.
#[derive(Debug, Default)]
struct Seen {
    /// MX host and address of its checks.
    targets: BTreeSet<(String, String)>,
    /// The status of a check without a target, when there was one.
    bare: Option<Status>,
    /// The look-up that all checks of the step share was counted.
    looked_up: bool,
}

pub(super) type OpenRuns = HashMap<String, OpenRun>;

impl State {
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted(started) => self.run_started(started),
            Event::CheckStarted(name) => self.check_started(name),
            Event::CheckFinished(finished) => self.check_finished(finished),
            Event::RunFinished(finished) => self.run_finished(finished),
            Event::RunMissed(missed) => self.run_missed(missed),
        }
    }

    fn run_started(&mut self, started: &RunStarted) {
        let scheduled = started.origin == "schedule";
        let scenarios: Vec<String> = started
            .scenarios
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| self.scenarios.contains(name))
            .collect();
        if scheduled {
            let late = started.late.as_secs_f64();
            for scenario in &scenarios {
                self.table
                    .observe(Family::RunStartDelay, &[scenario], late, None);
            }
        }
        if self.runs.len() < MOST_RUNS {
            let run = OpenRun {
                scenarios,
                scheduled,
                ..OpenRun::default()
            };
            self.runs.insert(started.run.clone(), run);
        }
    }

    fn run_missed(&mut self, missed: &RunMissed) {
        if self.scenarios.contains(&missed.scenario) {
            let labels = [missed.scenario.as_str()];
            self.table
                .add(Family::RunsMissed, &labels, missed.times as f64);
        }
    }

    fn check_started(&mut self, name: &CheckName) {
        if let Some(step) = self.known.get(&key(name)).cloned() {
            let (mx, address) = target_labels(name.target.as_ref());
            expect(
                &mut self.table,
                &name.scenario,
                &name.step,
                &step,
                &mx,
                &address,
            );
        }
    }

    fn check_finished(&mut self, finished: &CheckFinished) {
        let CheckFinished {
            check,
            outcome,
            started_at,
            took,
            ..
        } = finished;
        let Some(step) = self.known.get(&key(check)).cloned() else {
            return;
        };
        let (mx, address) = target_labels(check.target.as_ref());
        let status = outcome.status();
        let at = started_at.saturating_add(*took).unwrap_or(*started_at);
        let (scenario, id) = (check.scenario.as_str(), check.step.as_str());
        expect(&mut self.table, scenario, id, &step, &mx, &address);
        let labels = [scenario, id, &mx, &address];
        judge(&mut self.table, &labels, status, at);
        self.table.add(Family::Checks, &labels, 1.0);
        if let Some(worst) = outcome.findings.first() {
            let reason = worst.reason.code();
            match status {
                Status::Fail => {
                    let labels = [scenario, id, &mx, &address, reason];
                    self.table.add(Family::CheckFailures, &labels, 1.0);
                }
                Status::Error => {
                    self.table
                        .add(Family::CheckErrors, &[scenario, id, reason], 1.0);
                }
                Status::Pass | Status::Degraded | Status::Skip => {}
            }
        }
        let seen = self
            .runs
            .get_mut(&check.run)
            .map(|run| run.steps.entry(key(check)).or_default());
        let mut fresh_lookup = true;
        if let Some(seen) = seen {
            match &check.target {
                Some(_) => {
                    seen.targets.insert((mx.clone(), address.clone()));
                }
                None => seen.bare = seen.bare.max(Some(status)),
            }
            // The checks of an expansion share one look-up; each of them shows its time.
            fresh_lookup = !(step.expands && std::mem::replace(&mut seen.looked_up, true));
        }
        self.times(scenario, id, &mx, &step, outcome, fresh_lookup);
        self.servers(scenario, id, outcome);
    }

    fn times(
        &mut self,
        scenario: &str,
        id: &str,
        mx: &str,
        step: &KnownStep,
        outcome: &Outcome,
        fresh_lookup: bool,
    ) {
        for (phase, spent) in outcome.phases.iter() {
            // How long we waited for what never came is not how long it takes.
            if phase == Phase::Transit && outcome.evidence.arrivals.is_empty() {
                continue;
            }
            let seconds = spent.as_secs_f64();
            let labels = [scenario, id, mx, phase.name()];
            self.table
                .observe(Family::PhaseDuration, &labels, seconds, None);
            if phase == Phase::Dns && fresh_lookup {
                let labels = [scenario, id, &step.record_type];
                self.table
                    .observe(Family::DnsLookupDuration, &labels, seconds, None);
            }
        }
    }

    fn servers(&mut self, scenario: &str, id: &str, outcome: &Outcome) {
        for reply in &outcome.evidence.replies {
            let host = reply.host.as_deref().unwrap_or_default();
            let code = code(reply.code);
            let labels = [scenario, id, &host.to_ascii_lowercase(), reply.verb, &code];
            self.table.add(Family::SmtpReplies, &labels, 1.0);
        }
        let sessions = outcome.evidence.tls.iter();
        for tls in sessions.chain(&outcome.evidence.more_tls) {
            let (Some(not_after), Some(at)) = (tls.not_after, tls.address) else {
                continue;
            };
            let (address, port) = (at.ip().to_string(), at.port().to_string());
            let labels = [
                scenario,
                id,
                &tls.host.to_ascii_lowercase(),
                &address,
                &port,
            ];
            self.table
                .set(Family::CertificateNotAfter, &labels, seconds(not_after));
        }
    }

    fn run_finished(&mut self, finished: &RunFinished) {
        let Some(run) = self.runs.remove(&finished.run) else {
            return;
        };
        let known = |name: &&String| self.scenarios.contains(*name);
        for scenario in run.scenarios.iter().filter(known) {
            self.table.add(Family::Runs, &[scenario], 1.0);
        }
        // Only a whole run shows which addresses there are.
        if !run.scheduled || finished.cancelled.is_some() {
            return;
        }
        for ((scenario, step), seen) in &run.steps {
            let expands = self.known.get(&(scenario.clone(), step.clone()));
            if expands.is_some_and(|step| step.expands) {
                self.settle_targets(scenario, step, seen);
            }
        }
    }

    /// After a run: series of addresses that DNS does not name any more would show their last status for ever, and those
    /// of a step whose look-up failed would show that all is well.
    fn settle_targets(&mut self, scenario: &str, step: &str, seen: &Seen) {
        let this = [scenario, step];
        if !seen.targets.is_empty() {
            for family in OF_A_CHECK {
                self.table.retain_of(family, &this, |labels| {
                    let (mx, address) = (&labels[2], &labels[3]);
                    let is_bare = mx.is_empty() && address.is_empty();
                    is_bare && seen.bare.is_some()
                        || seen
                            .targets
                            .contains(&(mx.to_string(), address.to_string()))
                });
            }
            return;
        }
        let Some(status) = seen.bare else { return };
        let series = self.table.beginning(Family::CheckSuccess, &this);
        let others: Vec<_> = series.map(|(labels, _)| labels.clone()).collect();
        for labels in others {
            let labels = [&*labels[0], &labels[1], &labels[2], &labels[3]];
            show(&mut self.table, &labels, status);
        }
    }
}

/// Makes the series of a check that will run, or that began.
pub(super) fn expect(
    table: &mut Table,
    scenario: &str,
    id: &str,
    step: &KnownStep,
    mx: &str,
    address: &str,
) {
    let labels = [scenario, id, mx, address];
    if !mx.is_empty() {
        // What stood for it as long as its name was not known.
        for address in [address, ""] {
            let labels = [scenario, id, "", address];
            if !table.has(Family::CheckLastRun, &labels) {
                remove(table, &labels);
            }
        }
    }
    table.ensure(Family::CheckSuccess, &labels);
    for status in Status::ALL {
        let labels = [scenario, id, mx, address, status.name()];
        table.ensure(Family::CheckStatus, &labels);
    }
    table.ensure(Family::Checks, &labels);
    if step.sends && (!step.expands || !mx.is_empty()) {
        for family in [
            Family::MessagesSent,
            Family::MessagesDelivered,
            Family::MessagesLost,
            Family::MessagesLate,
            Family::MessagesDuplicated,
        ] {
            table.ensure(family, &[scenario, id, mx]);
        }
    }
}

/// Removes a check that never ended.
fn remove(table: &mut Table, labels: &[&str; 4]) {
    let [scenario, step, mx, address] = *labels;
    table.remove(Family::CheckSuccess, labels);
    table.remove(Family::Checks, labels);
    for status in Status::ALL {
        let labels = [scenario, step, mx, address, status.name()];
        table.remove(Family::CheckStatus, &labels);
    }
}

/// Removes all checks of a step.
pub(super) fn remove_step(table: &mut Table, scenario: &str, step: &str) {
    for family in OF_A_CHECK {
        table.retain_of(family, &[scenario, step], |_| false);
    }
}

/// What a finished check says.
pub(super) fn judge(table: &mut Table, labels: &[&str; 4], status: Status, at: Timestamp) {
    show(table, labels, status);
    table.set(Family::CheckLastRun, labels, seconds(at));
    if proves(status) {
        table.set(Family::CheckLastSuccess, labels, seconds(at));
    }
}

/// A status, as success and as the one of five.
fn show(table: &mut Table, labels: &[&str; 4], status: Status) {
    table.set(Family::CheckSuccess, labels, number(proves(status)));
    for one in Status::ALL {
        let [scenario, step, mx, address] = *labels;
        let labels = [scenario, step, mx, address, one.name()];
        table.set(Family::CheckStatus, &labels, number(one == status));
    }
}

fn proves(status: Status) -> bool {
    matches!(status, Status::Pass | Status::Degraded)
}

pub(super) fn number(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

pub(super) fn seconds(at: Timestamp) -> f64 {
    // To the millisecond: exact for longer than the type of time goes.
    at.as_millisecond() as f64 / 1000.0
}

fn key(name: &CheckName) -> (String, String) {
    (name.scenario.clone(), name.step.clone())
}

fn target_labels(target: Option<&Target>) -> (String, String) {
    target
        .map(|target| (target.mx.clone(), target.address.to_string()))
        .unwrap_or_default()
}

/// What a server makes up is counted by its class.
fn code(code: u16) -> String {
    match CODES.contains(&code) {
        true => code.to_string(),
        false => format!("{}xx", code / 100),
    }
}
