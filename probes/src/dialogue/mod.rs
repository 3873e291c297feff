//! Conversations that several probe kinds share.

pub mod stream;
