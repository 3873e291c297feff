//! What was read: the plan, the mistakes, and the files for showing them.

use std::collections::HashMap;

use postrider_probes::account::SecretSource;
use postrider_probes::setting::{Place, Problem, Severity};

use super::plan::Plan;
use super::source::Sources;

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// What will run; `None` when there is any error.
    pub plan: Option<Plan>,
    /// All mistakes, by file and line.
    pub problems: Vec<Problem>,
    /// The files, for showing the mistakes.
    pub sources: Sources,
    /// The names of the extra scenarios.
    pub extra_names: Vec<String>,
    /// Where each secret is named.
    pub(super) secret_places: HashMap<SecretSource, Place>,
    /// Whether the platform was contacted to find the mistakes.
    pub(super) contacted: bool,
}

impl Loaded {
    /// How many of the mistakes prevent a run.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }

    /// Where a secret is named.
    #[must_use]
    pub fn place_of(&self, secret: &SecretSource) -> Place {
        self.secret_places.get(secret).copied().unwrap_or_default()
    }

    /// Adds what a look at the platform found.
    pub fn add_found_online(&mut self, problems: Vec<Problem>) {
        self.contacted = true;
        self.problems.extend(problems);
        self.sort();
    }

    /// By file and line, each once.
    pub(super) fn sort(&mut self) {
        self.problems
            .sort_by_key(|problem| (problem.at, problem.severity));
        self.problems.dedup();
    }

    /// How many of the mistakes do not.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}
