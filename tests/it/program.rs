//! What holds of the program as a whole: exit codes, verdicts, and that the same line stands everywhere.

use std::net::IpAddr;
use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Delivery, Misbehaviour, NameFault, Point};
use postrider::demo::platform::topology::FILTER1_PRIMARY;
use postrider::result::{RunResult, StatusWord};
use postrider_probes::post::EntryState;

use crate::support::{Lab, judge, line, says};

const GOOD: IpAddr = FILTER1_PRIMARY;
const ARRIVES: &str = "expect: { arrives: { within: 10s } }";

/// The second address, which the tests make misbehave.
fn bad() -> IpAddr {
    Lab::addresses()[1]
}

#[tokio::test]
async fn exit_codes_are_what_the_manual_says() {
    let lab = Lab::start().await;
    lab.platform
        .set_misbehaviour(bad(), Misbehaviour::refuse())
        .await
        .unwrap();
    let good = Lab::deliver("good", GOOD, "stop_after: rcpt");
    let slow = Lab::deliver(
        "slow",
        GOOD,
        "stop_after: rcpt, prefer: { enhanced_status: 2.9.9 }",
    );
    let fail = Lab::deliver("fail", bad(), "stop_after: rcpt");
    let error = Lab::deliver("error", GOOD, "stop_after: rcpt, source_address: 192.0.2.1");
    let nothing: &[&str] = &[];
    for (steps, flags, code) in [
        (good.clone(), nothing, 0),
        (slow.clone(), nothing, 0),
        (slow.clone(), &["--fail-on", "degraded"], 1),
        (fail.clone(), nothing, 1),
        ([&*good, &fail, &error].concat(), nothing, 1),
        ([&*good, &error].concat(), nothing, 3),
        ([&*slow, &error].concat(), &["--fail-on", "degraded"], 3),
        // Nothing that was asked for is there: never a success.
        (good.clone(), &["--tag", "smoke"], 4),
        (good.clone(), &["--exclude-tag", "lab", "--step", "bad"], 4),
        (good.clone(), &["--mx", "mx9.example.test"], 4),
        (good.clone(), &["--address", "192.0.2.1"], 4),
        (good.clone(), &["-6"], 4),
        (good.clone(), &["--colour"], 2),
        (good.replace("to_address", "to_adress"), nothing, 2),
    ] {
        let ran = lab.run(&steps).args(flags).end().await;
        let at = format!("{flags:?} {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{at}");
        if code == 2 {
            assert_eq!(ran.stdout, "", "{at}");
        }
        if code == 4 {
            assert!(ran.stderr.contains("nothing to run"), "{at}");
        }
    }
    let unknown = lab.program(&good).args(["run", "labb"]).end().await;
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("did you mean `lab`?"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn steps_that_need_a_failed_one_are_skipped_and_say_so() {
    let lab = Lab::start().await;
    lab.platform
        .set_misbehaviour(bad(), Misbehaviour::refuse())
        .await
        .unwrap();
    let always = Lab::deliver("always", GOOD, "stop_after: rcpt")
        .replace("    deliver:", "    always: true\n    deliver:");
    let steps = [
        Lab::deliver("first", GOOD, "stop_after: rcpt"),
        Lab::deliver("broken", bad(), ARRIVES),
        Lab::deliver("next", GOOD, ARRIVES),
        always,
    ]
    .concat();
    let ran = lab
        .in_order(&steps)
        .args(["run", "lab", "--format", "json"])
        .end()
        .await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.check("first").status, StatusWord::Pass);
    assert_eq!(ran.check("always").status, StatusWord::Pass);
    let next = ran.check("next");
    assert_eq!(next.status, StatusWord::Skip);
    assert_eq!(line(&next), "needs-step: needs broken, which did not pass");
    // Nothing was sent, so of the arrival nothing can be said.
    let broken = ran.check("broken");
    let findings: Vec<(StatusWord, &str)> = broken
        .findings
        .iter()
        .map(|finding| (finding.status, finding.reason.as_str()))
        .collect();
    assert_eq!(
        findings,
        [
            (StatusWord::Fail, "connect-refused"),
            (StatusWord::Skip, "not-sent")
        ]
    );
    assert_eq!(broken.notes, ["not sent"]);
    assert!(!broken.phases_seconds.contains_key("transit"));
    assert_eq!(lab.platform.data_commands(), 0);
}

#[tokio::test]
async fn people_and_machines_are_told_the_same_line() {
    let lab = Lab::start().await;
    let reply = "550-5.7.1 \x1b[31mNo\x07 \u{202e}spam\r\n550 5.7.1 Ask <postmaster@example.test>";
    lab.platform
        .set_misbehaviour(bad(), Misbehaviour::reply(Point::Rcpt, reply))
        .await
        .unwrap();
    let steps = [
        Lab::deliver("good", GOOD, ARRIVES),
        Lab::deliver("bad", bad(), ARRIVES),
    ]
    .concat();
    let people = lab.program(&steps).args(["run", "lab"]).end().await;
    assert_eq!(people.code, 1, "{}", people.stdout);
    let machines = lab
        .again()
        .args(["show", "last", "--format", "json"])
        .end()
        .await;
    judge_stored(&machines.result());
    let said = line(&machines.check("bad"));
    assert!(
        people.stdout.lines().any(|line| line.trim() == said),
        "{said}\n{}",
        people.stdout
    );
    assert!(
        says(
            &said,
            "smtp-5xx: 550 5.7.1 …No… …spam 5.7.1 Ask <postmaster@example.test> (after RCPT TO)"
        ),
        "{said}"
    );
    for text in [&people.stdout, &people.stderr, &machines.stdout] {
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(harmful), "{text:?}");
    }
    let waterfall = lab
        .again()
        .args(["show", "last/2", "--transcript"])
        .end()
        .await;
    assert!(waterfall.stdout.contains(&said), "{}", waterfall.stdout);
    assert!(
        waterfall.stdout.contains("~> RCPT TO:<alice@example.test>"),
        "{}",
        waterfall.stdout
    );
    let lines = lab
        .again()
        .args(["run", "lab", "--format", "jsonl"])
        .end()
        .await;
    let events: Vec<serde_json::Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 3, "two checks and the run");
    assert!(
        lines
            .stdout
            .contains(&serde_json::to_string(&said["smtp-5xx: ".len()..]).unwrap())
    );
}

fn judge_stored(result: &RunResult) {
    assert_eq!(
        (result.counts.pass, result.counts.fail),
        (1, 1),
        "{result:#?}"
    );
}

#[tokio::test]
async fn looking_before_leaping_sends_nothing_and_changes_nothing() {
    let lab = Lab::start().await;
    lab.platform
        .put_foreign(b"Subject: not ours\r\n\r\nhello\r\n");
    let steps = Lab::deliver("mail", GOOD, ARRIVES);
    lab.program(&steps);
    for arguments in [
        &["run", "lab", "--dry-run"][..],
        &["run", "lab", "--list"],
        &["validate", "--online"],
    ] {
        let ran = lab.again().args(arguments).end().await;
        assert_eq!(ran.code, 0, "{arguments:?} {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(lab.platform.data_commands(), 0);
    assert_eq!(lab.platform.imap_changes(), []);
    let written = [
        "STORE",
        "UID STORE",
        "EXPUNGE",
        "UID EXPUNGE",
        "APPEND",
        "SELECT",
        "CLOSE",
    ];
    let commands = lab.platform.imap_counters().commands;
    for command in written {
        assert!(!commands.contains_key(command), "{commands:?}");
    }
    assert!(commands.contains_key("LOGIN") || commands.contains_key("AUTHENTICATE"));
}

#[tokio::test]
async fn a_dry_run_that_could_not_look_targets_up_is_not_tested() {
    let mut setup = Lab::setup();
    for name in ["silent.example.test", "mute.example.test"] {
        setup.faults.names.insert(name.into(), NameFault::Silence);
    }
    let none = setup
        .faults
        .names
        .insert("none.example.test".into(), NameFault::NxDomain);
    assert_eq!(none, None);
    let lab = Lab::from_setup(setup).await;
    let each = |id: &str, domain: &str| {
        format!(
            "  - id: {id}
    for_each: {{ mx_of: {domain} }}
    timeout: 500ms
    deliver: {{ to_address: \"${{item.address}}\", stop_after: rcpt }}
"
        )
    };
    let good = Lab::deliver("good", GOOD, ARRIVES);
    let silent = each("silent", "silent.example.test") + &each("mute", "mute.example.test");
    let end = "nothing was sent, only the resolver was asked\n";
    for (steps, code, counts, reasons) in [
        (good.clone(), 0, "1 check, 1 message", vec![]),
        (
            silent.clone(),
            3,
            "0 checks, 0 messages, 2 steps without targets",
            vec!["silent", "mute"],
        ),
        (
            silent + &good,
            3,
            "1 check, 1 message, 2 steps without targets",
            vec!["silent", "mute"],
        ),
        (
            each("none", "none.example.test"),
            3,
            "0 checks, 0 messages, 1 step without targets",
            vec!["none"],
        ),
    ] {
        let ran = lab
            .program(&steps)
            .args(["run", "lab", "--dry-run"])
            .end()
            .await;
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.ends_with(&format!("{counts} · {end}")),
            "{}",
            ran.stdout
        );
        for step in reasons {
            let wanted = format!("  lab/{step}: dns-…{step}.example.test…");
            assert!(
                ran.stdout.lines().any(|line| says(line, &wanted)),
                "{wanted}\n{}",
                ran.stdout
            );
        }
    }
    let nothing = lab
        .program(&good)
        .args(["run", "lab", "--dry-run", "-6"])
        .end()
        .await;
    assert_eq!(nothing.code, 4);
    assert!(
        nothing.stderr.contains("nothing to run"),
        "{}",
        nothing.stderr
    );
}

#[tokio::test]
async fn a_mail_that_turns_up_later_puts_right_what_was_said_of_it() {
    let lab = Lab::start().await;
    let lost = Misbehaviour::delivery(Delivery::Lost);
    lab.platform.set_misbehaviour(GOOD, lost).await.unwrap();
    let impatient = Lab::deliver("mail", GOOD, "expect: { arrives: { within: 500ms } }");
    let first = lab.run(&impatient).end().await;
    assert_eq!(first.code, 1);
    let said = line(&first.check("mail"));
    assert!(said.starts_with("not-delivered: "), "{said}");
    let said_by = first.result().run.id;
    let id = first.check("mail").evidence.unwrap().entries.remove(0);
    lab.platform
        .set_misbehaviour(GOOD, Misbehaviour::default())
        .await
        .unwrap();
    lab.platform.put_foreign(&lab.platform.accepted()[0].raw);
    let second = lab.run(&Lab::deliver("mail", GOOD, ARRIVES)).end().await;
    assert_eq!(second.code, 0);
    let corrections: Vec<&str> = second.stderr.lines().collect();
    let wanted = format!(
        "corrected: lab/mail to mx.one.example.test [{GOOD}]:{}, mailbox alice: run {said_by} said not-delivered; \
         it arrived after … s (mail {id})",
        lab.platform.smtp_port()
    );
    assert!(
        corrections.len() == 1 && says(corrections[0], &wanted),
        "{wanted}\n{}",
        second.stderr
    );
}

#[tokio::test]
async fn a_check_that_takes_too_long_for_other_reasons_is_not_tested_and_says_where_it_was() {
    let lab = Lab::start().await;
    let lost = Misbehaviour::delivery(Delivery::Lost);
    lab.platform.set_misbehaviour(bad(), lost).await.unwrap();
    let limited = |step: String| step.replace("    deliver:", "    timeout: 2s\n    deliver:");
    let steps = [
        Lab::deliver("good", GOOD, ARRIVES),
        limited(Lab::deliver("waits", bad(), ARRIVES)),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 3);
    assert_eq!(ran.check("good").status, StatusWord::Pass);
    let check = ran.check("waits");
    assert_eq!(check.status, StatusWord::Error);
    let wanted = "overrun: not finished within the step's time limit of 2 s (during transit)";
    assert_eq!(line(&check), wanted);
    assert!(check.phases_seconds["transit"] > 0.2, "{check:#?}");
    assert!(check.duration_seconds < 3.0, "{check:#?}");
    let id = &check.evidence.unwrap().entries[0];
    assert_eq!(lab.entry(id).await.state(), EntryState::Accepted);
}

#[tokio::test]
async fn a_server_that_dies_by_inches_is_named_when_the_time_is_over() {
    let lab = Lab::start().await;
    let dies_by_inches = Misbehaviour {
        trickle: Some(Duration::from_millis(30)),
        ..Misbehaviour::default()
    };
    lab.platform
        .set_misbehaviour(bad(), dies_by_inches)
        .await
        .unwrap();
    let step = Lab::deliver("inches", bad(), "tls: required")
        .replace("    deliver:", "    timeout: 2s\n    deliver:");
    let ran = lab.run(&step).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 1);
    let check = ran.check("inches");
    let wanted = "smtp-timeout: no reply to EHLO within 2 s (the step's time limit)";
    assert_eq!(line(&check), wanted);
    assert!(check.duration_seconds < 3.0, "{check:#?}");
    let id = &check.evidence.unwrap().entries[0];
    assert_eq!(lab.entry(id).await.state(), EntryState::NotSent);
}

#[tokio::test]
async fn a_signing_key_that_is_not_there_is_our_own_fault() {
    let lab = Lab::start().await;
    let program = lab.run(&Lab::deliver("mail", GOOD, ARRIVES));
    let main = lab.directory().join("postrider.yaml");
    let text = std::fs::read_to_string(&main).unwrap();
    let signed = "helo: probe.outside.test, dkim: { selector: lab, key_file: no-such-key.pem } }";
    std::fs::write(&main, text.replace("helo: probe.outside.test }", signed)).unwrap();
    let ran = program.end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 3);
    let said = line(&ran.check("mail"));
    assert!(says(&said, "secret-missing: …no-such-key.pem…"), "{said}");
    assert_eq!(lab.platform.smtp_counters(GOOD).connections, 0);
}
