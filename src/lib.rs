//! Postrider: the most demanding user of a mail platform.

pub mod clock;
pub mod config;
pub mod ledger;
pub mod mailbox;
pub mod pipeline;
pub mod result;
pub mod run;
pub mod store;
