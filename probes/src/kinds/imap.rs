//! `imap`: a login, a folder, a message, as a person's mail program does it.

mod check;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::dialogue::open_imap;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::Failure;
use crate::setting::{FolderName, INBOX, Period, Place, Problem, Spanned};
use crate::target::Target;

/// For each command, unless `command_timeout` says otherwise.
const COMMAND: Duration = Duration::from_secs(30);
/// Commands after the login: capabilities, folders (twice, on servers that know no special use), EXAMINE, the newest
/// message's header (twice, when the first answer is not understood) and its text.
const COMMANDS: u32 = 7;
/// A part without a limit of its own counts for so long when times are added up.
const PART: Duration = Duration::from_secs(10);

/// Logs in to a mailbox, opens a folder and reads its newest message; changes nothing.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Imap {
    /// The mailbox, by its name in the main file.
    #[schemars(example = &"alice")]
    pub r#in: Spanned<String>,
    /// The folder to open.
    #[serde(default = "FolderName::inbox")]
    #[schemars(default = "inbox", example = &"INBOX")]
    pub folder: FolderName,
    /// What to read.
    #[serde(default)]
    pub read: Read,
    /// Time limit for each command.
    pub command_timeout: Option<Period>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// The newest message; an empty folder is not a failure.
    #[default]
    Newest,
    /// Nothing.
    Nothing,
}

/// Time limits of the parts.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Connection, TLS and login together.
    pub login: Option<Limit>,
    /// Opening the folder.
    pub select: Option<Limit>,
    /// Reading the message.
    pub fetch: Option<Limit>,
    /// Capabilities that the server must offer after login.
    #[schemars(example = ["IDLE"])]
    pub capabilities: Option<Vec<String>>,
}

/// A time limit, and a lower one that only degrades.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Longer is a failure.
    pub within: Option<Period>,
    /// Longer is `degraded`.
    pub warn_after: Option<Period>,
}

/// The default as the schema shows it.
fn inbox() -> &'static str {
    INBOX
}

impl Kind for Imap {
    const NAME: &'static str = "imap";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let command = self.command_timeout();
        open_imap::longest(command) + command * COMMANDS + session::GOODBYE
    }

    fn patience(&self, message: &MessageDefaults) -> Duration {
        let within = |limit: fn(&Expect) -> Option<Limit>| {
            let limit = self.expect.as_ref().and_then(limit)?;
            limit.within.map(|period| period.0)
        };
        let parts = [
            within(|expect| expect.login),
            within(|expect| expect.select),
            within(|expect| expect.fetch),
        ];
        let parts = parts.into_iter().map(|limit| limit.unwrap_or(PART));
        parts.sum::<Duration>().min(self.longest(message))
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let read = match self.read {
            Read::Newest => ", read its newest message",
            Read::Nothing => "",
        };
        Preview::reads(format!(
            "log in to mailbox `{}`, open {}{read}",
            self.r#in.value, self.folder
        ))
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        session::hold(self, cx).await
    }
}

impl Imap {
    fn command_timeout(&self) -> Duration {
        self.command_timeout.map_or(COMMAND, |period| period.0)
    }
}
