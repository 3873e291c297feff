//! Everything that is tested through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod architecture;
mod bad_servers;
mod bad_store;
mod cli;
mod config_errors;
mod config_plan;
mod config_shipped;
mod docs;
mod live;
mod mailbox_watch;
mod net;
mod program;
mod schemas;
mod serve;
mod signals;
mod support;
mod validate;
mod vantage;
mod web;
