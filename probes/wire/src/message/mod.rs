//! Mail as far as a tester reads it: header fields, our tag, trace, authentication results, bounces.
//!
//! MIME structure is not here, but for the few parts of a bounce.

pub mod authentication_results;
pub mod bounce;
pub mod header;
pub mod received;
mod structured;
pub mod tag;
