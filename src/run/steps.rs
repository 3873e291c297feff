//! From steps to checks: every `for_each` is resolved once, at the start of the run.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use postrider_probes::net::Net;
use postrider_probes::observation::Observation;
use postrider_probes::outcome::{Failure, Finding};
use postrider_probes::reason::Reason;
use postrider_probes::setting::Variables;
use postrider_probes::target::Target;
use tokio::time::Instant;

use super::select::Selection;
use super::targets::LOOKUP_WITHIN;
use super::{targets, variables};
use crate::config::plan::{Plan, Scenario, Step};

/// Expansions on the way at the same time.
const AT_ONCE: usize = 16;

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
    /// What was seen on the way to the step's targets; its first check tells it.
    pub seen: Vec<Observation>,
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
    fn is_of(&self, at: At) -> bool {
        (self.scenario_index, self.step_index) == (at.scenario_index, at.step_index)
    }

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
    let variables = &variables::of_run(plan, run);
    // Together: a resolver that is silent for one domain holds up no other.
    let expanding = selected(selection, scenarios).map(|at| async move {
        let (scenario, step) = at.of(scenarios);
        let began = Instant::now();
        let expanded = expand(plan, net, selection, variables, scenario, step).await;
        let lookup = step.for_each.is_some().then(|| began.elapsed());
        (at, expanded, lookup)
    });
    let expanded: Vec<_> = futures_util::stream::iter(expanding)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut checks = Numbered::default();
    // The same disagreement between DNS and inventory is told once, not by every step that expands the domain.
    let mut told = BTreeSet::new();
    for (at, expanded, lookup) in expanded {
        let Expanded {
            findings,
            targets,
            seen,
        } = match expanded {
            Ok(expanded) => expanded,
            Err(failure) => {
                checks.add(at, What::Findings(vec![failure]), lookup);
                continue;
            }
        };
        // A step without any target would vanish if its reason had been told by another one.
        let is_news = |finding: &Finding| told.insert(finding.line()) || targets.is_empty();
        let fresh: Vec<Finding> = findings.into_iter().filter(is_news).collect();
        if !fresh.is_empty() {
            checks.add(at, What::Findings(fresh), lookup);
        }
        for target in targets {
            checks.add(at, What::Probe(target), lookup);
        }
        // Its first check; the expansion is not asked again for the others.
        let of_step = |check: &&mut Planned| check.is_of(at);
        if let Some(first) = checks.0.iter_mut().find(of_step) {
            first.seen = seen;
        }
    }
    checks.0
}

/// A run that ended before its targets were known: every step says so.
pub fn unplanned(selection: &Selection, scenarios: &[&Scenario]) -> Vec<Planned> {
    let mut checks = Numbered::default();
    for at in selected(selection, scenarios) {
        let cancelled = Finding::new(
            Reason::Cancelled,
            "the run was cancelled before its targets were known",
        );
        checks.add(at, What::Findings(vec![cancelled]), None);
    }
    checks.0
}

/// Where a step stands.
#[derive(Debug, Clone, Copy)]
struct At {
    scenario_index: usize,
    step_index: usize,
}

impl At {
    fn of<'s>(self, scenarios: &[&'s Scenario]) -> (&'s Scenario, &'s Step) {
        let scenario = scenarios[self.scenario_index];
        (scenario, &scenario.steps[self.step_index])
    }
}

/// The steps that a run takes.
fn selected<'s>(
    selection: &'s Selection,
    scenarios: &'s [&Scenario],
) -> impl Iterator<Item = At> + 's {
    let every = scenarios.iter().enumerate();
    every.flat_map(move |(scenario_index, scenario)| {
        let steps = scenario.steps.iter().enumerate();
        let taken = steps.filter(|(_, step)| selection.takes_step(step));
        taken.map(move |(step_index, _)| At {
            scenario_index,
            step_index,
        })
    })
}

#[derive(Debug, Default)]
struct Numbered(Vec<Planned>);

impl Numbered {
    fn add(&mut self, at: At, what: What, lookup: Option<Duration>) {
        self.0.push(Planned {
            number: u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX),
            scenario_index: at.scenario_index,
            step_index: at.step_index,
            what,
            lookup,
            seen: Vec::new(),
        });
    }
}

/// What a step turns out to be about.
#[derive(Debug)]
struct Expanded {
    /// What was found on the way.
    findings: Vec<Finding>,
    /// One without an address when the step has no `for_each`.
    targets: Vec<Option<Target>>,
    /// The records on the way.
    seen: Vec<Observation>,
}

async fn expand(
    plan: &Plan,
    net: &dyn Net,
    selection: &Selection,
    variables: &Variables,
    scenario: &Scenario,
    step: &Step,
) -> Result<Expanded, Failure> {
    let Some(for_each) = &step.for_each else {
        let targets = match selection.narrows_targets() {
            true => Vec::new(),
            false => vec![None],
        };
        return Ok(Expanded {
            findings: Vec::new(),
            targets,
            seen: Vec::new(),
        });
    };
    let within = LOOKUP_WITHIN
        .min(step.timeout.unwrap_or(LOOKUP_WITHIN))
        .min(scenario.timeout);
    let expansion =
        targets::expand(for_each, &plan.inventory, net, variables, selection, within).await?;
    Ok(Expanded {
        findings: expansion.findings,
        targets: expansion.targets.into_iter().map(Some).collect(),
        seen: expansion.seen,
    })
}
