//! The mailbox watches: one connection for each folder in which mail is expected, however many mails are on their
//! way, and one for the junk folder beside it. What becomes visible is told as [`news`]; whoever waits for a mail
//! waits for the ledger that books the news, never for a connection.
//!
//! A watch reads with EXAMINE and PEEK, so that it leaves no trace, and writes only to remove messages that the
//! ledger has closed, each proven once more to be ours (`remove`).

mod look;
pub mod news;
mod poll;
mod ready;
mod remove;
mod retry;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::account::MailboxAccount;
use postrider_probes::net::Net;
use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use news::{Interest, News, Position};
use ready::Readiness;
use retry::LoginGuard;
use watch::{End, Place, Watch};

/// How long the folders of a mailbox may take to be opened before nobody waits for them any more.
const OPENING: Duration = Duration::from_secs(30);
/// How long the watches may take to end: a last removal and the goodbyes.
const ENDING: Duration = Duration::from_secs(10);

/// What the watches are made with.
pub struct Setup<I> {
    /// Names and connections.
    pub net: Arc<dyn Net>,
    /// The mailboxes by name.
    pub accounts: BTreeMap<String, MailboxAccount>,
    /// Where the news goes. While it is full nothing more is read.
    pub news: mpsc::Sender<News>,
    /// What is wanted of a mailbox, by its name.
    pub interest: I,
    /// Where to go on, from the store.
    pub positions: Vec<Position>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Spreads the attempts of many watches; the same number gives the same delays.
    pub seed: u64,
}

/// All watches of the program.
pub struct Watches {
    shared: Arc<Shared>,
    interest: Box<dyn Fn(&str) -> channel::Receiver<Interest> + Send + Sync>,
    accounts: BTreeMap<String, MailboxAccount>,
    positions: Vec<Position>,
    seed: u64,
    stop: channel::Sender<bool>,
    running: Mutex<Running>,
}

/// What every watch uses.
struct Shared {
    net: Arc<dyn Net>,
    news: mpsc::Sender<News>,
    now: fn() -> Timestamp,
}

impl Shared {
    async fn tell(&self, news: News) -> Result<(), End> {
        // Nobody takes news any more: then nobody wants any.
        self.news.send(news).await.map_err(|_| End::Stopped)
    }

    /// The wall clock at a moment that has passed.
    fn wall(&self, at: Instant) -> Timestamp {
        let now = (self.now)();
        now.saturating_sub(at.elapsed()).unwrap_or(now)
    }
}

#[derive(Default)]
struct Running {
    mailboxes: BTreeMap<String, Mailbox>,
    tasks: JoinSet<()>,
}

/// One mailbox that is watched.
struct Mailbox {
    account: Arc<MailboxAccount>,
    guard: Arc<Mutex<LoginGuard>>,
    folders: Arc<Folders>,
    readiness: Vec<channel::Receiver<Readiness>>,
    asked_for: BTreeSet<String>,
}

/// The folders of one mailbox that have their watch, so that no folder gets two.
#[derive(Debug, Default)]
struct Folders(Mutex<BTreeSet<String>>);

impl Folders {
    /// Takes a folder; `false` if another watch has it.
    fn claim(&self, folder: &str) -> bool {
        lock(&self.0).insert(folder.to_owned())
    }
}

impl Watches {
    /// Makes the watches; none runs until [`Self::add`] asks for one.
    pub fn start<I>(setup: Setup<I>) -> Self
    where
        I: Fn(&str) -> channel::Receiver<Interest> + Send + Sync + 'static,
    {
        Self {
            shared: Arc::new(Shared {
                net: setup.net,
                news: setup.news,
                now: setup.now,
            }),
            interest: Box::new(setup.interest),
            accounts: setup.accounts,
            positions: setup.positions,
            seed: setup.seed,
            stop: channel::Sender::new(false),
            running: Mutex::default(),
        }
    }

    /// Watches a folder of a mailbox, and the mailbox's junk folder, from now on. Asking twice changes nothing.
    /// Whether that is possible, [`Self::ready`] tells.
    pub fn add(&self, mailbox: &str, folder: &str) {
        let folder = inbox_in_capitals(folder);
        let Some(account) = self.accounts.get(mailbox) else {
            return;
        };
        let mut running = lock(&self.running);
        let Running { mailboxes, tasks } = &mut *running;
        let watched = mailboxes
            .entry(mailbox.to_owned())
            .or_insert_with(|| Mailbox::new(account.clone()));
        let mut places = Vec::new();
        if watched.asked_for.is_empty() {
            places.push(Place::Junk);
        }
        if watched.asked_for.insert(folder.to_owned()) {
            places.push(Place::Folder(folder.to_owned()));
        }
        for place in places {
            let (watch, readiness) = self.watch(mailbox, watched, place);
            watched.readiness.push(readiness);
            tasks.spawn(watch.run(self.stop.subscribe()));
        }
    }

    /// Waits until every new message of the mailbox is noticed from now on, so that mail may be sent to it.
    ///
    /// # Errors
    /// Why the mailbox cannot be read, if that is still so after a second attempt (at once where another attempt
    /// cannot help); `cannot-observe` if nothing is known in time, or nobody asked for a watch.
    pub async fn ready(&self, mailbox: &str) -> Result<(), Failure> {
        let watched = lock(&self.running)
            .mailboxes
            .get(mailbox)
            .map(|watched| watched.readiness.clone());
        let Some(folders) = watched else {
            let text = format!("no mailbox `{mailbox}` is watched");
            return Err(Failure::new(Reason::CannotObserve, text));
        };
        timeout(OPENING, ready::all(folders))
            .await
            .unwrap_or_else(|_| {
                let text = format!(
                    "the mailbox `{mailbox}` was not open after {} s",
                    OPENING.as_secs()
                );
                Err(Failure::new(Reason::CannotObserve, text))
            })
    }

    /// Ends every watch: removes what may still be removed, says goodbye. What takes too long is cut off. The
    /// receiver of the news must go on receiving until this returns.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut lock(&self.running).tasks);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(ENDING, ended).await.is_err() {
            tracing::warn!("a mailbox watch did not end in time and was cut off");
        }
    }

    fn watch(
        &self,
        mailbox: &str,
        watched: &Mailbox,
        place: Place,
    ) -> (Watch, channel::Receiver<Readiness>) {
        let (ready, readiness) = channel::channel(Readiness::Opening);
        let positions = self.positions.iter();
        let watch = Watch::new(
            watch::Parts {
                shared: Arc::clone(&self.shared),
                account: Arc::clone(&watched.account),
                guard: Arc::clone(&watched.guard),
                folders: Arc::clone(&watched.folders),
                interest: (self.interest)(mailbox),
                positions: positions
                    .filter(|p| p.mailbox == mailbox)
                    .cloned()
                    .collect(),
                ready,
                seed: self.seed ^ watched.readiness.len() as u64,
            },
            place,
        );
        (watch, readiness)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mailboxes: Vec<String> = lock(&self.running).mailboxes.keys().cloned().collect();
        f.debug_struct("Watches")
            .field("mailboxes", &mailboxes)
            .finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for Setup<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

impl Mailbox {
    fn new(account: MailboxAccount) -> Self {
        Self {
            account: Arc::new(account),
            guard: Arc::default(),
            folders: Arc::default(),
            readiness: Vec::new(),
            asked_for: BTreeSet::new(),
        }
    }
}

/// RFC 9051 §5.1: INBOX, in any case, is one folder.
fn inbox_in_capitals(folder: &str) -> &str {
    match folder.eq_ignore_ascii_case("INBOX") {
        true => "INBOX",
        false => folder,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
