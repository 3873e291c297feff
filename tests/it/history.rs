//! `report` and `history`, as a shell sees them, on a store that was filled before.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use postrider::result::{
    CheckResult, FindingResult, RunHead, SourceResult, StatusWord, TargetResult,
};
use postrider::store::{Batch, Store};
use serde_json::Value;

fn postrider(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["--storage.path", "state"])
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn head(id: &str, origin: &str, at: Timestamp, status: StatusWord) -> RunHead {
    RunHead {
        id: id.to_owned(),
        origin: origin.to_owned(),
        vantage: "lab".to_owned(),
        started_at: at.to_string(),
        duration_seconds: 1.5,
        status,
        version: "0.1.0".to_owned(),
        config_sha256: "00".to_owned(),
        scenarios: Vec::new(),
        running: false,
        cancelled: None,
    }
}

fn check(number: u32, at: Timestamp, status: StatusWord) -> CheckResult {
    let finding = FindingResult {
        status,
        reason: "connect-refused".to_owned(),
        message: "=HYPERLINK(\"http://evil.example/\")".to_owned(),
    };
    let failed = status == StatusWord::Fail;
    CheckResult {
        number,
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
        title: None,
        kind: "deliver".to_owned(),
        target: Some(TargetResult {
            mx: "mx1.example.net".to_owned(),
            preference: 10,
            address: "192.0.2.1".to_owned(),
            port: Some(25),
            family: "ipv4".to_owned(),
            node: None,
            role: "primary".to_owned(),
        }),
        status,
        reason: failed.then(|| finding.reason.clone()),
        message: failed.then(|| finding.message.clone()),
        findings: if failed { vec![finding] } else { Vec::new() },
        notes: Vec::new(),
        attempts: 1,
        started_at: at.to_string(),
        duration_seconds: 0.25,
        queued_seconds: None,
        phases_seconds: [("connect".to_owned(), 0.021)].into(),
        source: SourceResult {
            file: "flow.yaml".to_owned(),
            line: 4,
        },
        evidence: None,
    }
}

/// Twenty checks of the schedule, the last of which failed, and one that somebody started.
async fn fill(home: &Path) {
    let store = Store::open(&home.join("state")).await.unwrap();
    let at = postrider::clock::now().checked_sub(30.minutes()).unwrap();
    let mut checks: Vec<_> = (1..20)
        .map(|number| ("01RUN".to_owned(), check(number, at, StatusWord::Pass)))
        .collect();
    let later = at.checked_add(1.minute()).unwrap();
    checks.push(("01RUN".to_owned(), check(20, later, StatusWord::Fail)));
    checks.push(("02CLI".to_owned(), check(1, at, StatusWord::Pass)));
    let batch = Batch {
        runs: vec![
            head("01RUN", "schedule", at, StatusWord::Fail),
            head("02CLI", "cli me@here", at, StatusWord::Pass),
        ],
        checks,
        ..Batch::default()
    };
    store.commit(Arc::new(batch)).await.unwrap();
    store.close().await;
}

fn against(schema: &str, document: &str) -> Value {
    let document: Value = serde_json::from_str(document).unwrap();
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mistakes: Vec<String> = validator
        .iter_errors(&document)
        .map(|mistake| mistake.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
    document
}

#[tokio::test]
async fn report_of_a_period_counts_and_times_the_scheduled_checks() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path()).await;
    let (code, out, err) = said(&postrider(home.path(), &["report", "--since", "2h"]));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].ends_with(" UTC · scheduled runs"), "{out}");
    assert_eq!(
        lines[1..],
        [
            "",
            "flow/primary  mx1.example.net [192.0.2.1]:25",
            "  success 95 % of 20 · 19 passed · 0 degraded · 1 failed · 0 not tested · 0 skipped",
            "  phase          samples       p50       p95       p99     p99.9       max  unfinished",
            "  connect             19   21.2 ms         –         –         –   21.2 ms           1",
        ],
        "{out}"
    );
    let json = ["report", "--since", "2h", "--manual", "--format", "json"];
    let (code, out, _) = said(&postrider(home.path(), &json));
    let document = against("scenarios/period.v1.json", &out);
    assert_eq!((code, &document["runs"]), (0, &Value::from("manual")));
    assert_eq!(document["checks"][0]["counts"]["pass"], 1);
    assert_eq!(
        document["checks"][0]["phases"][0]["quantiles_seconds"],
        serde_json::json!({})
    );

    let (code, out, _) = said(&postrider(
        home.path(),
        &["report", "--scenario", "none", "--ascii"],
    ));
    assert_eq!(code, 0);
    assert!(out.contains("nothing is known of this period; runs that people started are left out"));
    assert!(out.is_ascii(), "{out}");
}

#[tokio::test]
async fn report_of_a_run_is_the_run_once_more() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path()).await;
    let (code, out, _) = said(&postrider(
        home.path(),
        &["report", "02", "--format", "json"],
    ));
    let document = against("scenarios/result.v1.json", &out);
    assert_eq!((code, &document["run"]["id"]), (0, &Value::from("02CLI")));
    for form in ["human", "text"] {
        let (code, out, _) = said(&postrider(home.path(), &["report", "01", "--format", form]));
        assert_eq!(code, 0);
        assert!(out.contains("1 failed · 0 degraded · 19 passed"), "{out}");
    }
}

#[tokio::test]
async fn history_lists_filters_and_defuses() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path()).await;
    let (code, out, err) = said(&postrider(home.path(), &["history", "--limit", "3"]));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(
        lines[0].starts_with("✗ ") && lines[0].contains("01RUN/20  flow/primary"),
        "{out}"
    );
    assert_eq!(
        lines[1],
        "    connect-refused: =HYPERLINK(\"http://evil.example/\")"
    );

    let (_, out, _) = said(&postrider(
        home.path(),
        &["history", "--status", "fail", "--format", "csv"],
    ));
    let lines: Vec<&str> = out.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "run,number,started_at,origin,scenario,step,target,status,reason,message,duration_seconds"
    );
    assert!(
        lines[1]
            .ends_with(",fail,connect-refused,\"'=HYPERLINK(\"\"http://evil.example/\"\")\",0.25"),
        "{out}"
    );
    assert_eq!(lines[2..], [""]);

    let json = [
        "history",
        "--since",
        "1h",
        "--scenario",
        "flow",
        "--step",
        "primary",
        "--format",
        "json",
    ];
    let (_, out, _) = said(&postrider(home.path(), &json));
    let document = against("scenarios/history.v1.json", &out);
    assert_eq!(document["checks"].as_array().unwrap().len(), 21);
    assert_eq!(document["checks"][0]["number"], 20);

    let (code, out, err) = said(&postrider(home.path(), &["history", "--step", "none"]));
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "", "no stored check matches\n")
    );
}

#[tokio::test]
async fn wrong_questions_are_2_and_a_store_that_cannot_be_read_is_3() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["report"][..], "no run is stored yet"),
        (&["history"], "no run is stored yet"),
        (&["report", "--since", "yesterday"], "write how long ago"),
        (
            &["report", "--since", "1h", "--until", "2h"],
            "ends before it begins",
        ),
        (&["report", "01RUN", "--since", "1h"], "cannot be used with"),
        (&["history", "--limit", "0"], "0 is not in 1..=100000"),
        (&["history", "--status", "ok"], "possible values"),
    ] {
        let (code, out, err) = said(&postrider(home.path(), arguments));
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    std::fs::create_dir(home.path().join("state")).unwrap();
    std::fs::write(
        home.path().join("state/postrider.db"),
        "no database at all".repeat(99),
    )
    .unwrap();
    for command in ["report", "history"] {
        let (code, out, err) = said(&postrider(home.path(), &[command]));
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(
            err.contains("is damaged: file is not a database; it was left as it is"),
            "{err}"
        );
    }
}

/// A real file system without room, in a mount namespace of our own.
#[test]
fn full_disk_stops_the_sending_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    std::fs::write(
        home.path().join("postrider.yaml"),
        "version: 1\nvantage: lab\ninclude: [w.yaml]\n",
    )
    .unwrap();
    std::fs::write(
        home.path().join("w.yaml"),
        "version: 1\nname: w\nsteps:\n  - id: pause\n    wait: { for: 1ms }\n",
    )
    .unwrap();
    let own: &[&str] = match rustix::process::getuid().is_root() {
        true => &["--mount"],
        false => &["--user", "--map-root-user", "--mount"],
    };
    let on_a_disk_of = |kib: u32| {
        let script = format!(
            "mount -t tmpfs -o size={kib}k tmpfs state && exec \"$0\" --storage.path state run"
        );
        let output = Command::new("unshare")
            .args(own)
            .args(["sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_postrider"))
            .env("HOME", home.path())
            .current_dir(home.path())
            .output()
            .unwrap();
        said(&output)
    };
    // The smallest disk on which a store can begin has no room for what comes then.
    let begun = (100..400).step_by(8).map(on_a_disk_of);
    let (code, out, err) = begun
        .into_iter()
        .find(|(_, out, _)| out.contains("\n0 failed · "))
        .unwrap();
    // Not tested, and blamed on nobody else.
    assert_eq!(code, 3, "{out}{err}");
    let line = "store-failed: the store state/postrider.db is full: database or disk is full; make room on its disk, or lower --storage.retention.size: nothing is sent until it can be written";
    assert!(out.contains(line) || err.contains(line), "{out}{err}");
}
