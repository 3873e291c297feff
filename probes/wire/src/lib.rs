//! Mail protocol text to values and back.
//!
//! Everything here is a function of its input: no runtime, no socket, no clock. Every parser takes
//! bytes that a stranger may have written, so each one is bounded, linear and never panics; what
//! it hands on is a checked value, or [`text::RemoteText`] that is safe to show.

pub mod address;
pub mod bounded;
pub mod greeting;
pub mod message;
pub mod policy;
pub mod pop3;
pub mod sieve;
pub mod smtp;
pub mod text;
pub mod tls;
pub mod tlsa;
