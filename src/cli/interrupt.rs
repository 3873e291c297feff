//! Ctrl-C and SIGTERM: the first ends the run in good order, the second ends the program. A run that had ended before
//! the first one keeps its exit code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Exit, Output};
use crate::result::RunResult;

/// What has been asked for so far.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    /// Set when the run must end.
    pub(super) cancel: watch::Receiver<Option<String>>,
    exit: Arc<AtomicU8>,
    has_result: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen(output: Output) -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, cancel) = watch::channel(None);
        let exit = Arc::new(AtomicU8::new(0));
        let has_result = Arc::new(AtomicBool::new(false));
        let (asked, stands) = (Arc::clone(&exit), Arc::clone(&has_result));
        tokio::spawn(async move {
            for round in 0.. {
                let (name, code) = tokio::select! {
                    _ = interrupt.recv() => ("SIGINT", Exit::Interrupted),
                    _ = terminate.recv() => ("SIGTERM", Exit::Terminated),
                };
                if round > 0 {
                    output.tell("leaving now; mails under way stay in the ledger, seen ones in their mailbox: the next run looks after both");
                    std::process::exit(code.code().into());
                }
                let doing = match stands.load(Ordering::SeqCst) {
                    false => "ending the checks, removing own mail",
                    true => "the result stands; removing own mail",
                };
                output.tell(&format!("{name}: {doing}; once more to leave at once"));
                asked.store(code.code(), Ordering::SeqCst);
                sender.send_replace(Some(name.to_owned()));
            }
        });
        Ok(Self {
            cancel,
            exit,
            has_result,
        })
    }

    /// Says whether there is a result that a signal cannot change any more, so that people are told what it does.
    pub(super) fn has_result(&self, has: bool) {
        self.has_result.store(has, Ordering::SeqCst);
    }

    /// The exit code of a run that a signal cut short; none for one that had ended by itself.
    pub(super) fn cut_short(&self, result: &RunResult) -> Option<Exit> {
        self.exit().filter(|_| result.run.cancelled.is_some())
    }

    /// The exit code that a signal asks for.
    pub(super) fn exit(&self) -> Option<Exit> {
        [Exit::Interrupted, Exit::Terminated]
            .into_iter()
            .find(|exit| exit.code() == self.exit.load(Ordering::SeqCst))
    }
}
