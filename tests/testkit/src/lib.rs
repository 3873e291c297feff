//! Test kit.

pub mod live;
pub mod net;
