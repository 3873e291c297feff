//! From a new connection to the moment before the handshake: the words by which SMTP, IMAP, POP3 and ManageSieve change to
//! TLS, and the goodbye inside it. Nobody logs in.

mod lines;

use std::time::Duration;

use postrider_wire::bounded::Limits;
use postrider_wire::text::visible;
use postrider_wire::{pop3, sieve};

use self::lines::Lines;
use super::imap::{self, Greeting, ImapError, Setup, Timing, Transcript};
use super::open_imap;
use super::smtp;
use super::stream::BoxStream;
use crate::context::Context;
use crate::outcome::Failure;
use crate::phase::Phase;
use crate::reason::Reason;

/// A protocol that can change to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 §6.2.1.
    Imap,
    /// RFC 2595 §4.
    Pop3,
    /// RFC 5804 §2.2.
    Sieve,
}

impl Protocol {
    /// As people call it.
    fn name(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Imap => "IMAP",
            Self::Pop3 => "POP3",
            Self::Sieve => "ManageSieve",
        }
    }

    /// What asks for TLS.
    fn command(self) -> &'static str {
        match self {
            Self::Pop3 => "STLS",
            Self::Smtp | Self::Imap | Self::Sieve => "STARTTLS",
        }
    }

    fn not_offered(self) -> Failure {
        Failure::new(
            Reason::TlsNotOffered,
            format!(
                "the {} server does not offer {}",
                self.name(),
                self.command()
            ),
        )
    }

    fn refused(self, words: &str) -> Failure {
        Failure::new(
            Reason::TlsNotOffered,
            format!(
                "the {} server refused {}: {words}",
                self.name(),
                self.command()
            ),
        )
    }
}

/// Talks until the server waits for the handshake, and gives the bare stream. `helo` is what EHLO says; each part may take
/// `within`.
///
/// # Errors
/// `tls-not-offered`, `tls-injection` when plain text follows the server's consent, and whatever else can go wrong before.
pub async fn before(
    cx: &Context<'_>,
    stream: BoxStream,
    protocol: Protocol,
    helo: &str,
    within: Duration,
) -> Result<BoxStream, Failure> {
    match protocol {
        Protocol::Smtp => smtp(cx, stream, helo, within).await,
        Protocol::Imap => imap(cx, stream, within).await,
        Protocol::Pop3 => pop3(cx, stream, within).await,
        Protocol::Sieve => sieve(cx, stream, within).await,
    }
}

/// Says goodbye inside TLS, briefly; what the server says to that decides nothing.
pub async fn leave(cx: &Context<'_>, stream: BoxStream, protocol: Option<Protocol>) {
    match protocol {
        Some(Protocol::Smtp) => smtp::Session::new(cx, stream, true).quit().await,
        Some(Protocol::Imap) => {
            let record = Transcript::new();
            let within = lines::GOODBYE;
            imap::Session::resume(stream, &setup(within, &record))
                .logout()
                .await;
            lines::copy(cx, &record, true);
        }
        Some(Protocol::Pop3) => {
            Lines::new(cx, stream, lines::GOODBYE, true)
                .leave("QUIT")
                .await
        }
        Some(Protocol::Sieve) => {
            Lines::new(cx, stream, lines::GOODBYE, true)
                .leave("LOGOUT")
                .await
        }
        // Which protocol is spoken inside is not known here.
        None => lines::shut_down(stream).await,
    }
}

async fn smtp(
    cx: &Context<'_>,
    stream: BoxStream,
    helo: &str,
    within: Duration,
) -> Result<BoxStream, Failure> {
    let mut session = smtp::Session::new(cx, stream, false);
    let greeting = session.greeting(within).await?;
    if !greeting.is_positive_completion() {
        session.quit().await;
        let reason = Reason::GreetingRejected;
        return Err(smtp::refusal(reason, &greeting, "as greeting"));
    }
    let (reply, capabilities) = session.ehlo(helo, within).await?;
    if !reply.is_positive_completion() {
        session.quit().await;
        return Err(smtp::refusal(
            Reason::GreetingRejected,
            &reply,
            "after EHLO",
        ));
    }
    if !capabilities.has("STARTTLS") {
        session.quit().await;
        return Err(Protocol::Smtp.not_offered());
    }
    let reply = cx.phase(Phase::Starttls, session.starttls(within)).await?;
    if !reply.is_positive_completion() {
        session.quit().await;
        let words = format!("{} {}", reply.code, visible(&reply.text()));
        return Err(Protocol::Smtp.refused(&words));
    }
    session.into_stream()
}

fn setup(within: Duration, record: &Transcript) -> Setup {
    Setup {
        limits: Limits::imap(),
        timing: Timing { command: within },
        transcript: record.clone(),
    }
}

async fn imap(cx: &Context<'_>, stream: BoxStream, within: Duration) -> Result<BoxStream, Failure> {
    let record = Transcript::new();
    let ended = imap_dialogue(cx, stream, &setup(within, &record)).await;
    lines::copy(cx, &record, false);
    ended
}

async fn imap_dialogue(
    cx: &Context<'_>,
    stream: BoxStream,
    setup: &Setup,
) -> Result<BoxStream, Failure> {
    let failed = |error: ImapError| open_imap::failure(&error);
    let greeted = cx
        .phase(Phase::Banner, imap::Session::greet(stream, setup))
        .await;
    let (mut session, greeting) = greeted.map_err(failed)?;
    match greeting {
        Greeting::Ok { .. } => {}
        Greeting::Bye { text } => {
            return Err(Failure::new(
                Reason::GreetingRejected,
                format!("the server greets with BYE: {text}"),
            ));
        }
        Greeting::PreAuth { .. } => {
            return Err(Failure::new(
                Reason::TlsNotOffered,
                "the server greets with PREAUTH before TLS, which rules STARTTLS out",
            ));
        }
    }
    let asked = async {
        if !session
            .capabilities()
            .await
            .map_err(failed)?
            .has("STARTTLS")
        {
            session.logout().await;
            return Err(Protocol::Imap.not_offered());
        }
        session.starttls().await.map_err(|error| match error {
            ImapError::Refused { text, .. } => Protocol::Imap.refused(&text.to_string()),
            other => failed(other),
        })
    };
    cx.phase(Phase::Starttls, asked).await
}

async fn pop3(cx: &Context<'_>, stream: BoxStream, within: Duration) -> Result<BoxStream, Failure> {
    let mut lines = Lines::new(cx, stream, within, false);
    let greeting = cx.phase(Phase::Banner, lines.greeting()).await?;
    match pop3::Status::parse(&greeting) {
        Some(pop3::Status::Ok(_)) => {}
        Some(pop3::Status::Err(words)) => return Err(lines::greeting_rejected(&words)),
        None => return Err(lines::no_greeting(&greeting, "POP3")),
    }
    let asked = async {
        lines.send("CAPA").await?;
        let mut offered = pop3::Capabilities::default();
        // A server that does not know CAPA may know STLS all the same (RFC 2449 came later than RFC 2595).
        if let pop3::Status::Ok(_) = pop3_status(&mut lines, "CAPA").await? {
            while !offered.feed(&lines.receive("CAPA").await?) {}
            if !offered.has("STLS") {
                lines.leave("QUIT").await;
                return Err(Protocol::Pop3.not_offered());
            }
        }
        lines.send("STLS").await?;
        match pop3_status(&mut lines, "STLS").await? {
            pop3::Status::Ok(_) => lines.into_stream(),
            pop3::Status::Err(words) => {
                lines.leave("QUIT").await;
                Err(Protocol::Pop3.refused(&words))
            }
        }
    };
    cx.phase(Phase::Starttls, asked).await
}

async fn pop3_status(lines: &mut Lines<'_, '_>, command: &str) -> Result<pop3::Status, Failure> {
    let line = lines.receive(command).await?;
    pop3::Status::parse(&line).ok_or_else(|| lines::nonsense(&line, command))
}

async fn sieve(
    cx: &Context<'_>,
    stream: BoxStream,
    within: Duration,
) -> Result<BoxStream, Failure> {
    let mut lines = Lines::new(cx, stream, within, false);
    let greeting = async {
        let mut offered = sieve::Capabilities::default();
        loop {
            let line = lines.greeting().await?;
            match sieve::Line::parse(&line) {
                Some(sieve::Line::Capability(name)) => offered.add(name),
                Some(sieve::Line::Ok(_)) => return Ok(offered),
                Some(sieve::Line::No(words) | sieve::Line::Bye(words)) => {
                    return Err(lines::greeting_rejected(&words));
                }
                None => return Err(lines::no_greeting(&line, "ManageSieve")),
            }
        }
    };
    let offered = cx.phase(Phase::Banner, greeting).await?;
    if !offered.has("STARTTLS") {
        lines.leave("LOGOUT").await;
        return Err(Protocol::Sieve.not_offered());
    }
    let asked = async {
        lines.send("STARTTLS").await?;
        let line = lines.receive("STARTTLS").await?;
        match sieve::Line::parse(&line) {
            Some(sieve::Line::Ok(_)) => lines.into_stream(),
            Some(sieve::Line::No(words) | sieve::Line::Bye(words)) => {
                lines.leave("LOGOUT").await;
                Err(Protocol::Sieve.refused(&words))
            }
            _ => Err(lines::nonsense(&line, "STARTTLS")),
        }
    };
    cx.phase(Phase::Starttls, asked).await
}
