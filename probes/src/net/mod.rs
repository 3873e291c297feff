//! The only way to the network: names and connections. One attempt is one outcome; nothing is retried on the quiet.

mod answer;
mod connect;
mod dnssec;
mod exchange;
mod failure;
mod lookup;
mod published;
mod system;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

pub(crate) use answer::{name_problem, record_type_name};
pub use connect::NoRoute;
pub use dnssec::{Proven, Security, TrustAnchors};
pub use failure::{answer_failure, ask_failure, connect_failure};
pub(crate) use failure::{server_words, system_words};
pub(crate) use lookup::end_of_chain;
pub use lookup::{Addresses, addresses, lookup};
pub use published::{Published, published};
pub use system::SystemNet;

use crate::dialogue::stream::BoxStream;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The network as a probe sees it. Tests replace it by streams in memory, so that time can be virtual.
pub trait Net: Send + Sync + std::fmt::Debug {
    /// Opens a TCP connection to exactly this address (NODELAY set), from `source` when given.
    /// The caller sets the time limit by dropping the future.
    fn connect(
        &self,
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> BoxFuture<'_, std::io::Result<BoxStream>>;

    /// Asks one question. `server: None` means the configured resolver.
    /// The answer may be an error code of the server: that is an answer, not an `Err`.
    fn ask(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Answer, AskError>>;

    /// Asks one question as [`ask`](Self::ask) does, and proves the answer by its signatures (DNSSEC).
    fn ask_securely(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Proven, AskError>> {
        let _ = (server, question);
        Box::pin(async {
            Err(AskError::BadQuestion(
                "this network proves nothing".to_owned(),
            ))
        })
    }

    /// Sends one datagram and waits at most `within` for one from the same address and port.
    fn datagram(
        &self,
        to: SocketAddr,
        bytes: Vec<u8>,
        within: Duration,
    ) -> BoxFuture<'_, std::io::Result<Vec<u8>>> {
        let _ = (to, bytes, within);
        Box::pin(async { Err(std::io::ErrorKind::Unsupported.into()) })
    }

    /// The local address that packets to this one would come from; `None` without a route. Sends nothing.
    fn source_towards(&self, to: IpAddr) -> Option<IpAddr> {
        let _ = to;
        None
    }

    /// Whether the system knows a way to this address at all. Sends nothing. It tells "this probe has no IPv6"
    /// from "that address does not answer".
    fn has_route(&self, to: IpAddr) -> bool {
        let _ = to;
        true
    }
}

/// One DNS question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name, without the trailing dot.
    pub name: String,
    /// The record type's mnemonic in upper case (`MX`, `TXT`, `TYPE65280`).
    pub record_type: String,
    /// How long to wait in all, retries over UDP and the change to TCP included.
    pub within: Duration,
    /// Whether the server shall look further for us (RD): yes for a resolver, no for an authoritative server.
    pub recursive: bool,
}

impl Question {
    /// A question for a resolver.
    #[must_use]
    pub fn new(name: impl Into<String>, record_type: impl Into<String>, within: Duration) -> Self {
        Self {
            name: name.into(),
            record_type: record_type.into(),
            within,
            recursive: true,
        }
    }

    /// The same question for an authoritative server.
    #[must_use]
    pub fn without_recursion(mut self) -> Self {
        self.recursive = false;
        self
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// A DNS server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, …
    pub rcode: String,
    /// The answer section, CNAMEs included, as sent.
    pub records: Vec<Record>,
    /// AA.
    pub authoritative: bool,
    /// Who answered.
    pub server: SocketAddr,
    /// How long it took.
    pub took: Duration,
}

/// One resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner name, lower-case, without the trailing dot.
    pub name: String,
    /// Mnemonic of the type.
    pub record_type: String,
    /// Seconds.
    pub ttl: u32,
    /// The data.
    pub data: RecordData,
}

/// The data that the program looks into; the rest is kept in presentation form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// A or AAAA.
    Address(IpAddr),
    /// MX; the host is `.` for a null MX (RFC 7505).
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// Lower-case, without the trailing dot.
        host: String,
    },
    /// CNAME, NS, PTR: a name, lower-case, without the trailing dot.
    Name(String),
    /// TXT: the strings joined, as the mail standards read them.
    Text(String),
    /// Anything else in presentation form, names without the trailing dot.
    Other(String),
}

impl std::fmt::Display for RecordData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Mx { preference, host } => write!(f, "{preference} {host}"),
            Self::Name(text) | Self::Text(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No server answered in time.
    #[error("no answer from {server} within {waited:?}")]
    TimedOut {
        /// The server, or the last one tried.
        server: String,
        /// How long.
        waited: Duration,
    },
    /// The server's host refused (closed port) or the network could not reach it.
    #[error("{server}: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the system said.
        problem: String,
    },
    /// The answer was not a DNS message or did not belong to the question.
    #[error("{server} sent a broken answer: {problem}")]
    Malformed {
        /// The server.
        server: String,
        /// What was wrong.
        problem: String,
    },
    /// A limit of ours ended the proof; no server has done anything wrong.
    #[error("given up at a limit of the probe's own: {problem}")]
    GivenUp {
        /// Which one.
        problem: String,
    },
    /// No resolver is configured and the system has none.
    #[error("no resolver is configured: set `resolver:` or provide a resolv.conf")]
    NoResolver,
    /// The name or the type cannot be asked for.
    #[error("{0}")]
    BadQuestion(String),
}
