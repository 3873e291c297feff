//! Opening a folder, and asking it for news (RFC 9051 sections 6.3.2, 6.3.3 and 6.1.2).

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::Code;

use super::changes::Changes;
use super::command::Untagged;
use super::error::{ImapError, Result};
use super::mailbox_name;
use super::session::Session;

/// What a folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// EXAMINE: changes nothing, not even `\Recent`.
    ReadOnly,
    /// SELECT: needed to remove messages.
    ReadWrite,
}

/// A folder as it was when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// UIDs are the same messages for as long as this is the same.
    pub uid_validity: u32,
    /// The UID that the next message will have at least, where the server says so.
    pub uid_next: Option<u32>,
    /// Number of messages.
    pub exists: u32,
    /// Messages cannot be changed: asked for, or decided by the server.
    pub read_only: bool,
}

impl Session {
    /// Opens a folder, by its name as [`folders`](Self::folders) gives it.
    ///
    /// # Errors
    /// `Refused`; `Malformed` if the server does not say UIDVALIDITY; any of a command.
    pub async fn select(&mut self, folder: &str, access: Access) -> Result<Selected> {
        let wire = match self.spellings.get(folder) {
            Some(spelling) => spelling.clone(),
            None => mailbox_name::encode(folder).into_bytes(),
        };
        let mailbox = Mailbox::try_from(wire).map_err(|_| ImapError::BadArgument {
            what: "a folder name with a NUL",
        })?;
        let (name, body) = match access {
            Access::ReadOnly => ("EXAMINE", CommandBody::Examine { mailbox }),
            Access::ReadWrite => ("SELECT", CommandBody::Select { mailbox }),
        };
        self.selected = None;
        self.folder.forget();

        let (mut uid_validity, mut uid_next) = (None, None);
        let completed = self
            .command(name, body, |untagged| match untagged {
                Untagged::Code(Code::UidValidity(value)) => uid_validity = Some(value.get()),
                Untagged::Code(Code::UidNext(value)) => uid_next = Some(value.get()),
                _ => {}
            })
            .await?;
        let exists = self.folder.exists;
        // The number at the start is no change.
        self.folder.take();
        let selected = Selected {
            uid_validity: uid_validity.ok_or(ImapError::Malformed {
                what: "a folder without UIDVALIDITY",
                line: None,
            })?,
            uid_next,
            exists,
            read_only: access == Access::ReadOnly || completed.code == Some(Code::ReadOnly),
        };
        self.selected = Some(selected);
        Ok(selected)
    }

    /// Asks for news of the selected folder. Also gives what other commands have heard since.
    ///
    /// # Errors
    /// Any of a command.
    pub async fn noop(&mut self) -> Result<Changes> {
        self.command("NOOP", CommandBody::Noop, |_| {}).await?;
        Ok(self.folder.take())
    }
}
