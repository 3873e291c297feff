//! `postrider validate` as it is called: exit codes, streams, forms.

use std::process::{Command, Output};

fn validate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postrider"))
        .arg("validate")
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn exit_codes_tell_right_from_wrong() {
    let fixture = |name: &str| format!("tests/fixtures/config/{name}/postrider.yaml");
    for (main, more, code) in [
        ("scenarios/postrider.yaml".to_owned(), vec![], 0),
        (fixture("five-mistakes"), vec![], 2),
        (fixture("unused-mailbox"), vec![], 0),
        (fixture("unused-mailbox"), vec!["--deny-warnings"], 2),
        (fixture("no-such-directory"), vec![], 2),
        ("scenarios/postrider.yaml".to_owned(), vec!["--secrets"], 2),
        (
            "scenarios/postrider.yaml".to_owned(),
            vec!["--format", "xml"],
            2,
        ),
    ] {
        let mut arguments = vec!["-c", &main];
        arguments.extend(&more);
        let output = validate(&arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn mistakes_are_the_result_and_go_to_standard_output() {
    let main = "tests/fixtures/config/five-mistakes/postrider.yaml";
    let golden =
        std::fs::read_to_string("tests/fixtures/config/five-mistakes/expected.txt").unwrap();
    let full = validate(&["-c", main]);
    assert_eq!(String::from_utf8(full.stdout).unwrap(), golden);
    assert_eq!(String::from_utf8(full.stderr).unwrap(), "");
    let json = validate(&["-c", main, "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 5);
}

#[test]
fn a_scenario_is_checked_beside_the_main_file() {
    let output = validate(&[
        "-c",
        "scenarios/examples/postrider.yaml",
        "tests/fixtures/config/missing-unit/scenarios/one.yaml",
        "--format",
        "concise",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    // The main file, what it includes, and the scenario.
    let files = std::fs::read_dir("scenarios/examples").unwrap().count() + 1;
    assert!(
        text.ends_with(&format!(
            "3 errors in {files} files · nothing was contacted\n"
        )),
        "{text}"
    );
}
