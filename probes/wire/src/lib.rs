//! Mail protocol text to values and back.
pub mod address;
pub mod message;
