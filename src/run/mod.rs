//! One run of scenarios.

pub mod event;
