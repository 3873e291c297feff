//! What ARCHITECTURE.md and CONTRIBUTING.md say, as far as a test can know it: who may use whom, what stands only in one
//! place, sizes and names of files, and that every list has the same members.

mod lists;
mod source;

use std::collections::BTreeSet;

use source::{
    code, code_without_tests, is_test, module_of, read, rust_files, uses, within, words_in,
};

/// Who may use whom inside `src/`, by the longest matching path; a module may always use itself and what is below it.
/// Nobody uses `cli`, which may use everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("baseline", &["result"]),
    ("baseline::rules", &[]),
    ("clock", &[]),
    ("config", &["baseline::rules"]),
    (
        "daemon",
        &[
            "baseline",
            "clock",
            "config",
            "mailbox",
            "metrics",
            "pipeline",
            "run",
            "result",
            "scheduler",
            "store",
            "vantage",
            "web",
        ],
    ),
    ("demo", &["result", "schema"]),
    ("doctor", &["config::plan", "vantage"]),
    ("explain", &["config"]),
    ("histogram", &["result"]),
    ("ledger", &["mailbox::news"]),
    ("mailbox", &["ledger::recognise"]),
    (
        "metrics",
        &[
            "baseline",
            "config::plan",
            "ledger",
            "pipeline",
            "run::event",
            "store",
        ],
    ),
    (
        "pipeline",
        &[
            "baseline",
            "clock",
            "ledger",
            "mailbox::news",
            "result",
            "run::document",
            "run::event",
            "store",
        ],
    ),
    ("report", &["histogram::quantile", "result"]),
    ("result", &[]),
    (
        "run",
        &["config::plan", "mailbox", "pipeline", "result", "vantage"],
    ),
    ("run::document", &["result", "run::event"]),
    ("run::event", &["config::plan"]),
    ("run::select", &["config::plan"]),
    ("scheduler", &["clock", "config::plan", "run::event"]),
    ("schema", &["config::raw", "result"]),
    (
        "store",
        &[
            "baseline",
            "histogram",
            "ledger",
            "mailbox::news",
            "result",
            "run::document",
        ],
    ),
    ("vantage", &[]),
    ("web", &["config", "metrics", "result", "store"]),
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
        &["probes/src/net/", "src/demo/platform/", "src/web/"],
        "connect through `Net`",
    ),
    ("axum", &["src/web/"], "add a line to `web::routes`"),
    ("bcrypt::verify", &["src/web/login.rs"], "ask `Logins`"),
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
    ("prost", &["src/metrics/"], "ask `Metrics`"),
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
            "src/result/",
            "src/report/json.rs",
            "src/report/mails.rs",
            "src/report/trace.rs",
            "src/config/render/",
            "src/store/",
            "src/web/answer.rs",
            "src/web/document.rs",
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
