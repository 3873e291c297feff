//! What a run takes of the plan: pure.

use std::net::IpAddr;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::target::Target;

use crate::config::plan::{Plan, Scenario, Step};

/// What the command line asked for. Nothing given means everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Scenario names.
    pub scenarios: Vec<String>,
    /// Each element is a comma-separated set that must hold completely; one of them is enough.
    pub tags: Vec<String>,
    /// A scenario with one of these is left out.
    pub exclude_tags: Vec<String>,
    /// Step ids.
    pub steps: Vec<String>,
    /// MX hosts of `for_each` targets.
    pub mx: Vec<String>,
    /// Addresses of `for_each` targets.
    pub addresses: Vec<IpAddr>,
    /// Addresses of `for_each` targets, by family.
    pub family: Family,
}

impl Selection {
    /// The scenarios that are asked for, in the plan's order.
    pub fn scenarios<'p>(&self, plan: &'p Plan) -> Vec<&'p Scenario> {
        plan.scenarios
            .iter()
            .filter(|scenario| self.takes_scenario(scenario))
            .collect()
    }

    /// The names that were asked for and do not exist.
    #[must_use]
    pub fn unknown(&self, plan: &Plan) -> Vec<String> {
        let known = |name: &&String| {
            !plan
                .scenarios
                .iter()
                .any(|scenario| scenario.name == **name)
        };
        self.scenarios.iter().filter(known).cloned().collect()
    }

    fn takes_scenario(&self, scenario: &Scenario) -> bool {
        let has = |tag: &str| scenario.tags.iter().any(|known| known == tag.trim());
        (self.scenarios.is_empty() || self.scenarios.contains(&scenario.name))
            && (self.tags.is_empty() || self.tags.iter().any(|set| set.split(',').all(has)))
            && !self.exclude_tags.iter().any(|set| set.split(',').any(has))
            && scenario.steps.iter().any(|step| self.takes_step(step))
    }

    /// Whether a step is asked for.
    #[must_use]
    pub fn takes_step(&self, step: &Step) -> bool {
        self.steps.is_empty() || self.steps.contains(&step.id)
    }

    /// Whether a target is asked for.
    #[must_use]
    pub fn takes_target(&self, target: &Target) -> bool {
        let named = |name: &String| name.trim_end_matches('.').eq_ignore_ascii_case(&target.mx);
        (self.mx.is_empty() || self.mx.iter().any(named))
            && (self.addresses.is_empty() || self.addresses.contains(&target.address))
            && self.family.holds(target.address)
    }

    /// Whether targets are narrowed, so that steps without a target make no sense.
    #[must_use]
    pub fn narrows_targets(&self) -> bool {
        !self.mx.is_empty() || !self.addresses.is_empty() || self.family != Family::Both
    }
}
