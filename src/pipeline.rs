//! The only place that gives effect to what happens. One task takes everything in, in order: what probes plan and
//! record, what the mailbox watches tell, what runs report. It keeps the ledger, makes it durable, and only then
//! answers and tells others.

mod baselines;
mod books;
mod mailboxes;
mod post;
mod restraint;
mod returned;
mod seen;
mod task;
#[cfg(test)]
mod tests;
mod unsaved;
mod witness;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_probes::outcome::Failure;
use postrider_probes::post::{Account, EntryState, Post};
use postrider_probes::reason::Reason;
use postrider_wire::message::tag::EntryId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::baseline::rules::Rules;
use crate::baseline::{Change, Selection};
use crate::clock::Clock;
use crate::ledger::Balance;
use crate::mailbox::news::{Interest, News, Position};
use crate::result::{CheckResult, RunResult};
use crate::run::event::Event;
use crate::store::{RunSearch, Store, StoreError};
pub use baselines::AcceptedChanges;
use post::{Request, RunPost};
use task::Task;
pub use witness::{LedgerChange, Situation, Witness};

/// Inputs of each kind that may wait; whoever is faster waits in turn.
const QUEUE: usize = 1024;
/// What a listener may fall behind before it misses something, and is told so.
const TOLD_QUEUE: usize = 4096;

/// What the pipeline needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// After this time since the final reply, and a look that proves it, a mail is lost.
    pub lost_after: Duration,
    /// The wall clock.
    pub clock: Clock,
}

/// What is told to whoever listens.
#[derive(Debug, Clone)]
pub enum Told {
    /// A run's event, after it was stored.
    Run(Arc<Event>),
    /// A mail that had been given up turned up: its verdict is put right. Told once for each mail.
    Corrected(Arc<Correction>),
    /// The value of something that every client can see became another one, or was accepted. Told once for each time,
    /// when it is on disk.
    Changed(Arc<Change>),
    /// A second copy of a mail turned up. Told once for each mail, however many copies follow, and hours later too.
    Duplicated {
        /// The mail.
        entry: EntryId,
    },
}

/// A mail that had been given up and turned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The mail.
    pub entry: EntryId,
    /// What was said of it before.
    pub before: EntryState,
    /// What is true.
    pub after: EntryState,
    /// The run that sent it.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// Its step.
    pub step: String,
    /// Where it was sent to: `mx2.example.net [192.0.2.1]:25`.
    pub route: String,
    /// The mailbox in which it turned up.
    pub mailbox: String,
    /// From the final reply until it was seen, where there was such a reply.
    pub arrived_after: Option<Duration>,
}

/// How the other parts talk to the pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PipelineHandle {
    requests: mpsc::Sender<Request>,
    news: mpsc::Sender<News>,
    events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
    store: Store,
    clock: Clock,
}

/// What can be read without asking the task.
#[derive(Debug)]
struct Shared {
    accounts: Mutex<HashMap<EntryId, watch::Sender<Account>>>,
    interests: Mutex<HashMap<String, watch::Sender<Interest>>>,
    /// Mails whose final dot may have been written, and of which nothing more is known.
    completing: Mutex<HashSet<EntryId>>,
    told: broadcast::Sender<Told>,
    /// Why the store cannot be written now.
    trouble: watch::Sender<Option<String>>,
}

/// Starts the pipeline on a store: reads back what is open, settles what an earlier process left half-done, and
/// runs until [`PipelineHandle::shutdown`] or until every handle is dropped.
///
/// # Errors
/// When the store cannot be read, or the first settlement cannot be written.
pub async fn start(
    store: Store,
    settings: Settings,
) -> Result<(PipelineHandle, JoinHandle<()>), StoreError> {
    start_with(store, settings, Arc::new(())).await
}

/// As [`start`], with somebody who is told everything.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    store: Store,
    settings: Settings,
    witness: Arc<dyn Witness>,
) -> Result<(PipelineHandle, JoinHandle<()>), StoreError> {
    let (requests, requests_in) = mpsc::channel(QUEUE);
    let (news, news_in) = mpsc::channel(QUEUE);
    let (events, events_in) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        accounts: Mutex::default(),
        interests: Mutex::default(),
        completing: Mutex::default(),
        told: broadcast::channel(TOLD_QUEUE).0,
        trouble: watch::Sender::new(None),
    });
    let handle = PipelineHandle {
        requests,
        news,
        events,
        shared: Arc::clone(&shared),
        store: store.clone(),
        clock: settings.clock,
    };
    let inputs = task::Inputs {
        requests: requests_in,
        news: news_in,
        events: events_in,
    };
    let task = Task::open(store, settings, shared, witness, inputs).await?;
    Ok((handle, tokio::spawn(task.run())))
}

impl PipelineHandle {
    /// The ledger as one step of one run sees it.
    #[must_use]
    pub fn post(&self, run: &str, scenario: &str, step: &str) -> impl Post + use<> {
        RunPost::new(self.clone(), run, scenario, step)
    }

    /// Where runs report.
    #[must_use]
    pub fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    /// Where mailbox watches report.
    #[must_use]
    pub fn news(&self) -> mpsc::Sender<News> {
        self.news.clone()
    }

    /// What the pipeline wants of a mailbox's watches, now and whenever it changes. Closed when the pipeline ends.
    #[must_use]
    pub fn interest(&self, mailbox: &str) -> watch::Receiver<Interest> {
        lock(&self.shared.interests)
            .entry(mailbox.to_owned())
            .or_default()
            .subscribe()
    }

    /// Where the watch of a folder goes on, if it was watched before.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn position(
        &self,
        mailbox: &str,
        folder: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.store.position(mailbox, folder).await
    }

    /// What the store holds of a run, by its whole id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run(&self, id: &str) -> Result<Option<RunResult>, StoreError> {
        Ok(match self.store.run_by_prefix(id).await? {
            RunSearch::One(result) => Some(*result),
            RunSearch::None | RunSearch::Several(_) => None,
        })
    }

    /// What the checks of a run have said so far; empty when the run is not in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn checks_of(&self, run: &str) -> Result<Vec<CheckResult>, StoreError> {
        Ok(match self.store.run_by_prefix(run).await? {
            RunSearch::One(result) => result.checks,
            RunSearch::None | RunSearch::Several(_) => Vec::new(),
        })
    }

    /// What happens from now on. A listener that falls far behind misses the oldest and is told how many.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Told> {
        self.shared.told.subscribe()
    }

    /// Nobody waits for this mail any more: once it was seen it may be removed from its mailbox.
    /// The end of a run does the same for all mails of the run. Returns when the watches know.
    pub async fn release(&self, id: EntryId) {
        let (answer, answered) = oneshot::channel();
        if self.ask(Request::Release(id, answer)).await.is_ok() {
            // A pipeline that has ended has released everything.
            let _ = answered.await;
        }
    }

    /// Why the store cannot be written now; `None` while it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.borrow().clone()
    }

    /// Another time after which mails are given up, for those whose final reply is still to come.
    pub async fn set_lost_after(&self, lost_after: Duration) {
        // A pipeline that has ended gives nothing up any more.
        let _ = self.ask(Request::LostAfter(lost_after)).await;
    }

    /// What the operator says of changes, from now on.
    pub async fn set_rules(&self, rules: Arc<Rules>) {
        // A pipeline that has ended judges nothing any more.
        let _ = self.ask(Request::Rules(rules)).await;
    }

    /// Accepts what was seen last of what is meant; with `also`, beside what is all right already.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn accept(
        &self,
        selection: Selection,
        also: bool,
        by: String,
    ) -> Result<AcceptedChanges, Failure> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Accept {
            selection,
            also,
            by,
            answer,
        };
        self.ask(request).await?;
        answered.await.map_err(|_| ended())?
    }

    /// How many mails are where, over the whole ledger.
    ///
    /// # Errors
    /// When the pipeline has ended.
    pub async fn balance(&self) -> Result<Balance, Failure> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Balance(answer)).await?;
        answered.await.map_err(|_| ended())
    }

    /// Takes in what is queued, makes it durable, closes the store and ends. Calls that come later fail.
    ///
    /// # Errors
    /// When something could not be written in the end.
    pub async fn shutdown(&self) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Shutdown(answer)).await?;
        answered.await.map_err(|_| ended())?
    }

    async fn ask(&self, request: Request) -> Result<(), Failure> {
        self.requests.send(request).await.map_err(|_| ended())
    }
}

fn ended() -> Failure {
    Failure::new(
        Reason::StoreFailed,
        "the ledger is closed: the program is ending",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
