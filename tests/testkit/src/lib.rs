//! Test kit.

pub mod live;
