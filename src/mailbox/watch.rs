//! The life of one watch: open, look, wait, and all over again when the server is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_probes::account::MailboxAccount;
use postrider_probes::dialogue::imap::{IdleEnd, ImapError, Session, SpecialUse, Transcript};
use postrider_probes::dialogue::open_imap;
use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep, sleep_until};

use super::look::Reader;
use super::news::{Interest, News, Position};
use super::poll::{self, Pace, Wait};
use super::ready::Readiness;
use super::remove::Removal;
use super::retry::{self, GOOD_SESSION, Login, LoginGuard};
use super::{Folders, Shared, lock};

/// For each IMAP command. Generous: opening a huge folder takes its time.
const COMMAND: Duration = Duration::from_secs(30);
const INBOX: &str = "INBOX";
/// What the junk folder is called until its name is known.
const NAMELESS: &str = "Junk";
/// Successful looks are told at most so often while the watch polls fast.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A folder in which mail is expected.
    Folder(String),
    /// Whatever folder is the junk folder (RFC 6154), if there is one.
    Junk,
}

impl Place {
    /// A folder by its name as people write it.
    pub(super) fn folder(name: &str) -> Self {
        // RFC 9051 §5.1: INBOX, in any case, is one folder.
        match name.eq_ignore_ascii_case(INBOX) {
            true => Self::Folder(INBOX.to_owned()),
            false => Self::Folder(name.to_owned()),
        }
    }
}

/// What a watch is made of.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) account: Arc<MailboxAccount>,
    pub(super) guard: Arc<Mutex<LoginGuard>>,
    pub(super) folders: Arc<Folders>,
    pub(super) interest: channel::Receiver<Interest>,
    pub(super) positions: Vec<Position>,
    pub(super) ready: channel::Sender<Readiness>,
    pub(super) seed: u64,
}

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was asked to, or nobody takes the news any more, or another watch has the folder.
    Stopped,
    /// The mailbox cannot be read now.
    Failed(Failure),
}

impl From<ImapError> for End {
    fn from(error: ImapError) -> Self {
        Self::Failed(open_imap::failure(&error))
    }
}

impl End {
    /// An error whose line should name the folder.
    pub(super) fn in_folder(folder: &str, error: ImapError) -> Self {
        let mut failure = open_imap::failure(&error);
        failure.message = format!(
            "the folder `{folder}` cannot be opened: {}",
            failure.message
        );
        Self::Failed(failure)
    }
}

pub(super) struct Watch {
    parts: Parts,
    place: Place,
    dice: rand::rngs::StdRng,
    reader: Option<Reader>,
    removal: Removal,
    /// The folder that this watch has claimed.
    claimed: Option<String>,
    /// The junk folder was looked for and not there: all that it holds later is new.
    was_absent: bool,
    /// Something was told of the junk folder before its name was known: from then on it is told of under both names.
    was_nameless: bool,
    /// What is wanted, and since when.
    wanted: Interest,
    since: Instant,
    /// Failures in a row, and the one that was told last.
    failed: u32,
    told: Option<Failure>,
    /// When the folder was opened in this session.
    opened: Option<Instant>,
}

type Stop = channel::Receiver<bool>;

impl Watch {
    pub(super) fn new(parts: Parts, place: Place) -> Self {
        Self {
            dice: rand::rngs::StdRng::seed_from_u64(parts.seed),
            parts,
            place,
            reader: None,
            removal: Removal::default(),
            claimed: None,
            was_absent: false,
            was_nameless: false,
            wanted: Interest::default(),
            since: Instant::now(),
            failed: 0,
            told: None,
            opened: None,
        }
    }

    /// Watches until `stop`.
    pub(super) async fn run(mut self, mut stop: Stop) {
        loop {
            self.opened = None;
            let failure = match self.session(&mut stop).await {
                Ok(()) | Err(End::Stopped) => return,
                Err(End::Failed(failure)) => failure,
            };
            if self.opened.is_some_and(|at| at.elapsed() >= GOOD_SESSION) {
                self.failed = 0;
            }
            self.failed = self.failed.saturating_add(1);
            if self.tell_blind(failure).await.is_err() || self.pause(&mut stop).await.is_err() {
                return;
            }
        }
    }

    /// One connection, from its start to its end.
    async fn session(&mut self, stop: &mut Stop) -> Result<(), End> {
        let mut session = self.connect(stop).await?;
        let end = self.converse(&mut session, stop).await;
        session.logout().await;
        end
    }

    async fn connect(&mut self, stop: &mut Stop) -> Result<Session, End> {
        loop {
            let asked = lock(&self.parts.guard).begin(Instant::now());
            let Err(wait) = asked else { break };
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(stop) => return Err(End::Stopped),
            }
        }
        let transcript = Transcript::new();
        let opened = tokio::select! {
            opened = open_imap::open(&*self.parts.shared.net, &self.parts.account, COMMAND, &transcript, &()) => Some(opened),
            () = stopped(stop) => None,
        };
        let login = match &opened {
            Some(Ok(_)) => Login::Accepted,
            Some(Err(failure)) if failure.reason == Reason::ImapLogin => Login::Refused,
            _ => Login::Unknown,
        };
        lock(&self.parts.guard).end(login, Instant::now(), self.dice.random());
        match opened {
            Some(opened) => opened.map_err(End::Failed),
            None => Err(End::Stopped),
        }
    }

    async fn converse(&mut self, session: &mut Session, stop: &mut Stop) -> Result<(), End> {
        let (folder, junk) = loop {
            let began = Instant::now();
            match self.find_folder(session).await? {
                Some(found) => break found,
                None => self.wait_for_junk(began, stop).await?,
            }
        };
        self.claim(&folder)?;
        let known = self
            .reader
            .take()
            .filter(|reader| reader.folder() == folder);
        let mut reader = match known {
            Some(reader) => reader,
            None => {
                let account = &self.parts.account.name;
                let position = self.parts.positions.iter().find(|p| p.folder == folder);
                // What is expected there already may have come while the folder could not be opened.
                let from_the_start = self.was_absent || self.is_expected(&folder, junk);
                let from = (position, from_the_start);
                let what = (folder.as_str(), junk, self.parts.account.takes_bounces);
                Reader::begin(&self.parts.shared, account, what, from, session).await?
            }
        };
        let end = self.follow(&mut reader, session, stop).await;
        self.reader = Some(reader);
        end
    }

    /// The folder to open, and whether it is the junk folder; `None` if there is no junk folder.
    async fn find_folder(&self, session: &mut Session) -> Result<Option<(String, bool)>, End> {
        if self.place == Place::folder(INBOX) {
            return Ok(Some((INBOX.to_owned(), false)));
        }
        // Also tells the session how the server spells the name.
        let folders = session.folders().await?;
        let junk = folders
            .into_iter()
            .filter(|folder| folder.selectable && folder.special_use == Some(SpecialUse::Junk))
            // By their names several may look like it: the one that lies highest.
            .min_by_key(|folder| folder.name.chars().count())
            .map(|folder| folder.name);
        Ok(match &self.place {
            Place::Junk => junk.map(|name| (name, true)),
            Place::Folder(name) => {
                let is_junk = junk.as_ref() == Some(name);
                Some((name.clone(), is_junk))
            }
        })
    }

    /// Whether a mail that was sent before may lie in the folder; in the junk folder any may.
    fn is_expected(&self, folder: &str, junk: bool) -> bool {
        let interest = self.parts.interest.borrow();
        interest
            .folders
            .iter()
            .any(|expected| junk || expected == folder)
    }

    /// Waits until it is time to look for a junk folder again: many servers make it for the first junk mail.
    async fn wait_for_junk(&mut self, began: Instant, stop: &mut Stop) -> Result<(), End> {
        self.was_absent = true;
        self.was_nameless = true;
        self.recovered();
        // That it does not exist is as good as a look.
        self.tell_looked(NAMELESS, began).await?;
        let now = Instant::now();
        let (Wait::Poll(pause) | Wait::Idle(pause)) =
            poll::next(now, now, &self.wanted, self.since, false, Pace::ABSENT);
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = awakened(&mut self.parts.interest, &self.wanted) => {
                self.heed();
                Ok(())
            }
            () = stopped(stop) => Err(End::Stopped),
        }
    }

    /// Makes sure that no other watch reads this folder.
    fn claim(&mut self, folder: &str) -> Result<(), End> {
        if self.claimed.as_deref() == Some(folder) {
            return Ok(());
        }
        if !self.parts.folders.claim(folder) {
            self.recovered();
            return Err(End::Stopped);
        }
        self.claimed = Some(folder.to_owned());
        Ok(())
    }

    /// Looks and waits in turn, until something ends the session.
    async fn follow(
        &mut self,
        reader: &mut Reader,
        session: &mut Session,
        stop: &mut Stop,
    ) -> Result<(), End> {
        let mut began = Instant::now();
        reader.resume(session).await?;
        self.opened = Some(began);
        let mut idle = session.capabilities().await?.has("IDLE");
        let mut told = None;
        loop {
            self.heed();
            let ending = *stop.borrow();
            let doomed = self
                .removal
                .due(&self.wanted, reader, Instant::now(), ending);
            if !doomed.is_empty() {
                self.removal.carry_out(session, reader, &doomed).await?;
                began = Instant::now();
                reader.resume(session).await?;
            }
            self.recovered();
            let wait = self.next(began, idle);
            if told.is_none_or(|told| began - told >= TOLD_EVERY) || wait.length() >= TOLD_EVERY {
                self.tell_looked(reader.folder(), began).await?;
                told = Some(began);
            }
            if !doomed.is_empty() {
                // There may be more; opening the folder again was a look.
                continue;
            }
            if ending {
                return Err(End::Stopped);
            }
            match wait {
                Wait::Poll(pause) => tokio::select! {
                    () = sleep(pause) => {}
                    () = awakened(&mut self.parts.interest, &self.wanted) => {}
                    () = stopped(stop) => {}
                },
                Wait::Idle(at_most) => {
                    let enough = async {
                        tokio::select! {
                            () = awakened(&mut self.parts.interest, &self.wanted) => {}
                            () = stopped(stop) => {}
                        }
                    };
                    match session.idle(at_most, enough).await? {
                        IdleEnd::Changed(changes) => {
                            reader.take_in(session, &changes, true).await?
                        }
                        IdleEnd::TimedOut | IdleEnd::Stopped => {}
                        IdleEnd::Refused { .. } => idle = false,
                    }
                }
            }
            began = Instant::now();
            let changes = session.noop().await?;
            reader.take_in(session, &changes, false).await?;
        }
    }

    fn next(&self, looked: Instant, idle: bool) -> Wait {
        let pace = match self.place {
            Place::Folder(_) => Pace::EXPECTED,
            Place::Junk => Pace::BESIDE,
        };
        poll::next(Instant::now(), looked, &self.wanted, self.since, idle, pace)
    }

    /// Takes note of what is wanted now.
    fn heed(&mut self) {
        let wanted = self.parts.interest.borrow_and_update().clone();
        if matters(&self.wanted, &wanted) {
            self.since = Instant::now();
        }
        self.wanted = wanted;
    }

    /// Tells that a look which began then has seen all.
    async fn tell_looked(&self, folder: &str, began: Instant) -> Result<(), End> {
        let alias = (self.was_nameless && folder != NAMELESS).then_some(NAMELESS);
        for folder in [Some(folder), alias].into_iter().flatten() {
            let news = News::Looked {
                mailbox: self.parts.account.name.clone(),
                folder: folder.to_owned(),
                began,
                began_at: self.parts.shared.wall(began),
            };
            self.parts.shared.tell(news).await?;
        }
        Ok(())
    }

    fn recovered(&mut self) {
        if self.told.take().is_some() {
            tracing::info!(mailbox = self.parts.account.name, place = ?self.place, "readable again");
        }
        self.parts.ready.send_if_modified(|ready| {
            let news = *ready != Readiness::Watching;
            *ready = Readiness::Watching;
            news
        });
    }

    async fn tell_blind(&mut self, failure: Failure) -> Result<(), End> {
        self.parts.ready.send_replace(Readiness::Blind {
            failure: failure.clone(),
            attempts: self.failed,
            beside: self.place == Place::Junk,
        });
        if self.told.as_ref() == Some(&failure) {
            return Ok(());
        }
        self.told = Some(failure.clone());
        tracing::info!(mailbox = self.parts.account.name, place = ?self.place, "cannot be read: {}", failure.line());
        let folder = match (&self.claimed, &self.place) {
            (Some(folder), _) | (None, Place::Folder(folder)) => folder.clone(),
            (None, Place::Junk) => {
                self.was_nameless = true;
                NAMELESS.to_owned()
            }
        };
        let news = News::Blind {
            mailbox: self.parts.account.name.clone(),
            folder,
            failure,
        };
        self.parts.shared.tell(news).await
    }

    /// Waits before the next attempt; less when a mail begins to be awaited meanwhile.
    async fn pause(&mut self, stop: &mut Stop) -> Result<(), End> {
        self.heed();
        let awaited = self.wanted.awaited > 0;
        let mut until = Instant::now() + retry::delay(self.failed, awaited, self.dice.random());
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                () = awakened(&mut self.parts.interest, &self.wanted) => {
                    let before = self.wanted.awaited;
                    self.heed();
                    if before == 0 && self.wanted.awaited > 0 {
                        until = until.min(Instant::now() + retry::delay(2, true, 0.0));
                    }
                }
                () = stopped(stop) => return Err(End::Stopped),
            }
        }
    }
}

/// Whether a watch has to do something else now. What changes with every event must not end a pause: the looks
/// themselves are events.
fn matters(before: &Interest, now: &Interest) -> bool {
    (before.awaited == 0) != (now.awaited == 0)
        || before.only_copies != now.only_copies
        || before.latest != now.latest
        || before.remove != now.remove
}

/// Waits for a change of the interest that matters.
async fn awakened(interest: &mut channel::Receiver<Interest>, before: &Interest) {
    loop {
        if interest.changed().await.is_err() {
            // Nobody can want anything else any more.
            return std::future::pending().await;
        }
        if matters(before, &interest.borrow_and_update()) {
            return;
        }
    }
}

async fn stopped(stop: &mut Stop) {
    // The sender is gone: nobody is left to stop anything, and nobody to tell anything.
    let _ = stop.wait_for(|stop| *stop).await;
}
