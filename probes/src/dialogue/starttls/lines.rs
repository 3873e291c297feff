//! A conversation in lines, for protocols of which no more is spoken than it takes to begin TLS.

use std::io;
use std::time::Duration;

use postrider_wire::bounded::{Limits, LineReader};
use postrider_wire::text::{RemoteText, visible};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::context::Context;
use crate::dialogue::imap::{Direction, Transcript};
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::outcome::{Failure, Mark};
use crate::reason::Reason;
use crate::span::duration;

/// How long a goodbye may take; its answer decides nothing.
pub(super) const GOODBYE: Duration = Duration::from_secs(3);
/// Characters quoted of what nobody understands.
const QUOTED: usize = 80;

/// Lines both ways. The deadline holds for everything up to the next command: a line now and then does not extend it.
pub(super) struct Lines<'c, 'a> {
    cx: &'c Context<'a>,
    stream: BoxStream,
    reader: LineReader,
    within: Duration,
    deadline: Instant,
    encrypted: bool,
}

impl<'c, 'a> Lines<'c, 'a> {
    pub(super) fn new(
        cx: &'c Context<'a>,
        stream: BoxStream,
        within: Duration,
        encrypted: bool,
    ) -> Self {
        Self {
            cx,
            stream,
            reader: LineReader::new(Limits::smtp()),
            within,
            deadline: Instant::now() + within,
            encrypted,
        }
    }

    /// A line of the greeting.
    pub(super) async fn greeting(&mut self) -> Result<Vec<u8>, Failure> {
        let owed = Awaited::new(Reason::BannerTimeout, "connected, but no greeting");
        let cx = self.cx;
        cx.awaiting(owed, self.line())
            .await
            .map_err(|problem| match problem {
                Problem::TimedOut => Failure::new(
                    Reason::BannerTimeout,
                    format!(
                        "connected, but no greeting within {}",
                        duration(self.within)
                    ),
                ),
                Problem::Closed(how) => {
                    Failure::new(Reason::ConnectReset, format!("{how} before the greeting"))
                }
                Problem::TooMuch(what) => Failure::new(
                    Reason::GreetingRejected,
                    format!("{what} (instead of a greeting)"),
                ),
            })
    }

    /// A line of the answer to `command`.
    pub(super) async fn receive(&mut self, command: &str) -> Result<Vec<u8>, Failure> {
        let owed = Awaited::new(Reason::TlsHandshake, format!("no reply to {command}"));
        let cx = self.cx;
        let line = cx.awaiting(owed, self.line()).await;
        line.map_err(|problem| self.failed(problem, command))
    }

    /// Sends a command; everything that answers it has to come in time.
    pub(super) async fn send(&mut self, command: &str) -> Result<(), Failure> {
        self.write(command)
            .await
            .map_err(|problem| self.failed(problem, command))
    }

    /// The bare stream, for the handshake. Nothing may have come behind the server's consent (RFC 2595 §4, RFC 5804 §2.2).
    pub(super) fn into_stream(mut self) -> Result<BoxStream, Failure> {
        let injected = self.reader.take_buffered();
        if injected.is_empty() {
            return Ok(self.stream);
        }
        let text = RemoteText::new(injected.trim_ascii_end(), QUOTED);
        let bytes = injected.len();
        self.cx.say(
            Mark::Unexpected,
            &format!("{bytes} bytes of plain text before the handshake: {text}"),
        );
        Err(Failure::new(
            Reason::TlsInjection,
            format!(
                "{bytes} bytes of plain text follow the server's consent to TLS: {text}; discarded, the dialogue ends"
            ),
        ))
    }

    /// Says goodbye and hangs up.
    pub(super) async fn leave(mut self, command: &str) {
        self.within = GOODBYE;
        if self.write(command).await.is_ok() {
            let _ = self.line().await;
        }
        shut_down(self.stream).await;
    }

    async fn write(&mut self, command: &str) -> Result<(), Problem> {
        self.say(true, command);
        self.reader.end_reply();
        self.deadline = Instant::now() + self.within;
        let line = format!("{command}\r\n");
        let written = async {
            self.stream.write_all(line.as_bytes()).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, written).await {
            Ok(written) => written.map_err(Problem::from),
            Err(_) => Err(Problem::TimedOut),
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(line) = self.reader.next_line()? {
                self.say(false, &visible(&String::from_utf8_lossy(&line.bytes)));
                return Ok(line.bytes);
            }
            let mut block = [0_u8; 4096];
            let read = timeout_at(self.deadline, self.stream.read(&mut block)).await;
            match read.map_err(|_| Problem::TimedOut)?? {
                0 => {
                    return Err(Problem::Closed(
                        "the server closed the connection".to_owned(),
                    ));
                }
                read => self.reader.push(&block[..read])?,
            }
        }
    }

    fn failed(&self, problem: Problem, command: &str) -> Failure {
        match problem {
            Problem::TimedOut => Failure::new(
                Reason::TlsHandshake,
                format!("no reply to {command} within {}", duration(self.within)),
            ),
            Problem::Closed(how) => {
                Failure::new(Reason::ConnectReset, format!("{how} (after {command})"))
            }
            Problem::TooMuch(what) => {
                Failure::new(Reason::TlsHandshake, format!("{what} (after {command})"))
            }
        }
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

/// Why there is no line.
enum Problem {
    TimedOut,
    Closed(String),
    TooMuch(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Closed(match error.kind() {
            io::ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                "the server closed the connection".to_owned()
            }
            _ => format!("the connection broke: {error}"),
        })
    }
}

impl From<postrider_wire::bounded::Overrun> for Problem {
    fn from(overrun: postrider_wire::bounded::Overrun) -> Self {
        Self::TooMuch(overrun.to_string())
    }
}

pub(super) fn greeting_rejected(words: &str) -> Failure {
    Failure::new(Reason::GreetingRejected, format!("{words} (as greeting)"))
}

pub(super) fn no_greeting(line: &[u8], protocol: &str) -> Failure {
    let line = RemoteText::new(line, QUOTED);
    Failure::new(
        Reason::GreetingRejected,
        format!("`{line}` is no greeting of a {protocol} server"),
    )
}

pub(super) fn nonsense(line: &[u8], command: &str) -> Failure {
    let line = RemoteText::new(line, QUOTED);
    Failure::new(
        Reason::TlsHandshake,
        format!("`{line}` is no reply to {command}"),
    )
}

/// Closes the connection, and TLS before it.
pub(super) async fn shut_down(mut stream: BoxStream) {
    let _ = timeout(GOODBYE, stream.shutdown()).await;
}

/// Takes the record of an IMAP conversation over.
pub(super) fn copy(cx: &Context<'_>, record: &Transcript, encrypted: bool) {
    for (_, direction, text) in record.lines() {
        let mark = match (direction, encrypted) {
            (Direction::Sent, false) => Mark::Sent,
            (Direction::Sent, true) => Mark::SentTls,
            (Direction::Received, false) => Mark::Received,
            (Direction::Received, true) => Mark::ReceivedTls,
            (Direction::Note, _) => Mark::Info,
        };
        cx.say(mark, &text);
    }
}
