//! `imap`: a login, a folder, a message, as a person's mail program does it.

mod check;

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names};
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::Failure;
use crate::setting::{Period, Place, Problem, Spanned};

/// Logs in to a mailbox, opens a folder and reads its newest message; changes nothing.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Imap {
    /// The mailbox, by its name in the main file.
    #[schemars(example = &"alice")]
    pub r#in: Spanned<String>,
    /// The folder to open.
    #[serde(default = "inbox")]
    pub folder: String,
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

fn inbox() -> String {
    "INBOX".to_owned()
}

impl Kind for Imap {
    const NAME: &'static str = "imap";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        check::longest(self)
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        check::patience(self)
    }

    async fn run(&self, _: &Context<'_>) -> Result<(), Failure> {
        Ok(())
    }
}
