//! JSON Schemas (draft 2020-12) of the files and of the result, made from the types that read and write them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::config::raw::{RawMain, RawScenario};
use crate::result::RunResult;

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
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<RunResult>()
        .to_value()
}

/// A schema as text, as it is printed and committed.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// The schema of something that people write.
fn written<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(schemars::transform::RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
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
