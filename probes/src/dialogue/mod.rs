//! Conversations that several probe kinds share.

pub mod imap;
pub mod stream;
