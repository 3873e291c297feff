//! The session: its start and its end.

use std::time::Duration;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::response::{Code, GreetingKind};
use imap_next::client::Event;
use postrider_wire::bounded::Limits;
use postrider_wire::text::RemoteText;
use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::changes::Folder;
use super::command::named;
use super::error::{ImapError, Result};
use super::link::{Heard, Link, LinkError};
use super::select::Selected;
use super::transcript::Transcript;
use crate::dialogue::stream::BoxStream;

/// Longest time that a LOGOUT may take; nobody waits for a goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// Time limits of a session. The limit for a probe as a whole is the caller's.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For each command as a whole, the greeting included: however slowly the bytes come.
    pub command: Duration,
}

/// What a session is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the server may send.
    pub limits: Limits,
    /// How long it may take.
    pub timing: Timing,
    /// Where the conversation is recorded.
    pub transcript: Transcript,
}

/// How the server received us (RFC 9051 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// A login is needed.
    Ok {
        /// The server's words.
        text: RemoteText,
    },
    /// Already logged in by other means. On a stream that is still to be encrypted the caller must
    /// hang up: STARTTLS is not possible in this state.
    PreAuth {
        /// The server's words.
        text: RemoteText,
    },
    /// The server does not want us.
    Bye {
        /// The server's words.
        text: RemoteText,
    },
}

/// One conversation with an IMAP server.
///
/// A session whose command did not come to its end (a time-out, a future that was dropped) takes no
/// further command: [`ImapError::Unfinished`].
#[derive(Debug)]
pub struct Session {
    pub(super) link: Link,
    pub(super) timing: Timing,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) folder: Folder,
    pub(super) selected: Option<Selected>,
    /// Folder names as the server spelled them, by the names that we show.
    pub(super) spellings: std::collections::BTreeMap<String, Vec<u8>>,
    /// A command is running, or was given up.
    pub(super) unfinished: bool,
    /// Commands begun, for their tags.
    pub(super) commands: u32,
}

impl Session {
    /// Reads the greeting.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, `Io`, `TooMuch`; `Malformed` if the first line is no greeting.
    pub async fn greet(stream: BoxStream, setup: &Setup) -> Result<(Self, Greeting)> {
        let mut session = Self::new(stream, setup, true);
        let mut running = session.begin("greeting")?;
        loop {
            match session.hear(&mut running).await? {
                Heard::Event(Event::GreetingReceived { greeting }) => {
                    if let Some(Code::Capability(announced)) = &greeting.code {
                        session.capabilities = Some(announced.into());
                    }
                    let text = session.link.words();
                    session.unfinished = false;
                    session.commands = 0;
                    let greeting = match greeting.kind {
                        GreetingKind::Ok => Greeting::Ok { text },
                        GreetingKind::PreAuth => Greeting::PreAuth { text },
                        GreetingKind::Bye => Greeting::Bye { text },
                    };
                    return Ok((session, greeting));
                }
                Heard::Event(_) => {}
                Heard::Skipped => {
                    return Err(ImapError::Malformed {
                        what: "greeting",
                        line: Some(session.link.line()),
                    });
                }
            }
        }
    }

    /// Goes on after a TLS handshake: no greeting comes, and nothing that was learnt before holds.
    pub fn resume(stream: BoxStream, setup: &Setup) -> Self {
        Self::new(stream, setup, false)
    }

    fn new(stream: BoxStream, setup: &Setup, greeting: bool) -> Self {
        Self {
            link: Link::new(stream, setup.limits, setup.transcript.clone(), greeting),
            timing: setup.timing,
            capabilities: None,
            folder: Folder::default(),
            selected: None,
            spellings: std::collections::BTreeMap::new(),
            unfinished: false,
            commands: 0,
        }
    }

    /// The record of this conversation.
    pub fn transcript(&self) -> &Transcript {
        self.link.transcript()
    }

    /// What the server can do in the present state; asked for unless it was announced.
    ///
    /// # Errors
    /// Any of a command.
    pub async fn capabilities(&mut self) -> Result<&Capabilities> {
        if self.capabilities.is_none() {
            self.command("CAPABILITY", CommandBody::Capability, |_| {})
                .await?;
        }
        self.capabilities.as_ref().ok_or(ImapError::Malformed {
            what: "CAPABILITY",
            line: None,
        })
    }

    /// Asks for TLS (RFC 9051 section 6.2.1) and gives the bare stream back for the handshake.
    ///
    /// # Errors
    /// `StarttlsInjection` if anything at all has arrived behind the answer; any of a command.
    pub async fn starttls(mut self) -> Result<BoxStream> {
        self.line("STARTTLS", "", |_| {}).await?;
        self.link.into_silent_stream().map_err(|error| match error {
            LinkError::NotSilent => ImapError::StarttlsInjection,
            other => named(other, "STARTTLS"),
        })
    }

    /// Says goodbye, briefly. Nothing is expunged by it.
    pub async fn logout(mut self) {
        let limit = GOODBYE.min(self.timing.command);
        let goodbye = async {
            // Whatever the answer: the connection ends here.
            let _ = self.command("LOGOUT", CommandBody::Logout, |_| {}).await;
            self.link.shut_down().await;
        };
        let _ = timeout(limit, goodbye).await;
    }
}
