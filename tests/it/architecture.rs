//! What ARCHITECTURE.md and CONTRIBUTING.md say, as far as a test can know it: who may use whom, what stands only in one
//! place, sizes and names of files, and that every list has the same members.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use postrider::explain;
use postrider_probes::Probe;
use postrider_probes::reason::Reason;

/// Who may use whom inside `src/`, by the longest matching path; a module may always use itself and what is below it.
/// Nobody uses `cli`, which may use everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("config", &[]),
    ("demo", &["result"]),
    ("explain", &["config"]),
    ("ledger", &["mailbox::news"]),
    ("mailbox", &[]),
    (
        "pipeline",
        &[
            "clock",
            "ledger",
            "mailbox::news",
            "result",
            "run::document",
            "run::event",
            "store",
        ],
    ),
    ("report", &["result"]),
    ("result", &[]),
    ("run", &["config::plan", "mailbox", "pipeline", "result"]),
    ("run::document", &["result", "run::event"]),
    ("run::event", &["config::plan"]),
    ("run::select", &["config::plan"]),
    ("schema", &["config::raw", "result"]),
    (
        "store",
        &["ledger", "mailbox::news", "result", "run::document"],
    ),
];

/// Names that stand only in some places: what, where (paths begin so), and what to do instead. Tests are free.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["src/store/"], "ask `Store`"),
    ("granit_parser", &["src/config/yaml/"], "ask `config`"),
    ("serde_saphyr", &["src/config/"], "ask `config`"),
    (
        "annotate_snippets",
        &["src/config/render/"],
        "return a `Problem`",
    ),
    (
        "SystemTime::now",
        &["src/clock.rs"],
        "take a `jiff::Timestamp` as an argument",
    ),
    (
        "Timestamp::now",
        &["src/clock.rs"],
        "take a `jiff::Timestamp` as an argument",
    ),
    (
        "Zoned::now",
        &["src/clock.rs"],
        "take a `jiff::Timestamp` as an argument",
    ),
    (
        "std::time::Instant",
        &["src/clock.rs"],
        "use tokio::time::Instant",
    ),
    (
        "TcpStream",
        &["probes/src/net/", "src/demo/platform/"],
        "connect through `Net`",
    ),
    (
        "UdpSocket",
        &["probes/src/net/", "src/demo/platform/"],
        "ask through `Net`",
    ),
    (
        "imap_next",
        &["probes/src/dialogue/imap/", "src/demo/platform/"],
        "use `dialogue::imap::Session`",
    ),
    (
        "imap_codec",
        &["probes/src/dialogue/imap/", "src/demo/platform/"],
        "use `dialogue::imap::Session`",
    ),
    (
        "lettre",
        &["probes/src/message/", "probes/wire/src/address/"],
        "use `message::Letter`",
    ),
    (
        "Serialize",
        &[
            "src/result.rs",
            "src/report/json.rs",
            "src/config/render/",
            "src/store/",
        ],
        "give the border a type of its own",
    ),
];

const LONGEST_FILE: usize = 800;
const NO_FILE_NAMES: [&str; 9] = [
    "util", "utils", "common", "helper", "helpers", "types", "misc", "manager", "core",
];

#[test]
fn modules_use_only_what_they_may() {
    let mut wrong = Vec::new();
    for file in rust_files(&["src"]).iter().filter(|file| !is_test(file)) {
        let module = module_of(file);
        if module.is_empty() || module.starts_with("cli") {
            continue;
        }
        let area = module.split("::").next().unwrap_or_default();
        let rule = MAY_USE
            .iter()
            .filter(|(name, _)| within(&module, name))
            .max_by_key(|(name, _)| name.len());
        let Some((name, allowed)) = rule else {
            wrong.push(format!("{module} has no line in the table of this test"));
            continue;
        };
        for used in uses(&code(file)) {
            // A part with a rule of its own may not reach back into its whole.
            let own = if name.contains("::") { name } else { area };
            let is_allowed =
                within(&used, own) || allowed.iter().any(|allowed| within(&used, allowed));
            if !is_allowed {
                wrong.push(format!(
                    "{} uses crate::{used}; {name} may use {allowed:?}",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_has_no_line_too_many() {
    let modules: BTreeSet<String> = rust_files(&["src"])
        .iter()
        .map(|file| module_of(file))
        .collect();
    for (name, allowed) in MAY_USE {
        for name in std::iter::once(name).chain(*allowed) {
            assert!(
                modules.iter().any(|module| within(module, name)),
                "there is no module {name}"
            );
        }
    }
}

#[test]
fn some_names_stand_in_one_place_only() {
    let mut wrong = Vec::new();
    for file in rust_files(&["src", "probes"])
        .iter()
        .filter(|file| !is_test(file))
    {
        let path = file.to_string_lossy();
        let text = code_without_tests(file);
        for (name, places, instead) in ONLY_IN {
            if words_in(&text, name) && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} names {name}: {instead}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn wire_has_no_runtime_no_files_and_no_sockets() {
    let manifest = read("probes/wire/Cargo.toml");
    for name in [
        "tokio",
        "futures",
        "async",
        "mio",
        "socket2",
        "rustix",
        "postrider-probes",
    ] {
        assert!(
            !manifest.contains(name),
            "probes/wire/Cargo.toml names {name}"
        );
    }
    for file in rust_files(&["probes/wire/src"]) {
        let text = code(&file);
        for name in [
            "std::net::Tcp",
            "std::net::Udp",
            "std::fs",
            "std::env",
            "std::thread",
            "async fn",
            ".await",
        ] {
            assert!(!text.contains(name), "{} names {name}", file.display());
        }
    }
    // The packages stand in one line.
    assert!(!read("probes/Cargo.toml").contains("postrider-testkit"));
    assert!(
        !read("probes/Cargo.toml")
            .lines()
            .any(|line| line.starts_with("postrider."))
    );
}

#[test]
fn files_are_short_and_well_named() {
    let mut wrong = Vec::new();
    for file in rust_files(&["src", "probes", "tests", "benches", "fuzz"]) {
        let lines = read(&file).lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!(
                "{} has {lines} lines, at most {LONGEST_FILE}",
                file.display()
            ));
        }
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if NO_FILE_NAMES.contains(&stem.as_str()) {
            wrong.push(format!(
                "{}: `{stem}` says nothing about what is in it",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let marks = [
        ["to", "do!("],
        ["unimpl", "emented!("],
        ["#[ign", "ore"],
        ["allow(dead", "_code)"],
        ["FIX", "ME"],
    ];
    let mut wrong = Vec::new();
    for file in rust_files(&["src", "probes", "tests", "benches"]) {
        let text = read(&file);
        for mark in marks
            .iter()
            .map(|parts| parts.concat())
            .filter(|mark| text.contains(mark))
        {
            wrong.push(format!("{}: {mark}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

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

/// The code of a file without its comments and without the module of tests at its end.
fn code_without_tests(file: &Path) -> String {
    let text = code(file);
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(start) => text[..start].to_owned(),
        None => text,
    }
}

fn code(file: &Path) -> String {
    let text = read(file);
    let without_comments = text.lines().map(|line| {
        let line = line.trim_start();
        match line.starts_with("//") {
            true => "",
            false => line.split(" // ").next().unwrap_or(line),
        }
    });
    without_comments.collect::<Vec<_>>().join("\n")
}

/// Every path behind `crate::`, in `use` and elsewhere, as far as it consists of modules.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        // `$crate::` in a macro, and names that end in `crate`.
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split(';').next().unwrap_or(list);
                let mut depth = 0;
                let mut first = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.extend(module_path(&std::mem::take(&mut first))),
                        _ if depth == 0 => first.push(c),
                        _ => {}
                    }
                }
                found.extend(module_path(&first));
            }
            None => found.extend(module_path(rest)),
        }
    }
    found
}

/// `config::plan::Plan, …` → `config::plan`.
fn module_path(text: &str) -> Option<String> {
    let path: Vec<&str> = text
        .trim_start()
        .split("::")
        .map_while(|part| {
            let name = part
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next()
                .unwrap_or_default();
            (!name.is_empty() && name.starts_with(|c: char| c.is_lowercase()))
                .then_some((name, name.len() == part.len()))
        })
        .scan(true, |goes_on, (name, whole)| {
            std::mem::replace(goes_on, whole).then_some(name)
        })
        .collect();
    (!path.is_empty()).then(|| path.join("::"))
}

/// Whether `module` is `area` or below it.
fn within(module: &str, area: &str) -> bool {
    module
        .strip_prefix(area)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether the text has the name as a whole word.
fn words_in(text: &str, name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        !text[..start].ends_with(is_letter) && !text[start + name.len()..].starts_with(is_letter)
    })
}

/// `src/run/event.rs` → `run::event`; the crate's root is empty.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap_or(file).with_extension("");
    let parts: Vec<&str> = inside.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["lib" | "main"] => String::new(),
        [parents @ .., "mod"] => parents.join("::"),
        all => all.join("::"),
    }
}

fn is_test(file: &Path) -> bool {
    file.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

fn rust_files(roots: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = roots
        .iter()
        .map(PathBuf::from)
        .filter(|root| root.is_dir())
        .collect();
    while let Some(directory) = open.pop() {
        for path in entries(directory) {
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{roots:?} hold no Rust");
    files
}

fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", directory.as_ref().display()))
        .map(|entry| entry.unwrap().path())
}

fn read(file: impl AsRef<Path>) -> String {
    std::fs::read_to_string(file.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", file.as_ref().display()))
}

/// The reader of this test is code, too.
#[test]
fn paths_are_read_out_of_code() {
    let code = "use crate::config::plan::{Plan, Step};\nuse crate::config;\nuse crate::{clock::Clock, run::event::Event};\n\
                crate::store::open(x)?; $crate::never::seen; pub(crate) fn f() {}";
    let expected = [
        "clock",
        "config",
        "config::plan",
        "run::event",
        "store::open",
    ];
    assert_eq!(uses(code), expected.map(str::to_owned).into());
    let modules = [
        "src/lib.rs",
        "src/run/mod.rs",
        "src/run/event.rs",
        "src/pipeline.rs",
    ];
    assert_eq!(
        modules.map(|file| module_of(Path::new(file))),
        ["", "run", "run::event", "pipeline"]
    );
    assert!(words_in("a tokio::time::Instant b", "Instant") && !words_in("Instants", "Instant"));
    let by_module: BTreeMap<&str, bool> = [("run::event", true), ("runner", false)].into();
    for (module, expected) in by_module {
        assert_eq!(within(module, "run"), expected, "{module}");
    }
}
