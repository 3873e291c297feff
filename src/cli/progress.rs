//! What is shown while a run goes on, and the result that its events add up to.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use postrider_probes::span::Span;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::output::Output;
use super::run::{Form, How};
use super::{Problem, run::keep_transcripts};
use crate::config::plan::Plan;
use crate::pipeline::Told;
use crate::report::{human, json};
use crate::result::{CheckResult, RunHead, RunResult};
use crate::run::document::{document, head_at_end, head_at_start, result_of};
use crate::run::event::{CheckName, Event};

/// Follows one run until it has finished.
pub(super) struct Progress(JoinHandle<Result<RunResult, Problem>>);

impl Progress {
    /// Follows the run with this id from now on.
    pub(super) fn start(
        plan: &Plan,
        run: &str,
        events: broadcast::Receiver<Told>,
        how: &How,
        output: &Output,
    ) -> Result<Self, Problem> {
        if how.format == Form::Human {
            let file = plan
                .files
                .first()
                .map(|file| file.display().to_string())
                .unwrap_or_default();
            output.print(&human::heading(
                env!("CARGO_PKG_VERSION"),
                &plan.vantage,
                &file,
                run,
                output.style,
            ))?;
        }
        let follower = Follower {
            how: how.clone(),
            output: *output,
            bars: Bars::new(*output, output.progress && how.format != Form::Quiet),
        };
        Ok(Self(tokio::spawn(follower.follow(events, run.to_owned()))))
    }

    /// The result, once the run has finished.
    pub(super) async fn finish(self) -> Result<RunResult, Problem> {
        self.0
            .await
            .unwrap_or_else(|error| Err(Problem::not_tested(error)))
    }
}

struct Follower {
    how: How,
    output: Output,
    bars: Bars,
}

impl Follower {
    async fn follow(
        mut self,
        mut told: broadcast::Receiver<Told>,
        run: String,
    ) -> Result<RunResult, Problem> {
        let mut head: Option<RunHead> = None;
        let mut checks = Vec::new();
        loop {
            let event = match told.recv().await {
                Ok(Told::Run(event)) => event,
                Ok(Told::Corrected {
                    entry,
                    before,
                    after,
                }) => {
                    self.output.tell(&format!(
                        "corrected: mail {entry} was {}, is {}",
                        before.name(),
                        after.name()
                    ));
                    continue;
                }
                Ok(Told::Duplicated { entry }) => {
                    self.output.tell(&format!(
                        "duplicate: a second copy of mail {entry} turned up"
                    ));
                    continue;
                }
                Err(problem) => {
                    return Err(Problem::not_tested(anyhow::anyhow!(
                        "the run's events were lost: {problem}"
                    )));
                }
            };
            match event.as_ref() {
                Event::RunStarted(started) if started.run == run => {
                    head = Some(head_at_start(started))
                }
                Event::CheckStarted(name) if name.run == run => self.bars.begin(name),
                Event::CheckFinished(finished) if finished.check.run == run => {
                    let check = document(finished);
                    self.bars.end(check.number);
                    self.show(&check)?;
                    checks.push(check);
                }
                Event::RunFinished(finished) if finished.run == run => {
                    self.bars.clear();
                    checks.sort_by_key(|check: &CheckResult| check.number);
                    let head = head.ok_or_else(|| {
                        Problem::not_tested(anyhow::anyhow!("the run's beginning was lost"))
                    })?;
                    return Ok(result_of(head_at_end(head, finished), checks));
                }
                _ => {}
            }
        }
    }

    fn show(&self, check: &CheckResult) -> Result<(), Problem> {
        let text = match self.how.format {
            // On a terminal the checks are printed together at the end, worst last.
            Form::Human if !self.output.terminal => human::line(check, self.output.style),
            Form::Jsonl => {
                let mut check = check.clone();
                keep_transcripts(std::slice::from_mut(&mut check), self.how.transcript);
                json::check_line(&check).map_err(Problem::not_tested)?
            }
            Form::Human | Form::Json | Form::Quiet => return Ok(()),
        };
        Ok(self.output.print(&text)?)
    }
}

/// A live line for each running check, on standard error, on a terminal only.
struct Bars {
    output: Output,
    all: Option<MultiProgress>,
    running: BTreeMap<u32, ProgressBar>,
}

impl Bars {
    fn new(output: Output, visible: bool) -> Self {
        Self {
            output,
            all: visible.then(|| output.begin_live_lines()),
            running: BTreeMap::new(),
        }
    }

    fn begin(&mut self, name: &CheckName) {
        let Some(all) = &self.all else { return };
        let bar = all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}  {spent}") {
            bar.set_style(style.with_key("spent", spent));
        }
        let target = name
            .target
            .as_ref()
            .map(|target| format!("  {}  {}", target.mx, target.address))
            .unwrap_or_default();
        bar.set_message(format!("{}/{}{target}", name.scenario, name.step));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.running.insert(name.number, bar);
    }

    fn end(&mut self, number: u32) {
        if let Some(bar) = self.running.remove(&number) {
            bar.finish_and_clear();
        }
    }

    fn clear(&mut self) {
        for (_, bar) in std::mem::take(&mut self.running) {
            bar.finish_and_clear();
        }
        self.output.end_live_lines();
    }
}

/// Whole seconds, from the first one on.
fn spent(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    let seconds = state.elapsed().as_secs();
    if seconds > 0 {
        // The line is drawn anew ten times a second.
        let _ = write!(text, "{}", Span(Duration::from_secs(seconds)));
    }
}
