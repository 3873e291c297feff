//! One watch per mailbox and folder.

pub mod news;
mod poll;
mod retry;
