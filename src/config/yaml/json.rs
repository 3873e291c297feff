//! A tree as JSON: by the core schema, as an editor sees it.

use serde_json::{Number, Value as Json};

use super::scalar::{Meaning, meaning};
use super::tree::{Node, Value};

/// The values of the tree, without their places.
pub(in crate::config) fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(scalar) => match meaning(scalar) {
            Meaning::Null => Json::Null,
            Meaning::Bool(value) => Json::Bool(value),
            Meaning::Int(value) => value.into(),
            Meaning::Large(value) => value.into(),
            Meaning::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
            Meaning::Text => Json::String(scalar.text.clone()),
        },
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.scalar.text.clone(), to_json(&entry.value)))
            .collect(),
    }
}
