//! The ledger as a probe sees it.

use std::sync::Arc;

use postrider_probes::net::BoxFuture;
use postrider_probes::outcome::Failure;
use postrider_probes::post::{Account, Attempt, Draft, EntryState, Post};
use postrider_wire::message::tag::{EntryId, Tag};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::{AcceptedChanges, PipelineHandle, ended, lock};
use crate::baseline::Selection;
use crate::baseline::rules::Rules;
use crate::ledger::Balance;
use crate::ledger::fact::Planned;

/// What is asked of the pipeline. An answer comes after the effect is durable.
#[derive(Debug)]
pub(super) enum Request {
    Plan(Box<Planned>, Answer),
    Record {
        id: EntryId,
        attempt: Attempt,
        replied: Instant,
        answer: Answer,
    },
    Retry(EntryId, Answer),
    Release(EntryId, Answer),
    Balance(oneshot::Sender<Balance>),
    LostAfter(std::time::Duration),
    Rules(Arc<Rules>),
    Accept {
        selection: Selection,
        also: bool,
        by: String,
        answer: oneshot::Sender<Result<AcceptedChanges, Failure>>,
    },
    Shutdown(Answer),
}

/// Where the answer goes.
pub(super) type Answer = oneshot::Sender<Result<(), Failure>>;

/// One step's view.
#[derive(Debug, Clone)]
pub(super) struct RunPost {
    pipeline: PipelineHandle,
    run: String,
    scenario: String,
    step: String,
}

impl RunPost {
    pub(super) fn new(pipeline: PipelineHandle, run: &str, scenario: &str, step: &str) -> Self {
        Self {
            pipeline,
            run: run.to_owned(),
            scenario: scenario.to_owned(),
            step: step.to_owned(),
        }
    }

    async fn ask(&self, request: impl FnOnce(Answer) -> Request) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.pipeline.ask(request(answer)).await?;
        answered.await.map_err(|_| ended())?
    }
}

impl Post for RunPost {
    fn new_id(&self) -> EntryId {
        let millis = self.pipeline.clock.now().as_millisecond();
        EntryId::from_parts(u64::try_from(millis).unwrap_or(0), rand::random())
    }

    fn tag(&self, draft: &Draft) -> String {
        let key = &self.pipeline.store.identity().key;
        Tag::sign(key, draft.id, &draft.sender, &draft.recipient).to_string()
    }

    fn plan(&self, draft: Draft) -> BoxFuture<'_, Result<(), Failure>> {
        let planned = Box::new(Planned {
            draft,
            run: self.run.clone(),
            scenario: self.scenario.clone(),
            step: self.step.clone(),
        });
        Box::pin(self.ask(|answer| Request::Plan(planned, answer)))
    }

    fn completing(&self, id: EntryId) {
        lock(&self.pipeline.shared.completing).insert(id);
    }

    fn retry(&self, id: EntryId) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.ask(move |answer| Request::Retry(id, answer)))
    }

    fn refused(&self, id: EntryId) {
        lock(&self.pipeline.shared.completing).remove(&id);
    }

    fn record(
        &self,
        id: EntryId,
        attempt: Attempt,
        replied: Instant,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.ask(move |answer| Request::Record {
            id,
            attempt,
            replied,
            answer,
        }))
    }

    fn follow(&self, id: EntryId) -> watch::Receiver<Account> {
        match lock(&self.pipeline.shared.accounts).get(&id) {
            Some(account) => account.subscribe(),
            // Never planned, or long settled: nothing will ever be told.
            None => watch::channel(unknown()).1,
        }
    }
}

/// The account of an entry that nothing is known of.
pub(super) fn unknown() -> Account {
    Account {
        state: EntryState::Planned,
        arrivals: Vec::new(),
        bounce: None,
        blind: None,
        looked: false,
        blind_junk: None,
        unsaved: None,
    }
}
