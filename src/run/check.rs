//! One check: one step against one target.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use postrider_probes::context::{Context, Surroundings};
use postrider_probes::kinds::deliver::Family;
use postrider_probes::limit::{Limit, Limits};
use postrider_probes::outcome::{Finding, Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_probes::reason::Reason;
use postrider_probes::target::Target;
use postrider_wire::message::tag::EntryId;
use tokio::time::Instant;

use super::event::{CheckFinished, CheckName, Event};
use super::opening::Opening;
use super::steps::{Planned, What};
use super::{Cancel, Engine, variables};
use crate::config::plan::Scenario;

/// A check that is about to run.
pub(super) struct Check {
    pub(super) engine: Arc<Engine>,
    pub(super) scenario: Arc<Scenario>,
    pub(super) run: String,
    pub(super) planned: Planned,
    /// When the run began.
    pub(super) started: Instant,
    /// Of the scenario's part of the run, from then on.
    pub(super) limit: Limit,
    pub(super) cancel: Cancel,
    /// The step that did not pass, when this one needs it.
    pub(super) needs: Option<String>,
}

/// How a check ended.
pub(super) struct Finished {
    pub(super) status: Status,
}

impl Check {
    /// Waits until mail may be sent, when this check would send any.
    pub(super) async fn opened(&self, opening: &Opening) {
        let step = &self.scenario.steps[self.planned.step_index];
        if self.needs.is_none() && matches!(self.planned.what, What::Probe(_)) {
            opening
                .of(&self.engine, &self.scenario, step, &self.cancel)
                .await;
        }
    }

    pub(super) async fn perform(self) -> Finished {
        let step = &self.scenario.steps[self.planned.step_index];
        let name = CheckName {
            run: self.run.clone(),
            number: self.planned.number,
            scenario: self.scenario.name.clone(),
            step: step.id.clone(),
            kind: step.probe.name(),
            target: self.planned.target().cloned(),
            port: self.planned.target().map(|_| self.port()),
        };
        let started = Instant::now();
        let started_at = (self.engine.now)();
        self.engine.emit(Event::CheckStarted(name.clone())).await;
        // One probe's panic is that probe's error, never the program's end.
        let outcome = AssertUnwindSafe(self.outcome())
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                single(Finding::new(
                    Reason::Internal,
                    "the probe panicked; this is a defect of postrider",
                ))
            });
        for entry in outcome
            .evidence
            .entries
            .iter()
            .filter_map(|entry| entry.parse::<EntryId>().ok())
        {
            self.engine.pipeline.release(entry).await;
        }
        let status = outcome.status();
        self.engine
            .emit(Event::CheckFinished(Box::new(CheckFinished {
                check: name,
                title: step.title.clone(),
                source: step.source.clone(),
                started_at,
                took: started.elapsed(),
                outcome,
            })))
            .await;
        Finished { status }
    }

    async fn outcome(&self) -> Outcome {
        let step = &self.scenario.steps[self.planned.step_index];
        if let Some(needed) = &self.needs {
            return single(Finding::new(
                Reason::NeedsStep,
                format!("needs {needed}, which did not pass"),
            ));
        }
        if self.cancel.borrow().is_some() && !step.always {
            return single(Finding::new(
                Reason::Cancelled,
                "the run was cancelled before this check began",
            ));
        }
        let target = match &self.planned.what {
            What::Findings(findings) => {
                let mut outcome = Outcome::default();
                findings
                    .iter()
                    .cloned()
                    .for_each(|finding| outcome.add(finding));
                self.tell_seen(&mut outcome);
                return outcome;
            }
            What::Probe(target) => target.as_ref(),
        };
        let plan = &self.engine.plan;
        let post = self
            .engine
            .pipeline
            .post(&self.run, &self.scenario.name, &step.id);
        let around = Surroundings {
            net: self.engine.net.as_ref(),
            post: &post,
            senders: &plan.senders,
            mailboxes: &plan.mailboxes,
            platform: &plan.platform,
            slots: &self.engine.slots,
            now: self.engine.now,
        };
        let mut variables = variables::of_run(plan, &self.run);
        if let Some(target) = target {
            variables::add_item(&mut variables, target, self.port());
        }
        let label = format!("{}/{}", self.scenario.name, step.id);
        let cx = Context::new(
            &around,
            &self.scenario.message,
            target,
            &variables,
            &self.run,
            &label,
        );
        if let (Some(lookup), Some(_)) = (self.planned.lookup, target) {
            cx.spent(Phase::Dns, lookup);
        }
        let mut cancel = self.cancel.clone();
        let cancelled = async {
            if step.always || cancel.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let began = Instant::now();
        step.probe.run(&cx, self.limits(), cancelled).await;
        let mut outcome = cx.finish();
        self.tell_seen(&mut outcome);
        let family = family(target, &outcome);
        self.engine.vantage.judge(&mut outcome, family, began).await;
        outcome
    }

    fn tell_seen(&self, outcome: &mut Outcome) {
        for seen in self.planned.seen.iter().cloned() {
            outcome.observe(seen);
        }
    }

    fn limits(&self) -> Limits {
        let step = &self.scenario.steps[self.planned.step_index];
        let own = match step.timeout {
            Some(length) => Limit {
                length,
                whose: "the step's",
            },
            None => Limit {
                length: step.probe.longest(&self.scenario.message),
                whose: "the check's own",
            },
        };
        Limits {
            own,
            outer: self.limit,
            ends: self.started + self.limit.length,
        }
    }

    fn port(&self) -> u16 {
        let step = &self.scenario.steps[self.planned.step_index];
        step.probe
            .port()
            .or(self.engine.plan.platform.smtp_port)
            .unwrap_or(25)
    }
}

/// Of the target, or of the address that was connected to last.
fn family(target: Option<&Target>, outcome: &Outcome) -> Option<Family> {
    let smtp = outcome.evidence.smtp.as_ref();
    let address = target
        .map(|target| target.address)
        .or_else(|| smtp.and_then(|smtp| smtp.address))?;
    Some(match address.is_ipv4() {
        true => Family::Ipv4,
        false => Family::Ipv6,
    })
}

fn single(finding: Finding) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.add(finding);
    outcome
}
