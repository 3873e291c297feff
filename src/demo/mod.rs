//! `postrider demo`: a mail platform inside the process, and the flagship scenario against it.

pub mod configuration;
pub mod findings;
pub mod platform;
