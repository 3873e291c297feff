//! From steps to checks: every `for_each` is resolved once, at the start of the run.

use std::collections::BTreeSet;

use postrider_probes::outcome::Finding;
use postrider_probes::setting::Variables;
use postrider_probes::target::Target;

use super::{Engine, Request, targets};
use crate::config::plan::{Scenario, Step};

/// A check that will run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// From 1, in the order of the plan.
    pub(super) number: u32,
    pub(super) scenario_index: usize,
    pub(super) step_index: usize,
    pub(super) what: What,
}

/// What there is to do.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// To run the probe, against a target when the step has `for_each`.
    Probe(Option<Target>),
    /// Nothing: the expansion itself found something.
    Findings(Vec<Finding>),
}

impl Planned {
    pub(super) fn target(&self) -> Option<&Target> {
        match &self.what {
            What::Probe(target) => target.as_ref(),
            What::Findings(_) => None,
        }
    }
}

/// The checks of a run, in the order of the plan.
pub(super) async fn plan(engine: &Engine, request: &Request, scenarios: &[&Scenario]) -> Vec<Planned> {
    let mut planned = Vec::new();
    // The same disagreement between DNS and inventory is told once, not by every step that expands the domain.
    let mut told = BTreeSet::new();
    for (scenario_index, scenario) in scenarios.iter().enumerate() {
        for (step_index, step) in scenario.steps.iter().enumerate() {
            if !request.selection.takes_step(step) {
                continue;
            }
            for what in expand(engine, request, step, &mut told).await {
                let number = u32::try_from(planned.len() + 1).unwrap_or(u32::MAX);
                planned.push(Planned { number, scenario_index, step_index, what });
            }
        }
    }
    planned
}

async fn expand(engine: &Engine, request: &Request, step: &Step, told: &mut BTreeSet<String>) -> Vec<What> {
    let Some(for_each) = &step.for_each else {
        return if request.selection.narrows_targets() { Vec::new() } else { vec![What::Probe(None)] };
    };
    let variables = Variables::from([("run.id".to_owned(), request.id.clone())]);
    let expansion = match targets::expand(for_each, &engine.plan.inventory, engine.net.as_ref(), &variables, &request.selection).await {
        Ok(expansion) => expansion,
        Err(failure) => return vec![What::Findings(vec![failure])],
    };
    let fresh: Vec<Finding> = expansion.findings.into_iter().filter(|finding| told.insert(finding.line())).collect();
    let mut checks = Vec::new();
    if !fresh.is_empty() {
        checks.push(What::Findings(fresh));
    }
    checks.extend(expansion.targets.into_iter().map(|target| What::Probe(Some(target))));
    checks
}
