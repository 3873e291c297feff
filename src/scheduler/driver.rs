//! The loop: sleeps by the monotonic clock until something is due, looks at the wall clock every few seconds, and
//! starts runs as tasks. Neither a run that fails nor one that panics reaches it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::agenda::{Agenda, Happening, Moment, Scheduled, Stand, Start, TooMany};
use crate::clock::Clock;
use crate::run::event::{RunMissed, WhyMissed};

/// The wall clock is looked at this often, whatever is due.
const LOOK: Duration = Duration::from_secs(2);
/// Requests that may wait.
const QUEUE: usize = 64;

/// A run that somebody asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The scenario.
    pub scenario: String,
    /// Who asks.
    pub origin: String,
}

/// What is held.
#[derive(Debug, Clone)]
pub enum Held {
    /// What the schedule says.
    Planned(Start),
    /// What somebody asked for.
    Asked(Asked),
}

/// A run that has begun.
pub struct Begun {
    /// Its id.
    pub id: String,
    /// Holds it to its end.
    pub run: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Holds runs, and hears what the scheduler has to say. Nothing in here may block.
pub trait Runs: Send + Sync + 'static {
    /// Makes a run; it begins when its future is polled.
    fn begin(&self, held: Held) -> Begun;
    /// Tells of missed starts; gives them back when they cannot be told now.
    fn missed(&self, missed: RunMissed) -> Result<(), RunMissed>;
    /// The loop is alive: called at each round.
    fn ticked(&self);
}

/// How the other parts talk to the scheduler. Cheap to clone; the scheduler ends with the last one.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    running: watch::Receiver<usize>,
}

#[derive(Debug)]
struct Shared {
    ticked_at: Mutex<Instant>,
}

#[derive(Debug)]
enum Command {
    Replace(Vec<Scheduled>, oneshot::Sender<()>),
    Start(Asked, oneshot::Sender<Result<String, TooMany>>),
    Stands(oneshot::Sender<Vec<Stand>>),
    Drain(oneshot::Sender<()>),
    Stop,
}

/// Starts the loop.
pub fn start(
    scenarios: &[Scheduled],
    runs: Arc<dyn Runs>,
    clock: Clock,
    seed: u64,
) -> (Handle, JoinHandle<()>) {
    let (commands, commands_in) = mpsc::channel(QUEUE);
    let (count, running) = watch::channel(0);
    let now = moment(clock);
    let mut agenda = Agenda::new(now, seed);
    agenda.replace(scenarios, now);
    let shared = Arc::new(Shared {
        ticked_at: Mutex::new(now.mono),
    });
    let driver = Driver {
        agenda,
        runs,
        clock,
        commands: commands_in,
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        count,
        untold: HashMap::new(),
        draining: false,
    };
    let handle = Handle {
        commands,
        shared,
        running,
    };
    (handle, tokio::spawn(driver.run()))
}

impl Handle {
    /// When the loop went round last.
    #[must_use]
    pub fn ticked_at(&self) -> Instant {
        *lock(&self.shared.ticked_at)
    }

    /// Takes over another plan. Returns when it holds.
    pub async fn replace(&self, scenarios: Vec<Scheduled>) {
        let (answer, answered) = oneshot::channel();
        if self
            .commands
            .send(Command::Replace(scenarios, answer))
            .await
            .is_ok()
        {
            // A loop that has ended starts nothing any more.
            let _ = answered.await;
        }
    }

    /// Starts a run now. `None`: the program is ending.
    pub async fn start(&self, asked: Asked) -> Option<Result<String, TooMany>> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(Command::Start(asked, answer))
            .await
            .ok()?;
        answered.await.ok()
    }

    /// How every scenario stands; nothing when the program is ending.
    pub async fn stands(&self) -> Vec<Stand> {
        let (answer, answered) = oneshot::channel();
        match self.commands.send(Command::Stands(answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Starts nothing any more. Returns when no run is in flight.
    pub async fn drain(&self) {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Drain(answer)).await.is_ok() {
            let _ = answered.await;
            let mut running = self.running.clone();
            // A loop that has ended has no runs.
            let _ = running.wait_for(|running| *running == 0).await;
        }
    }

    /// The runs in flight now.
    #[must_use]
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Ends the loop, and cuts off what is still in flight.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
    }
}

struct Driver {
    agenda: Agenda,
    runs: Arc<dyn Runs>,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    tasks: JoinSet<Arc<str>>,
    count: watch::Sender<usize>,
    /// Missed starts that could not be told yet.
    untold: HashMap<(String, WhyMissed), RunMissed>,
    draining: bool,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let now = moment(self.clock);
            *lock(&self.shared.ticked_at) = now.mono;
            self.runs.ticked();
            if !self.draining {
                self.tick(now);
            }
            self.tell_missed();
            self.count.send_if_modified(|count| {
                std::mem::replace(count, self.tasks.len()) != self.tasks.len()
            });
            let pause = match self.draining {
                true => LOOK,
                false => self
                    .agenda
                    .quiet_for(now)
                    .map_or(LOOK, |quiet| quiet.min(LOOK)),
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Stop) | None => return,
                    Some(command) => self.obey(command),
                },
                Some(ended) = self.tasks.join_next() => self.ended(ended.ok()),
                () = sleep(pause) => {}
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.ended(ended.ok());
            }
        }
    }

    fn tick(&mut self, now: Moment) {
        for happening in self.agenda.tick(now) {
            match happening {
                Happening::Due(start) => {
                    let scenario = Arc::clone(&start.scenario);
                    self.hold(scenario, Held::Planned(start));
                }
                Happening::Missed(missed) => {
                    tracing::warn!(
                        scenario = missed.scenario,
                        planned_at = %missed.planned_at,
                        times = missed.times,
                        why = missed.why.name(),
                        "a planned start is missed"
                    );
                    let key = (missed.scenario.clone(), missed.why);
                    let times = missed.times;
                    self.untold
                        .entry(key)
                        .and_modify(|known| known.times = known.times.saturating_add(times))
                        .or_insert(missed);
                }
                Happening::Jumped(by) => tracing::warn!(
                    seconds = by.as_secs_f64(),
                    "the wall clock has jumped, or the machine slept"
                ),
            }
        }
    }

    fn hold(&mut self, scenario: Arc<str>, held: Held) -> String {
        let Begun { id, run } = self.runs.begin(held);
        let name = id.clone();
        self.tasks.spawn(async move {
            if AssertUnwindSafe(run).catch_unwind().await.is_err() {
                tracing::error!(run = name, %scenario, "a run panicked; this is a defect of postrider");
            }
            scenario
        });
        id
    }

    fn ended(&mut self, scenario: Option<Arc<str>>) {
        // Only a task that was cut off has no name, and only the end of the loop cuts off.
        if let Some(scenario) = scenario {
            self.agenda.finished(&scenario);
        }
    }

    fn tell_missed(&mut self) {
        if self.untold.is_empty() {
            return;
        }
        for (key, missed) in std::mem::take(&mut self.untold) {
            if let Err(missed) = self.runs.missed(missed) {
                self.untold.insert(key, missed);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever asked may have gone.
        match command {
            Command::Replace(scenarios, answer) => {
                self.agenda.replace(&scenarios, moment(self.clock));
                let _ = answer.send(());
            }
            Command::Start(asked, answer) => {
                if self.draining {
                    return;
                }
                let begun = self.agenda.begin(&asked.scenario);
                let scenario: Arc<str> = asked.scenario.as_str().into();
                let _ = answer.send(begun.map(|()| self.hold(scenario, Held::Asked(asked))));
            }
            Command::Stands(answer) => {
                let _ = answer.send(self.agenda.stands());
            }
            Command::Drain(answer) => {
                self.draining = true;
                // Whoever waits for none must not see the number of before.
                self.count.send_replace(self.tasks.len());
                let _ = answer.send(());
            }
            Command::Stop => {}
        }
    }
}

fn moment(clock: Clock) -> Moment {
    Moment {
        wall: clock.now(),
        mono: Instant::now(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
