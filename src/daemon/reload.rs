//! Another configuration: built whole beside the one that runs, and swapped in at once or not at all.

use std::sync::Arc;
use std::time::Duration;

use postrider_probes::net::Net;
use tokio::time::Instant;

use super::difference::{Difference, Told, short};
use super::{Configuration, Daemon, lock};
use crate::config::plan::Plan;
use crate::config::{self, Format, Loaded};
use crate::run::Engine;
use crate::scheduler::Scheduled;
use crate::vantage::Vantage;

/// A configuration that was taken, or that runs already.
#[derive(Debug, Clone, PartialEq)]
pub struct Reloaded {
    /// For people.
    pub text: String,
    /// What is different; `None` when nothing is.
    pub difference: Option<Difference>,
}

/// A configuration that was refused; the old one goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Rejected {
    /// The mistakes, as `validate` prints them, and as last line what still runs.
    pub text: String,
}

impl Daemon {
    /// Reads the configuration again. Once begun it comes to its end, whether or not the caller waits for it.
    ///
    /// # Errors
    /// When the files have mistakes. Then everything stays as it is.
    pub async fn reload(&self) -> Result<Reloaded, Rejected> {
        let daemon = self.clone();
        let reloading = tokio::spawn(async move { daemon.reload_here().await });
        reloading.await.unwrap_or_else(|panic| {
            Err(Rejected {
                text: format!("the reload ended early: {panic}\n"),
            })
        })
    }

    /// Reads the configuration again when the files are others than those that run, and than those that were refused.
    pub async fn reload_if_changed(&self) -> Option<Result<Reloaded, Rejected>> {
        let now = self.read().await.ok()?.sources.sha256();
        let refused = self.configuration().refused_sha256;
        let is_known = now == self.plan().sha256 || Some(now) == refused;
        match is_known {
            true => None,
            false => Some(self.reload().await),
        }
    }

    async fn reload_here(&self) -> Result<Reloaded, Rejected> {
        let _one = self.0.reloading.lock().await;
        let began = Instant::now();
        self.0.notify.reloading();
        let done = self.exchange(began).await;
        match &done {
            Ok(reloaded) => {
                let mut configuration = lock(&self.0.configuration);
                let now = self.0.clock.now();
                match reloaded.difference.is_some() {
                    true => configuration.since = now,
                    false => self.0.metrics.reload_changed_nothing(now),
                }
                configuration.accepted = true;
                configuration.refused = None;
                configuration.refused_sha256 = None;
            }
            Err(rejected) => {
                let mut configuration = lock(&self.0.configuration);
                configuration.accepted = false;
                self.0.metrics.reload_failed();
                configuration.refused = Some(rejected.text.clone());
            }
        }
        self.tell_ready();
        done
    }

    async fn read(&self) -> Result<Loaded, Rejected> {
        let main = self.0.options.main.clone();
        let read = tokio::task::spawn_blocking(move || config::load(&main)).await;
        read.map_err(|panic| self.rejected(&format!("the configuration cannot be read: {panic}\n")))
    }

    async fn exchange(&self, began: Instant) -> Result<Reloaded, Rejected> {
        let loaded = self.read().await?;
        let text = loaded.render(Format::Full, false);
        let sha256 = loaded.sources.sha256();
        let Some(plan) = loaded.plan else {
            lock(&self.0.configuration).refused_sha256 = Some(sha256);
            return Err(self.rejected(&text));
        };
        let old = self.0.hall.engine();
        if plan.sha256 == old.plan.sha256 {
            return Ok(Reloaded {
                text: format!("nothing has changed: {}\n", self.running()),
                difference: None,
            });
        }
        // From here on nothing can fail.
        let plan = Arc::new(plan);
        self.put_in_place(&old, &plan).await;
        let difference = Difference::between(&old.plan, &plan);
        let told = self.told(began.elapsed()).await;
        Ok(Reloaded {
            text: difference.text(&told),
            difference: Some(difference),
        })
    }

    async fn put_in_place(&self, old: &Engine, plan: &Arc<Plan>) {
        let inner = &self.0;
        let is_other_way = plan.network() != old.plan.network();
        let net: Arc<dyn Net> = match is_other_way {
            true => Arc::new(plan.network()),
            false => Arc::clone(&old.net),
        };
        // Without positions a mailbox that is opened anew is read from its old place on: slower, and no less right.
        let positions = inner.store.positions().await.unwrap_or_default();
        let other_net = is_other_way.then(|| Arc::clone(&net));
        inner
            .watches
            .replace(plan.mailboxes.clone(), other_net, positions);
        inner.slots.set_limit(plan.connections_per_address);
        inner.pipeline.set_lost_after(plan.lost_after).await;
        inner.pipeline.set_rules(Arc::clone(&plan.changes)).await;
        let canaries = plan.canaries.clone();
        inner.hall.swap(Arc::new(Engine {
            plan: Arc::clone(plan),
            vantage: Arc::new(Vantage::new(canaries, Arc::clone(&net), old.now)),
            net,
            pipeline: inner.pipeline.clone(),
            watches: inner.watches.clone(),
            slots: Arc::clone(&inner.slots),
            now: old.now,
        }));
        inner.metrics.reloaded(plan, inner.clock.now());
        inner.scheduler.replace(Scheduled::all_of(plan)).await;
    }

    async fn told(&self, took: Duration) -> Told {
        let stands = self.0.scheduler.stands().await;
        let first = stands
            .into_iter()
            .filter_map(|stand| Some((stand.scenario.to_string(), stand.next?)));
        Told {
            took,
            now: self.0.clock.now(),
            first: first.collect(),
            kept: self.0.options.retention,
        }
    }

    fn rejected(&self, mistakes: &str) -> Rejected {
        Rejected {
            text: format!(
                "{}\nnot reloaded: {}\n",
                mistakes.trim_end(),
                self.running()
            ),
        }
    }

    /// `still running a1b2c3 from 2026-11-24 03:58 UTC`
    fn running(&self) -> String {
        let Configuration { since, .. } = self.configuration();
        format!(
            "still running {} from {} UTC",
            short(&self.plan().sha256),
            since.strftime("%F %H:%M")
        )
    }
}
