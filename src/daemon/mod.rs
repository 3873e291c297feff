//! The long-running process: scheduler, engine, ledger and mailbox watches put together, and the handle by which
//! signals and the web act on them. Nothing in here prints or reads arguments: that is `cli/serve.rs`.

mod blackbox;
mod control;
mod difference;
mod hall;
mod journal;
mod log;
mod notify;
mod readiness;
mod reload;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::net::Net;
use postrider_probes::post::EntryState;
use postrider_probes::slots::Slots;
use postrider_probes::tls::load_system_roots;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};

pub use difference::{Change, Difference, Item};
pub use journal::Summary;
pub use log::{Form, Line};
pub use notify::Notify;
pub use readiness::{Facts, NotReady, readiness};
pub use reload::{Rejected, Reloaded};

use crate::clock::{self, Clock};
use crate::config::plan::Plan;
use crate::mailbox::{self, Watches};
use crate::metrics::{Format, Metrics};
use crate::pipeline::{self, PipelineHandle, Settings, Witness};
use crate::run::Engine;
use crate::scheduler::{self, Asked, Scheduled};
use crate::store::{Retention, Store, StoreError};
use crate::vantage::Vantage;
use hall::Hall;
use journal::Journal;
use upkeep::Upkeep;

/// Of the time for an orderly end, the part that is kept for cutting off, saying goodbye and the last commit.
const CLOSING: u32 = 5;
/// Beyond that time a commit that has begun may still end.
const LAST_COMMIT: Duration = Duration::from_secs(5);
/// Checks that are looked at for how each of them ended last: those of the newest runs.
const RESTORED_CHECKS: u32 = 20_000;
/// Mails that the next start awaits.
const UNDER_WAY: [EntryState; 3] = [
    EntryState::Accepted,
    EntryState::Uncertain,
    EntryState::Overdue,
];

/// What the daemon is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The main configuration file.
    pub main: PathBuf,
    /// The state directory.
    pub storage: PathBuf,
    /// How long history is kept.
    pub retention: Duration,
    /// How many bytes the store may have.
    pub retention_size: u64,
}

/// The running daemon. Clones share it.
#[derive(Debug, Clone)]
pub struct Daemon(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    clock: Clock,
    store: Store,
    pipeline: PipelineHandle,
    watches: Watches,
    slots: Arc<Slots>,
    hall: Arc<Hall>,
    scheduler: scheduler::Handle,
    journal: Journal,
    metrics: Arc<Metrics>,
    notify: Arc<Notify>,
    upkeep: AbortHandle,
    configuration: Mutex<Configuration>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    tasks: Mutex<Option<[JoinHandle<()>; 2]>>,
}

/// What is known of the configuration beside the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Since when the plan runs.
    pub since: Timestamp,
    /// Whether the last reload was accepted.
    pub accepted: bool,
    /// The mistakes of the file that was refused, until one is accepted.
    pub refused: Option<String>,
    /// The hash of the files that were refused.
    refused_sha256: Option<String>,
}

/// A scenario as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioStand {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub title: Option<String>,
    /// The interval, when the schedule has one.
    pub every: Option<Duration>,
    /// The next planned start.
    pub next: Option<Timestamp>,
    /// Its runs now.
    pub in_flight: u32,
}

/// Why a run was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No scenario has that name.
    #[error("no scenario is called `{0}`")]
    Unknown(String),
    /// As many runs as may be are under way.
    #[error("{0}")]
    Busy(String),
    /// The daemon ends, or cannot book mail.
    #[error("{0}")]
    NotReady(String),
}

impl Daemon {
    /// Starts everything on an open store. Must be called inside the runtime.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        options: Options,
        plan: Plan,
        store: Store,
        notify: Notify,
    ) -> Result<Self, StoreError> {
        let clock = Clock::system();
        let positions = store.positions().await?;
        let settings = Settings {
            lost_after: plan.lost_after,
            clock,
        };
        let metrics = Arc::new(Metrics::new(&plan, clock.now()));
        metrics.restore(&store.last_checks(RESTORED_CHECKS).await?);
        let witness: Arc<dyn Witness> = Arc::clone(&metrics) as _;
        let (pipeline, booking) = pipeline::start_with(store.clone(), settings, witness).await?;
        pipeline.set_rules(Arc::clone(&plan.changes)).await;
        if plan.trusts_the_system() {
            // Reading the system's authorities must not count as the first server's handshake.
            let _ = tokio::task::spawn_blocking(load_system_roots).await;
        }
        let net: Arc<dyn Net> = Arc::new(plan.network());
        let interests = pipeline.clone();
        let watches = Watches::start(mailbox::Setup {
            net: Arc::clone(&net),
            accounts: plan.mailboxes.clone(),
            news: pipeline.news(),
            interest: move |mailbox: &str| interests.interest(mailbox),
            positions,
            now: clock::now,
            seed: rand::random(),
        });
        watches.resume();
        let slots = Arc::new(Slots::new(plan.connections_per_address));
        let scheduled = Scheduled::all_of(&plan);
        let canaries = plan.canaries.clone();
        let engine = Engine {
            plan: Arc::new(plan),
            vantage: Arc::new(Vantage::new(canaries, Arc::clone(&net), clock::now)),
            net,
            pipeline: pipeline.clone(),
            watches: watches.clone(),
            slots: Arc::clone(&slots),
            now: clock::now,
        };
        let notify = Arc::new(notify);
        let journal = Journal::start(pipeline.listen());
        let hall = Arc::new(Hall::new(Arc::new(engine), clock, Arc::clone(&notify)));
        let runs: Arc<dyn scheduler::Runs> = Arc::clone(&hall) as _;
        let (scheduler, scheduling) = scheduler::start(&scheduled, runs, clock, rand::random());
        let upkeep = Upkeep {
            store: store.clone(),
            keep: Retention {
                time: options.retention,
                size: options.retention_size,
                ..Retention::default()
            },
            hall: Arc::clone(&hall),
            metrics: Arc::clone(&metrics),
            clock,
        };
        Ok(Self(Arc::new(Inner {
            upkeep: tokio::spawn(upkeep.run()).abort_handle(),
            options,
            clock,
            store,
            pipeline,
            watches,
            slots,
            hall,
            scheduler,
            journal,
            metrics,
            notify,
            configuration: Mutex::new(Configuration {
                since: clock.now(),
                accepted: true,
                refused: None,
                refused_sha256: None,
            }),
            reloading: tokio::sync::Mutex::new(()),
            tasks: Mutex::new(Some([scheduling, booking])),
        })))
    }

    /// What runs now.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.0.hall.engine().plan)
    }

    /// Where everything is booked.
    #[must_use]
    pub fn pipeline(&self) -> &PipelineHandle {
        &self.0.pipeline
    }

    /// The open store, for reading.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// How the configuration stands.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        lock(&self.0.configuration).clone()
    }

    /// The metrics for a scraper.
    #[must_use]
    pub fn exposition(&self, format: Format) -> Vec<u8> {
        let store_bytes = self.0.store.size_bytes();
        self.0.metrics.exposition(format, Some(store_bytes))
    }

    /// What the last runs gave, in a line.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.0.journal.summary()
    }

    /// Everything that keeps the daemon from its work; empty when it is ready.
    #[must_use]
    pub fn readiness(&self) -> Vec<NotReady> {
        readiness(&Facts {
            store: self.0.pipeline.trouble(),
            since_tick: self.0.scheduler.ticked_at().elapsed(),
            ending: self.0.hall.is_ending(),
        })
    }

    /// Every scenario of the plan, by name.
    pub async fn scenarios(&self) -> Vec<ScenarioStand> {
        let plan = self.plan();
        let stands = self.0.scheduler.stands().await;
        let mut stands: BTreeMap<&str, _> = stands
            .iter()
            .map(|stand| (&*stand.scenario, stand))
            .collect();
        let mut scenarios: Vec<ScenarioStand> = plan
            .scenarios
            .iter()
            .map(|scenario| {
                let stand = stands.remove(scenario.name.as_str());
                ScenarioStand {
                    name: scenario.name.clone(),
                    title: scenario.title.clone(),
                    every: scenario
                        .schedule
                        .as_ref()
                        .and_then(|schedule| schedule.every()),
                    next: stand.and_then(|stand| stand.next),
                    in_flight: stand.map_or(0, |stand| stand.in_flight),
                }
            })
            .collect();
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        scenarios
    }

    /// Starts a run now and gives its id.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn start_run(&self, scenario: &str, origin: String) -> Result<String, Refusal> {
        if !self
            .plan()
            .scenarios
            .iter()
            .any(|known| known.name == scenario)
        {
            return Err(Refusal::Unknown(scenario.to_owned()));
        }
        if let Some(problem) = self.0.pipeline.trouble() {
            return Err(Refusal::NotReady(problem));
        }
        let asked = Asked {
            scenario: scenario.to_owned(),
            origin,
        };
        match self.0.scheduler.start(asked).await {
            Some(Ok(run)) => Ok(run),
            Some(Err(too_many)) => Err(Refusal::Busy(format!("{scenario}: {too_many}"))),
            None => Err(Refusal::NotReady("the program is ending".to_owned())),
        }
    }

    /// Tells the service manager that the daemon does its work.
    pub fn tell_ready(&self) {
        self.0.notify.ready(&self.status());
    }

    /// Tells the service manager what the daemon does.
    pub fn tell_status(&self) {
        self.0.notify.status(&self.status());
    }

    fn status(&self) -> String {
        self.summary().line(self.plan().scenarios.len())
    }

    /// Ends in good order within `grace`: starts nothing, waits for what is in flight, cuts off the rest, removes own
    /// mail, commits and closes. Mails that are still under way stay in the ledger; the next start awaits them.
    ///
    /// # Errors
    /// When what happened last could not be written.
    pub async fn drain(&self, grace: Duration) -> Result<Drained, String> {
        let inner = &self.0;
        let end = Instant::now() + grace;
        let closing = grace / CLOSING;
        inner.hall.end();
        inner.notify.stopping("waiting for what is in flight");
        let in_time = timeout(grace - closing, inner.scheduler.drain())
            .await
            .is_ok();
        if !in_time {
            inner.hall.cancel("the program is ending");
            // Nobody waits for what does not end now: its mails are in the ledger.
            let _ = timeout(closing / 4, inner.scheduler.drain()).await;
        }
        let cut_off = inner.scheduler.running();
        inner.scheduler.stop().await;
        let tasks = lock(&inner.tasks).take();
        let Some([scheduling, booking]) = tasks else {
            return Err("the program is ending already".to_owned());
        };
        let _ = scheduling.await;
        inner.upkeep.abort();
        let _ = timeout_at(end - closing / 4, inner.watches.shutdown()).await;
        // A ledger that waits for a store that cannot be written answers nobody.
        let balance = timeout(closing / 4, inner.pipeline.balance()).await;
        let balance = balance.ok().and_then(Result::ok);
        let closed = timeout_at(end + LAST_COMMIT, inner.pipeline.shutdown()).await;
        closed
            .map_err(|_| "the store could not be written to the end".to_owned())?
            .map_err(|failure| failure.line())?;
        let _ = booking.await;
        Ok(Drained {
            in_time,
            cut_off,
            under_way: balance.map_or(0, |balance| {
                UNDER_WAY.map(|state| balance.of(state)).iter().sum()
            }),
        })
    }
}

/// How the end was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Every run came to its end.
    pub in_time: bool,
    /// Runs that did not end even when they were told to.
    pub cut_off: usize,
    /// Mails whose end is not known yet; the next start awaits them.
    pub under_way: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
