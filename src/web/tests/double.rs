//! A daemon that does nothing and remembers what it was asked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::result::changes::Acceptance;
use crate::result::{Counts, RunHead, RunResult, StatusWord};
use crate::web::{
    AcceptRequest, Answer, Control, LedgerEntry, LedgerQuery, Metrics, MetricsFormat, NotReady,
    Origin, ProbeQuery, ProbeRefusal, ProbeRefused, Probed, Refusal, Refused, Rejected, Reloaded,
    RunQuery, Unavailable,
};

/// What it answers, and what it was asked.
#[derive(Debug)]
pub(super) struct Double {
    pub(super) not_ready: Mutex<Vec<NotReady>>,
    pub(super) mistakes: Mutex<Option<String>>,
    pub(super) metrics: Mutex<String>,
    /// Reloads wait for a permit.
    pub(super) go: Semaphore,
    /// Reads of the store wait for a permit, and so do expositions.
    pub(super) costly: Semaphore,
    /// Reads of the store that wait now.
    pub(super) reading: AtomicU32,
    /// Expositions that wait now.
    pub(super) exposing: AtomicU32,
    /// A reload waits.
    pub(super) waiting: AtomicBool,
    pub(super) faulty: AtomicBool,
    pub(super) reloads: AtomicU32,
    pub(super) runs_started: Mutex<Vec<(String, Origin)>>,
    pub(super) accepted: Mutex<Vec<(AcceptRequest, Origin)>>,
    pub(super) run_queries: Mutex<Vec<RunQuery>>,
    pub(super) ledger_queries: Mutex<Vec<LedgerQuery>>,
    pub(super) probe_queries: Mutex<Vec<ProbeQuery>>,
}

impl Default for Double {
    fn default() -> Self {
        Self {
            not_ready: Mutex::default(),
            mistakes: Mutex::default(),
            metrics: Mutex::new("postrider_build_info 1\n".to_owned()),
            go: Semaphore::new(Semaphore::MAX_PERMITS),
            costly: Semaphore::new(Semaphore::MAX_PERMITS),
            reading: AtomicU32::new(0),
            exposing: AtomicU32::new(0),
            waiting: AtomicBool::new(false),
            faulty: AtomicBool::new(false),
            reloads: AtomicU32::new(0),
            runs_started: Mutex::default(),
            accepted: Mutex::default(),
            run_queries: Mutex::default(),
            ledger_queries: Mutex::default(),
            probe_queries: Mutex::default(),
        }
    }
}

impl Double {
    /// How often something was changed.
    pub(super) fn acts(&self) -> usize {
        self.reloads.load(Ordering::SeqCst) as usize
            + self.runs_started.lock().unwrap().len()
            + self.accepted.lock().unwrap().len()
    }

    async fn cost(&self, count: &AtomicU32) {
        count.fetch_add(1, Ordering::SeqCst);
        let _permit = self.costly.acquire().await.unwrap();
        count.fetch_sub(1, Ordering::SeqCst);
    }

    fn broken(&self) -> Result<(), Unavailable> {
        if self.faulty.load(Ordering::SeqCst) {
            return Err(Unavailable("/var/lib/postrider: disk full".to_owned()));
        }
        Ok(())
    }
}

fn head(number: u32) -> RunHead {
    RunHead {
        id: format!("RUN{number}"),
        origin: "schedule".to_owned(),
        vantage: "fra-1".to_owned(),
        started_at: "2026-11-24T03:58:00Z".to_owned(),
        duration_seconds: 1.0,
        status: StatusWord::Pass,
        version: "0".to_owned(),
        config_sha256: String::new(),
        scenarios: Vec::new(),
        running: false,
        cancelled: None,
    }
}

impl Control for Double {
    fn readiness(&self) -> Answer<'_, Vec<NotReady>> {
        Box::pin(async { self.not_ready.lock().unwrap().clone() })
    }

    fn metrics(&self, format: MetricsFormat) -> Answer<'_, Metrics> {
        Box::pin(async move {
            self.cost(&self.exposing).await;
            assert!(!self.faulty.load(Ordering::SeqCst), "a fault in the daemon");
            Metrics {
                content_type: format.content_type(),
                body: self.metrics.lock().unwrap().clone().into_bytes(),
            }
        })
    }

    fn probe(&self, query: ProbeQuery) -> Answer<'_, Result<Probed, ProbeRefused>> {
        Box::pin(async move {
            self.cost(&self.exposing).await;
            let refused = |kind, reason: &str| {
                let reason = reason.to_owned();
                Err(ProbeRefused { kind, reason })
            };
            let target = query.target.clone();
            self.probe_queries.lock().unwrap().push(query);
            match target.as_str() {
                "nonsense" => refused(ProbeRefusal::Meaningless, "that is no target"),
                "elsewhere" => refused(ProbeRefusal::NotNamed, "that is not ours"),
                "ending" => refused(ProbeRefusal::NotReady, "the program is ending"),
                _ => Ok(Probed {
                    metrics: "probe_success 1\n".to_owned(),
                    log: "<-  220 mx1".to_owned(),
                }),
            }
        })
    }

    fn reload(&self) -> Answer<'_, Result<Reloaded, Rejected>> {
        Box::pin(async {
            self.waiting.store(true, Ordering::SeqCst);
            self.go.acquire().await.unwrap().forget();
            self.reloads.fetch_add(1, Ordering::SeqCst);
            match self.mistakes.lock().unwrap().clone() {
                Some(text) => Err(Rejected { text }),
                None => Ok(Reloaded {
                    text: "reloaded a1b2c3 → d4e5f6 in 41 ms".to_owned(),
                    json: serde_json::json!({ "unchanged": 18 }),
                }),
            }
        })
    }

    fn start_run(&self, scenario: String, origin: Origin) -> Answer<'_, Result<String, Refused>> {
        Box::pin(async move {
            let (kind, reason) = match scenario.as_str() {
                "mx-delivery" => {
                    self.runs_started.lock().unwrap().push((scenario, origin));
                    return Ok("01J9Z3".to_owned());
                }
                "busy" => (Refusal::Busy, "3 runs of it are under way"),
                "late" => (Refusal::NotReady, "the daemon is ending"),
                _ => (Refusal::UnknownScenario, "no scenario has that name"),
            };
            Err(Refused {
                kind,
                reason: reason.to_owned(),
                retry_after: (kind == Refusal::Busy).then_some(Duration::from_millis(1500)),
            })
        })
    }

    fn runs(&self, query: RunQuery) -> Answer<'_, Result<Vec<RunHead>, Unavailable>> {
        Box::pin(async move {
            self.cost(&self.reading).await;
            self.broken()?;
            let heads = (0..5).rev().map(head).take(query.limit as usize).collect();
            self.run_queries.lock().unwrap().push(query);
            Ok(heads)
        })
    }

    fn run(&self, id: String) -> Answer<'_, Result<Option<RunResult>, Unavailable>> {
        Box::pin(async move {
            self.cost(&self.reading).await;
            self.broken()?;
            Ok((id == "RUN1").then(|| RunResult {
                schema_version: "1.0".to_owned(),
                run: head(1),
                counts: Counts::default(),
                checks: Vec::new(),
            }))
        })
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Result<Vec<LedgerEntry>, Unavailable>> {
        Box::pin(async move {
            self.cost(&self.reading).await;
            self.broken()?;
            self.ledger_queries.lock().unwrap().push(query);
            Ok(Vec::new())
        })
    }

    fn accept(
        &self,
        request: AcceptRequest,
        origin: Origin,
    ) -> Answer<'_, Result<Acceptance, Unavailable>> {
        Box::pin(async move {
            self.broken()?;
            let meant = usize::from(request.subject.as_deref() != Some("nobody"));
            self.accepted.lock().unwrap().push((request, origin));
            Ok(Acceptance {
                schema_version: "1.0".to_owned(),
                meant,
                accepted: Vec::new(),
            })
        })
    }

    fn config_error(&self) -> Option<String> {
        self.mistakes.lock().unwrap().clone()
    }
}
