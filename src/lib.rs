//! Postrider: the most demanding user of a mail platform.

pub mod config;
pub mod demo;
pub mod mailbox;
pub mod result;
pub mod run;
