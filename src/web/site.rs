//! What the handlers share, and their way to the daemon.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, Uri};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::answer::{self, Reply};
use super::control::Control;
use super::login::Logins;
use super::protection::Guarded;

/// Questions to the daemon that are open at the same time, asked for or given up.
const MOST_QUESTIONS: usize = 64;
/// Reads of the store at the same time: each one may keep a core and the disk busy.
const MOST_READS: usize = 2;
/// Expositions at the same time: each one is a copy of all series, and their text.
const MOST_EXPOSITIONS: usize = 1;
/// Checks for scrapers at the same time.
const MOST_PROBES: usize = 8;

/// What the handlers share.
pub(super) struct Site {
    pub(super) guarded: Arc<Guarded>,
    pub(super) logins: Logins,
    pub(super) enable_lifecycle: bool,
    pub(super) external_url: Option<Uri>,
    pub(super) route_prefix: String,
    daemon: Daemon,
    reads: Arc<Semaphore>,
    expositions: Arc<Semaphore>,
    probes: Arc<Semaphore>,
}

/// The daemon lives on its own runtime. Whatever it is asked runs there: a client that goes away cannot cut a reload in
/// half, and a run does not end with the web.
struct Daemon {
    control: Arc<dyn Control>,
    runtime: Handle,
    questions: Arc<Semaphore>,
}

impl Site {
    pub(super) fn new(
        guarded: Arc<Guarded>,
        enable_lifecycle: bool,
        external_url: Option<Uri>,
        route_prefix: String,
        control: Arc<dyn Control>,
        runtime: Handle,
    ) -> Self {
        Self {
            guarded,
            logins: Logins::default(),
            enable_lifecycle,
            external_url,
            route_prefix,
            daemon: Daemon {
                control,
                runtime,
                questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
            },
            reads: Arc::new(Semaphore::new(MOST_READS)),
            expositions: Arc::new(Semaphore::new(MOST_EXPOSITIONS)),
            probes: Arc::new(Semaphore::new(MOST_PROBES)),
        }
    }

    /// Asks for something that is read from the store.
    pub(super) async fn read<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn Control>) -> F + Send + 'static,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        self.ask_in_turn(&self.reads, question).await
    }

    /// Asks for all metrics.
    pub(super) async fn expose<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn Control>) -> F + Send + 'static,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        self.ask_in_turn(&self.expositions, question).await
    }

    /// Asks for a check.
    pub(super) async fn probe<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn Control>) -> F + Send + 'static,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        self.ask_in_turn(&self.probes, question).await
    }

    /// Waits for the turn, as long as the request may take, and does not count as an open question meanwhile. The turn
    /// ends with the daemon's answer, whether or not anyone still waits for that.
    async fn ask_in_turn<T, F>(
        &self,
        turns: &Arc<Semaphore>,
        question: impl FnOnce(Arc<dyn Control>) -> F + Send + 'static,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let turn = Arc::clone(turns).acquire_owned().await;
        self.ask(move |control| async move {
            let _turn = turn;
            question(control).await
        })
        .await
    }

    /// Asks the daemon.
    pub(super) async fn ask<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn Control>) -> F + Send + 'static,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let busy = || {
            answer::later(
                StatusCode::SERVICE_UNAVAILABLE,
                "the daemon is busy with other requests",
                Duration::from_secs(5),
            )
        };
        let open = Arc::clone(&self.daemon.questions)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let control = Arc::clone(&self.daemon.control);
        let asked = self.daemon.runtime.spawn(async move {
            let _open = open;
            question(control).await
        });
        asked.await.map_err(|error| {
            if error.is_panic() {
                tracing::error!(%error, "a request met a fault in the daemon");
                answer::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            } else {
                answer::problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending")
            }
        })
    }

    /// Whether the daemon's loop answers.
    pub(super) async fn answers(&self) -> bool {
        self.daemon.runtime.spawn(async {}).await.is_ok()
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}
