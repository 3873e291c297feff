//! The daemon as the web sees it.

use std::time::Duration;

use serde_json::json;

use super::{Daemon, Refusal, blackbox};
use crate::baseline::{Selection, document};
use crate::result::changes::Acceptance;
use crate::result::{RunHead, RunResult};
use crate::store::{Reader, RunSearch, StoreError};
use crate::web::{
    self, AcceptRequest, Answer, Control, LedgerEntry, LedgerQuery, Metrics, MetricsFormat,
    NotReady, Origin, ProbeQuery, ProbeRefusal, ProbeRefused, Probed, Refused, Rejected, Reloaded,
    RunQuery, Unavailable,
};

/// A read of the store for the web that takes longer is stopped; below the limit of a request, which is 30 s.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

impl Control for Daemon {
    fn readiness(&self) -> Answer<'_, Vec<NotReady>> {
        let reasons = Self::readiness(self).into_iter().map(|reason| NotReady {
            what: reason.what.to_owned(),
            why: reason.why,
        });
        let reasons = reasons.collect();
        Box::pin(async { reasons })
    }

    fn metrics(&self, format: MetricsFormat) -> Answer<'_, Metrics> {
        let daemon = self.clone();
        let written = tokio::task::spawn_blocking(move || daemon.exposition(format));
        Box::pin(async move {
            Metrics {
                content_type: format.content_type(),
                // A panic is told where it happens; a scrape without a sample is seen by its `up`.
                body: written.await.unwrap_or_default(),
            }
        })
    }

    fn reload(&self) -> Answer<'_, Result<Reloaded, Rejected>> {
        Box::pin(async {
            match Self::reload(self).await {
                Ok(reloaded) => Ok(Reloaded {
                    json: reloaded
                        .difference
                        .as_ref()
                        .map_or_else(|| json!({ "items": [] }), super::Difference::json),
                    text: reloaded.text,
                }),
                Err(rejected) => Err(Rejected {
                    text: rejected.text,
                }),
            }
        })
    }

    fn start_run(&self, scenario: String, origin: Origin) -> Answer<'_, Result<String, Refused>> {
        Box::pin(async move {
            let started = Self::start_run(self, &scenario, origin.to_string()).await;
            started.map_err(|refusal| Refused {
                reason: refusal.to_string(),
                retry_after: None,
                kind: match refusal {
                    Refusal::Unknown(_) => web::Refusal::UnknownScenario,
                    Refusal::Busy(_) => web::Refusal::Busy,
                    Refusal::NotReady(_) => web::Refusal::NotReady,
                },
            })
        })
    }

    fn runs(&self, query: RunQuery) -> Answer<'_, Result<Vec<RunHead>, Unavailable>> {
        Box::pin(self.look(move |reader| reader.run_page(&query.into())))
    }

    fn run(&self, id: String) -> Answer<'_, Result<Option<RunResult>, Unavailable>> {
        Box::pin(self.look(move |reader| {
            Ok(match reader.run_by_prefix(&id)? {
                RunSearch::One(run) if run.run.id.eq_ignore_ascii_case(&id) => Some(*run),
                _ => None,
            })
        }))
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Result<Vec<LedgerEntry>, Unavailable>> {
        Box::pin(self.look(move |reader| {
            let entries = reader.entry_page(&query.into())?;
            Ok(entries.into_iter().map(LedgerEntry::from).collect())
        }))
    }

    fn accept(
        &self,
        request: AcceptRequest,
        origin: Origin,
    ) -> Answer<'_, Result<Acceptance, Unavailable>> {
        Box::pin(async move {
            let AcceptRequest {
                what,
                subject,
                scenario,
                all: _,
                also,
                unchanged_since,
                instance,
            } = request;
            let ours = &self.0.store.identity().instance;
            if instance.is_some_and(|instance| instance != *ours) {
                return Err(Unavailable("this daemon keeps another store".to_owned()));
            }
            let selection = Selection {
                what,
                subject,
                scenario,
                unchanged_since,
            };
            let pipeline = &self.0.pipeline;
            let accepted = pipeline.accept(selection, also, origin.to_string()).await;
            let accepted = accepted.map_err(|failure| Unavailable(failure.line()))?;
            Ok(document::acceptance(accepted.meant, &accepted.changes))
        })
    }

    fn probe(&self, query: ProbeQuery) -> Answer<'_, Result<Probed, ProbeRefused>> {
        Box::pin(async move {
            if self.0.hall.is_ending() {
                return Err(ProbeRefused {
                    kind: ProbeRefusal::NotReady,
                    reason: "the program is ending".to_owned(),
                });
            }
            blackbox::probe(&self.0.hall.engine(), &query).await
        })
    }

    fn config_error(&self) -> Option<String> {
        self.configuration().refused
    }
}

impl Daemon {
    /// Reads the store on a connection of its own: whoever books mail does not wait for whoever looks.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let directory = self.0.options.storage.clone();
        match Reader::look(directory, LONGEST_LOOK, look).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Unavailable("there is no store".to_owned())),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }
}
