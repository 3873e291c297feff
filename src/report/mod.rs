//! Outputs: a result document in, text out. Nothing here reads a clock, a store or the network.

pub mod human;
pub mod json;
pub mod mails;
pub mod style;
pub mod trace;
pub mod waterfall;
