//! Where runs are held: under the plan that holds when they begin, to their end, whatever is loaded meanwhile.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use postrider_probes::outcome::Status;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Notify, lock};
use crate::clock::Clock;
use crate::run::event::{Event, RunFinished, RunMissed, WhyMissed};
use crate::run::select::Selection;
use crate::run::{Engine, Ids, PlannedStart, Request};
use crate::scheduler::{Begun, Held, Runs};

/// Checks of one run at the same time.
const JOBS: usize = 32;

/// What holds runs.
#[derive(Debug)]
pub(super) struct Hall {
    engine: Mutex<Arc<Engine>>,
    cancel: watch::Sender<Option<String>>,
    ending: AtomicBool,
    ids: Ids,
    clock: Clock,
    notify: Arc<Notify>,
    /// When the service manager was told last that the scheduler lives.
    alive_at: Mutex<Option<Instant>>,
}

impl Hall {
    pub(super) fn new(engine: Arc<Engine>, clock: Clock, notify: Arc<Notify>) -> Self {
        Self {
            engine: Mutex::new(engine),
            cancel: watch::Sender::new(None),
            ending: AtomicBool::new(false),
            ids: Ids::default(),
            clock,
            notify,
            alive_at: Mutex::new(None),
        }
    }

    /// What the next run is held with.
    pub(super) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&lock(&self.engine))
    }

    /// Holds the next runs with another one.
    pub(super) fn swap(&self, engine: Arc<Engine>) {
        *lock(&self.engine) = engine;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Ends every run early.
    pub(super) fn cancel(&self, why: &str) {
        self.cancel.send_replace(Some(why.to_owned()));
    }
}

impl Runs for Hall {
    fn begin(&self, held: Held) -> Begun {
        let engine = self.engine();
        let id = self.ids.next(self.clock.now());
        if let Held::Planned(start) = &held
            && !engine
                .plan
                .scenarios
                .iter()
                .any(|known| *known.name == *start.scenario)
        {
            // A reload put the new plan in place before the scheduler heard of it.
            let removed = RunMissed {
                scenario: start.scenario.to_string(),
                planned_at: start.planned_at,
                times: 1,
                why: WhyMissed::Removed,
            };
            if self.missed(removed).is_err() {
                tracing::warn!(scenario = %start.scenario, "a start of a removed scenario is not counted");
            }
            return Begun {
                id,
                run: Box::pin(std::future::ready(())),
            };
        }
        let (scenario, origin, planned) = match held {
            Held::Planned(start) => {
                let planned = PlannedStart {
                    at: start.planned_at,
                    late: start.late,
                };
                (
                    start.scenario.to_string(),
                    "schedule".to_owned(),
                    Some(planned),
                )
            }
            Held::Asked(asked) => (asked.scenario, asked.origin, None),
        };
        let request = Request {
            id: id.clone(),
            selection: Selection {
                scenarios: vec![scenario],
                ..Selection::default()
            },
            jobs: JOBS,
            origin,
            timeout: None,
            planned,
        };
        let cancel = self.cancel.subscribe();
        let run = async move {
            let began = Instant::now();
            let held = AssertUnwindSafe(engine.execute(&request, &cancel)).catch_unwind();
            if held.await.is_err() {
                tracing::error!(
                    run = request.id,
                    "a run panicked; this is a defect of postrider"
                );
                let finished = RunFinished {
                    run: request.id,
                    status: Status::Error,
                    took: began.elapsed(),
                    cancelled: Some("a defect of postrider".to_owned()),
                };
                // So that the ledger lets go of its mails.
                let _ = engine
                    .pipeline
                    .events()
                    .send(Event::RunFinished(finished))
                    .await;
            }
        };
        Begun {
            id,
            run: Box::pin(run),
        }
    }

    fn missed(&self, missed: RunMissed) -> Result<(), RunMissed> {
        match self
            .engine()
            .pipeline
            .events()
            .try_send(Event::RunMissed(missed))
        {
            Err(TrySendError::Full(Event::RunMissed(missed))) => Err(missed),
            _ => Ok(()),
        }
    }

    fn ticked(&self) {
        let Some(within) = self.notify.watchdog() else {
            return;
        };
        let now = Instant::now();
        let mut alive_at = lock(&self.alive_at);
        // Half the time is what sd_watchdog_enabled(3) recommends.
        let pause = (within / 2).min(Duration::from_secs(10));
        if alive_at.is_none_or(|told| now - told >= pause) {
            *alive_at = Some(now);
            self.notify.alive();
        }
    }
}
