//! Outputs: a result document in, text out. Nothing here reads a clock, a store or the network.

pub mod changes;
pub mod csv;
pub mod human;
pub mod json;
pub mod listing;
pub mod mails;
pub mod period;
pub mod style;
pub mod trace;
pub mod waterfall;
