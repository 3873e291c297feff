//! A pipeline on a real store, with the test in the place of probes and watches.

use std::time::Duration;

use postrider_probes::outcome::Failure;
use postrider_probes::post::{Account, Attempt, Draft, Post};
use postrider_probes::reason::Reason;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::Balance;
use crate::ledger::entry::Entry;
use crate::ledger::sample::{accepted, at, draft, id};
use crate::mailbox::news::{Arrival, Interest, MessageKey, News};
use crate::pipeline::{PipelineHandle, Settings, start};
use crate::store::Store;

pub(super) const LOST_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);

pub(super) struct Bench {
    pub(super) pipeline: PipelineHandle,
    pub(super) post: Box<dyn Post>,
    pub(super) store: Store,
    pub(super) task: JoinHandle<()>,
    pub(super) clock: Clock,
    pub(super) directory: TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::on(directory, Clock::starting_at(at(0))).await
    }

    pub(super) async fn on(directory: TempDir, clock: Clock) -> Self {
        let store = Store::open(directory.path()).await.expect("it opens");
        let settings = Settings {
            lost_after: LOST_AFTER,
            clock,
        };
        let (pipeline, task) = start(store.clone(), settings).await.expect("it starts");
        Self {
            post: Box::new(pipeline.post("01RUN", "flow", "primary")),
            pipeline,
            store,
            task,
            clock,
            directory,
        }
    }

    /// Ends the pipeline and starts another on the same store, so much later by both clocks.
    pub(super) async fn restart(self, later: Duration) -> Self {
        self.pipeline.shutdown().await.expect("all is written");
        self.task.await.expect("the task ends in order");
        tokio::time::advance(later).await;
        Self::on(self.directory, self.clock).await
    }

    pub(super) async fn planned(&self, n: u64) -> watch::Receiver<Account> {
        self.post.plan(draft(n)).await.expect("it is planned");
        self.post.follow(id(n))
    }

    pub(super) async fn record(&self, n: u64, attempt: Attempt, replied: Instant) {
        let recorded = self.post.record(id(n), attempt, replied).await;
        recorded.expect("it is recorded");
    }

    /// Planned, and accepted now.
    pub(super) async fn sent(&self, n: u64) -> watch::Receiver<Account> {
        let account = self.planned(n).await;
        self.record(n, accepted(), Instant::now()).await;
        account
    }

    pub(super) fn tag(&self, draft: &Draft) -> String {
        self.post.tag(draft)
    }

    /// The genuine mail, seen now in alice's mailbox.
    pub(super) fn arrival(&self, n: u64, key: MessageKey) -> Arrival {
        Arrival {
            mailbox: "alice".to_owned(),
            junk: key.folder == "Junk",
            key,
            seen: Instant::now(),
            seen_at: self.clock.now(),
            pushed: None,
            internal_date: Some(self.clock.now()),
            header: header(&self.tag(&draft(n)), &draft(n).message_id),
        }
    }

    pub(super) async fn arrives(&self, n: u64, key: MessageKey) {
        let arrival = self.arrival(n, key);
        self.tell(News::Arrived(Box::new(arrival))).await;
    }

    pub(super) async fn looks(&self, folder: &str) {
        self.looks_from(folder, Instant::now()).await;
    }

    pub(super) async fn looks_from(&self, folder: &str, began: Instant) {
        self.tell(News::Looked {
            mailbox: "alice".to_owned(),
            folder: folder.to_owned(),
            began,
            began_at: self.clock.at(began),
        })
        .await;
    }

    pub(super) async fn tell(&self, news: News) {
        let told = self.pipeline.news().send(news).await;
        told.expect("the pipeline lives");
        // News and requests come by different ways: let the task take this in before anything else is asked.
        tokio::task::yield_now().await;
    }

    /// The balance after everything told until now.
    pub(super) async fn balance(&self) -> Balance {
        // The first answer may overtake news that is waiting; the second comes a round later.
        self.pipeline.balance().await.expect("the pipeline lives");
        self.pipeline.balance().await.expect("the pipeline lives")
    }

    /// What the store says.
    pub(super) async fn stored(&self, n: u64) -> Entry {
        let entry = self.store.entry(id(n)).await.expect("it is read");
        entry.expect("it is there")
    }

    /// A second connection to the database.
    pub(super) fn database(&self) -> Connection {
        let path = self.directory.path().join("postrider.db");
        Connection::open(path).expect("SQLite opens it a second time")
    }
}

pub(super) fn header(tag: &str, message_id: &str) -> Vec<u8> {
    format!("Subject: probe\r\nPostrider-Tag: {tag}\r\nMessage-ID: <{message_id}>\r\n\r\n")
        .into_bytes()
}

pub(super) fn key(folder: &str, uid: u32) -> MessageKey {
    MessageKey {
        folder: folder.to_owned(),
        uid_validity: 1,
        uid,
    }
}

/// The messages that are asked to be removed.
pub(super) fn removals(interest: &watch::Receiver<Interest>) -> Vec<MessageKey> {
    let wishes = &interest.borrow().remove;
    wishes.iter().map(|wish| wish.message.clone()).collect()
}

pub(super) fn blind(folder: &str) -> News {
    News::Blind {
        mailbox: "alice".to_owned(),
        folder: folder.to_owned(),
        failure: Failure::new(
            Reason::ImapUnavailable,
            "imap.example.net closed the session",
        ),
    }
}

/// Waits, but not for ever: what does not happen in a month of virtual time will not happen.
pub(super) async fn patience<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30 * 24 * 3600), what)
        .await
        .expect("it happens within a month")
}
