//! The built program as a shell sees it: streams, exit codes, help.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Runs the program with an empty environment and a home of its own.
fn postrider(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn help_goes_to_standard_output_and_names_the_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    for flag in ["-h", "--help"] {
        let output = postrider(home.path(), &[flag]);
        let help = text(&output.stdout);
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
        assert!(
            help.starts_with("End-to-end checks for a mail platform"),
            "{help}"
        );
        for part in [
            "Examples:",
            "postrider demo",
            "4 nothing to run",
            "130 SIGINT",
            "143 SIGTERM",
        ] {
            // Long lines are wrapped.
            let words: Vec<&str> = help.split_whitespace().collect();
            assert!(words.join(" ").contains(part), "{part}: {help}");
        }
    }
}

#[test]
fn every_command_and_every_flag_says_what_it_is_for_and_none_takes_a_secret() {
    let mut commands = vec![postrider::cli::command()];
    while let Some(command) = commands.pop() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments() {
            let name = argument.get_id().to_string();
            assert!(
                argument.get_help().is_some() || argument.get_long_help().is_some(),
                "{name}"
            );
            assert!(
                argument.is_positional() || argument.get_long().is_some(),
                "{name}"
            );
            let long = argument.get_long().unwrap_or_default();
            assert!(
                !["password", "token", "secret"].contains(&long),
                "{long} would take a secret"
            );
        }
        commands.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn wrong_usage_is_2_and_the_nearest_word_is_offered() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["demoo"][..], "demo"),
        (&["run", "--formt", "json"], "--format"),
        (&["run"], "no configuration"),
        // The demo is one run, judged by what was planted.
        (&["demo", "--repeat", "2"], "--repeat"),
        (&["demo", "--fail-on", "degraded"], "--fail-on"),
        (&["explain", "connect-refusd"], "connect-refused"),
        (&["show", "nothing"], "no run is stored yet"),
        (
            &["serve", "--storage.retention.time", "59m"],
            "at least 1h is kept",
        ),
    ] {
        let output = postrider(home.path(), arguments);
        assert_eq!(
            (code(&output), text(&output.stdout)),
            (2, String::new()),
            "{arguments:?}"
        );
        assert!(
            text(&output.stderr).contains(part),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn help_says_that_repeated_runs_follow_each_other_at_once() {
    let home = tempfile::tempdir().unwrap();
    let help = text(&postrider(home.path(), &["run", "--help"]).stdout);
    let words: Vec<&str> = help.split_whitespace().collect();
    let said = words.join(" ");
    assert!(
        said.contains("each right after the one before it; every one sends its own mail"),
        "{said}"
    );
}

#[test]
fn completions_and_man_pages_are_made_from_the_command_tree() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = postrider(home.path(), &["completions", shell]);
        assert!(
            code(&output) == 0 && text(&output.stdout).contains("storage.path"),
            "{shell}"
        );
    }
    let output = postrider(home.path(), &["man"]);
    assert!(
        text(&output.stdout).starts_with(".ie"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(
        code(&postrider(home.path(), &["man", "--directory", "pages"])),
        0
    );
    assert!(home.path().join("pages/postrider-run.1").is_file());
}

#[test]
fn what_send_prints_as_yaml_is_a_scenario_that_loads() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "send",
        "--emit-yaml",
        "--to",
        "alice@example.net",
        "--from",
        "me@outside.test",
        "--subject",
        "costs $5 \"now\"",
        "--size",
        "8KiB",
        "--tls",
        "required",
    ];
    let output = postrider(home.path(), &arguments);
    let scenario = text(&output.stdout);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(
        scenario.starts_with("# yaml-language-server:"),
        "{scenario}"
    );
    let commented = scenario
        .lines()
        .filter_map(|line| line.strip_prefix("#   "));
    let main: String = ["version: 1", "vantage: here"]
        .into_iter()
        .chain(commented)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(home.path().join("postrider.yaml"), main).unwrap();
    std::fs::write(home.path().join("send.yaml"), scenario).unwrap();
    let output = postrider(home.path(), &["list", "scenarios", "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let output = postrider(home.path(), &["run", "--list", "send.yaml"]);
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    assert!(
        text(&output.stdout).contains("send"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn what_send_is_told_is_never_yaml_and_never_a_variable() {
    let home = tempfile::tempdir().unwrap();
    let awkward = "a # b: ${run.id}, 'c' \"d\" \\ {e: [f]}\nsteps: []\u{85}$";
    for (option, key, is_template) in [
        ("--subject", "subject", true),
        ("--server-name", "server_name", true),
        ("--helo", "helo", false),
        ("--tls", "tls", false),
        ("--quit-after", "stop_after", false),
    ] {
        let arguments = [
            "--to",
            "alice@example.net",
            "--from",
            "me@outside.test",
            option,
            awkward,
        ];
        let output = postrider(
            home.path(),
            &[&["send", "--emit-yaml"], &arguments[..]].concat(),
        );
        let scenario = postrider::config::as_json(&text(&output.stdout)).expect("it is YAML");
        let written = match is_template {
            true => awkward.replace('$', "$$"),
            false => awkward.to_owned(),
        };
        assert_eq!(scenario["steps"][0]["deliver"][key], written, "{option}");
        assert_eq!(scenario["steps"].as_array().unwrap().len(), 1);
    }
    let arguments = ["send", "--emit-yaml", "--from", "me@outside.test", "--to"];
    let domain = format!("alice@{awkward}");
    let output = postrider(home.path(), &[&arguments[..], &[domain.as_str()]].concat());
    let scenario = postrider::config::as_json(&text(&output.stdout)).expect("it is YAML");
    let route = &scenario["steps"][0]["deliver"]["route"]["mx_of"];
    assert_eq!(*route, awkward.replace('$', "$$"));
    // In front of it stands the main file's part, as a comment.
    assert!(
        text(&output.stdout)
            .lines()
            .take_while(|line| !line.starts_with("version"))
            .all(|line| line.starts_with('#'))
    );
    // And what is no address is refused, not sent to.
    let output = postrider(
        home.path(),
        &["send", "--from", "me@outside.test", "--to", &domain],
    );
    assert_eq!((code(&output), text(&output.stdout)), (2, String::new()));
}

#[test]
fn demo_finds_the_planted_faults_in_ten_seconds_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = postrider(home.path(), &["demo"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), 0, "{out}\n{err}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert!(out.ends_with("3 of 3 planted faults found\n"), "{out}");
    for fault in [
        "connect-refused: 127.0.22.2",
        "between filter2.cluster.test and store1.cluster.test",
        "is for mx-old.example.test",
    ] {
        assert!(out.contains(fault), "{fault}: {out}");
    }
    assert!(
        !out.contains('\u{1b}') && !err.contains('\u{1b}'),
        "no control codes without a terminal"
    );
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn demo_as_json_is_the_ordinary_result_by_its_schema() {
    let home = tempfile::tempdir().unwrap();
    let output = postrider(home.path(), &["demo", "--format", "json"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(result["run"]["status"], "fail");
    assert!(text(&output.stderr).contains("3 of 3 planted faults found"));
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string("scenarios/result.v1.json").unwrap())
            .unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mistakes: Vec<String> = validator
        .iter_errors(&result)
        .map(|mistake| mistake.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
    // The same reason lines stand in the text form.
    let human = text(&postrider(home.path(), &["demo", "--ascii"]).stdout);
    assert!(human.is_ascii(), "{human}");
    for check in result["checks"].as_array().unwrap() {
        if let Some(reason) = check["reason"]
            .as_str()
            .filter(|reason| *reason != "slow" && *reason != "connect-refused")
        {
            let line = format!("{reason}: {}", check["message"].as_str().unwrap());
            assert!(human.contains(&line), "{line}: {human}");
        }
    }
}

#[test]
fn a_clean_demo_passes_and_its_kept_configuration_is_valid() {
    let home = tempfile::tempdir().unwrap();
    let output = postrider(
        home.path(),
        &["demo", "--clean", "--keep", "lab", "--format", "jsonl"],
    );
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(lines.last().unwrap()["data"]["run"]["status"], "pass");
    let output = postrider(
        home.path(),
        &[
            "validate",
            "-c",
            "lab/postrider.yaml",
            "--secrets",
            "--deny-warnings",
        ],
    );
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
}

/// The commands that a text tells to use, in backquotes or behind a dot.
fn hints(text: &str) -> Vec<String> {
    let mut hints = Vec::new();
    for line in text.lines() {
        let hint = line
            .split_once("· postrider ")
            .or_else(|| line.split_once("→ postrider "));
        hints.extend(hint.map(|(_, rest)| format!("postrider {rest}")));
        let quoted = line.split('`').skip(1).step_by(2);
        hints.extend(
            quoted
                .filter(|words| words.starts_with("postrider "))
                .map(str::to_owned),
        );
    }
    hints
}

#[test]
fn commands_that_the_demo_offers_work_and_without_a_store_it_offers_none() {
    let home = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_postrider")).parent().unwrap();
    for (arguments, offered) in [
        (&["demo"][..], 0),
        (&["demo", "--keep", "my lab"], 2),
        // Again in the same place: what is left of the first one does not get in the way.
        (&["demo", "--keep", "my lab"], 2),
        (&["demo", "--storage.path", "it's here"], 1),
    ] {
        let output = postrider(home.path(), arguments);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(code(&output), 0, "{arguments:?}: {all}");
        let hints = hints(&all);
        assert_eq!(hints.len(), offered, "{arguments:?}: {all}");
        for hint in hints {
            let ran = Command::new("sh")
                .args(["-c", &hint])
                .env_clear()
                .env("HOME", home.path())
                .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
                .current_dir(home.path())
                .output()
                .unwrap();
            let told = text(&ran.stdout) + &text(&ran.stderr);
            assert_eq!(code(&ran), 0, "{hint}: {told}");
            let is_row = |line: &&str| line.starts_with("  ✓ ") || line.starts_with("  ✗ ");
            for row in told.lines().filter(is_row) {
                assert!(row.chars().count() <= 80, "{row}");
            }
            // What is shown offers commands, too: they name the same store.
            for next in hints_of_show(&told) {
                assert!(next.contains("--storage.path '"), "{hint}: {next}");
            }
        }
    }
}

fn hints_of_show(text: &str) -> Vec<String> {
    let mut hints = hints(text);
    hints.retain(|hint| hint.starts_with("postrider show"));
    hints
}

#[test]
fn text_fits_the_terminal_that_it_is_shown_on() {
    let home = tempfile::tempdir().unwrap();
    let widest = |columns: u32| {
        let command = format!(
            "stty cols {columns}; {} explain tls-certificate",
            env!("CARGO_BIN_EXE_postrider")
        );
        let shown = home.path().join("typescript");
        let ended = Command::new("script")
            .args(["--quiet", "--return", "--command", &command])
            .arg(&shown)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ended:?}");
        let page = std::fs::read_to_string(shown).unwrap();
        let lines = page.lines().filter(|line| !line.starts_with("Script "));
        lines
            .map(|line| line.trim_end().chars().count())
            .max()
            .unwrap()
    };
    assert!((50..=60).contains(&widest(60)), "{}", widest(60));
    assert!((70..=80).contains(&widest(80)), "{}", widest(80));
}
