//! The SMTP conversation (RFC 5321) as a sender holds it, one command a method. Every reply is bounded in bytes and in time.

mod content;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use postrider_wire::bounded::{Limits, LineReader};
use postrider_wire::smtp::ehlo::Capabilities;
use postrider_wire::smtp::reply::{Reply, ReplyParser};
use postrider_wire::text::{RemoteText, visible};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::context::Context;
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::outcome::{Failure, Mark};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::duration;

pub use content::Sent;

/// How long QUIT may take; its answer decides nothing.
const QUIT_WITHIN: Duration = Duration::from_secs(5);
/// Characters quoted of what nobody asked for.
const QUOTED: usize = 80;
/// What follows from the loss of the final reply.
pub const UNKNOWN: &str = ": nobody knows whether the mail was taken; it is not sent again";
const CLOSED: &str = "the server closed the connection";
const MINUTE: Duration = Duration::from_secs(60);

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    /// The time ran out.
    TimedOut(Duration),
    /// The peer closed the connection or it broke; what the system said.
    Closed(String),
    /// The bytes are not an SMTP reply, or too many.
    Broken(String),
    /// Before it was asked the server had said this.
    Unasked(String),
}

/// A conversation in progress.
pub struct Session<'c, 'a> {
    cx: &'c Context<'a>,
    stream: BoxStream,
    reader: LineReader,
    encrypted: bool,
    /// In the middle of a message a command would be content.
    in_message: bool,
}

impl std::fmt::Debug for Session<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("smtp::Session")
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

impl<'c, 'a> Session<'c, 'a> {
    /// A conversation over a new connection; the greeting comes next.
    #[must_use]
    pub fn new(cx: &'c Context<'a>, stream: BoxStream, encrypted: bool) -> Self {
        Self {
            cx,
            stream,
            reader: LineReader::new(Limits::smtp()),
            encrypted,
            in_message: false,
        }
    }

    /// Waits for the greeting. A refusal is a greeting, too.
    ///
    /// # Errors
    /// `banner-timeout`, `connect-reset`, `smtp-unexpected-reply`.
    pub async fn greeting(&mut self, within: Duration) -> Result<Reply, Failure> {
        let cx = self.cx;
        let owed = Awaited::new(Reason::BannerTimeout, "connected, but no greeting")
            .allowed(MINUTE.saturating_mul(5));
        let reply = cx
            .phase(Phase::Banner, cx.awaiting(owed, self.reply(within)))
            .await
            .map_err(|problem| match problem {
                NoReply::TimedOut(waited) => Failure::new(
                    Reason::BannerTimeout,
                    format!("connected, but no greeting within {}", duration(waited)),
                ),
                NoReply::Closed(how) => {
                    Failure::new(Reason::ConnectReset, format!("{how} before the greeting"))
                }
                NoReply::Broken(what) | NoReply::Unasked(what) => Failure::new(
                    Reason::SmtpUnexpectedReply,
                    format!("{what} (instead of a greeting)"),
                ),
            })?;
        cx.evidence(|evidence| {
            evidence.smtp.get_or_insert_default().banner = Some(visible(&reply.text()));
        });
        Ok(reply)
    }

    /// EHLO, or HELO when the server does not know EHLO (RFC 5321 §3.2).
    ///
    /// # Errors
    /// As [`Self::command`]. A refusal of both is a reply, not an error.
    pub async fn ehlo(
        &mut self,
        name: &str,
        within: Duration,
    ) -> Result<(Reply, Capabilities), Failure> {
        let cx = self.cx;
        let mut reply = self
            .command(Phase::Ehlo, &format!("EHLO {name}"), within)
            .await?;
        let mut capabilities = Capabilities::from_reply(&reply);
        if matches!(reply.code, 500 | 502) {
            reply = self
                .command(Phase::Ehlo, &format!("HELO {name}"), within)
                .await?;
            capabilities = Capabilities::default();
        }
        if reply.is_positive_completion() {
            cx.evidence(|evidence| {
                evidence.smtp.get_or_insert_default().keywords =
                    capabilities.to_string().lines().map(visible).collect();
            });
        }
        Ok((reply, capabilities))
    }

    /// One command and its reply, timed as `phase`.
    ///
    /// # Errors
    /// `connect-reset`, `smtp-timeout`, `smtp-unexpected-reply`. A refusal is a reply, not an error.
    pub async fn command(
        &mut self,
        phase: Phase,
        line: &str,
        within: Duration,
    ) -> Result<Reply, Failure> {
        let cx = self.cx;
        let verb = line.split([' ', ':']).next().unwrap_or(line).to_owned();
        let owed = owed(&verb);
        cx.phase(phase, cx.awaiting(owed, self.exchange(line, within)))
            .await
            .map_err(|problem| no_reply(problem, &verb))
    }

    /// A command is written only when nothing is left of what the server said before: that would pass for the reply.
    async fn exchange(&mut self, line: &str, within: Duration) -> Result<Reply, NoReply> {
        let deadline = Instant::now() + within;
        if let Some(said) = self.unasked().await? {
            // A server that has to go may say so at any time (RFC 5321 §3.8). It counts as the reply.
            return match self.is_leaving() {
                true => self.reply_by(deadline, within).await,
                false => Err(NoReply::Unasked(said)),
            };
        }
        self.say(true, line);
        self.write(format!("{line}\r\n").as_bytes(), deadline, within)
            .await?;
        self.reply_by(deadline, within).await
    }

    /// STARTTLS and its reply (RFC 3207). Not timed: that goes on until the handshake has ended.
    ///
    /// # Errors
    /// As [`Self::command`]. A refusal is a reply, not an error.
    pub async fn starttls(&mut self, within: Duration) -> Result<Reply, Failure> {
        let cx = self.cx;
        cx.awaiting(owed("STARTTLS"), self.exchange("STARTTLS", within))
            .await
            .map_err(|problem| no_reply(problem, "STARTTLS"))
    }

    /// The bare stream for the handshake. Nothing may follow the reply to STARTTLS in the clear.
    ///
    /// # Errors
    /// `tls-injection` when plain text does.
    pub fn into_stream(mut self) -> Result<BoxStream, Failure> {
        let injected = self.reader.take_buffered();
        if injected.is_empty() {
            return Ok(self.stream);
        }
        let text = visible(&String::from_utf8_lossy(
            &injected[..injected.len().min(80)],
        ));
        self.cx.say(
            Mark::Unexpected,
            &format!(
                "{} bytes of plain text before the handshake: {text}",
                injected.len()
            ),
        );
        Err(Failure::new(
            Reason::TlsInjection,
            format!(
                "{} bytes of plain text follow the STARTTLS reply: {text}; discarded, the dialogue ends",
                injected.len()
            ),
        ))
    }

    /// What the server has said that nobody asked for: what was read too far, and, looked at once and without waiting,
    /// what has come since.
    async fn unasked(&mut self) -> Result<Option<String>, NoReply> {
        // What lies in the system's buffer is known to the runtime only after it has asked the system.
        tokio::task::yield_now().await;
        let mut block = [0_u8; 4096];
        let mut come = ReadBuf::new(&mut block);
        let looked =
            poll_fn(|task| Poll::Ready(Pin::new(&mut self.stream).poll_read(task, &mut come)));
        let looked = looked.await;
        self.reader
            .push(come.filled())
            .map_err(|overrun| NoReply::Broken(overrun.to_string()))?;
        let unread = self.reader.buffered().trim_ascii_end();
        if !self.reader.buffered().is_empty() {
            return Ok(Some(RemoteText::new(unread, QUOTED).to_string()));
        }
        match looked {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(())) => Err(NoReply::Closed(CLOSED.to_owned())),
            Poll::Ready(Err(error)) => Err(NoReply::Closed(broken_connection(&error))),
        }
    }

    /// Whether what was not asked for is the farewell of a server that has to go (RFC 5321 §3.8).
    fn is_leaving(&self) -> bool {
        self.reader.buffered().starts_with(b"421")
    }

    /// QUIT, unless it would be read as content; its answer decides nothing.
    pub async fn quit(mut self) {
        if !self.in_message {
            let _ = self.exchange("QUIT", QUIT_WITHIN).await;
        }
        let _ = tokio::time::timeout(QUIT_WITHIN, self.stream.shutdown()).await;
    }

    /// The check that this conversation belongs to.
    #[must_use]
    pub fn context(&self) -> &'c Context<'a> {
        self.cx
    }

    async fn reply(&mut self, within: Duration) -> Result<Reply, NoReply> {
        self.reply_by(Instant::now() + within, within).await
    }

    /// Reads one reply. The deadline holds for the whole reply: a byte now and then does not extend it.
    async fn reply_by(&mut self, deadline: Instant, within: Duration) -> Result<Reply, NoReply> {
        let mut parser = ReplyParser::new();
        self.reader.end_reply();
        loop {
            while let Some(line) = self
                .reader
                .next_line()
                .map_err(|overrun| NoReply::Broken(overrun.to_string()))?
            {
                self.say(false, &visible(&String::from_utf8_lossy(&line.bytes)));
                if let Some(reply) = parser
                    .feed(&line)
                    .map_err(|problem| NoReply::Broken(problem.to_string()))?
                {
                    return Ok(reply);
                }
            }
            let mut block = [0_u8; 4096];
            let read = bounded(deadline, within, self.stream.read(&mut block)).await?;
            if read == 0 {
                return Err(NoReply::Closed(CLOSED.to_owned()));
            }
            self.reader
                .push(&block[..read])
                .map_err(|overrun| NoReply::Broken(overrun.to_string()))?;
        }
    }

    async fn write(
        &mut self,
        bytes: &[u8],
        deadline: Instant,
        within: Duration,
    ) -> Result<(), NoReply> {
        bounded(deadline, within, self.stream.write_all(bytes)).await?;
        bounded(deadline, within, self.stream.flush()).await
    }

    fn say(&self, sent: bool, text: &str) {
        let mark = match (sent, self.encrypted) {
            (true, false) => Mark::Sent,
            (true, true) => Mark::SentTls,
            (false, false) => Mark::Received,
            (false, true) => Mark::ReceivedTls,
        };
        self.cx.say(mark, text);
    }
}

/// Greeting, EHLO, QUIT: a session that wants nothing. Not timed as phases.
///
/// # Errors
/// As [`Session::greeting`] and [`Session::ehlo`].
pub async fn visit(
    cx: &Context<'_>,
    stream: BoxStream,
    name: &str,
    within: Duration,
) -> Result<(), Failure> {
    let mut session = Session::new(cx, stream, false);
    for line in [None, Some(format!("EHLO {name}"))] {
        let (reply, verb) = match &line {
            None => (session.reply(within).await, "connecting"),
            Some(line) => (session.exchange(line, within).await, "EHLO"),
        };
        let reply = reply.map_err(|problem| no_reply(problem, verb))?;
        if !reply.is_positive_completion() {
            return Err(refusal(
                Reason::GreetingRejected,
                &reply,
                &format!("after {verb}"),
            ));
        }
    }
    session.quit().await;
    Ok(())
}

async fn bounded<T>(
    deadline: Instant,
    within: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> Result<T, NoReply> {
    match timeout_at(deadline, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(NoReply::Closed(broken_connection(&error))),
        Err(_) => Err(NoReply::TimedOut(within)),
    }
}

fn broken_connection(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        _ => format!("the connection broke: {error}"),
    }
}

/// The finding for a command that got no reply.
#[must_use]
pub fn no_reply(problem: NoReply, verb: &str) -> Failure {
    match problem {
        NoReply::TimedOut(waited) => Failure::new(
            Reason::SmtpTimeout,
            format!("no reply to {verb} within {}", duration(waited)),
        ),
        NoReply::Closed(how) => Failure::new(Reason::ConnectReset, format!("{how} (after {verb})")),
        NoReply::Unasked(said) => Failure::new(
            Reason::SmtpUnexpectedReply,
            format!("{said} (unasked, before {verb})"),
        ),
        NoReply::Broken(what) => Failure::new(
            Reason::SmtpUnexpectedReply,
            format!("{what} (after {verb})"),
        ),
    }
}

/// The reply to a command, with the time that RFC 5321 §4.5.3.2 gives it.
fn owed(verb: &str) -> Awaited {
    let owed = Awaited::new(Reason::SmtpTimeout, format!("no reply to {verb}"));
    match verb {
        "MAIL" | "RCPT" => owed.allowed(MINUTE.saturating_mul(5)),
        "DATA" => owed.allowed(MINUTE.saturating_mul(2)),
        _ => owed,
    }
}

/// The finding for a reply that refuses; quotes the server.
#[must_use]
pub fn refusal(reason: Reason, reply: &Reply, when: &str) -> Failure {
    Failure::new(
        reason,
        format!("{} {} ({when})", reply.code, visible(&reply.text())),
    )
}

/// The reason for an unexpected reply code.
#[must_use]
pub fn reply_reason(reply: &Reply) -> Reason {
    if reply.is_transient() {
        Reason::Smtp4xx
    } else if reply.is_permanent() {
        Reason::Smtp5xx
    } else {
        Reason::SmtpUnexpectedReply
    }
}

#[cfg(test)]
mod tests;
