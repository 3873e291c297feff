//! What the web surface needs of the daemon, and nothing else of it. The daemon implements [`Control`]; the tests have a
//! double. Everything in here is plain data: no store, no plan, no engine.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::document::{AcceptRequest, LedgerEntry};
pub use crate::metrics::Format as MetricsFormat;
use crate::result::changes::Acceptance;
use crate::result::{RunHead, RunResult};

/// A future of a trait that can be an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The running daemon, as the web sees it. Every call is limited in time from outside and may be dropped half way, so
/// what has to be finished once begun (a reload, a run) must not live in the future itself.
pub trait Control: Send + Sync + 'static {
    /// Everything that keeps the daemon from its work; empty when it is ready: the store can be written, the
    /// scheduler goes round, the program is not ending. A configuration that was refused is none: the old one runs.
    fn readiness(&self) -> Answer<'_, Vec<NotReady>>;

    /// All metrics.
    fn metrics(&self, format: MetricsFormat) -> Answer<'_, Metrics>;

    /// Reads the configuration again and swaps it in at once, or not at all.
    fn reload(&self) -> Answer<'_, Result<Reloaded, Rejected>>;

    /// Starts a run of a scenario now; gives its id without waiting for its end.
    fn start_run(&self, scenario: String, origin: Origin) -> Answer<'_, Result<String, Refused>>;

    /// Stored runs, newest first, at most `query.limit`.
    fn runs(&self, query: RunQuery) -> Answer<'_, Result<Vec<RunHead>, Unavailable>>;

    /// One stored run by its whole id, or the run under way with the checks that have ended.
    fn run(&self, id: String) -> Answer<'_, Result<Option<RunResult>, Unavailable>>;

    /// Entries of the ledger, newest first, at most `query.limit`.
    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Result<Vec<LedgerEntry>, Unavailable>>;

    /// Accepts what was seen last of what is meant.
    fn accept(
        &self,
        request: AcceptRequest,
        origin: Origin,
    ) -> Answer<'_, Result<Acceptance, Unavailable>>;

    /// Makes one check at once, for a scraper: it is recorded nowhere, and no mail is sent.
    fn probe(&self, query: ProbeQuery) -> Answer<'_, Result<Probed, ProbeRefused>>;

    /// The mistakes of the configuration file that the last reload refused, as `validate` prints them; `None` when
    /// what runs is what is written.
    fn config_error(&self) -> Option<String>;
}

/// One thing that keeps the daemon from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// The part: `store`, `scheduler`, `program`.
    pub what: String,
    /// What is wrong with it, in one sentence.
    pub why: String,
}

/// Metrics, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The media type with its parameters.
    pub content_type: &'static str,
    /// The text or the messages.
    pub body: Vec<u8>,
}

/// A configuration was taken, or was what runs already.
#[derive(Debug, Clone, PartialEq)]
pub struct Reloaded {
    /// The difference for people, in lines.
    pub text: String,
    /// The difference for programs.
    pub json: serde_json::Value,
}

/// A configuration was refused; the old one goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The mistakes, as `validate` prints them, and as last line what still runs.
    pub text: String,
}

/// Who asked for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user who logged in; `None` when no users are configured.
    pub user: Option<String>,
    /// The address that the request came from.
    pub address: IpAddr,
}

impl fmt::Display for Origin {
    /// As the run's own document names it: `web alice`, `web 127.0.0.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "web {user}"),
            None => write!(f, "web {}", self.address),
        }
    }
}

/// Why a run was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of refusal this is.
    pub kind: Refusal,
    /// What is wrong, in one sentence.
    pub reason: String,
    /// When asking again makes sense.
    pub retry_after: Option<Duration>,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No scenario has that name.
    UnknownScenario,
    /// As many runs as may be are under way.
    Busy,
    /// The daemon cannot run anything now: it ends, or its store cannot be written.
    NotReady,
}

/// What a scraper wants to know now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeQuery {
    /// `mx1.example.net:25`: host, with or without a port; a domain; a mailbox.
    pub target: String,
    /// `smtp_starttls`.
    pub module: String,
    /// When the answer must be there.
    pub until: Instant,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Samples in the text format.
    pub metrics: String,
    /// What happened, for people, without secrets.
    pub log: String,
}

/// Why nothing was contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRefused {
    /// What kind of refusal this is.
    pub kind: ProbeRefusal,
    /// What is wrong, in one sentence.
    pub reason: String,
}

/// Kinds of refusal of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeRefusal {
    /// The question has no meaning: no such module, or the target is none.
    Meaningless,
    /// The configuration does not name the target.
    NotNamed,
    /// The daemon cannot do it now.
    NotReady,
}

/// Which stored runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// At most so many; never more than [`MOST_ROWS`].
    pub limit: u32,
    /// Only runs that took this scenario.
    pub scenario: Option<String>,
    /// Only runs that come after this one in the list, which is newest first: the last id of the page before.
    pub before: Option<String>,
}

/// Which entries of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerQuery {
    /// At most so many; never more than [`MOST_ROWS`].
    pub limit: u32,
    /// Only entries in this state, by its name (`delivered`, `lost`, …).
    pub state: Option<String>,
    /// Only entries of this scenario.
    pub scenario: Option<String>,
    /// Only entries of this run.
    pub run: Option<String>,
    /// Only entries that were planned at this time or later.
    pub since: Option<Timestamp>,
    /// Only entries that were planned before this time.
    pub until: Option<Timestamp>,
}

/// Rows of one answer.
pub const MOST_ROWS: u32 = 1000;

/// The store could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);
