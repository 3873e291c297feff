//! One run of scenarios.

pub mod document;
pub mod event;
