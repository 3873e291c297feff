//! What is done from time to time: the store is kept in order, and the canaries are asked.

use std::sync::Arc;
use std::time::Duration;

use postrider_probes::kinds::deliver::Family;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::hall::Hall;
use crate::clock::Clock;
use crate::metrics::{Metrics, VantageFamily};
use crate::store::{Maintained, Retention, Store};

/// Between two rounds over the store.
const STORE_EACH: Duration = Duration::from_secs(300);
/// After a round that left something to do.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at the canaries.
const CANARIES_EACH: Duration = Duration::from_secs(60);

/// What it works on.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) store: Store,
    pub(super) keep: Retention,
    pub(super) hall: Arc<Hall>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
}

impl Upkeep {
    /// Runs until it is aborted. Each round of the store is small steps, so it can be cut off anywhere.
    pub(super) async fn run(self) {
        tokio::join!(self.keep_store(), self.ask_canaries());
    }

    async fn keep_store(&self) {
        let mut wait = STORE_EACH;
        // What goes wrong is told when it begins and when it ends, not each five minutes.
        let mut trouble: Option<String> = None;
        loop {
            tokio::time::sleep(wait).await;
            wait = STORE_EACH;
            match self.store.maintain(self.clock.now(), self.keep).await {
                Ok(done) => {
                    if trouble.take().is_some() {
                        tracing::info!("the store is kept in order again");
                    }
                    if done.more {
                        wait = STORE_AGAIN;
                    }
                    tell(&done);
                }
                Err(error) => {
                    let problem = error.to_string();
                    if trouble.as_ref() != Some(&problem) {
                        tracing::error!(problem, "the store cannot be kept in order");
                    }
                    trouble = Some(problem);
                }
            }
        }
    }

    async fn ask_canaries(&self) {
        let mut rounds = interval(CANARIES_EACH);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let vantage = Arc::clone(&self.hall.engine().vantage);
            let health = vantage.health(Instant::now()).await;
            for (family, of) in [
                (VantageFamily::Ipv4, Family::Ipv4),
                (VantageFamily::Ipv6, Family::Ipv6),
            ] {
                if let Some(up) = health.up(of) {
                    self.metrics.vantage(family, up);
                }
            }
        }
    }
}

fn tell(done: &Maintained) {
    for problem in &done.problems {
        tracing::warn!(problem, "history has a gap");
    }
    if done.runs + done.entries + done.hourly_rows + done.changes > 0 {
        tracing::info!(
            runs = done.runs,
            entries = done.entries,
            hourly_rows = done.hourly_rows,
            changes = done.changes,
            freed_bytes = done.freed_bytes,
            "what is older than the retention was removed"
        );
    }
}
