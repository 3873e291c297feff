//! Outputs: a result document in, text out. Nothing here reads a clock, a store or the network.

pub mod human;
pub mod json;
pub mod style;
pub mod waterfall;
