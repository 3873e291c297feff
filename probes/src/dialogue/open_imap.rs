//! From a mailbox in the configuration to a session that is logged in: name, connection, TLS, greeting, login.
//!
//! The mailbox watch, the `imap` kind and `validate --online` all come in by this door, so that each of them reports
//! the same failure by the same reason. There is one login attempt, whatever comes of it, and no password leaves on
//! a connection whose certificate was not accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use postrider_wire::bounded::Limits;
use tokio::time::{Instant, timeout, timeout_at};

use super::imap::{Greeting, ImapError, Session, Setup, Timing, Transcript};
use super::stream::BoxStream;
use crate::account::{ImapEndpoint, MailboxAccount, Security};
use crate::context::Context;
use crate::net::{Net, Question, RecordData, answer_failure, ask_failure, connect_failure};
use crate::outcome::{Failure, Status, TlsFacts};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::Span;
use crate::tls;

/// For resolving the server's name.
const DNS_WITHIN: Duration = Duration::from_secs(10);
/// For each of the server's addresses.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For all of them.
const CONNECT_ALL_WITHIN: Duration = Duration::from_secs(20);
/// For one TLS handshake.
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// Addresses that are tried.
const ADDRESSES: usize = 8;

/// The longest that [`open`] takes when each command may take `command`.
#[must_use]
pub fn longest(command: Duration) -> Duration {
    // Greeting, CAPABILITY, STARTTLS, CAPABILITY again, login.
    DNS_WITHIN + CONNECT_ALL_WITHIN + TLS_WITHIN + command * 5
}

/// What is told while a session is opened.
pub trait Observer: Sync {
    /// A phase ended, well or not.
    fn spent(&self, phase: Phase, time: Duration);
    /// A handshake gave this, accepted or not.
    fn negotiated(&self, tls: &TlsFacts);
    /// A server greeted so.
    fn greeted(&self, _address: SocketAddr, _text: &str) {}
}

/// Nobody wants to know.
impl Observer for () {
    fn spent(&self, _: Phase, _: Duration) {}
    fn negotiated(&self, _: &TlsFacts) {}
}

impl Observer for Context<'_> {
    fn spent(&self, phase: Phase, time: Duration) {
        Self::spent(self, phase, time);
    }
    fn negotiated(&self, tls: &TlsFacts) {
        self.evidence(|evidence| evidence.tls = Some(tls.clone()));
    }
}

/// Opens a session of `account` and logs in.
///
/// Each command may take `command`; the conversation is recorded in `transcript`.
///
/// # Errors
/// `dns-…`, `connect-…`, `tls-…`, `imap-unavailable`, `imap-login`, `imap-protocol`, `secret-…`; `cannot-observe`
/// when the mailbox has no IMAP server or no password.
pub async fn open(
    net: &dyn Net,
    account: &MailboxAccount,
    command: Duration,
    transcript: &Transcript,
    observer: &dyn Observer,
) -> Result<Session, Failure> {
    let missing = |what| {
        let text = format!("the mailbox `{}` has no {what}", account.name);
        Failure::new(Reason::CannotObserve, text)
    };
    let endpoint = account.imap.as_ref().ok_or_else(|| missing("`imap:`"))?;
    let source = account
        .password
        .as_ref()
        .ok_or_else(|| missing("password"))?;
    // Read before connecting: without it there is nothing to connect for. Read each time: it may have been changed.
    let password = source.read()?;

    let dns = Stopwatch::start(observer, Phase::Dns);
    let addresses = addresses(net, &endpoint.server).await?;
    drop(dns);

    let connect = Stopwatch::start(observer, Phase::Connect);
    let (stream, address) = connect_to_any(net, endpoint, &addresses).await?;
    drop(connect);

    let setup = Setup {
        limits: Limits::imap(),
        timing: Timing { command },
        transcript: transcript.clone(),
    };
    let mut session = greeted(stream, address, endpoint, &setup, observer).await?;

    let login = Stopwatch::start(observer, Phase::ImapLogin);
    let outcome = session.login(&account.username, password.expose()).await;
    drop(login);
    match outcome {
        Ok(()) => Ok(session),
        Err(error) => {
            session.logout().await;
            Err(failure(&error))
        }
    }
}

/// The reason and the line for an error of the conversation.
#[must_use]
pub fn failure(error: &ImapError) -> Failure {
    let reason = match error {
        ImapError::LoginRefused { code, .. } if is_for_now(code.as_deref()) => {
            Reason::ImapUnavailable
        }
        ImapError::LoginRefused { .. } | ImapError::LoginDisabled => Reason::ImapLogin,
        ImapError::StarttlsInjection => Reason::TlsInjection,
        ImapError::Malformed { .. }
        | ImapError::TooMuch(_)
        | ImapError::TooManyResponses { .. } => Reason::ImapProtocol,
        ImapError::BadArgument { .. } | ImapError::Unfinished => Reason::Internal,
        ImapError::Closed { .. }
        | ImapError::TimedOut { .. }
        | ImapError::Io { .. }
        | ImapError::Refused { .. }
        | ImapError::Bye { .. }
        | ImapError::NoSuchMessage { .. } => Reason::ImapUnavailable,
    };
    let text = match error {
        ImapError::Malformed {
            line: Some(line), ..
        } => format!("{error}: {line}"),
        _ => error.to_string(),
    };
    Failure::new(reason, text)
}

/// RFC 5530 §3: the credentials were not even looked at.
fn is_for_now(code: Option<&str>) -> bool {
    matches!(code, Some("UNAVAILABLE" | "INUSE" | "LIMIT" | "SERVERBUG"))
}

/// A connection, encrypted as the configuration asks and greeted.
async fn greeted(
    stream: BoxStream,
    address: SocketAddr,
    endpoint: &ImapEndpoint,
    setup: &Setup,
    observer: &dyn Observer,
) -> Result<Session, Failure> {
    let hello = |stream, encrypted| greet(stream, address, setup, encrypted, observer);
    match endpoint.security {
        Security::None => hello(stream, true).await,
        Security::Implicit => {
            let stream = encrypt(stream, address, endpoint, observer).await?;
            hello(stream, true).await
        }
        Security::Starttls => {
            let mut session = hello(stream, false).await?;
            let tls = Stopwatch::start(observer, Phase::Tls);
            let capabilities = session.capabilities().await.map_err(|e| failure(&e))?;
            if !capabilities.has("STARTTLS") {
                return Err(Failure::new(
                    Reason::TlsNotOffered,
                    "the IMAP server does not offer STARTTLS",
                ));
            }
            let stream = session.starttls().await.map_err(|error| match error {
                ImapError::Refused { text, .. } => Failure::new(
                    Reason::TlsNotOffered,
                    format!("the IMAP server refused STARTTLS: {text}"),
                ),
                error => failure(&error),
            })?;
            drop(tls);
            let stream = encrypt(stream, address, endpoint, observer).await?;
            Ok(Session::resume(stream, setup))
        }
    }
}

/// Reads the greeting. `last`: no TLS is to come, so that a server may have logged us in already.
async fn greet(
    stream: BoxStream,
    address: SocketAddr,
    setup: &Setup,
    last: bool,
    observer: &dyn Observer,
) -> Result<Session, Failure> {
    let _login = Stopwatch::start(observer, Phase::ImapLogin);
    let (session, greeting) = Session::greet(stream, setup)
        .await
        .map_err(|error| failure(&error))?;
    match greeting {
        Greeting::Ok { text } => {
            observer.greeted(address, text.as_str());
            Ok(session)
        }
        Greeting::Bye { text } => Err(Failure::new(
            Reason::ImapUnavailable,
            format!("the server greets with BYE: {text}"),
        )),
        Greeting::PreAuth { .. } if last => Err(Failure::new(
            Reason::ImapProtocol,
            "the server greets with PREAUTH: it let us in before it knew who we are",
        )),
        // STARTTLS is not possible any more: going on would be a conversation in the clear (RFC 9051 §11.1).
        Greeting::PreAuth { .. } => Err(Failure::new(
            Reason::TlsNotOffered,
            "the server greets with PREAUTH before TLS, which rules STARTTLS out",
        )),
    }
}

/// Times a phase until it is dropped, so that a phase that fails is timed too.
struct Stopwatch<'a> {
    observer: &'a dyn Observer,
    phase: Phase,
    began: Instant,
}

impl<'a> Stopwatch<'a> {
    fn start(observer: &'a dyn Observer, phase: Phase) -> Self {
        Self {
            observer,
            phase,
            began: Instant::now(),
        }
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        self.observer.spent(self.phase, self.began.elapsed());
    }
}

/// The server's addresses: of both families when there are both, IPv6 first (RFC 6724) where we can reach it.
async fn addresses(net: &dyn Net, server: &str) -> Result<Vec<IpAddr>, Failure> {
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(literal) = bare.parse() {
        return Ok(vec![literal]);
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        // RFC 6761 §6.3: no name server is asked.
        return Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
    }
    let (six, four) = tokio::join!(records(net, &name, "AAAA"), records(net, &name, "A"));
    let mut found = Vec::new();
    let mut failure = None;
    for answer in [six, four] {
        match answer {
            Ok(addresses) => found.extend(addresses),
            Err(error) => failure = Some(error),
        }
    }
    found.sort_by_key(|address| !net.has_route(*address));
    match failure {
        _ if !found.is_empty() => Ok(found),
        Some(failure) => Err(failure),
        None => Err(Failure::new(
            Reason::DnsNxdomain,
            format!("{name} has no address"),
        )),
    }
}

async fn records(net: &dyn Net, name: &str, record_type: &str) -> Result<Vec<IpAddr>, Failure> {
    let question = Question::new(name, record_type, DNS_WITHIN);
    let answer = net
        .ask(None, question.clone())
        .await
        .map_err(|error| ask_failure(&error, &question, true))?;
    if let Some(failure) = answer_failure(&answer, &question) {
        return Err(failure);
    }
    let records = answer.records.into_iter();
    Ok(records
        .filter_map(|record| match record.data {
            RecordData::Address(address) => Some(address),
            _ => None,
        })
        .collect())
}

/// Each address in turn, the first that answers is it.
async fn connect_to_any(
    net: &dyn Net,
    endpoint: &ImapEndpoint,
    addresses: &[IpAddr],
) -> Result<(BoxStream, SocketAddr), Failure> {
    let end = Instant::now() + CONNECT_ALL_WITHIN;
    let mut told: Option<Failure> = None;
    for address in addresses.iter().take(ADDRESSES) {
        let address = SocketAddr::new(*address, endpoint.port);
        let began = Instant::now();
        let error =
            match timeout_at(end.min(began + CONNECT_WITHIN), net.connect(address, None)).await {
                Ok(Ok(stream)) => return Ok((stream, address)),
                Ok(Err(error)) => error,
                Err(_) => std::io::ErrorKind::TimedOut.into(),
            };
        let failure = connect_failure(&error, address, began.elapsed());
        // An address that we could not even try says the least.
        if told
            .as_ref()
            .is_none_or(|told| told.status == Status::Error)
        {
            told = Some(failure);
        }
    }
    Err(told.unwrap_or_else(|| {
        let text = format!("{} has no address", endpoint.server);
        Failure::new(Reason::DnsNxdomain, text)
    }))
}

/// The handshake. The certificate must be good for the server's name: a password is going to be sent.
async fn encrypt(
    stream: BoxStream,
    address: SocketAddr,
    endpoint: &ImapEndpoint,
    observer: &dyn Observer,
) -> Result<BoxStream, Failure> {
    let _tls = Stopwatch::start(observer, Phase::Tls);
    let name = endpoint
        .server
        .trim_start_matches('[')
        .trim_end_matches(']');
    let handshake = tls::client(stream, name, &endpoint.trust, tls::Verify::Enforce);
    match timeout(TLS_WITHIN, handshake).await {
        Ok(Ok((stream, mut facts))) => {
            facts.address = Some(address);
            observer.negotiated(&facts);
            Ok(stream)
        }
        Ok(Err(error)) => {
            if let Some(mut facts) = error.facts {
                facts.address = Some(address);
                observer.negotiated(&facts);
            }
            Err(error.failure)
        }
        Err(_) => Err(Failure::new(
            Reason::TlsHandshake,
            format!("the handshake did not end within {}", Span(TLS_WITHIN)),
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
