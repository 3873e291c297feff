//! Removing messages: the chosen ones, or none at all.
//!
//! EXPUNGE and CLOSE remove whatever anyone has marked as deleted, so neither is ever sent. The lines
//! are rendered here because imap-codec rewrites sets of numbers on their way out.

use super::error::{ImapError, Result};
use super::session::Session;

/// UIDs in one command, so that its line stays below 1000 octets (RFC 7162 section 4).
const AT_ONCE: usize = 80;

/// Whether messages could be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// They are gone.
    Expunged,
    /// The server cannot expunge chosen messages (no UIDPLUS, RFC 4315); nothing was changed.
    NotSupported,
}

impl Session {
    /// Removes exactly these messages from the selected folder. The caller has made sure, in this
    /// session and under this UIDVALIDITY, that they are its own.
    ///
    /// # Errors
    /// `BadArgument` if no folder is open for writing, or a UID is 0; `Refused`; any of a command.
    pub async fn remove(&mut self, uids: &[u32]) -> Result<Removed> {
        if self.selected.is_none_or(|selected| selected.read_only) {
            return Err(ImapError::BadArgument {
                what: "a removal where no folder is open for writing",
            });
        }
        if uids.contains(&0) {
            return Err(ImapError::BadArgument { what: "UID 0" });
        }
        if !self.capabilities().await?.uid_expunge() {
            return Ok(Removed::NotSupported);
        }
        for some in uids.chunks(AT_ONCE) {
            let set = uid_set(some);
            let mark = format!("{set} +FLAGS.SILENT (\\Deleted)");
            self.line("UID STORE", &mark, |_| {}).await?;
            self.line("UID EXPUNGE", &set, |_| {}).await?;
        }
        Ok(Removed::Expunged)
    }
}

/// UIDs as a sequence set (RFC 9051 section 9): each by itself, no ranges, never `*`.
pub(super) fn uid_set(uids: &[u32]) -> String {
    let mut set = String::new();
    for uid in uids {
        if !set.is_empty() {
            set.push(',');
        }
        set.push_str(&uid.to_string());
    }
    set
}
