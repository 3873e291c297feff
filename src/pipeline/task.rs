//! The one task: gather what is waiting, take it in, write it with one commit, then answer and tell.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use postrider_probes::outcome::{Failure, Status};
use postrider_probes::reason::Reason;
use postrider_wire::message::tag::{EntryId, find_in_headers};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::baselines::{AcceptedChanges, Baselines};
use super::books::{Books, Standing};
use super::post::{Answer, Request, unknown};
use super::returned::named;
use super::{Settings, Shared, Told, Witness, lock};
use crate::ledger::{Balance, Ledger};
use crate::mailbox::news::{Arrival, News, Returned};
use crate::run::document::{document, head_at_end, head_at_start};
use crate::run::event::{CheckFinished, Event};
use crate::store::{EntryRow, Store, StoreError};

/// Inputs of each kind that share one commit.
const GATHERED: usize = 256;
/// Facts, checks and runs that a failing store may leave unwritten. Then no mail is planned, no news is heard and no
/// check is kept until it works again; what becomes of the mails that are under way is taken in all the same.
const UNSAVED: usize = 20_000;
/// News that waits because the store could not be read.
const POSTPONED: usize = 1000;
/// How long after a failure the store is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long positions alone wait for a commit: what is read again after a crash changes nothing.
const POSITIONS_WAIT: Duration = Duration::from_secs(5);
/// Events that are read at the start to know whose mail came back lately.
const RECENT_EVENTS: u32 = 5000;
/// How often the last commit of all is tried.
const LAST_TRIES: u32 = 3;

/// The ends of the channels.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) news: mpsc::Receiver<News>,
    pub(super) events: mpsc::Receiver<Event>,
}

/// The task's state.
#[derive(Debug)]
pub(super) struct Task {
    inputs: Inputs,
    books: Books,
    store: Store,
    shared: Arc<Shared>,
    witness: Arc<dyn Witness>,
    answers: Vec<Answer>,
    /// Plans of this round: refused when it cannot be written.
    planned: Vec<EntryId>,
    balances: Vec<oneshot::Sender<Balance>>,
    /// Acceptances of this round.
    accepting: Vec<(
        oneshot::Sender<Result<AcceptedChanges, Failure>>,
        AcceptedChanges,
    )>,
    postponed: VecDeque<News>,
    retry_at: Option<Instant>,
    /// Checks that were not kept since the store failed.
    dropped: u64,
    /// When positions that nothing else was to be written with are written by themselves.
    positions_due: Option<Instant>,
    parting: Vec<Answer>,
    ending: bool,
}

#[derive(Debug, Default)]
struct Round {
    requests: Vec<Request>,
    news: Vec<News>,
    events: Vec<Event>,
}

impl Task {
    /// Reads back what is open and settles what an earlier process left half-done.
    pub(super) async fn open(
        store: Store,
        settings: Settings,
        shared: Arc<Shared>,
        witness: Arc<dyn Witness>,
        inputs: Inputs,
    ) -> Result<Self, StoreError> {
        let Settings { lost_after, clock } = settings;
        let ledger = Ledger::continuing(store.balance().await?);
        witness.opened(ledger.balance());
        let key = store.identity().key.clone();
        let mut books = Books::new(ledger, key, clock, lost_after);
        for entry in store.last_fates(RECENT_EVENTS).await? {
            books.remember(&entry);
        }
        books.baselines = Baselines::new(store.baselines().await?);
        for (id, entry) in store.open_entries().await? {
            books.take_back(id, entry);
        }
        books.settle_interrupted();
        let mut task = Self {
            inputs,
            books,
            store,
            shared,
            witness,
            answers: Vec::new(),
            planned: Vec::new(),
            balances: Vec::new(),
            accepting: Vec::new(),
            postponed: VecDeque::new(),
            retry_at: None,
            dropped: 0,
            positions_due: None,
            parting: Vec::new(),
            ending: false,
        };
        task.save().await?;
        task.publish(None);
        task.bear_witness(true);
        Ok(task)
    }

    /// Runs until it is told to end.
    pub(super) async fn run(mut self) {
        while !self.ending {
            let round = self.gather().await;
            self.take_in(round).await;
            self.settle().await;
        }
        self.part().await;
    }

    /// Waits for something to do, then takes along what else is waiting.
    async fn gather(&mut self) -> Round {
        let mut round = Round::default();
        let wake = self
            .books
            .next_deadline()
            .into_iter()
            .chain(self.retry_at)
            .chain(self.positions_due)
            .min();
        let full = self.is_full();
        let Inputs {
            requests,
            news,
            events,
        } = &mut self.inputs;
        let hears_news = !full && self.postponed.len() < POSTPONED;
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => round.requests.push(request),
                None => self.ending = true,
            },
            Some(first) = news.recv(), if hears_news => round.news.push(first),
            Some(first) = events.recv() => round.events.push(first),
            () = wait_until(wake) => {}
        }
        top_up(requests, &mut round.requests);
        top_up(events, &mut round.events);
        if hears_news {
            top_up(news, &mut round.news);
        }
        round
    }

    async fn take_in(&mut self, round: Round) {
        for request in round.requests {
            self.request(request).await;
        }
        self.postponed.extend(round.news);
        while let Some(news) = self.postponed.pop_front() {
            if let Err(news) = self.hear(news).await {
                // Later news, positions above all, must not overtake it.
                self.postponed.push_front(news);
                break;
            }
        }
        for event in round.events {
            self.event(event);
        }
        self.books.pass_deadlines();
    }

    async fn request(&mut self, request: Request) {
        match request {
            Request::Plan(_, answer) if self.is_full() => reply(answer, Err(self.trouble())),
            Request::Plan(planned, answer) => {
                let id = planned.draft.id;
                if let Some(failure) = self.books.forbids(&planned.draft) {
                    reply(answer, Err(failure));
                } else if self.books.plan(*planned) {
                    self.planned.push(id);
                    self.answers.push(answer);
                } else {
                    reply(answer, Err(internal(id, "was planned before")));
                }
            }
            Request::Record {
                id,
                attempt,
                replied,
                answer,
            } => match self.recall(id).await {
                Ok(true) => {
                    lock(&self.shared.completing).remove(&id);
                    self.books.record(id, attempt, replied);
                    self.answers.push(answer);
                }
                Ok(false) => reply(answer, Err(internal(id, "was never planned"))),
                Err(error) => reply(answer, Err(failure(&error))),
            },
            Request::Retry(id, answer) => match self.books.retry(id) {
                true => self.answers.push(answer),
                false => reply(answer, Err(internal(id, "was not refused for now"))),
            },
            Request::Release(id, answer) => {
                self.release(id);
                self.answers.push(answer);
            }
            Request::Balance(answer) => self.balances.push(answer),
            Request::LostAfter(lost_after) => self.books.lost_after = lost_after,
            Request::Rules(rules) => self.books.baselines.rules = rules,
            Request::Accept { answer, .. } if self.is_full() => {
                // Whoever asked may have gone.
                let _ = answer.send(Err(self.trouble()));
            }
            Request::Accept {
                selection,
                also,
                by,
                answer,
            } => {
                let accepted = self.books.accept(&selection, also, &by);
                self.accepting.push((answer, accepted));
            }
            Request::Shutdown(answer) => {
                self.parting.push(answer);
                self.ending = true;
            }
        }
    }

    fn release(&mut self, id: EntryId) {
        let may_be_taken = lock(&self.shared.completing).remove(&id);
        self.books.release(id, may_be_taken);
    }

    /// Takes in what a watch tells; gives it back when the store cannot be read.
    async fn hear(&mut self, news: News) -> Result<(), News> {
        match news {
            News::Arrived(arrival) => return self.arrived(arrival).await,
            News::Returned(returned) => return self.returned(returned).await,
            News::Looked {
                mailbox,
                folder,
                began,
                began_at,
            } => self.books.looked(&mailbox, &folder, began, began_at),
            News::SetBack(position) => self.books.set_back(&position),
            News::Position(position) => self.books.position(position),
            News::Blind {
                mailbox,
                folder,
                failure,
            } => self.books.blind(&mailbox, &folder, failure),
            News::Removed { mailbox, messages } => self.books.removed(&mailbox, messages),
        }
        Ok(())
    }

    async fn arrived(&mut self, arrival: Box<Arrival>) -> Result<(), News> {
        let Some(tag) = find_in_headers(&arrival.header) else {
            self.books.foreign(&arrival);
            return Ok(());
        };
        if let Err(error) = self.recall(tag.id).await {
            tracing::error!(%error, "an arrival has to wait for the store");
            self.retry_at = Some(Instant::now() + RETRY);
            return Err(News::Arrived(arrival));
        }
        self.books.arrived(&tag, &arrival);
        Ok(())
    }

    async fn returned(&mut self, returned: Box<Returned>) -> Result<(), News> {
        let Some(id) = named(&returned.bounce) else {
            return Ok(());
        };
        if let Err(error) = self.recall(id).await {
            tracing::error!(%error, "a bounce has to wait for the store");
            self.retry_at = Some(Instant::now() + RETRY);
            return Err(News::Returned(returned));
        }
        self.books.returned(id, &returned);
        Ok(())
    }

    /// Makes sure that an entry is in memory; false: there is none.
    async fn recall(&mut self, id: EntryId) -> Result<bool, StoreError> {
        if self.books.holds(id) {
            return Ok(true);
        }
        let Some(entry) = self.store.entry(id).await? else {
            return Ok(false);
        };
        self.books.take_back(id, entry);
        Ok(true)
    }

    fn event(&mut self, mut event: Event) {
        match &mut event {
            Event::RunStarted(started) => {
                let head = (!self.is_full()).then(|| head_at_start(started));
                let run = self.books.runs.entry(started.run.clone()).or_default();
                run.disowned |= head.is_none();
                run.head.clone_from(&head);
                self.books.unsaved.runs.extend(head);
            }
            Event::CheckStarted(_) | Event::RunMissed(_) => {}
            Event::CheckFinished(finished) => self.check_finished(finished),
            Event::RunFinished(finished) => {
                let run = self.books.runs.remove(&finished.run).unwrap_or_default();
                if run.disowned {
                    finished.status = finished.status.max(Status::Error);
                }
                finished.status = finished.status.max(run.compared.unwrap_or(Status::Skip));
                if let Some(head) = run.head {
                    let unsaved = &mut self.books.unsaved.runs;
                    unsaved.retain(|known| known.id != head.id);
                    unsaved.push(head_at_end(head, finished));
                }
                for id in run.entries {
                    self.release(id);
                }
            }
        }
        self.books.told.push(Told::Run(Arc::new(event)));
    }

    fn check_finished(&mut self, finished: &mut CheckFinished) {
        let full = self.is_full();
        let failure = self.trouble();
        let Some(run) = self.books.runs.get_mut(&finished.check.run) else {
            tracing::error!(
                run = finished.check.run,
                "a check of a run that never started"
            );
            return;
        };
        if run.head.is_some() && !full {
            let was = finished.outcome.status();
            self.books.compare(finished);
            let is = finished.outcome.status();
            if is != was
                && let Some(run) = self.books.runs.get_mut(&finished.check.run)
            {
                run.compared = run.compared.max(Some(is));
            }
            let check = (finished.check.run.clone(), document(finished));
            self.books.unsaved.checks.push(check);
            return;
        }
        run.disowned = true;
        finished.outcome.add(failure);
        if self.dropped == 0 {
            tracing::error!(
                "too much waits for the store: checks are not kept until it can be written"
            );
        }
        self.dropped += 1;
    }

    /// Writes, then draws the consequences, answers and tells.
    async fn settle(&mut self) {
        // Looking sooner harms nobody: what is awaited does not wait for the disk, or the sighting would.
        self.books.expect_touched();
        self.publish_interests();
        let rests = self.rests();
        let saved = match self.puts_off() {
            true => Ok(()),
            false if rests => Err(self.trouble()),
            false => self.save().await.map_err(|error| failure(&error)),
        };
        let planned = std::mem::take(&mut self.planned);
        if let Err(failure) = &saved {
            let error = &failure.message;
            if self.retry_at.is_none() {
                tracing::error!(%error, "the store cannot be written; nothing is sent until it can");
            }
            if !rests {
                self.retry_at = Some(Instant::now() + RETRY);
                self.witness.write_failed();
                set(&self.shared.trouble, Some(error.clone()));
            }
            for id in planned {
                self.books.retract(id);
            }
        } else if self.postponed.is_empty() && self.retry_at.take().is_some() {
            let dropped_checks = std::mem::take(&mut self.dropped);
            tracing::info!(dropped_checks, "the store can be used again");
            set(&self.shared.trouble, None);
        }
        let unsaved = saved.as_ref().err().cloned();
        self.publish(unsaved.as_ref());
        if let Some(failure) = &unsaved {
            self.books.disown(failure);
        }
        self.bear_witness(saved.is_ok());
        for answer in std::mem::take(&mut self.answers) {
            reply(answer, saved.clone());
        }
        for (answer, accepted) in std::mem::take(&mut self.accepting) {
            let done = saved.clone().map(|()| accepted).map_err(|failure| Failure {
                message: format!(
                    "{}; it is accepted as soon as the store can be written",
                    failure.message
                ),
                ..failure
            });
            // Whoever asked may have gone.
            let _ = answer.send(done);
        }
        for answer in std::mem::take(&mut self.balances) {
            // Whoever asked may have gone.
            let _ = answer.send(self.books.ledger.balance().clone());
        }
        for told in std::mem::take(&mut self.books.told) {
            if unsaved.is_some() && matches!(told, Told::Corrected { .. } | Told::Changed(_)) {
                // It is told once, when it is true for good.
                self.books.told.push(told);
                continue;
            }
            // Nobody need be listening.
            let _ = self.shared.told.send(told);
        }
    }

    /// Tells the witness of this round.
    fn bear_witness(&mut self, durable: bool) {
        if durable {
            for change in std::mem::take(&mut self.books.changes) {
                self.witness.changed(&change);
            }
            for change in std::mem::take(&mut self.books.noticed) {
                self.witness.noticed(&change);
            }
        }
        for told in &self.books.told {
            if let Told::Run(event) = told {
                self.witness.happened(event);
            }
        }
    }

    /// Whether what is unsaved waits for the next commit.
    fn puts_off(&mut self) -> bool {
        let may_wait =
            self.books.unsaved.only_positions() && self.retry_at.is_none() && !self.ending;
        let now = Instant::now();
        let due = *self.positions_due.get_or_insert(now + POSITIONS_WAIT);
        let puts_off = may_wait && now < due;
        if !puts_off {
            self.positions_due = None;
        }
        puts_off
    }

    /// Writes what is unsaved with one commit. What could not be written stays for the next.
    async fn save(&mut self) -> Result<(), StoreError> {
        let mut batch = std::mem::take(&mut self.books.unsaved);
        if batch.is_empty() {
            return Ok(());
        }
        let entries: BTreeSet<EntryId> = batch.facts.iter().map(|noted| noted.entry).collect();
        batch.entries = entries
            .into_iter()
            .filter_map(|id| Some(EntryRow::of(id, self.books.ledger.entry(id)?)))
            .collect();
        let batch = Arc::new(batch);
        let saved = self.store.commit(Arc::clone(&batch)).await;
        if saved.is_err() {
            self.books.unsaved = Arc::unwrap_or_clone(batch);
        }
        saved
    }

    /// Brings accounts and interests up to date. Of what is not durable, because of this failure, nobody is told
    /// anything but that.
    fn publish(&mut self, unsaved: Option<&Failure>) {
        let unsaved = unsaved.map(|failure| (failure, self.books.unsaved_entries()));
        for id in std::mem::take(&mut self.books.touched) {
            let waits_for_store = unsaved.as_ref().filter(|(_, ids)| ids.contains(&id));
            if let Some((failure, _)) = waits_for_store {
                self.books.stand(id, false);
                if let Some(sender) = lock(&self.shared.accounts).get(&id) {
                    sender.send_if_modified(|account| {
                        let news = account.unsaved.as_ref() != Some(failure);
                        account.unsaved = Some((*failure).clone());
                        news
                    });
                }
                self.books.touched.insert(id);
                continue;
            }
            match self.books.stand(id, true) {
                Some(Standing::Here { account, released }) => {
                    let mut accounts = lock(&self.shared.accounts);
                    if !released {
                        let new = || watch::channel(unknown()).0;
                        accounts.entry(id).or_insert_with(new);
                    }
                    if let Some(sender) = accounts.get(&id) {
                        set(sender, *account);
                    }
                }
                Some(Standing::Left) => {
                    lock(&self.shared.accounts).remove(&id);
                }
                None => {}
            }
        }
        self.publish_interests();
    }

    fn publish_interests(&mut self) {
        for (mailbox, interest) in self.books.mailboxes.take_changed() {
            let mut interests = lock(&self.shared.interests);
            set(interests.entry(mailbox).or_default(), interest);
        }
    }

    /// Whether too much waits for the store.
    fn is_full(&self) -> bool {
        let unsaved = &self.books.unsaved;
        let events = unsaved.facts.len() + unsaved.changes.len();
        events + unsaved.checks.len() + unsaved.runs.len() >= UNSAVED
    }

    /// Whether the next try waits for its time: that much is not tried again for every question.
    fn rests(&self) -> bool {
        let waits = self.retry_at.is_some_and(|at| Instant::now() < at);
        waits && self.is_full() && !self.ending
    }

    /// Why the store could not be written last.
    fn trouble(&self) -> Failure {
        let trouble = self.shared.trouble.borrow().clone();
        let why = trouble.unwrap_or_else(|| "too much waits for the store".to_owned());
        Failure::new(Reason::StoreFailed, why)
    }

    /// Takes in what is still queued and closes the store.
    async fn part(mut self) {
        let Inputs {
            requests,
            news,
            events,
        } = &mut self.inputs;
        requests.close();
        news.close();
        events.close();
        loop {
            let mut round = Round::default();
            top_up(&mut self.inputs.requests, &mut round.requests);
            top_up(&mut self.inputs.news, &mut round.news);
            top_up(&mut self.inputs.events, &mut round.events);
            if round.requests.is_empty() && round.news.is_empty() && round.events.is_empty() {
                break;
            }
            self.take_in(round).await;
            self.settle().await;
        }
        let mut saved = self.save().await;
        for _ in 1..LAST_TRIES {
            if saved.is_ok() {
                break;
            }
            tokio::time::sleep(RETRY).await;
            saved = self.save().await;
        }
        self.bear_witness(saved.is_ok());
        if let Err(error) = &saved {
            tracing::error!(%error, "what happened last could not be written");
        }
        self.store.close().await;
        // Whoever follows something learns that nothing will follow.
        lock(&self.shared.accounts).clear();
        lock(&self.shared.interests).clear();
        for answer in self.parting {
            reply(answer, saved.as_ref().map_err(failure).copied());
        }
    }
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Takes along what is waiting.
fn top_up<T>(channel: &mut mpsc::Receiver<T>, taken: &mut Vec<T>) {
    while taken.len() < GATHERED {
        let Ok(next) = channel.try_recv() else { break };
        taken.push(next);
    }
}

fn set<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|known| {
        let changed = *known != value;
        if changed {
            *known = value;
        }
        changed
    });
}

fn reply(answer: Answer, result: Result<(), Failure>) {
    // Whoever asked may have been cancelled; the fact stands all the same.
    let _ = answer.send(result);
}

fn failure(error: &StoreError) -> Failure {
    Failure::new(Reason::StoreFailed, error.to_string())
}

fn internal(id: EntryId, what: &str) -> Failure {
    Failure::new(Reason::Internal, format!("the ledger entry {id} {what}"))
}
