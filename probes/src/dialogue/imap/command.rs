//! How one command runs: its tag, its time limit, and the sorting of what comes before its answer.

use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::Tag;
use imap_codec::imap_types::response::{Code, Data, Status, StatusBody, StatusKind, Tagged};
use imap_next::client::Event;
use tokio::time::{Instant, timeout_at};

use super::error::{ImapError, Result};
use super::link::{Heard, LinkError};
use super::session::Session;

/// Responses to one command.
const RESPONSES: usize = 20_000;

/// A message of the server that belongs to no command in particular.
pub(super) enum Untagged {
    Data(Data<'static>),
    Code(Code<'static>),
}

/// What ends a command well.
pub(super) struct Completed {
    pub(super) code: Option<Code<'static>>,
    /// Messages before it that were left out because the parser refused them.
    pub(super) not_understood: usize,
}

/// A command on its way.
pub(super) struct Running {
    pub(super) name: &'static str,
    pub(super) tag: Tag<'static>,
    pub(super) deadline: Instant,
    responses: usize,
    /// Messages that were left out because the parser refused them.
    pub(super) not_understood: usize,
    /// The command was written to its end.
    pub(super) sent: bool,
}

/// What a status message is for the running command.
pub(super) enum Sorted {
    Answer(StatusBody<'static>),
    Code(Code<'static>),
    Nothing,
}

impl Session {
    /// Runs a command that imap-codec renders. `each` sees what comes before the tagged answer.
    pub(super) async fn command(
        &mut self,
        name: &'static str,
        body: CommandBody<'static>,
        each: impl FnMut(Untagged) + Send,
    ) -> Result<Completed> {
        let running = self.begin(name)?;
        self.link.enqueue(command(&running, body));
        self.finish(running, each).await
    }

    /// Runs a command that we render: its name and its arguments, which must be plain ASCII of ours.
    pub(super) async fn line(
        &mut self,
        name: &'static str,
        arguments: &str,
        each: impl FnMut(Untagged) + Send,
    ) -> Result<Completed> {
        let mut running = self.begin(name)?;
        let space = if arguments.is_empty() { "" } else { " " };
        let line = format!("{} {name}{space}{arguments}", running.tag.as_ref());
        if timeout_at(running.deadline, self.link.write_line(&line))
            .await
            .is_err()
        {
            return Err(ImapError::TimedOut { command: name });
        }
        running.sent = true;
        self.finish(running, each).await
    }

    /// Starts the clock of a command and gives it a tag.
    pub(super) fn begin(&mut self, name: &'static str) -> Result<Running> {
        if self.unfinished {
            return Err(ImapError::Unfinished);
        }
        self.commands = self.commands.wrapping_add(1);
        let tag = Tag::try_from(format!("P{}", self.commands))
            .map_err(|_| ImapError::BadArgument { what: "tag" })?;
        self.unfinished = true;
        let deadline = Instant::now() + self.timing.command;
        Ok(Running {
            name,
            tag,
            deadline,
            responses: 0,
            not_understood: 0,
            sent: false,
        })
    }

    /// Listens until the tagged answer.
    pub(super) async fn finish(
        &mut self,
        mut running: Running,
        each: impl FnMut(Untagged) + Send,
    ) -> Result<Completed> {
        let status = self.listen(&mut running, each).await?;
        self.conclude(&running, status)
    }

    /// Listens until the tagged answer and gives it as it is.
    pub(super) async fn listen(
        &mut self,
        running: &mut Running,
        mut each: impl FnMut(Untagged) + Send,
    ) -> Result<StatusBody<'static>> {
        loop {
            let Heard::Event(event) = self.hear(running).await? else {
                continue;
            };
            match event {
                Event::DataReceived { data } => {
                    self.observe(&data);
                    each(Untagged::Data(data));
                }
                Event::StatusReceived { status } => match self.sort(running, status) {
                    Sorted::Answer(body) => return Ok(body),
                    Sorted::Code(code) => each(Untagged::Code(code)),
                    Sorted::Nothing => {}
                },
                Event::AuthenticateStatusReceived { status, .. }
                | Event::CommandRejected { status, .. }
                | Event::IdleRejected { status, .. } => {
                    // The flow knows that the command is over.
                    running.sent = true;
                    if let Sorted::Answer(body) = self.sort(running, status) {
                        return Ok(body);
                    }
                }
                Event::CommandSent { .. } | Event::IdleDoneSent { .. } => running.sent = true,
                Event::ContinuationRequestReceived { .. } => {
                    self.link.note("nothing was waiting for this");
                }
                _ => {}
            }
        }
    }

    /// Makes a result of the tagged answer and frees the session for the next command, unless the
    /// answer came in the middle of the command: then the flow still waits to send the rest.
    pub(super) fn conclude(
        &mut self,
        running: &Running,
        status: StatusBody<'static>,
    ) -> Result<Completed> {
        self.unfinished = !running.sent;
        match status.kind {
            StatusKind::Ok => Ok(Completed {
                code: status.code,
                not_understood: running.not_understood,
            }),
            StatusKind::No | StatusKind::Bad => Err(ImapError::Refused {
                command: running.name,
                code: self.link.code(),
                text: self.link.words(),
            }),
        }
    }

    /// Waits for the next event within the command's time limit, and counts it.
    pub(super) async fn hear(&mut self, running: &mut Running) -> Result<Heard> {
        let command = running.name;
        // A server that never pauses must not keep the timer from being looked at.
        if Instant::now() >= running.deadline {
            return Err(ImapError::TimedOut { command });
        }
        let heard = match timeout_at(running.deadline, self.link.hear()).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => return Err(self.broken(error, command)),
            Err(_) => return Err(ImapError::TimedOut { command }),
        };
        running.responses += 1;
        if matches!(heard, Heard::Skipped) {
            running.not_understood += 1;
        }
        if running.responses > RESPONSES {
            return Err(ImapError::TooManyResponses {
                command,
                limit: RESPONSES,
            });
        }
        Ok(heard)
    }

    /// The connection ended: with the server's own words for it, if it had any.
    fn broken(&mut self, error: LinkError, command: &'static str) -> ImapError {
        match (error, self.folder.bye.take()) {
            (LinkError::Closed | LinkError::Io(_), Some(text)) => ImapError::Bye { text },
            (error, _) => named(error, command),
        }
    }

    /// Takes note of what the server says of the folder and of itself.
    pub(super) fn observe(&mut self, data: &Data<'static>) {
        match data {
            Data::Exists(count) => self.folder.has(*count),
            Data::Expunge(_) => self.folder.lost_one(),
            Data::Capability(announced) => self.capabilities = Some(announced.into()),
            _ => {}
        }
    }

    /// Tells the answer to the running command from other status messages.
    pub(super) fn sort(&mut self, running: &Running, status: Status<'static>) -> Sorted {
        let code = match status {
            Status::Tagged(Tagged { tag, body }) if tag == running.tag => {
                if let Some(Code::Capability(announced)) = &body.code {
                    self.capabilities = Some(announced.into());
                }
                return Sorted::Answer(body);
            }
            Status::Tagged(_) => {
                self.link.note("no command of ours has this tag");
                return Sorted::Nothing;
            }
            Status::Untagged(body) => body.code,
            Status::Bye(_) => {
                self.folder.bye = Some(self.link.words());
                return Sorted::Nothing;
            }
        };
        if let Some(Code::Capability(announced)) = &code {
            self.capabilities = Some(announced.into());
        }
        code.map_or(Sorted::Nothing, Sorted::Code)
    }
}

pub(super) fn named(error: LinkError, command: &'static str) -> ImapError {
    match error {
        LinkError::Closed => ImapError::Closed { command },
        LinkError::Io(source) => ImapError::Io { command, source },
        LinkError::TooMuch(overrun) => ImapError::TooMuch(overrun),
        LinkError::NotSilent => ImapError::Malformed {
            what: command,
            line: None,
        },
    }
}

/// A command under the tag of the one that runs.
pub(super) fn command(running: &Running, body: CommandBody<'static>) -> Command<'static> {
    Command {
        tag: running.tag.clone(),
        body,
    }
}
