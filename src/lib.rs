//! Postrider: the most demanding user of a mail platform.

pub mod baseline;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod histogram;
pub mod ledger;
pub mod mailbox;
pub mod metrics;
pub mod pipeline;
pub mod report;
pub mod result;
pub mod run;
pub mod scheduler;
pub mod schema;
pub mod store;
pub mod vantage;
pub mod web;
