//! What of a scenario runs: the flags that narrow, repeat and only look.

use std::io;

use postrider::result::RunResult;
use postrider_testkit::live::Options;

use super::lab::Lab;

const STEPS: &str = "
steps_run: together
steps:
  - id: first
    for_each: { mx_of: example.test, preference: lowest }
    deliver: { to_address: \"${item.address}\", stop_after: rcpt }
  - id: second
    for_each: { mx_of: example.test, preference: not-lowest }
    deliver: { to_address: \"${item.address}\", stop_after: rcpt }
  - id: mail
    for_each: { mx_of: example.test }
    deliver: { to_address: \"${item.address}\", expect: { arrives: { within: 5s } } }
  - id: records
    dns: { query: example.test, type: MX }
";

fn addresses(result: &RunResult) -> String {
    let addresses: Vec<String> = result
        .checks
        .iter()
        .map(|check| {
            let target = check.target.as_ref().map(|target| target.address.as_str());
            format!("{} {}", check.step, target.unwrap_or("-"))
        })
        .collect();
    addresses.join(", ")
}

#[test]
fn flags_narrow_what_runs() -> io::Result<()> {
    let lab = Lab::start_with(Options { ipv6: true })?;
    lab.scenario("narrow", STEPS)?;
    let no_mail = ["--step", "first", "--step", "second", "--step", "records"];
    let cases: &[(&[&str], &str)] = &[
        (
            &[],
            "first 127.0.21.1, first 127.0.22.1, first ::1, second 127.0.21.2, second 127.0.22.2, records -",
        ),
        (
            &["--mx", "mx2.example.test"],
            "second 127.0.21.2, second 127.0.22.2",
        ),
        (
            &["--mx", "MX2.example.test."],
            "second 127.0.21.2, second 127.0.22.2",
        ),
        (&["--address", "127.0.22.1"], "first 127.0.22.1"),
        (&["-6"], "first ::1"),
        (
            &["-4", "--mx", "mx1.example.test"],
            "first 127.0.21.1, first 127.0.22.1",
        ),
        (
            &["--address", "127.0.22.1", "--address", "127.0.21.2"],
            "first 127.0.22.1, second 127.0.21.2",
        ),
    ];
    for (flags, expected) in cases {
        let result = lab.run(&[&no_mail, *flags].concat())?;
        assert_eq!(addresses(&result), *expected, "{flags:?}");
        assert_eq!(result.counts.pass as usize, result.checks.len());
    }
    let nothing = lab.postrider(&["run", "--mx", "mx2.example.test", "-6"])?;
    assert_eq!(nothing.code(), Some(4), "{nothing:?}");
    let unknown = lab.postrider(&["run", "narow"])?;
    assert_eq!(unknown.code(), Some(2));
    assert!(
        unknown.stderr.contains("did you mean `narrow`?"),
        "{unknown:?}"
    );
    assert!(lab.entries().is_empty());
    Ok(())
}

#[test]
fn dry_run_contacts_nobody_but_the_resolver() -> io::Result<()> {
    let lab = Lab::start_with(Options { ipv6: true })?;
    lab.scenario("narrow", STEPS)?;
    let logs = || {
        use postrider_testkit::live::Node;
        Node::ALL
            .iter()
            // The goodbye of the harness's own look may be logged later; a visit begins with these words.
            .map(|node| {
                lab.platform
                    .smtp_log(*node)
                    .matches(": connect from")
                    .count()
            })
            .collect::<Vec<_>>()
    };
    let logins = || lab.platform.imap_log().matches("Login:").count();
    let before = (logs(), logins());
    let ended = lab.postrider(&["run", "--dry-run"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for words in [
        "narrow/first: connect to mx1.example.test [127.0.21.1]",
        "narrow/second: connect to mx2.example.test [127.0.22.2]",
        "narrow/mail: connect to mx1.example.test [::1]",
        "11 checks, 5 messages · nothing was sent, only the resolver was asked",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    assert_eq!((logs(), logins()), before);
    assert!(!lab.file("state").exists(), "nothing is remembered");
    Ok(())
}

#[test]
fn repeated_runs_are_separate_and_equal() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario("narrow", STEPS)?;
    let flags = ["run", "--format", "json", "--repeat", "2", "--step", "mail"];
    let ended = lab.postrider(&flags)?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let runs: Vec<RunResult> = serde_json::Deserializer::from_str(&ended.stdout)
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert_eq!(runs.len(), 2);
    assert_ne!(runs[0].run.id, runs[1].run.id);
    for run in &runs {
        assert_eq!(run.counts.pass, 4);
        let shown = lab.postrider(&["show", &run.run.id, "--format", "json"])?;
        let stored: RunResult = serde_json::from_str(&shown.stdout)?;
        assert_eq!(addresses(&stored), addresses(run));
    }
    assert_eq!(lab.states(), ["delivered"; 8]);
    assert_eq!(lab.mailbox(postrider_testkit::live::ALICE)?, []);
    Ok(())
}
