//! Every mistake has its exact message: one directory of `tests/fixtures/config` for each, with what `validate` prints.
//! After a change of the words, `POSTRIDER_BLESS=1 cargo test config_errors` writes them anew; read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider::config::{CODES, Extra, Format, Loaded, Request};

const FIXTURES: &str = "tests/fixtures/config";

/// The environment of every case; nothing else is set.
fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("POSTRIDER_TEST_DOMAIN".to_owned(), "example.net".to_owned()),
        ("POSTRIDER_TEST_LINES".to_owned(), "one\ntwo".to_owned()),
    ])
}

fn load(main: &Path) -> Loaded {
    Request {
        main: Some(main.to_path_buf()),
        extra: Vec::new(),
        environment: environment(),
    }
    .load()
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(FIXTURES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

#[test]
fn each_mistake_has_its_message() {
    let bless = std::env::var_os("POSTRIDER_BLESS").is_some();
    let mut differences = String::new();
    for case in cases() {
        let loaded = load(&case.join("postrider.yaml"));
        let found = loaded.render(Format::Full, false);
        assert_eq!(
            loaded.plan.is_none(),
            loaded.errors() > 0,
            "{}: a plan is made exactly when nothing is wrong",
            case.display()
        );
        let golden = case.join("expected.txt");
        if bless {
            std::fs::write(&golden, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            let _ = write!(
                differences,
                "=== {}\n--- expected\n{expected}--- found\n{found}",
                case.display()
            );
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn each_code_has_a_case() {
    // These have no fixture: their files are made by tests of their own.
    const ELSEWHERE: [&str; 6] = [
        "file-too-large",
        "too-many-files",
        "secret-line-end",
        "secret-missing",
        "secret-readable-by-others",
        "secret-unreadable",
    ];
    let shown: BTreeSet<&str> = cases()
        .iter()
        .flat_map(|case| load(&case.join("postrider.yaml")).problems)
        .map(|problem| problem.code)
        .collect();
    let known: BTreeSet<&str> = CODES.iter().copied().collect();
    let mut expected = known.clone();
    for code in ELSEWHERE {
        assert!(expected.remove(code), "{code} is not a code");
    }
    assert_eq!(
        shown, expected,
        "codes without a case, or cases without a page for `explain`"
    );
}
