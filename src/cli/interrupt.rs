//! Ctrl-C and SIGTERM: the first ends the run in good order, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Exit, Output};

/// What has been asked for so far.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    /// Set when the run must end.
    pub(super) cancel: watch::Receiver<Option<String>>,
    exit: Arc<AtomicU8>,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen(output: Output) -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, cancel) = watch::channel(None);
        let exit = Arc::new(AtomicU8::new(0));
        let asked = Arc::clone(&exit);
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
                output.tell(&format!(
                    "{name}: ending the checks, removing own mail; once more to leave at once"
                ));
                asked.store(code.code(), Ordering::SeqCst);
                sender.send_replace(Some(name.to_owned()));
            }
        });
        Ok(Self { cancel, exit })
    }

    /// The exit code that a signal asks for.
    pub(super) fn exit(&self) -> Option<Exit> {
        [Exit::Interrupted, Exit::Terminated]
            .into_iter()
            .find(|exit| exit.code() == self.exit.load(Ordering::SeqCst))
    }
}
