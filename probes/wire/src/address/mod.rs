//! Addresses and names that cannot carry an injection.
//!
//! These types are built only by checked constructors; none can hold a CR, LF or NUL, so what is
//! made of them can be written into a command or a header line as it is. The error texts are
//! meant for the person who wrote the configuration.

mod header_text;
mod host;
mod mailbox;

pub use header_text::{HeaderText, HeaderTextError};
pub use host::{EhloName, EhloNameError, HostName, HostNameError};
pub use mailbox::{Mailbox, MailboxError};
