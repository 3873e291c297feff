//! What a probe may use: network, accounts, ledger, time, variables, and where it leaves its results.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::{MailboxAccount, Sender, Trust};
use crate::inventory::Node;
use crate::kinds::deliver::{Family, MessageDefaults};
use crate::limit::Awaited;
use crate::net::Net;
use crate::observation::{Observation, What, addresses_of, of_tls};
use crate::outcome::{Evidence, Finding, Mark, Outcome, TlsFacts, TranscriptLine};
use crate::phase::Phase;
use crate::post::Post;
use crate::setting::{Template, Variables};
use crate::slots::Slots;
use crate::span::duration;
use crate::target::Target;

/// Lines kept of one check's dialogue.
const TRANSCRIPT_LINES: usize = 400;
/// Characters kept of one line.
const TRANSCRIPT_WIDTH: usize = 500;

/// What is the same for every check of a run.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Names and connections.
    pub net: &'a dyn Net,
    /// The ledger.
    pub post: &'a dyn Post,
    /// Senders by name.
    pub senders: &'a BTreeMap<String, Sender>,
    /// Mailboxes by name.
    pub mailboxes: &'a BTreeMap<String, MailboxAccount>,
    /// The platform-wide settings that steps may override.
    pub platform: &'a PlatformDefaults,
    /// Connections that are free, by address.
    pub slots: &'a Slots,
    /// The wall clock.
    pub now: fn() -> jiff::Timestamp,
}

/// Platform-wide settings that a step may override.
#[derive(Debug, Clone, Default)]
pub struct PlatformDefaults {
    /// SMTP port of the MX hosts; 25 when not given.
    pub smtp_port: Option<u16>,
    /// What is trusted of MX hosts.
    pub trust: Trust,
    /// Local address for outgoing connections.
    pub source_address: Option<std::net::IpAddr>,
    /// Mail domains of the platform.
    pub domains: Vec<String>,
    /// Its filter nodes.
    pub nodes: Vec<Node>,
}

/// What one check gets.
#[derive(Debug)]
pub struct Context<'a> {
    /// What is the same for the whole run.
    pub around: &'a Surroundings<'a>,
    /// The scenario's `message:` section.
    pub message: &'a MessageDefaults,
    /// The item of `for_each`.
    pub target: Option<&'a Target>,
    /// What templates may use.
    pub variables: &'a Variables,
    /// The run's id.
    pub run: &'a str,
    /// `scenario/step`, for the headers of the mail.
    pub check: &'a str,
    began: Instant,
    outcome: Mutex<Outcome>,
    doing: Mutex<Doing>,
}

/// What the check is at, for when it is cut off.
#[derive(Debug, Default)]
struct Doing {
    /// The phase that began last.
    phase: Option<Phase>,
    /// What it waits for its turn for, and since when.
    queue: Option<(String, Instant)>,
    /// What a server should say or do, and since when.
    awaited: Option<(Awaited, Instant)>,
}

impl<'a> Context<'a> {
    /// A context whose clock starts now.
    #[must_use]
    pub fn new(
        around: &'a Surroundings<'a>,
        message: &'a MessageDefaults,
        target: Option<&'a Target>,
        variables: &'a Variables,
        run: &'a str,
        check: &'a str,
    ) -> Self {
        Self {
            around,
            message,
            target,
            variables,
            run,
            check,
            began: Instant::now(),
            outcome: Mutex::default(),
            doing: Mutex::default(),
        }
    }

    /// Times `work` as `phase`, in success and in failure, and when it is dropped half-way.
    pub async fn phase<T>(&self, phase: Phase, work: impl Future<Output = T>) -> T {
        let _timer = self.enter(phase, Instant::now());
        work.await
    }

    /// Times `phase` from `began` until the timer is dropped, in success and in failure.
    pub(crate) fn enter(&self, phase: Phase, began: Instant) -> PhaseTimer<'_, 'a> {
        self.doing().phase = Some(phase);
        PhaseTimer {
            cx: self,
            phase,
            began: Some(began),
        }
    }

    /// Waits until it is this check's turn for `what`. That is nobody's time: it is in no phase, and the check's own
    /// limit stands still.
    pub(crate) async fn queue<T>(&self, what: &str, turn: impl Future<Output = T>) -> T {
        self.doing().queue = Some((what.to_owned(), Instant::now()));
        let ready = turn.await;
        if let Some((_, since)) = self.doing().queue.take() {
            self.lock().queued += since.elapsed();
        }
        ready
    }

    /// How long the check has waited for its turn, until now.
    pub(crate) fn queued(&self) -> Duration {
        let since = self.doing().queue.as_ref().map(|(_, since)| *since);
        self.lock().queued + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Says what a server owes us while `work` waits for it.
    pub(crate) async fn awaiting<T>(&self, owed: Awaited, work: impl Future<Output = T>) -> T {
        self.doing().awaited = Some((owed, Instant::now()));
        let came = work.await;
        self.doing().awaited = None;
        came
    }

    /// What a server owed us when the check was cut off, and for how long.
    pub(crate) fn awaited(&self) -> Option<(Awaited, Duration)> {
        let doing = self.doing();
        let (owed, since) = doing.awaited.as_ref()?;
        Some((owed.clone(), since.elapsed()))
    }

    /// ` (during data)`, for a check that is cut off.
    pub(crate) fn whereabouts(&self) -> String {
        let doing = self.doing();
        match (&doing.queue, doing.phase) {
            (Some((what, _)), _) => format!(" (waiting for {what})"),
            (None, Some(phase)) => format!(" (during {phase})"),
            (None, None) => match self.lock().queued {
                // It came too late.
                queued if queued >= Duration::from_secs(1) => {
                    format!(" (after waiting {} for its turn)", duration(queued))
                }
                _ => String::new(),
            },
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a time that was measured elsewhere.
    pub fn spent(&self, phase: Phase, time: Duration) {
        self.lock().phases.add(phase, time);
    }

    /// Records something that did not hold.
    pub fn find(&self, finding: Finding) {
        self.lock().add(finding);
    }

    /// Adds a short fact to the result line.
    pub fn note(&self, note: impl Into<String>) {
        self.lock().notes.push(note.into());
    }

    /// Tells what was seen, to be compared with what was seen before: `cx.observe(What::Ptr, address, &names)`. Only for
    /// what a server really said; a look that failed has seen nothing, an answer without a record is an empty set.
    pub fn observe(
        &self,
        what: What,
        subject: impl std::fmt::Display,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        self.lock().observe(Observation::new(what, subject, values));
    }

    /// Tells the certificate and the TLS version that were seen at `subject`, mostly `192.0.2.1:25`.
    pub fn observe_tls(&self, subject: impl std::fmt::Display, facts: &TlsFacts) {
        self.observe_all(of_tls(subject, facts));
    }

    /// Tells the addresses of a name; of a family that was not asked for nothing is known.
    pub fn observe_addresses(&self, name: &str, family: Family, found: &[IpAddr]) {
        self.observe_all(addresses_of(name, family, found));
    }

    /// Tells what was seen elsewhere.
    pub fn observe_all(&self, seen: impl IntoIterator<Item = Observation>) {
        let mut outcome = self.lock();
        seen.into_iter().for_each(|seen| outcome.observe(seen));
    }

    /// Adds proof.
    pub fn evidence(&self, add: impl FnOnce(&mut Evidence)) {
        add(&mut self.lock().evidence);
    }

    /// Adds a line to the transcript; `text` must already be safe to print and free of secrets.
    pub fn say(&self, mark: Mark, text: &str) {
        let at = self.began.elapsed();
        let transcript = &mut self.lock().evidence.transcript;
        let text = match transcript.len() {
            TRANSCRIPT_LINES.. => return,
            n if n == TRANSCRIPT_LINES - 1 => "… the rest of the dialogue is not kept".to_owned(),
            _ if text.chars().count() > TRANSCRIPT_WIDTH => {
                text.chars().take(TRANSCRIPT_WIDTH).chain(['…']).collect()
            }
            _ => text.to_owned(),
        };
        transcript.push(TranscriptLine { at, mark, text });
    }

    /// Fills a template.
    ///
    /// # Errors
    /// `internal`: configuration was checked for unknown names when it was loaded.
    pub fn fill(&self, template: &Template) -> Result<String, Finding> {
        template
            .fill(self.variables)
            .map_err(|error| Finding::new(crate::reason::Reason::Internal, error.to_string()))
    }

    /// Since the check began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends the check.
    #[must_use]
    pub fn finish(self) -> Outcome {
        let queued = self.queued();
        let outcome = self.outcome.into_inner();
        Outcome {
            queued,
            ..outcome.unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// What was gathered until now; for a check that is cut off.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds its phase's time when it is dropped.
#[derive(Debug)]
pub(crate) struct PhaseTimer<'c, 'a> {
    cx: &'c Context<'a>,
    phase: Phase,
    /// `None`: the time is known better.
    began: Option<Instant>,
}

impl PhaseTimer<'_, '_> {
    /// Ends the phase with a time that was measured elsewhere, or with none when nobody could measure it.
    pub(crate) fn end_with(mut self, time: Option<Duration>) {
        self.began = None;
        if let Some(time) = time {
            self.cx.spent(self.phase, time);
        }
    }
}

impl Drop for PhaseTimer<'_, '_> {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            self.cx.spent(self.phase, began.elapsed());
        }
    }
}
