//! Mail headers as far as a tester reads them: fields, our tag, trace, authentication results.
//!
//! MIME structure and bodies are not here.

pub mod authentication_results;
pub mod header;
pub mod received;
mod structured;
pub mod tag;
