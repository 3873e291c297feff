//! How the tests of the architecture read the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The code of a file without its comments and without the module of tests at its end.
pub(super) fn code_without_tests(file: &Path) -> String {
    let text = code(file);
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(start) => text[..start].to_owned(),
        None => text,
    }
}

pub(super) fn code(file: &Path) -> String {
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
pub(super) fn uses(code: &str) -> BTreeSet<String> {
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
pub(super) fn within(module: &str, area: &str) -> bool {
    module
        .strip_prefix(area)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether the text has the name as a whole word.
pub(super) fn words_in(text: &str, name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        !text[..start].ends_with(is_letter) && !text[start + name.len()..].starts_with(is_letter)
    })
}

/// `src/run/event.rs` → `run::event`; the crate's root is empty.
pub(super) fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap_or(file).with_extension("");
    let parts: Vec<&str> = inside.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["lib" | "main"] => String::new(),
        [parents @ .., "mod"] => parents.join("::"),
        all => all.join("::"),
    }
}

pub(super) fn is_test(file: &Path) -> bool {
    file.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

pub(super) fn rust_files(roots: &[&str]) -> Vec<PathBuf> {
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

pub(super) fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", directory.as_ref().display()))
        .map(|entry| entry.unwrap().path())
}

pub(super) fn read(file: impl AsRef<Path>) -> String {
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
