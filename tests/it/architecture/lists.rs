//! Lists that must have the same members, and names in documents that must exist.

use std::collections::BTreeSet;
use std::path::Path;

use postrider::explain;
use postrider_probes::Probe;
use postrider_probes::reason::Reason;

use super::source::{code_without_tests, entries, is_test, read, rust_files};

#[test]
fn catalogue_files_examples_schema_and_manual_have_the_same_kinds() {
    let catalogue: BTreeSet<String> = Probe::CATALOGUE
        .iter()
        .map(|(verb, _)| (*verb).to_owned())
        .collect();

    let files: BTreeSet<String> = entries("probes/src/kinds")
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|stem| stem != "mod")
        .collect();
    assert_eq!(files, catalogue, "probes/src/kinds/");

    let examples: BTreeSet<String> = entries("scenarios/examples")
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|stem| stem != "postrider")
        .collect();
    assert_eq!(examples, catalogue, "scenarios/examples/");

    let schema: serde_json::Value =
        serde_json::from_str(&read("scenarios/scenario.v1.json")).unwrap();
    let verbs: BTreeSet<String> = schema["$defs"]["Step"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["required"][0].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(verbs, catalogue, "scenarios/scenario.v1.json");

    let manual = read("docs/src/reference/probes.md");
    let sections: BTreeSet<String> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    assert_eq!(sections, catalogue, "docs/src/reference/probes.md");
}

/// `explain` says of some codes that nothing gives them yet; that must be so, and of no other code.
#[test]
fn a_reason_is_reserved_exactly_when_nothing_gives_it() {
    let mut given = BTreeSet::new();
    for file in rust_files(&["src", "probes/src"]) {
        let path = file.to_string_lossy();
        if is_test(&file)
            || path.starts_with("src/explain/")
            || path.ends_with("probes/src/reason.rs")
        {
            continue;
        }
        let text = code_without_tests(&file);
        for (start, _) in text.match_indices("Reason::") {
            let name: String = text[start + "Reason::".len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric())
                .collect();
            given.insert(name);
        }
    }
    for reason in Reason::ALL {
        let page = explain::page(reason.code()).unwrap();
        let is_given = given.contains(&format!("{reason:?}"));
        assert_eq!(
            page.is_reserved, !is_given,
            "`{reason}` is in the list of src/explain/reasons.rs, or must be"
        );
    }
}

#[test]
fn the_documents_name_only_files_that_exist() {
    for document in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
    ] {
        let text = read(document);
        let prose = text.split("```").step_by(2).collect::<String>();
        let quoted = prose.split('`').skip(1).step_by(2);
        let linked = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for name in quoted.chain(linked) {
            let name = name.split('#').next().unwrap_or_default();
            let is_path = name.contains('/') || name.ends_with(".md") || name.ends_with(".rs");
            let is_plain = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
            // `name.rs` beside a directory, a template, a library with a slash: not a path from here.
            let from_root = name
                .split('/')
                .next()
                .is_some_and(|first| Path::new(first).exists());
            if is_path && is_plain && !name.contains("NAME") && (from_root || linked_file(name)) {
                assert!(
                    Path::new(name).exists(),
                    "{document} names {name}, which does not exist"
                );
            }
        }
    }
}

#[test]
fn the_invariants_are_ten() {
    let text = read("ARCHITECTURE.md");
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with("Invariants"))
        .unwrap();
    let numbered = section.lines().filter(|line| {
        line.split(". ")
            .next()
            .is_some_and(|n| n.parse::<u8>().is_ok())
    });
    assert_eq!(numbered.count(), 10);
    assert!(text.lines().count() <= 120, "two pages at most");
}

fn linked_file(name: &str) -> bool {
    name.ends_with(".md") && !name.contains(':')
}

#[test]
fn sections_that_comments_name_exist() {
    let headings: BTreeSet<String> = read("ARCHITECTURE.md")
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::to_owned)
        .collect();
    let mut files = rust_files(&["src", "probes", "tests"]);
    files.extend(["Cargo.toml", "probes/Cargo.toml", "deny.toml"].map(Into::into));
    let mut named = 0;
    for file in files {
        for rest in read(&file).split("ARCHITECTURE.md, \"").skip(1) {
            let section = rest.split('"').next().unwrap_or_default();
            assert!(headings.contains(section), "{}: {section}", file.display());
            named += 1;
        }
    }
    assert!(named > 0);
}
