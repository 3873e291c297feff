//! What is written, and what will run.
//!
//! `yaml` turns text into strict types and finds every mistake of a file; `raw` is what can be written; `resolve`
//! turns it into the [`plan`]: defaults, references, units; `written` quotes values for texts that commands make.
//! Nothing here contacts anything.

mod codes;
mod include;
mod load;
mod loaded;
pub mod plan;
pub(crate) mod raw;
mod render;
mod resolve;
mod secrets;
mod source;
mod web_file;
mod written;
mod yaml;

pub use codes::CODES;
pub use load::{Extra, Request, load, load_with};
pub use loaded::Loaded;
pub use render::Format;
pub use source::{LARGEST_FILE, SourceFile, Sources};
pub use web_file::{PasswordHash, WebFile, WebTls, load_web_file};
pub use written::{quoted, quoted_template};

/// A YAML text as JSON, for examples in the schema and for comparing the two; `None` when it is no YAML.
#[must_use]
pub fn as_json(text: &str) -> Option<serde_json::Value> {
    let mut problems = Vec::new();
    let tree = yaml::parse(0, text, &mut problems)?;
    problems.is_empty().then(|| yaml::to_json(&tree))
}

/// An example of the grammar, written in YAML's flow style.
pub(crate) fn example_value(text: &'static str) -> serde_json::Value {
    as_json(text).unwrap_or_default()
}
