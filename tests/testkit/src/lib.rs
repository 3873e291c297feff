//! Test kit.

pub mod live;
pub mod net;
pub mod soak;
