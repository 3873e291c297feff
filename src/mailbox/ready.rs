//! Whether a mailbox is watched well enough to send mail to it.

use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;
use tokio::sync::watch as channel;

/// How far one watch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It has not been told yet.
    Opening,
    /// Whatever comes now is noticed. Also a junk folder that does not exist.
    Watching,
    /// It cannot be read.
    Blind {
        /// Why.
        failure: Failure,
        /// Attempts that failed in a row.
        attempts: u32,
        /// The junk folder: without it the expected folder is still worth something.
        beside: bool,
    },
}

impl Readiness {
    /// The answer, when there is one.
    fn verdict(&self) -> Option<Result<(), Failure>> {
        match self {
            Self::Opening => None,
            Self::Watching | Self::Blind { beside: true, .. } => Some(Ok(())),
            Self::Blind {
                failure, attempts, ..
            } => (*attempts > 1 || is_lasting(failure.reason)).then(|| Err(failure.clone())),
        }
    }
}

/// Whether trying again at once is pointless.
fn is_lasting(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ImapLogin
            | Reason::SecretMissing
            | Reason::SecretUnreadable
            | Reason::TlsCertificate
            | Reason::TlsInjection
            | Reason::TlsNotOffered
            | Reason::CannotObserve
    )
}

/// Waits for the answers of all watches of a mailbox; the first failure is the mailbox's.
pub(super) async fn all(folders: Vec<channel::Receiver<Readiness>>) -> Result<(), Failure> {
    for mut folder in folders {
        // A watch that ended knows nothing more, and holds nothing up.
        let Ok(decided) = folder.wait_for(|ready| ready.verdict().is_some()).await else {
            continue;
        };
        if let Some(verdict) = decided.verdict() {
            verdict?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blind(reason: Reason, attempts: u32, beside: bool) -> Readiness {
        let failure = Failure::new(reason, "x");
        Readiness::Blind {
            failure,
            attempts,
            beside,
        }
    }

    #[test]
    fn a_failure_counts_when_it_lasts() {
        for (readiness, verdict) in [
            (Readiness::Opening, None),
            (Readiness::Watching, Some(true)),
            (blind(Reason::ConnectRefused, 1, false), None),
            (blind(Reason::ConnectRefused, 2, false), Some(false)),
            (blind(Reason::ImapLogin, 1, false), Some(false)),
            (blind(Reason::ImapLogin, 1, true), Some(true)),
        ] {
            let given = readiness.verdict().map(|verdict| verdict.is_ok());
            assert_eq!(given, verdict, "{readiness:?}");
        }
    }

    #[tokio::test]
    async fn every_folder_must_be_watched() {
        let (inbox, inbox_ready) = channel::channel(Readiness::Opening);
        let (junk, junk_ready) = channel::channel(Readiness::Opening);
        let mut waiting = tokio_test_task(all(vec![junk_ready, inbox_ready]));
        inbox.send_replace(Readiness::Watching);
        assert!(waiting.poll().is_none());
        junk.send_replace(blind(Reason::ConnectRefused, 1, true));
        assert_eq!(waiting.poll(), Some(Ok(())));
    }

    struct Task<F>(std::pin::Pin<Box<F>>);

    fn tokio_test_task<F: Future>(future: F) -> Task<F> {
        Task(Box::pin(future))
    }

    impl<F: Future> Task<F> {
        fn poll(&mut self) -> Option<F::Output> {
            use futures_util::FutureExt as _;
            self.0.as_mut().now_or_never()
        }
    }
}
