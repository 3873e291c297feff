//! Conversations that several probe kinds share.

pub mod imap;
pub(crate) mod introduction;
pub mod open_imap;
pub mod smtp;
pub mod starttls;
pub mod stream;
