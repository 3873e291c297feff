//! What is told of that which could not be written: only that.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_probes::outcome::{Failure, Status};
use postrider_wire::message::tag::EntryId;

use super::Told;
use super::books::Books;
use crate::run::document::{document, head_at_end};
use crate::run::event::{CheckFinished, Event, RunFinished};

impl Books {
    /// The entries of which something is not durable.
    pub(super) fn unsaved_entries(&self) -> BTreeSet<EntryId> {
        let facts = self.unsaved.facts.iter();
        facts.map(|noted| noted.entry).collect()
    }

    /// What is about to be told of runs could not be written. A check that nobody can look up later must not read like
    /// one that passed: it is told as `store-failed`, and written so as soon as that is possible; its run likewise.
    pub(super) fn disown(&mut self, failure: &Failure) {
        let mut told = std::mem::take(&mut self.told);
        for told in &mut told {
            let Told::Run(event) = told else { continue };
            match Arc::make_mut(event) {
                Event::RunStarted(_) | Event::RunMissed(_) | Event::CheckStarted(_) => {}
                Event::CheckFinished(finished) => self.disown_check(finished, failure),
                Event::RunFinished(finished) => self.disown_run(finished, failure),
            }
        }
        self.told = told;
    }

    fn disown_check(&mut self, finished: &mut CheckFinished, failure: &Failure) {
        let findings = &finished.outcome.findings;
        // The check may have met the same trouble itself.
        if !findings.iter().any(|known| known.reason == failure.reason) {
            finished.outcome.add(failure.clone());
        }
        let told = document(finished);
        let run = &finished.check.run;
        // It is among the newest, however many wait.
        let mut checks = self.unsaved.checks.iter_mut().rev();
        if let Some((_, check)) =
            checks.find(|(of, check)| of == run && check.number == told.number)
        {
            *check = told;
        }
        if let Some(open) = self.runs.get_mut(run) {
            open.disowned = true;
        }
    }

    fn disown_run(&mut self, finished: &mut RunFinished, failure: &Failure) {
        finished.status = finished.status.max(Status::Error);
        let why = || {
            format!(
                "the end of the run could not be stored: {}",
                failure.message
            )
        };
        finished.cancelled.get_or_insert_with(why);
        for head in &mut self.unsaved.runs {
            if head.id == finished.run {
                *head = head_at_end(head.clone(), finished);
            }
        }
    }
}
