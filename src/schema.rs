//! JSON Schemas (draft 2020-12) of the files and of the result, made from the types that read and write them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::config::raw::{RawMain, RawScenario};
use crate::result::RunResult;
use crate::result::listing::CheckListing;
use crate::result::period::PeriodReport;

/// The schema of a scenario file, as published in `scenarios/scenario.v1.json`.
#[must_use]
pub fn scenario() -> Value {
    written::<RawScenario>()
}

/// The schema of the main file, as published in `scenarios/config.v1.json`.
#[must_use]
pub fn config() -> Value {
    written::<RawMain>()
}

/// The schema of the result document of `run --format json`, as published in `scenarios/result.v1.json`.
#[must_use]
pub fn result() -> Value {
    printed::<RunResult>()
}

/// The schema of the document of `report --format json`, as published in `scenarios/period.v1.json`.
#[must_use]
pub fn period() -> Value {
    printed::<PeriodReport>()
}

/// The schema of the document of `history --format json`, as published in `scenarios/history.v1.json`.
#[must_use]
pub fn history() -> Value {
    printed::<CheckListing>()
}

/// The schema of something that the program prints.
fn printed<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// A schema as text, as it is printed and committed.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// How deep types with keys lie inside each other without an example of their own.
const NESTED: usize = 4;

/// The schema of something that people write.
fn written<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(schemars::transform::RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    for _ in 0..NESTED {
        examples_from_parts(&mut schema);
    }
    schema
}

/// Gives each type with keys an example made of the examples of its required keys, or of its first key.
fn examples_from_parts(root: &mut Value) {
    let whole = root.clone();
    let Some(types) = root.get_mut("$defs").and_then(Value::as_object_mut) else {
        return;
    };
    for schema in types.values_mut().filter_map(Value::as_object_mut) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            continue;
        };
        if schema.contains_key("examples") {
            continue;
        }
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let shown = |key: &str| required.is_empty() || required.contains(&key);
        let mut parts = properties
            .iter()
            .filter(|(key, _)| shown(key))
            .filter_map(|(key, schema)| Some((key.clone(), example_of(schema, &whole)?)));
        let example: serde_json::Map<String, Value> = if required.is_empty() {
            parts.next().into_iter().collect()
        } else {
            parts.collect()
        };
        if !example.is_empty() && example.len() >= required.len() {
            schema.insert(
                "examples".to_owned(),
                Value::from(vec![Value::Object(example)]),
            );
        }
    }
}

/// An example of a key: its own, or one of its type.
fn example_of(schema: &Value, root: &Value) -> Option<Value> {
    let first = |schema: &Value| schema.get("examples")?.get(0).cloned();
    let word = |schema: &Value| schema.get("oneOf")?.get(0)?.get("const").cloned();
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|pointer| root.pointer(pointer.trim_start_matches('#')))
        .unwrap_or(schema);
    first(schema)
        .or_else(|| first(target))
        .or_else(|| word(target))
}

/// A key without a value is a mistake, so `null` is no way to leave an optional value out.
fn without_null(schema: &mut Schema) {
    let null = Value::from("null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| *kind != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&null));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
}
