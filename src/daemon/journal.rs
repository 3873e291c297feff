//! One line for each check that ends, and what the last runs gave.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use postrider_probes::outcome::Status;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use super::lock;
use crate::baseline::{self, Move};
use crate::pipeline::Told;
use crate::run::event::{CheckFinished, Event};

/// Writes the lines for as long as the pipeline tells.
#[derive(Debug)]
pub(super) struct Journal(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The scenarios of the runs under way.
    running: HashMap<String, Vec<String>>,
    failed: BTreeSet<String>,
    ended_at: Option<Instant>,
}

/// What the last runs gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// When a run ended last.
    pub ended_at: Option<Instant>,
    /// The scenarios whose last run failed.
    pub failed: Vec<String>,
}

impl Summary {
    /// `21 scenarios, last run 4 s ago, 1 failed`
    #[must_use]
    pub fn line(&self, scenarios: usize) -> String {
        let last = self.ended_at.map_or_else(
            || "no run yet".to_owned(),
            |at| format!("last run {} s ago", at.elapsed().as_secs()),
        );
        format!(
            "{scenarios} scenarios, {last}, {} failed",
            self.failed.len()
        )
    }
}

impl Journal {
    pub(super) fn start(mut told: broadcast::Receiver<Told>) -> Self {
        let known = Arc::new(Mutex::new(Known::default()));
        let journal = Self(Arc::clone(&known));
        // It ends with the pipeline.
        tokio::spawn(async move {
            loop {
                match told.recv().await {
                    Ok(Told::Run(event)) => lock(&known).take(&event),
                    Ok(Told::Corrected(found)) => tracing::info!(
                        entry = %found.entry,
                        before = found.before.name(),
                        after = found.after.name(),
                        run = found.run,
                        scenario = found.scenario,
                        step = found.step,
                        route = found.route,
                        mailbox = found.mailbox,
                        "a mail that was given up has turned up"
                    ),
                    Ok(Told::Changed(change)) => tell(&change),
                    Ok(Told::Duplicated { entry }) => {
                        tracing::info!(%entry, "a second copy of a mail has turned up");
                    }
                    Err(RecvError::Lagged(lines)) => {
                        tracing::warn!(lines, "events came faster than they could be logged")
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        journal
    }

    pub(super) fn summary(&self) -> Summary {
        let known = lock(&self.0);
        Summary {
            ended_at: known.ended_at,
            failed: known.failed.iter().cloned().collect(),
        }
    }
}

impl Known {
    fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted(started) => {
                let names = started.scenarios.iter().map(|(name, _)| name.clone());
                self.running.insert(started.run.clone(), names.collect());
            }
            Event::CheckFinished(finished) => write(finished),
            Event::RunFinished(finished) => {
                self.ended_at = Some(Instant::now());
                for scenario in self.running.remove(&finished.run).unwrap_or_default() {
                    match finished.status {
                        Status::Fail => self.failed.insert(scenario),
                        _ => self.failed.remove(&scenario),
                    };
                }
            }
            Event::CheckStarted(_) | Event::RunMissed(_) => {}
        }
    }
}

/// What is as it should be is worth a line, what is not a warning.
fn tell(change: &baseline::Change) {
    let baseline::Change {
        key,
        how,
        seen_by,
        accepted_by,
        ..
    } = change;
    let words = change.sentence();
    let accepted_by = accepted_by.as_deref();
    macro_rules! told {
        ($level:ident) => {
            tracing::$level!(
                what = key.what.name(),
                subject = key.subject,
                how = how.name(),
                run = seen_by.run,
                scenario = seen_by.scenario,
                step = seen_by.step,
                accepted_by,
                words,
                "what clients see has changed"
            )
        };
    }
    match how {
        Move::Changed => told!(warn),
        Move::Expected | Move::Listed | Move::Returned | Move::Accepted => told!(info),
    }
}

/// No subject, no body, no dialogue: what stands here is read by many.
fn write(finished: &CheckFinished) {
    let CheckFinished {
        check,
        took,
        outcome,
        ..
    } = finished;
    let target = check.target.as_ref();
    let worst = outcome.findings.first();
    tracing::info!(
        run = check.run,
        scenario = check.scenario,
        step = check.step,
        mx = target.map(|target| target.mx.as_str()),
        address = target.map(|target| tracing::field::display(target.address)),
        status = %outcome.status(),
        reason = worst.map(|finding| finding.reason.code()),
        duration = (took.as_secs_f64() * 1e3).round() / 1e3,
        "check"
    );
}
