//! YAML text to typed values, with the place of every mistake.
//!
//! Three parts: `parse` makes a tree in which each node knows where it stands, `reader` is the serde format over
//! that tree, and `repair` reads again and again, each time without what was wrong, until every mistake is known.

mod describe;
mod fault;
mod json;
mod parse;
mod reader;
mod repair;
mod scalar;
mod tree;

pub(super) use describe::{SECRET_KEYS, nearest};
pub(super) use json::to_json;
pub(super) use parse::parse;
pub(super) use repair::{Read, read};
pub(super) use tree::{Node, Value};
