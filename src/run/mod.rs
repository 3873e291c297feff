//! One run: the selected steps of the selected scenarios, once. All that leaves it is a stream of events.

mod check;
pub mod document;
pub mod event;
mod id;
mod opening;
pub mod select;
pub mod steps;
pub mod targets;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::limit::Limit;
use postrider_probes::net::Net;
use postrider_probes::outcome::Status;
use postrider_probes::slots::Slots;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::check::{Check, Finished};
use self::event::{Event, RunFinished, RunStarted};
pub use self::id::{Ids, new_id};
use self::opening::Opening;
use self::select::Selection;
use self::steps::Planned;
use crate::config::plan::{Plan, Scenario, StepsRun};
use crate::mailbox::Watches;
use crate::pipeline::PipelineHandle;
use crate::vantage::Vantage;

/// What runs need.
#[derive(Debug)]
pub struct Engine {
    /// What to run.
    pub plan: Arc<Plan>,
    /// Names and connections.
    pub net: Arc<dyn Net>,
    /// Where events and mails are booked.
    pub pipeline: PipelineHandle,
    /// Where mail is waited for.
    pub watches: Watches,
    /// Connections per address, shared with runs under other plans.
    pub slots: Arc<Slots>,
    /// Whether the vantage itself is all right.
    pub vantage: Arc<Vantage>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
}

/// What one run is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The run's id.
    pub id: String,
    /// What it takes of the plan.
    pub selection: Selection,
    /// Checks at the same time.
    pub jobs: usize,
    /// Who asks: `cli user@host`.
    pub origin: String,
    /// Another limit for the whole run than the scenarios' own.
    pub timeout: Option<Duration>,
    /// When it was planned to start, when it was planned at all.
    pub planned: Option<PlannedStart>,
}

/// When a run was planned to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedStart {
    /// The moment.
    pub at: Timestamp,
    /// How long ago that is, by the monotonic clock.
    pub late: Duration,
}

/// Set to a reason when the run must end early.
pub type Cancel = watch::Receiver<Option<String>>;

impl Engine {
    /// Runs, and tells the pipeline everything. Gives the number of checks by status.
    pub async fn execute(self: &Arc<Self>, request: &Request, cancel: &Cancel) -> RunFinished {
        let started = Instant::now();
        let started_at = (self.now)();
        let planned = request.planned.unwrap_or(PlannedStart {
            at: started_at,
            late: Duration::ZERO,
        });
        let scenarios = request.selection.scenarios(&self.plan);
        self.emit(Event::RunStarted(RunStarted {
            run: request.id.clone(),
            origin: request.origin.clone(),
            vantage: self.plan.vantage.clone(),
            config_sha256: self.plan.sha256.clone(),
            scenarios: scenarios
                .iter()
                .map(|scenario| (scenario.name.clone(), scenario.title.clone()))
                .collect(),
            planned_at: planned.at,
            late: planned.late,
            started_at,
        }))
        .await;
        let opening = Arc::new(Opening::begin(self, &scenarios, &request.selection));
        let planning = steps::plan(
            &self.plan,
            self.net.as_ref(),
            &request.selection,
            &request.id,
            &scenarios,
        );
        let mut cancelled = cancel.clone();
        let planned = tokio::select! {
            planned = planning => planned,
            Ok(_) = cancelled.wait_for(Option::is_some) => steps::unplanned(&request.selection, &scenarios),
        };
        let jobs = Arc::new(Semaphore::new(request.jobs.max(1)));
        let mut running = JoinSet::new();
        for (index, scenario) in scenarios.iter().enumerate() {
            let checks: Vec<Planned> = planned
                .iter()
                .filter(|check| check.scenario_index == index)
                .cloned()
                .collect();
            let run = ScenarioRun {
                engine: Arc::clone(self),
                scenario: Arc::new((*scenario).clone()),
                run: request.id.clone(),
                jobs: Arc::clone(&jobs),
                opening: Arc::clone(&opening),
                started,
                limit: limit(request, scenario),
                cancel: cancel.clone(),
            };
            running.spawn(run.execute(checks));
        }
        let mut worst = Status::Skip;
        while let Some(statuses) = running.join_next().await {
            // A scenario's task only waits for its checks, whose panics are caught one by one.
            for status in statuses.unwrap_or_else(|_| vec![Status::Error]) {
                worst = worst.max(status);
            }
        }
        let finished = RunFinished {
            run: request.id.clone(),
            status: worst,
            took: started.elapsed(),
            cancelled: cancel.borrow().clone(),
        };
        self.emit(Event::RunFinished(finished.clone())).await;
        finished
    }

    async fn emit(&self, event: Event) {
        // A pipeline that has ended has nobody left to tell.
        let _ = self.pipeline.events().send(event).await;
    }
}

/// The limit of a scenario's part of a run.
fn limit(request: &Request, scenario: &Scenario) -> Limit {
    match request.timeout {
        Some(length) => Limit {
            length,
            whose: "the run's",
        },
        None => Limit {
            length: scenario.timeout,
            whose: "the scenario's",
        },
    }
}

/// One scenario's part of a run.
struct ScenarioRun {
    engine: Arc<Engine>,
    scenario: Arc<Scenario>,
    run: String,
    jobs: Arc<Semaphore>,
    opening: Arc<Opening>,
    started: Instant,
    limit: Limit,
    cancel: Cancel,
}

impl ScenarioRun {
    async fn execute(self, checks: Vec<Planned>) -> Vec<Status> {
        let mut statuses = Vec::new();
        match self.scenario.steps_run {
            StepsRun::Together => statuses.extend(self.all(checks, None).await),
            StepsRun::InOrder => {
                let mut broken: Option<String> = None;
                for (index, step) in self.scenario.steps.iter().enumerate() {
                    let now: Vec<Planned> = checks
                        .iter()
                        .filter(|check| check.step_index == index)
                        .cloned()
                        .collect();
                    let skipped = broken.clone().filter(|_| !step.always);
                    let ended = self.all(now, skipped.as_deref()).await;
                    if ended
                        .iter()
                        .any(|status| matches!(status, Status::Fail | Status::Error))
                        && broken.is_none()
                    {
                        broken = Some(step.id.clone());
                    }
                    statuses.extend(ended);
                }
            }
        }
        statuses
    }

    /// The checks of a step (or of all steps), at the same time.
    async fn all(&self, checks: Vec<Planned>, needs: Option<&str>) -> Vec<Status> {
        let mut running = JoinSet::new();
        for planned in checks {
            let check = Check {
                engine: Arc::clone(&self.engine),
                scenario: Arc::clone(&self.scenario),
                run: self.run.clone(),
                planned,
                started: self.started,
                limit: self.limit,
                cancel: self.cancel.clone(),
                needs: needs.map(str::to_owned),
            };
            let (jobs, opening) = (Arc::clone(&self.jobs), Arc::clone(&self.opening));
            running.spawn(async move {
                // Before the permit: who waits for a mailbox must not keep others from running.
                check.opened(&opening).await;
                let _permit = jobs.acquire_owned().await;
                check.perform().await
            });
        }
        let mut statuses = Vec::new();
        while let Some(ended) = running.join_next().await {
            statuses.push(ended.map_or(Status::Error, |Finished { status }| status));
        }
        statuses
    }
}
