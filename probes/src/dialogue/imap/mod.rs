//! A conversation with an IMAP server (RFC 3501, RFC 9051), as the `imap` probe, the mailbox watch and
//! `validate --online` hold it.
//!
//! Straight-line async over any stream. imap-next keeps the flow (literals, AUTHENTICATE, IDLE) and
//! imap-codec the grammar; neither shows in this interface. Every command has one time limit for the
//! whole of it, every answer a size limit, and nothing here ever removes a message that was not named.

mod capabilities;
mod changes;
mod command;
mod error;
mod folders;
mod framing;
mod idle;
mod link;
mod login;
mod mailbox_name;
mod messages;
mod remove;
mod secret_words;
mod select;
mod session;
mod status_line;
#[cfg(test)]
pub(crate) mod tests;
mod transcript;

pub use capabilities::Capabilities;
pub use changes::Changes;
pub use error::{ImapError, Result};
pub use folders::{Folder, SpecialUse};
pub use idle::IdleEnd;
pub use messages::Arrived;
pub use remove::Removed;
pub use select::{Access, Selected};
pub use session::{Greeting, Session, Setup, Timing};
pub use transcript::{Direction, Transcript};
