//! From what is remembered to the published documents.

use postrider_probes::observation::Values;

use super::{Baseline, Change, Key};
use crate::result::SCHEMA_VERSION;
use crate::result::changes::{Acceptance, BaselineResult, EventResult};

/// The document of a baseline.
#[must_use]
pub fn baseline(key: &Key, baseline: &Baseline) -> BaselineResult {
    BaselineResult {
        what: key.what.name().to_owned(),
        subject: key.subject.clone(),
        changed: !baseline.is_all_right(),
        accepted: baseline.accepted.iter().map(list).collect(),
        several_until: baseline.several_until.map(|until| until.to_string()),
        accepted_at: baseline.accepted_at.to_string(),
        accepted_by: baseline.accepted_by.clone(),
        current: list(&baseline.current),
        current_since: baseline.current_since.to_string(),
        first_seen_at: baseline.first_seen_at.to_string(),
        last_seen_at: baseline.last_seen_at.to_string(),
        run: baseline.seen_by.run.clone(),
        scenario: baseline.seen_by.scenario.clone(),
        step: baseline.seen_by.step.clone(),
    }
}

/// The document of an event.
#[must_use]
pub fn event(change: &Change) -> EventResult {
    EventResult {
        at: change.at.to_string(),
        what: change.key.what.name().to_owned(),
        subject: change.key.subject.clone(),
        how: change.how.name().to_owned(),
        before: list(&change.before),
        before_since: change.before_since.to_string(),
        after: list(&change.after),
        run: change.seen_by.run.clone(),
        scenario: change.seen_by.scenario.clone(),
        step: change.seen_by.step.clone(),
        accepted_by: change.accepted_by.clone(),
        sentence: change.sentence(),
    }
}

/// The document of an acceptance of which so many things were meant.
#[must_use]
pub fn acceptance(meant: usize, changes: &[Change]) -> Acceptance {
    Acceptance {
        schema_version: SCHEMA_VERSION.to_owned(),
        meant,
        accepted: changes.iter().map(event).collect(),
    }
}

fn list(values: &Values) -> Vec<String> {
    values.iter().map(str::to_owned).collect()
}
