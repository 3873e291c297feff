//! Waiting for the server to speak up (RFC 2177; RFC 9051 section 6.3.13).

use std::time::Duration;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::response::StatusBody;
use imap_next::client::Event;
use postrider_wire::text::RemoteText;
use tokio::time::{Instant, sleep_until};

use super::changes::Changes;
use super::command::{Running, Sorted, command};
use super::error::{ImapError, Result};
use super::link::Heard;
use super::session::Session;

/// Why waiting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdleEnd {
    /// The number of messages changed, or the server is about to close the connection.
    Changed(Changes),
    /// Nothing happened for as long as we meant to wait.
    TimedOut,
    /// The caller had enough.
    Stopped,
    /// The server does not idle: it said NO or BAD, or ended it by itself.
    Refused {
        /// The server's words.
        text: RemoteText,
    },
}

/// What ended the quiet part.
enum Woken {
    News,
    TimedOut,
    Stopped,
    /// The server ended the command before we did.
    Ended(StatusBody<'static>),
}

impl Session {
    /// Waits for a change in the selected folder, `at_most` so long or until `stop`. Returns at once if
    /// an earlier command has heard of a change that nobody asked for yet.
    ///
    /// The command's time limit holds for the start and for the end of the waiting, not for the
    /// waiting itself. IDLE is to be re-armed by the caller, every few minutes.
    ///
    /// # Errors
    /// `Closed` or `Bye` if the connection ends; any of a command.
    pub async fn idle(
        &mut self,
        at_most: Duration,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<IdleEnd> {
        if self.folder.has_news() {
            return Ok(IdleEnd::Changed(self.folder.take()));
        }
        let mut running = self.begin("IDLE")?;
        self.link.enqueue(command(&running, CommandBody::Idle));
        let end = Instant::now() + at_most;

        if let Some(answer) = self.start(&mut running).await? {
            return self.refused(&running, answer);
        }
        // From here on nothing is written until DONE, so that listening may be interrupted.
        running.deadline = end + self.timing.command;
        let woken = self.quiet(&mut running, end, stop).await?;
        if let Woken::Ended(answer) = woken {
            return match self.folder.has_news() {
                true => self.changed(&running, answer),
                false => self.refused(&running, answer),
            };
        }

        running.deadline = Instant::now() + self.timing.command;
        self.link.client().set_idle_done();
        let answer = self.listen(&mut running, |_| {}).await?;
        match woken {
            _ if self.folder.has_news() => self.changed(&running, answer),
            Woken::Stopped => self.conclude(&running, answer).map(|_| IdleEnd::Stopped),
            _ => self.conclude(&running, answer).map(|_| IdleEnd::TimedOut),
        }
    }

    /// Waits until the server idles; its answer if it will not.
    async fn start(&mut self, running: &mut Running) -> Result<Option<StatusBody<'static>>> {
        loop {
            let Heard::Event(event) = self.hear(running).await? else {
                continue;
            };
            match event {
                Event::IdleAccepted { .. } => return Ok(None),
                other => {
                    if let Some(answer) = self.aside(running, other) {
                        return Ok(Some(answer));
                    }
                }
            }
        }
    }

    /// Listens until there is a reason to end the IDLE.
    async fn quiet(
        &mut self,
        running: &mut Running,
        end: Instant,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Woken> {
        tokio::pin!(stop);
        while !self.folder.has_news() {
            let heard = tokio::select! {
                biased;
                () = &mut stop => return Ok(Woken::Stopped),
                () = sleep_until(end) => return Ok(Woken::TimedOut),
                heard = self.hear(running) => heard?,
            };
            if let Heard::Event(event) = heard
                && let Some(answer) = self.aside(running, event)
            {
                return Ok(Woken::Ended(answer));
            }
        }
        Ok(Woken::News)
    }

    /// Takes note of what comes while idling; the tagged answer if it is one.
    fn aside(&mut self, running: &mut Running, event: Event) -> Option<StatusBody<'static>> {
        match event {
            Event::DataReceived { data } => self.observe(&data),
            Event::StatusReceived { status } | Event::IdleRejected { status, .. } => {
                if let Sorted::Answer(answer) = self.sort(running, status) {
                    running.sent = true;
                    return Some(answer);
                }
            }
            _ => {}
        }
        None
    }

    fn changed(&mut self, running: &Running, answer: StatusBody<'static>) -> Result<IdleEnd> {
        match self.conclude(running, answer) {
            // What was heard stays true if the server minds our DONE.
            Ok(_) | Err(ImapError::Refused { .. }) => Ok(IdleEnd::Changed(self.folder.take())),
            Err(error) => Err(error),
        }
    }

    fn refused(&mut self, running: &Running, answer: StatusBody<'static>) -> Result<IdleEnd> {
        let text = self.link.words();
        match self.conclude(running, answer) {
            Ok(_) | Err(ImapError::Refused { .. }) => Ok(IdleEnd::Refused { text }),
            Err(error) => Err(error),
        }
    }
}
