//! Holding runs and printing what they give: what `run`, `send`, `demo` and `validate --online` have in common.

use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;
use super::run::{FailOn, Form, How, Keep, Manner};
use super::session::Session;
use super::{Exit, Problem};
use crate::report::{human, json};
use crate::result::{CheckResult, RunResult, StatusWord};
use crate::run::select::Selection;
use crate::run::{Request, new_id};

/// Everything that holding a run needs.
pub(super) struct Holder<'h> {
    pub(super) session: &'h Session,
    pub(super) selection: &'h Selection,
    pub(super) manner: &'h Manner,
    /// The command that shows what the store of this session holds; `None` when the store does not outlive the command.
    pub(super) show: Option<String>,
    pub(super) interrupt: &'h Interrupt,
    pub(super) output: &'h Output,
}

impl Holder<'_> {
    /// Holds the runs, one after the other, and prints each. The worst decides.
    pub(super) async fn repeat(&self, how: &How) -> Result<Exit, Problem> {
        let mut worst = Exit::NothingToRun;
        for round in 1..=how.repeat {
            let result = self.once().await?;
            if let (Form::Human, Some(show)) = (self.manner.format, &self.show) {
                let saved = human::saved(&result.run.id, show, self.output.style);
                self.output.print(&saved)?;
            }
            if result.checks.is_empty() {
                self.output.tell("nothing to run: no target matches");
            }
            let exit = Exit::of(result.run.status.into(), how.fail_on == FailOn::Degraded);
            // 1 before 3 before 0 before 4: a failure is never hidden by a later success.
            let rank = |exit: Exit| {
                [Exit::NothingToRun, Exit::Ok, Exit::NotTested, Exit::Failed]
                    .iter()
                    .position(|known| *known == exit)
            };
            if rank(exit) > rank(worst) {
                worst = exit;
            }
            let left_out = self.interrupt.exit().filter(|_| round < how.repeat);
            if let Some(exit) = self.interrupt.cut_short(&result).or(left_out) {
                return Ok(exit);
            }
        }
        Ok(worst)
    }

    /// Holds one run and prints it.
    pub(super) async fn once(&self) -> Result<RunResult, Problem> {
        let request = Request {
            id: new_id(crate::clock::now()),
            selection: self.selection.clone(),
            jobs: self.manner.jobs as usize,
            origin: origin(),
            timeout: self.manner.timeout.map(|timeout| timeout.0),
            planned: None,
        };
        let progress = Progress::start(self.session, &request.id, self.manner, self.output)?;
        let cancel = &self.interrupt.cancel;
        self.interrupt.has_result(false);
        self.session.engine.execute(&request, cancel).await;
        self.interrupt.has_result(true);
        let mut result = progress.finish().await?;
        keep_transcripts(&mut result.checks, self.manner.transcript);
        let output = self.output;
        match self.manner.format {
            Form::Human => {
                let show = self.show.as_deref();
                output.print(&human::ending(&result, output.terminal, show, output.style))?;
            }
            Form::Json => output.print(&json::document(&result).map_err(Problem::not_tested)?)?,
            Form::Jsonl => output.print(&json::line(&result).map_err(Problem::not_tested)?)?,
            Form::Quiet => {}
        }
        Ok(result)
    }
}

/// Leaves out the dialogues that nobody asked for; the store keeps them as they are.
pub(super) fn keep_transcripts(checks: &mut [CheckResult], keep: Keep) {
    for check in checks {
        let wanted = match keep {
            Keep::Never => false,
            Keep::Fail => check.status != StatusWord::Pass,
            Keep::Always => true,
        };
        if let Some(evidence) = check.evidence.as_mut().filter(|_| !wanted) {
            evidence.transcript.clear();
        }
    }
}

/// `cli user@host`.
pub(super) fn origin() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".to_owned());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!("cli {user}@{host}")
}
