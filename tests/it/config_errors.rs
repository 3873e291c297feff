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

/// Every form says the same.
#[test]
fn mistakes_have_four_forms() {
    let loaded = load(Path::new(
        "tests/fixtures/config/five-mistakes/postrider.yaml",
    ));
    insta::assert_snapshot!("concise", loaded.render(Format::Concise, false));
    insta::assert_snapshot!("github", loaded.render(Format::Github, false));
    insta::assert_snapshot!("json", loaded.render(Format::Json, false));
    let coloured = loaded.render(Format::Full, true);
    assert!(coloured.contains("\u{1b}["));
    for form in [Format::Full, Format::Concise, Format::Json, Format::Github] {
        let text = loaded.render(form, false);
        assert!(!text.contains('\u{1b}'), "{form:?}");
        for code in [
            "unknown-key",
            "unknown-reference",
            "missing-unit",
            "bad-value",
        ] {
            assert!(text.contains(code), "{form:?} does not name {code}");
        }
    }
}

#[test]
fn annotations_escape_what_ends_a_command() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("a,b:c%.yaml");
    std::fs::write(&main, "version: 1\n\"100%\\r\\n::error::x\": 1\n").unwrap();
    let text = load(&main).render(Format::Github, false);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("a%2Cb%3Ac%25.yaml,line=2,col=1"), "{text}");
    assert!(
        text.contains("`100%25\\r\\n::error::x` is not a key"),
        "{text}"
    );
}

#[test]
fn a_file_larger_than_its_limit_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("postrider.yaml");
    let mut text = "version: 1\n".to_owned();
    text.push_str(&"#".repeat((1 << 20) - text.len()));
    std::fs::write(&main, &text).unwrap();
    assert_eq!(load(&main).errors(), 0, "1 MiB is not too large");
    text.push('#');
    std::fs::write(&main, &text).unwrap();
    let loaded = load(&main);
    assert_eq!(codes(&loaded), ["file-too-large"]);
    assert!(
        loaded.problems[0]
            .title
            .ends_with("postrider.yaml is larger than 1 MiB")
    );
    let from_stdin = Request {
        main: None,
        extra: vec![Extra::Text(text)],
        environment: environment(),
    };
    assert_eq!(codes(&from_stdin.load()), ["file-too-large"]);
}

#[test]
fn a_thousand_files_are_enough() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("postrider.yaml");
    std::fs::write(&main, "version: 1\ninclude: ['s/*.yaml']\n").unwrap();
    std::fs::create_dir(directory.path().join("s")).unwrap();
    for number in 0..1001 {
        let scenario =
            format!("version: 1\nname: s{number}\nsteps: [{{ id: a, wait: {{ for: 1s }} }}]\n");
        std::fs::write(directory.path().join(format!("s/{number}.yaml")), scenario).unwrap();
    }
    let loaded = load(&main);
    assert_eq!(codes(&loaded), ["too-many-files"]);
    assert_eq!(loaded.problems[0].at.line, 2);
}

#[test]
fn a_missing_main_file_is_named() {
    let loaded = load(Path::new("tests/fixtures/no-such-file.yaml"));
    assert_eq!(
        loaded.render(Format::Concise, false),
        "error[missing-file]: tests/fixtures/no-such-file.yaml does not exist\n\
         1 error in 0 files · nothing was contacted\n"
    );
}

/// The program that people run is optimised; one that is not takes several times as long.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// Beside other work it takes longer: so the best of a few counts.
#[test]
fn two_hundred_scenarios_are_read_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("postrider.yaml");
    let shipped = std::fs::read_to_string("scenarios/postrider.yaml").unwrap();
    let all = shipped
        .replace("mx-delivery.yaml", "'s/*.yaml'")
        .replace("  - names.yaml\n", "");
    std::fs::write(&main, all).unwrap();
    std::fs::create_dir(directory.path().join("s")).unwrap();
    let scenario = std::fs::read_to_string("scenarios/mx-delivery.yaml").unwrap();
    for number in 0..200 {
        let one = scenario.replace("name: mx-delivery", &format!("name: mx-{number}"));
        std::fs::write(directory.path().join(format!("s/{number}.yaml")), one).unwrap();
    }
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = tokio::time::Instant::now();
        let loaded = load(&main);
        best = best.min(began.elapsed());
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.plan.unwrap().scenarios.len(), 200);
        if best < LIMIT {
            return;
        }
    }
    panic!("{best:?}");
}

#[test]
fn a_hundred_mistakes_in_one_file_end_the_search() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("postrider.yaml");
    let mut text = "version: 1\n".to_owned();
    for number in 0..5_000 {
        let _ = writeln!(text, "key{number}: 1");
    }
    std::fs::write(&main, text).unwrap();
    assert_eq!(load(&main).errors(), 100);
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.problems.iter().map(|problem| problem.code).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, ..Default::default() })]

    /// Whatever is in a file: there is an answer, with its places inside the file.
    #[test]
    fn any_damage_to_a_file_is_a_list_of_mistakes(
        cuts in proptest::collection::vec((0..4_000_usize, 0..60_usize, "[ -~\u{1}\u{202e}é\n\t]{0,12}"), 1..6),
    ) {
        let mut text = std::fs::read_to_string("scenarios/mx-delivery.yaml").unwrap();
        for (start, length, instead) in cuts {
            let start = text.floor_char_boundary(start.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, &instead);
        }
        let lines = u32::try_from(text.lines().count() + 1).unwrap();
        let loaded = Request {
            main: Some("scenarios/examples/postrider.yaml".into()),
            extra: vec![Extra::Text(text)],
            environment: environment(),
        }
        .load();
        for problem in &loaded.problems {
            proptest::prop_assert!(problem.at.line <= lines.max(60), "{problem:?}");
        }
        proptest::prop_assert_eq!(loaded.plan.is_none(), loaded.errors() > 0);
        for form in [Format::Full, Format::Concise, Format::Json, Format::Github] {
            proptest::prop_assert!(loaded.render(form, false).ends_with('\n') || loaded.problems.is_empty());
        }
    }
}
