//! The line to the server: bytes in and out, in front of imap-next and imap-codec.
//!
//! Everything that arrives passes the bounded reader first, so that nothing a server announces or
//! never ends can make the parser grow, and reaches the parser line by line. That way a message that
//! the parser does not take is known exactly, and a status line among them can be handed in again in
//! a form that it does take: a refusal with an umlaut in it is still a refusal.

use std::fmt;
use std::io;

use imap_codec::imap_types::command::Command;
use imap_next::client::{Client, Error as FlowError, Event, Options};
use imap_next::{Interrupt, Io, State as _};
use postrider_wire::bounded::{Limits, LiteralGuard, Overrun};
use postrider_wire::text::RemoteText;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing::dispatcher::{self, Dispatch};

use super::framing::{Framing, Piece};
use super::secret_words::{REDACTED, SecretWords};
use super::status_line;
use super::transcript::{Direction, Transcript};
use crate::dialogue::stream::BoxStream;

/// Bytes read at once.
const CHUNK: usize = 8 * 1024;
/// Octets that a message of the server may have for the parser. The bounded reader stops earlier;
/// this is the second lock on the same door.
const MESSAGE: u32 = 64 * 1024 * 1024;

/// What came of listening.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and nearly always the large one"
)]
pub(super) enum Heard {
    /// Something the parser understood, or progress in sending.
    Event(Event),
    /// A message that was not understood. It is in the transcript; the conversation goes on.
    Skipped,
}

/// Why there is nothing more to hear.
#[derive(Debug)]
pub(super) enum LinkError {
    Closed,
    Io(io::Error),
    TooMuch(Overrun),
    /// There is something where nothing may be.
    NotSilent,
}

pub(super) struct Link {
    stream: BoxStream,
    client: Client,
    guard: LiteralGuard,
    limits: Limits,
    /// Bytes read since the newest command was begun.
    answered: usize,
    /// Read, and not yet shown to the parser: `unread[shown..]`.
    unread: Vec<u8>,
    shown: usize,
    framing: Framing,
    attempt: status_line::Attempt,
    transcript: Transcript,
    secrets: SecretWords,
    /// What is written now is a secret.
    hushed: bool,
    /// Why nothing can be written any more. The server's last words may still be there to read.
    write_error: Option<io::Error>,
}

impl Link {
    /// `greeting`: whether the server is about to greet.
    pub(super) fn new(
        stream: BoxStream,
        limits: Limits,
        transcript: Transcript,
        greeting: bool,
    ) -> Self {
        let mut options = Options::default();
        // A bare LF is a fault that a monitor sees and survives.
        options.crlf_relaxed = true;
        options.max_response_size = MESSAGE;
        options.discard_greeting = !greeting;
        Self {
            stream,
            client: Client::new(options),
            guard: LiteralGuard::new(limits),
            limits,
            answered: 0,
            unread: Vec::with_capacity(CHUNK),
            shown: 0,
            framing: Framing::default(),
            attempt: status_line::Attempt::default(),
            transcript,
            secrets: SecretWords::default(),
            hushed: false,
            write_error: None,
        }
    }

    /// The flow, for what is specific to a command.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Starts a command: what the server may answer is counted anew.
    pub(super) fn enqueue(&mut self, command: Command<'static>) {
        self.answered = 0;
        self.client.enqueue_command(command);
    }

    /// Like [`enqueue`](Self::enqueue), but what is written shows up as `instead`.
    pub(super) fn enqueue_secretly(&mut self, command: Command<'static>, instead: &str) {
        self.transcript
            .add(Direction::Sent, &format!("{instead} {REDACTED}"));
        self.hushed = true;
        self.enqueue(command);
    }

    /// From now on what is written is no secret.
    pub(super) fn speak_openly(&mut self) {
        self.hushed = false;
    }

    /// A word that must never be shown.
    pub(super) fn keep_secret(&mut self, word: impl Into<Vec<u8>>) {
        self.secrets.add(word);
    }

    /// Writes a line that imap-codec cannot render, past the flow, which must have nothing to send.
    pub(super) async fn write_line(&mut self, line: &str) {
        self.answered = 0;
        self.write(format!("{line}\r\n").as_bytes()).await;
    }

    /// Waits for the next thing to happen. May be dropped while only answers are awaited.
    pub(super) async fn hear(&mut self) -> Result<Heard, LinkError> {
        loop {
            match quietly(|| self.client.next()) {
                Ok(event) => {
                    self.attempt = status_line::Attempt::default();
                    return Ok(Heard::Event(event));
                }
                Err(Interrupt::Io(Io::Output(bytes))) => self.write(&bytes).await,
                Err(Interrupt::Io(Io::NeedMoreInput)) => self.feed().await?,
                Err(Interrupt::Error(error)) => {
                    if !self.hand_in_again(&error) {
                        return Ok(Heard::Skipped);
                    }
                }
            }
        }
    }

    /// The newest line of the server, safe to show.
    pub(super) fn line(&self) -> RemoteText {
        RemoteText::new(&self.masked_line(), RemoteText::LINE)
    }

    /// The words of the newest status line: what follows the tag (or `*`) and the condition.
    pub(super) fn words(&self) -> RemoteText {
        RemoteText::new(status_line::words(&self.masked_line()), RemoteText::LINE)
    }

    /// The response code of the newest status line, in capitals.
    pub(super) fn code(&self) -> Option<String> {
        status_line::code(&self.masked_line())
    }

    fn masked_line(&self) -> Vec<u8> {
        self.secrets
            .mask(self.framing.line(), self.framing.is_cut())
    }

    pub(super) fn note(&self, text: &str) {
        self.transcript.add(Direction::Note, text);
    }

    pub(super) fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Gives the stream back, unless something has arrived on it that nobody asked for.
    pub(super) fn into_silent_stream(mut self) -> Result<BoxStream, LinkError> {
        use futures_util::FutureExt as _;

        if self.shown == self.unread.len() {
            self.unread.clear();
            self.shown = 0;
            match self.stream.read_buf(&mut self.unread).now_or_never() {
                None => return Ok(self.stream),
                Some(Ok(0)) => return Err(LinkError::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(LinkError::Io(error)),
            }
        }
        Err(LinkError::NotSilent)
    }

    /// Says to the other side that nothing more comes.
    pub(super) async fn shut_down(&mut self) {
        // The conversation is over either way.
        let _ = self.stream.shutdown().await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        if !self.hushed {
            for line in String::from_utf8_lossy(bytes).lines() {
                self.transcript.add(Direction::Sent, line);
            }
        }
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        if let Err(error) = written.await {
            self.write_error = Some(error);
        }
    }

    /// Shows the parser the next piece, reading when there is none.
    async fn feed(&mut self) -> Result<(), LinkError> {
        if self.shown == self.unread.len() {
            self.unread.clear();
            self.shown = 0;
            let count = match self.stream.read_buf(&mut self.unread).await {
                Ok(0) => return Err(self.ended(None)),
                Ok(count) => count,
                Err(error) => return Err(self.ended(Some(error))),
            };
            self.guard.feed(&self.unread).map_err(LinkError::TooMuch)?;
            // The guard counts single responses; what answers one command is bounded as a whole.
            self.answered = self.answered.saturating_add(count);
            if self.answered > self.limits.reply {
                let limit = self.limits.reply;
                return Err(LinkError::TooMuch(Overrun::Reply { limit }));
            }
        }
        let (length, piece) = self.framing.next(&self.unread[self.shown..]);
        let bytes = &self.unread[self.shown..self.shown + length];
        quietly(|| self.client.enqueue_input(bytes));
        self.shown += length;
        if piece == Piece::LineEnd {
            self.transcript
                .add(Direction::Received, self.line().as_str());
        }
        Ok(())
    }

    /// Nothing more can be read.
    fn ended(&mut self, error: Option<io::Error>) -> LinkError {
        match self.write_error.take().or(error) {
            // A TLS session that ends without its goodbye.
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => LinkError::Closed,
            Some(error) => LinkError::Io(error),
            None => LinkError::Closed,
        }
    }

    /// After a message that the parser refused: `true` if a simpler form of it is now waiting.
    fn hand_in_again(&mut self, error: &FlowError) -> bool {
        let simpler = match error {
            FlowError::MalformedMessage { discarded_bytes } => {
                self.attempt.simplify(discarded_bytes.declassify())
            }
            FlowError::ExpectedCrlfGotLf { .. } | FlowError::ResponseTooLong { .. } => None,
        };
        match simpler {
            Some(line) => {
                quietly(|| self.client.enqueue_input(&line));
                true
            }
            None => {
                self.attempt = status_line::Attempt::default();
                self.note("the line above is not understood and is left out");
                false
            }
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// imap-next traces every byte it handles, passwords included: nobody listens while it works.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&Dispatch::none(), work)
}
