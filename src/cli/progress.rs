//! What is shown while a run goes on, and the result that its events add up to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use postrider_probes::span::Span;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Problem;
use super::correction::Sayings;
use super::hold::keep_transcripts;
use super::output::Output;
use super::run::{Form, Manner};
use super::session::Session;
use crate::pipeline::{PipelineHandle, Told};
use crate::report::{human, json};
use crate::result::{CheckResult, RunHead, RunResult};
use crate::run::document::{document, has_ended, head_at_end, head_at_start, result_of};
use crate::run::event::{CheckName, Event};

/// How long the last event of a run that has ended may take: a commit, and a store that is tried again.
const LAST_EVENT: Duration = Duration::from_secs(60);

/// Follows one run until it has finished.
pub(super) struct Progress(JoinHandle<Result<RunResult, Problem>>);

impl Progress {
    /// Follows the run with this id from now on.
    pub(super) fn start(
        session: &Session,
        run: &str,
        manner: &Manner,
        output: &Output,
    ) -> Result<Self, Problem> {
        let pipeline = session.pipeline.clone();
        let plan = &session.engine.plan;
        if manner.format == Form::Human {
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
            manner: manner.clone(),
            output: *output,
            sayings: Sayings::new(session.pipeline.clone()),
            bars: Bars::new(*output, output.progress && manner.format != Form::Quiet),
        };
        let (events, pipeline, run) = (pipeline.listen(), pipeline.clone(), run.to_owned());
        let following = follower.follow(events, pipeline, run);
        Ok(Self(tokio::spawn(following)))
    }

    /// The result, once the run has finished and all that it told is on its way.
    pub(super) async fn finish(self) -> Result<RunResult, Problem> {
        let Self(mut following) = self;
        match timeout(LAST_EVENT, &mut following).await {
            Ok(result) => result.unwrap_or_else(|error| Err(Problem::not_tested(error))),
            Err(_) => {
                following.abort();
                Err(Problem::not_tested(anyhow::anyhow!(
                    "the run's end was not stored within {} s",
                    LAST_EVENT.as_secs()
                )))
            }
        }
    }
}

struct Follower {
    manner: Manner,
    output: Output,
    sayings: Sayings,
    bars: Bars,
}

impl Follower {
    async fn follow(
        mut self,
        mut told: broadcast::Receiver<Told>,
        pipeline: PipelineHandle,
        run: String,
    ) -> Result<RunResult, Problem> {
        let mut head: Option<RunHead> = None;
        let mut checks = Vec::new();
        let mut missed = false;
        loop {
            let event = match told.recv().await {
                Ok(Told::Run(event)) => event,
                Ok(Told::Corrected(correction)) => {
                    let line = self.sayings.put_right(&correction).await;
                    self.output.tell(&line);
                    continue;
                }
                // The line of the check that saw it says so.
                Ok(Told::Changed(_)) => continue,
                Ok(Told::Duplicated { entry }) => {
                    self.output.tell(&format!(
                        "duplicate: a second copy of mail {entry} turned up"
                    ));
                    continue;
                }
                Err(RecvError::Lagged(events)) => {
                    tracing::warn!(events, "too slow for the run's events: the store has them");
                    missed = true;
                    // The end may be among them. If it is not stored by now, it is still to be told.
                    match stored(&pipeline, &run).await? {
                        Some(result) if has_ended(&result.run) => {
                            return self.complete(result, checks);
                        }
                        _ => continue,
                    }
                }
                Err(problem @ RecvError::Closed) => {
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
                    let mut known = Vec::new();
                    if missed && let Some(result) = stored(&pipeline, &run).await? {
                        head = head.or(Some(result.run));
                        known = result.checks;
                    }
                    let head = head.ok_or_else(|| {
                        Problem::not_tested(anyhow::anyhow!("the run's beginning was lost"))
                    })?;
                    let whole = result_of(head_at_end(head, finished), known);
                    return self.complete(whole, checks);
                }
                _ => {}
            }
        }
    }

    /// Adds the checks that were told to those of the result, and shows those that were missed.
    fn complete(mut self, result: RunResult, told: Vec<CheckResult>) -> Result<RunResult, Problem> {
        self.bars.clear();
        let mut checks: BTreeMap<u32, CheckResult> = told
            .into_iter()
            .map(|check| (check.number, check))
            .collect();
        for check in result.checks {
            if let Entry::Vacant(place) = checks.entry(check.number) {
                self.show(&check)?;
                place.insert(check);
            }
        }
        Ok(result_of(result.run, checks.into_values().collect()))
    }

    fn show(&self, check: &CheckResult) -> Result<(), Problem> {
        let text = match self.manner.format {
            // On a terminal the checks are printed together at the end, worst last.
            Form::Human if !self.output.terminal => human::line(check, self.output.style),
            Form::Jsonl => {
                let mut check = check.clone();
                keep_transcripts(std::slice::from_mut(&mut check), self.manner.transcript);
                json::check_line(&check).map_err(Problem::not_tested)?
            }
            Form::Human | Form::Json | Form::Quiet => return Ok(()),
        };
        Ok(self.output.print(&text)?)
    }
}

/// What the store has of the run.
async fn stored(pipeline: &PipelineHandle, run: &str) -> Result<Option<RunResult>, Problem> {
    pipeline.run(run).await.map_err(Problem::not_tested)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use jiff::Timestamp;
    use postrider_probes::outcome::{Finding, Outcome, Status};
    use postrider_probes::post::EntryState;
    use postrider_probes::reason::Reason;
    use postrider_wire::message::tag::EntryId;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::Clock;
    use crate::config::plan::Source;
    use crate::pipeline::{Correction, Settings, start};
    use crate::report::style::Style;
    use crate::run::event::{CheckFinished, RunFinished, RunStarted};
    use crate::store::Store;

    const RUN: &str = "01RUN";
    const CHECKS: u32 = 20;

    fn events() -> Vec<Event> {
        let check = |number: u32| {
            let mut outcome = Outcome::default();
            if number == 3 {
                outcome.add(Finding::new(Reason::Smtp5xx, "550 no"));
            }
            Event::CheckFinished(Box::new(CheckFinished {
                check: CheckName {
                    run: RUN.to_owned(),
                    number,
                    scenario: "flow".to_owned(),
                    step: "primary".to_owned(),
                    kind: "deliver",
                    target: None,
                    port: None,
                },
                title: None,
                source: Source {
                    file: PathBuf::from("flow.yaml"),
                    line: 1,
                },
                started_at: Timestamp::UNIX_EPOCH,
                took: Duration::from_secs(1),
                outcome,
            }))
        };
        let started = Event::RunStarted(RunStarted {
            run: RUN.to_owned(),
            origin: "cli".to_owned(),
            vantage: "lab".to_owned(),
            config_sha256: "00".to_owned(),
            scenarios: Vec::new(),
            planned_at: Timestamp::UNIX_EPOCH,
            late: Duration::ZERO,
            started_at: Timestamp::UNIX_EPOCH,
        });
        let finished = Event::RunFinished(RunFinished {
            run: RUN.to_owned(),
            status: Status::Fail,
            took: Duration::from_secs(2),
            cancelled: None,
        });
        let checks = (1..=CHECKS).map(check);
        [started]
            .into_iter()
            .chain(checks)
            .chain([finished])
            .collect()
    }

    /// A pipeline that has stored the whole run, and what it told of it.
    async fn pipeline(directory: &TempDir) -> (PipelineHandle, Vec<Told>) {
        let store = Store::open(directory.path()).await.expect("it opens");
        let settings = Settings {
            lost_after: Duration::from_secs(60),
            clock: Clock::system(),
        };
        let (pipeline, _task) = start(store, settings).await.expect("it starts");
        let mut listener = pipeline.listen();
        let mut told = Vec::new();
        for event in events() {
            pipeline.events().send(event).await.expect("it lives");
            told.push(listener.recv().await.expect("it is told"));
        }
        (pipeline, told)
    }

    fn follower(pipeline: &PipelineHandle) -> Follower {
        let output = Output {
            style: Style {
                colour: false,
                ascii: true,
                width: 80,
            },
            terminal: false,
            progress: false,
        };
        Follower {
            manner: Manner::quiet(),
            output,
            sayings: Sayings::new(pipeline.clone()),
            bars: Bars::new(output, false),
        }
    }

    #[tokio::test]
    async fn result_is_whole_whatever_the_listener_misses() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (pipeline, told) = pipeline(&directory).await;
        let corrected = Told::Corrected(Arc::new(Correction {
            entry: EntryId::from_parts(1, 1),
            before: EntryState::Lost,
            after: EntryState::Delivered,
            run: "01OLD".to_owned(),
            scenario: "flow".to_owned(),
            step: "primary".to_owned(),
            route: "mx1.example.test [192.0.2.1]:25".to_owned(),
            mailbox: "alice".to_owned(),
            arrived_after: None,
        }));
        // Nothing is missed; all but the last events; and, since more follows, even the end.
        for (held, after) in [(64, 0), (4, 0), (4, 8)] {
            let (sender, receiver) = broadcast::channel(held);
            let more = std::iter::repeat_n(&corrected, after);
            for told in told.iter().chain(more) {
                sender.send(told.clone()).expect("somebody listens");
            }
            let following = follower(&pipeline).follow(receiver, pipeline.clone(), RUN.to_owned());
            let result = timeout(Duration::from_secs(20), following).await;
            let Ok(result) = result.expect("it ends") else {
                panic!("it is a result");
            };
            let numbers: Vec<u32> = result.checks.iter().map(|check| check.number).collect();
            assert_eq!(numbers, (1..=CHECKS).collect::<Vec<_>>(), "{held} {after}");
            assert_eq!(
                (result.counts.fail, result.counts.pass),
                (1, CHECKS - 1),
                "{held} {after}"
            );
            assert_eq!(result.run.cancelled, None);
        }
    }
}
