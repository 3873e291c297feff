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
pub(crate) mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// All watches of the program. Clones share them. Dropping the last one cuts them off; [`Self::shutdown`] ends them
/// well.
#[derive(Clone)]
pub struct Watches(Arc<Inner>);

/// Gives what is wanted of a mailbox, by its name.
type InterestOf = dyn Fn(&str) -> channel::Receiver<Interest> + Send + Sync;

struct Inner {
    interest: Box<InterestOf>,
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

struct Running {
    shared: Arc<Shared>,
    accounts: BTreeMap<String, Arc<MailboxAccount>>,
    positions: Vec<Position>,
    mailboxes: BTreeMap<String, Mailbox>,
    tasks: JoinSet<()>,
    /// Watches begun so far.
    begun: u64,
    /// Mailboxes that the last configuration does not name any more.
    leaving: BTreeSet<String>,
}

/// One mailbox that is watched.
#[derive(Default)]
struct Mailbox {
    guard: Arc<Mutex<LoginGuard>>,
    folders: Arc<Folders>,
    watches: BTreeMap<Place, channel::Receiver<Readiness>>,
    /// What [`Watches::ready`] waits for. The other places are watched for what earlier runs have left.
    asked_for: BTreeSet<Place>,
    /// Ends the watches of this mailbox alone.
    stop: channel::Sender<bool>,
    /// Its interest is followed.
    followed: bool,
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
        Self(Arc::new(Inner {
            interest: Box::new(setup.interest),
            seed: setup.seed,
            stop: channel::Sender::new(false),
            running: Mutex::new(Running {
                shared: Arc::new(Shared {
                    net: setup.net,
                    news: setup.news,
                    now: setup.now,
                }),
                accounts: shared(setup.accounts),
                positions: setup.positions,
                mailboxes: BTreeMap::new(),
                tasks: JoinSet::new(),
                begun: 0,
                leaving: BTreeSet::new(),
            }),
        }))
    }

    /// Watches a folder of a mailbox, and the mailbox's junk folder, from now on; also the folders that its interest
    /// names. Asking twice changes nothing. Whether it is possible, [`Self::ready`] tells.
    pub fn add(&self, mailbox: &str, folder: &str) {
        let mut running = lock(&self.0.running);
        for place in [Place::Junk, Place::folder(folder)] {
            self.0.begin(&mut running, mailbox, place.clone());
            if let Some(watched) = running.mailboxes.get_mut(mailbox) {
                watched.asked_for.insert(place);
            }
        }
        self.follow(&mut running, mailbox);
    }

    /// Watches every mailbox for what earlier runs have left, without waiting for a run that asks for it.
    pub fn resume(&self) {
        let mut running = lock(&self.0.running);
        let names: Vec<String> = running.accounts.keys().cloned().collect();
        for name in names {
            self.follow(&mut running, &name);
        }
    }

    /// Takes over other accounts. What stays as it is goes on undisturbed. A mailbox that is not named any more is
    /// watched under its old account, at least until the next call and as long as anything is expected there; one whose
    /// account changed is opened anew, from `positions` on. All are, when the way to the servers changed: then `net` is given.
    pub fn replace(
        &self,
        accounts: BTreeMap<String, MailboxAccount>,
        net: Option<Arc<dyn Net>>,
        positions: Vec<Position>,
    ) {
        let mut running = lock(&self.0.running);
        while running.tasks.try_join_next().is_some() {}
        let all = net.is_some();
        if let Some(net) = net {
            running.shared = Arc::new(Shared {
                net,
                news: running.shared.news.clone(),
                now: running.shared.now,
            });
        }
        running.positions = positions;
        let before = std::mem::replace(&mut running.accounts, shared(accounts));
        for (name, account) in before {
            match running.accounts.get(&name) {
                Some(now) if **now == *account && !all => {}
                Some(_) => self.begin_anew(&mut running, &name),
                None => {
                    let interest = (self.0.interest)(&name);
                    let is_idle = interest.borrow().folders.is_empty();
                    // A run that began before it left may be about to send there: it goes at the reload after that.
                    if !running.leaving.insert(name.clone()) && is_idle {
                        running.leaving.remove(&name);
                        if let Some(watched) = running.mailboxes.remove(&name) {
                            watched.stop.send_replace(true);
                        }
                    } else {
                        running.accounts.insert(name, account);
                    }
                    continue;
                }
            }
            running.leaving.remove(&name);
        }
        drop(running);
        self.resume();
    }

    /// Ends the watches of a mailbox and begins the same ones under its account of now.
    fn begin_anew(&self, running: &mut Running, mailbox: &str) {
        let Some(old) = running.mailboxes.remove(mailbox) else {
            return;
        };
        old.stop.send_replace(true);
        for place in old.watches.into_keys() {
            self.0.begin(running, mailbox, place);
        }
        if let Some(watched) = running.mailboxes.get_mut(mailbox) {
            watched.asked_for = old.asked_for;
        }
        self.follow(running, mailbox);
    }

    fn follow(&self, running: &mut Running, mailbox: &str) {
        let account = running.accounts.get(mailbox);
        if account.is_none_or(|account| account.imap.is_none()) {
            return;
        }
        let watched = running.mailboxes.entry(mailbox.to_owned()).or_default();
        if std::mem::replace(&mut watched.followed, true) {
            return;
        }
        let interest = (self.0.interest)(mailbox);
        let stop = either(
            &mut running.tasks,
            self.0.stop.subscribe(),
            watched.stop.subscribe(),
        );
        let following = follow(Arc::downgrade(&self.0), mailbox.to_owned(), interest, stop);
        running.tasks.spawn(following);
    }

    /// Waits until every new message in the folders that were asked for is noticed from now on, so that mail may be
    /// sent to the mailbox.
    ///
    /// # Errors
    /// Why the mailbox cannot be read, if that is still so after a second attempt (at once where another attempt
    /// cannot help); `cannot-observe` if nothing is known in time, or nobody asked for a watch.
    pub async fn ready(&self, mailbox: &str) -> Result<(), Failure> {
        let asked_for = lock(&self.0.running).mailboxes.get(mailbox).map(|watched| {
            let watches = watched.watches.iter();
            let asked_for = watches.filter(|(place, _)| watched.asked_for.contains(place));
            asked_for.map(|(_, readiness)| readiness.clone()).collect()
        });
        let Some(folders) = asked_for else {
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
        self.0.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut lock(&self.0.running).tasks);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(ENDING, ended).await.is_err() {
            tracing::warn!("a mailbox watch did not end in time and was cut off");
        }
    }
}

impl Inner {
    /// Begins a watch unless there is one.
    fn begin(&self, running: &mut Running, mailbox: &str, place: Place) {
        let Running {
            shared,
            accounts,
            positions,
            mailboxes,
            tasks,
            begun,
            leaving: _,
        } = running;
        let Some(account) = accounts.get(mailbox) else {
            return;
        };
        let watched = mailboxes.entry(mailbox.to_owned()).or_default();
        if watched.watches.contains_key(&place) {
            return;
        }
        let (ready, readiness) = channel::channel(Readiness::Opening);
        let positions = positions.iter();
        *begun += 1;
        let parts = watch::Parts {
            shared: Arc::clone(shared),
            account: Arc::clone(account),
            guard: Arc::clone(&watched.guard),
            folders: Arc::clone(&watched.folders),
            interest: (self.interest)(mailbox),
            positions: positions
                .filter(|p| p.mailbox == mailbox)
                .cloned()
                .collect(),
            ready,
            seed: self.seed.wrapping_add(*begun),
        };
        watched.watches.insert(place.clone(), readiness);
        let stop = either(tasks, self.stop.subscribe(), watched.stop.subscribe());
        tasks.spawn(Watch::new(parts, place).run(stop));
    }
}

/// True as soon as one of the two is: the end of all watches, or of those of one mailbox.
fn either(
    tasks: &mut JoinSet<()>,
    mut all: channel::Receiver<bool>,
    mut own: channel::Receiver<bool>,
) -> channel::Receiver<bool> {
    let (sender, both) = channel::channel(*all.borrow() || *own.borrow());
    tasks.spawn(async move {
        tokio::select! {
            _ = all.wait_for(|stop| *stop) => {}
            _ = own.wait_for(|stop| *stop) => {}
            () = sender.closed() => {}
        }
        sender.send_replace(true);
    });
    both
}

fn shared(accounts: BTreeMap<String, MailboxAccount>) -> BTreeMap<String, Arc<MailboxAccount>> {
    let accounts = accounts.into_iter();
    accounts
        .map(|(name, account)| (name, Arc::new(account)))
        .collect()
}

/// Watches every folder that the interest names: mails of earlier runs may still come, or have to be removed.
async fn follow(
    watches: Weak<Inner>,
    mailbox: String,
    mut interest: channel::Receiver<Interest>,
    mut stop: channel::Receiver<bool>,
) {
    loop {
        let folders = interest.borrow_and_update().folders.clone();
        let Some(watches) = watches.upgrade() else {
            return;
        };
        let beside = (!folders.is_empty()).then_some(Place::Junk);
        let expected = folders.iter().map(|folder| Place::folder(folder));
        for place in beside.into_iter().chain(expected) {
            watches.begin(&mut lock(&watches.running), &mailbox, place);
        }
        drop(watches);
        tokio::select! {
            changed = interest.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mailboxes: Vec<String> = lock(&self.0.running).mailboxes.keys().cloned().collect();
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
