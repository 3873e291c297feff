//! The published schemas are the ones that the types make, say everything, and agree with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use postrider::config::{self, Request};
use postrider::schema;
use serde_json::Value;

/// File, and what it must hold.
type Published = (&'static str, fn() -> Value);

/// What people write.
const WRITTEN: [Published; 2] = [
    ("scenarios/scenario.v1.json", schema::scenario),
    ("scenarios/config.v1.json", schema::config),
];
/// What the program writes.
const PRINTED: [Published; 3] = [
    ("scenarios/result.v1.json", schema::result),
    ("scenarios/period.v1.json", schema::period),
    ("scenarios/history.v1.json", schema::history),
];

/// After a change of the types, `POSTRIDER_BLESS=1 cargo test published_schemas` writes them anew.
#[test]
fn published_schemas_are_the_generated_ones() {
    for (file, generate) in WRITTEN.into_iter().chain(PRINTED) {
        let generated = schema::text(&generate());
        if std::env::var_os("POSTRIDER_BLESS").is_some() {
            std::fs::write(file, &generated).unwrap();
        }
        let published = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            published == generated,
            "{file} is not what `postrider schema` prints"
        );
    }
}

#[test]
fn every_key_has_a_description_and_an_example() {
    let mut lacking = Vec::new();
    for (file, generate) in WRITTEN {
        let root = generate();
        for_each_key(&root, &root, &mut |key, schema, target| {
            let has = |what: &str| schema.get(what).is_some() || target.get(what).is_some();
            if !has("description") {
                lacking.push(format!("{file}: {key} has no description"));
            }
            if !has("examples") && !has("enum") && !has("const") && !has("oneOf") {
                lacking.push(format!("{file}: {key} has no example"));
            }
        });
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

#[test]
fn every_example_is_right() {
    let mut wrong = Vec::new();
    for (file, generate) in WRITTEN {
        let root = generate();
        let mut schemas = Vec::new();
        walk(&root, &mut |schema| schemas.push(schema.clone()));
        for schema in schemas
            .into_iter()
            .filter(|schema| schema.contains_key("examples"))
        {
            let examples = schema["examples"].as_array().cloned().unwrap_or_default();
            let mut whole = schema;
            whole.insert("$defs".to_owned(), root["$defs"].clone());
            let validator = jsonschema::validator_for(&Value::Object(whole)).unwrap();
            let bad = examples
                .iter()
                .filter(|example| !validator.is_valid(example));
            wrong.extend(bad.map(|example| format!("{file}: {example}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Older YAML readers take these words for truth values.
#[test]
fn no_key_and_no_keyword_is_a_truth_value() {
    const WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    for (file, generate) in WRITTEN {
        let root = generate();
        let mut words = keywords(&root);
        for_each_key(&root, &root, &mut |key, _, _| {
            words.insert(key.to_owned());
        });
        assert!(words.len() > 20, "{file}: {words:?}");
        for word in words {
            assert!(
                !WORDS.contains(&word.to_lowercase().as_str()),
                "{file}: {word}"
            );
        }
    }
}

#[test]
fn nothing_beside_the_known_keys_is_accepted() {
    for (file, generate) in WRITTEN {
        let root = generate();
        let mut open = Vec::new();
        walk(&root, &mut |schema| {
            if schema.contains_key("properties")
                && schema.get("additionalProperties") != Some(&Value::Bool(false))
            {
                open.push(schema.get("title").cloned().unwrap_or_default());
            }
        });
        assert!(open.is_empty(), "{file}: {open:?}");
    }
}

/// What the program accepts, an editor accepts; and what an editor can know, it refuses, too.
#[test]
fn schema_and_program_agree() {
    // The mistakes of these files are in the grammar; those of the others are in what things mean.
    const GRAMMAR: [&str; 10] = [
        "five-mistakes",
        "inline-secret",
        "missing-key",
        "missing-key-in-step",
        "missing-key-sender",
        "missing-unit",
        "unknown-key-main",
        "unknown-key-nested",
        "unknown-key-step",
        "verb-count",
    ];
    let validators: Vec<jsonschema::Validator> = WRITTEN
        .iter()
        .map(|(_, generate)| jsonschema::validator_for(&generate()).unwrap())
        .collect();
    let refused_by_schema = |file: &Path| -> bool {
        let Ok(text) = std::fs::read_to_string(file) else {
            return true;
        };
        let Some(value) = config::as_json(&text) else {
            return true;
        };
        let is_main = file
            .file_name()
            .is_some_and(|name| name == "postrider.yaml");
        !validators[usize::from(is_main)].is_valid(&value)
    };
    let mut seen = 0;
    for case in std::fs::read_dir("tests/fixtures/config").unwrap() {
        let case = case.unwrap().path();
        let loaded = Request {
            main: Some(case.join("postrider.yaml")),
            extra: Vec::new(),
            environment: BTreeMap::new(),
        }
        .load();
        let wrong: BTreeSet<PathBuf> = loaded
            .problems
            .iter()
            .filter_map(|problem| Some(loaded.sources.file(problem.at)?.path.clone()))
            .collect();
        for file in loaded.sources.iter() {
            let refused = refused_by_schema(&file.path);
            assert!(
                !refused || wrong.contains(&file.path),
                "{} is right, and the schema refuses it",
                file.path.display()
            );
        }
        let name = case.file_name().unwrap().to_str().unwrap();
        if GRAMMAR.contains(&name) {
            seen += 1;
            assert!(
                wrong.iter().any(|file| refused_by_schema(file)),
                "{name}: the schema refuses no file of it"
            );
        }
    }
    assert_eq!(seen, GRAMMAR.len());
    for file in super::config_shipped::yaml_files() {
        assert!(!refused_by_schema(&file), "{}", file.display());
    }
}

/// Calls `visit` with each key, its schema, and what that refers to.
fn for_each_key(node: &Value, root: &Value, visit: &mut impl FnMut(&str, &Value, &Value)) {
    let mut schemas = Vec::new();
    walk(node, &mut |schema| schemas.push(schema.clone()));
    for schema in schemas {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, value) in properties.into_iter().flatten() {
            let target = value
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|pointer| root.pointer(pointer.trim_start_matches('#')))
                .unwrap_or(value);
            visit(key, value, target);
        }
    }
}

/// Every word that can be a value.
fn keywords(root: &Value) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    walk(root, &mut |schema| {
        let several = schema.get("enum").and_then(Value::as_array);
        let all = several.into_iter().flatten().chain(schema.get("const"));
        words.extend(all.filter_map(|word| Some(word.as_str()?.to_owned())));
    });
    words
}

/// Every schema inside a schema; examples are none.
fn walk(node: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match node {
        Value::Object(map) => {
            visit(map);
            for (key, value) in map {
                if key != "examples" && key != "default" {
                    walk(value, visit);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
