//! From steps to checks: every `for_each` is resolved once, at the start of the run.

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_probes::net::Net;
use postrider_probes::outcome::Finding;
use postrider_probes::target::Target;
use tokio::time::Instant;

use super::select::Selection;
use super::{targets, variables};
use crate::config::plan::{Plan, Scenario, Step};

/// A check that will run.
#[derive(Debug, Clone)]
pub struct Planned {
    /// From 1, in the order of the plan.
    pub number: u32,
    /// Index into the selected scenarios.
    pub scenario_index: usize,
    /// Index into the scenario's steps.
    pub step_index: usize,
    /// What there is to do.
    pub what: What,
    /// How long the look-up took that gave the target; it is the check's `dns` phase.
    pub lookup: Option<Duration>,
}

/// What there is to do.
#[derive(Debug, Clone)]
pub enum What {
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
pub async fn plan(
    plan: &Plan,
    net: &dyn Net,
    selection: &Selection,
    run: &str,
    scenarios: &[&Scenario],
) -> Vec<Planned> {
    let mut planned = Vec::new();
    // The same disagreement between DNS and inventory is told once, not by every step that expands the domain.
    let mut told = BTreeSet::new();
    for (scenario_index, scenario) in scenarios.iter().enumerate() {
        for (step_index, step) in scenario.steps.iter().enumerate() {
            if !selection.takes_step(step) {
                continue;
            }
            let began = Instant::now();
            let expanded = expand(plan, net, selection, run, step, &mut told).await;
            let lookup = step.for_each.is_some().then(|| began.elapsed());
            for what in expanded {
                let number = u32::try_from(planned.len() + 1).unwrap_or(u32::MAX);
                planned.push(Planned {
                    number,
                    scenario_index,
                    step_index,
                    what,
                    lookup,
                });
            }
        }
    }
    planned
}

async fn expand(
    plan: &Plan,
    net: &dyn Net,
    selection: &Selection,
    run: &str,
    step: &Step,
    told: &mut BTreeSet<String>,
) -> Vec<What> {
    let Some(for_each) = &step.for_each else {
        return if selection.narrows_targets() {
            Vec::new()
        } else {
            vec![What::Probe(None)]
        };
    };
    let variables = variables::of_run(plan, run);
    let expanded = targets::expand(for_each, &plan.inventory, net, &variables, selection).await;
    let expansion = match expanded {
        Ok(expansion) => expansion,
        Err(failure) => return vec![What::Findings(vec![failure])],
    };
    let fresh: Vec<Finding> = expansion
        .findings
        .into_iter()
        .filter(|finding| told.insert(finding.line()))
        .collect();
    let mut checks = Vec::new();
    if !fresh.is_empty() {
        checks.push(What::Findings(fresh));
    }
    checks.extend(
        expansion
            .targets
            .into_iter()
            .map(|target| What::Probe(Some(target))),
    );
    checks
}
