//! What comes after the first reply: bounces, further attempts, and what the ledger tells of both.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Delivery, Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider_probes::post::EntryState;
use serde_json::Value;

use crate::support::{Lab, line, until};

const RETRY: &str = "retry: as-mta, retry_after: [1s, 2s, 2s], ";
const ARRIVES: &str = "expect: { arrives: { within: 20s, watch_copies_for: 0s } }";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn bounce_fails_the_check_at_once_in_its_own_words() {
    let mut lab = Lab::with_server(Misbehaviour::delivery(Delivery::Bounced)).await;
    lab.bounces_are_read = true;
    let [first, ..] = Lab::addresses();
    let keys = "expect: { arrives: { within: 60s } }";
    let began = tokio::time::Instant::now();
    let ran = lab.run(&Lab::deliver("gone", first, keys)).end().await;
    assert!(began.elapsed() < Duration::from_secs(30), "it did not wait");
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let result = ran.result();
    let [check] = result.checks.as_slice() else {
        panic!("one check, not {:?}", result.checks);
    };
    assert_eq!(
        line(check),
        "not-delivered: bounced by store1.cluster.test: 550 5.1.1 User unknown"
    );
    let id = check.evidence.as_ref().unwrap().entries[0].clone();
    let entry = lab.entry(&id).await;
    assert_eq!((entry.state(), entry.open()), (EntryState::Bounced, false));
    // Its proof holds, so it is removed as own mail is.
    assert!(lab.platform.mailbox("INBOX").is_empty());

    let trace = lab.again().args(["trace", &id]).end().await;
    assert_eq!(trace.code, 0, "{}", trace.stderr);
    for words in [
        "bounced",
        "failed by store1.cluster.test: 550 5.1.1 User unknown",
        "attempt 1: accepted: 250",
        "removed",
    ] {
        assert!(trace.stdout.contains(words), "{words}: {}", trace.stdout);
    }
}

#[tokio::test]
async fn bounces_of_others_are_neither_read_nor_removed() {
    let mut lab = Lab::start().await;
    lab.bounces_are_read = true;
    let theirs = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@elsewhere.test\r\nSubject: failure notice\r\n\r\n\
        This is the mail system at host elsewhere.test.\r\n\r\n<bob@elsewhere.test>: no such user\r\n";
    let [first, ..] = Lab::addresses();
    // The mailbox is watched when the bounce comes: the mail is on its way.
    lab.platform.set_hold("filter1", Duration::from_secs(2));
    let running = lab.run(&Lab::deliver("good", first, ARRIVES)).start();
    until(|| lab.platform.accepted().pop()).await;
    lab.platform.put_foreign(theirs);
    let ran = running.end().await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lab.platform.mailbox("INBOX").len(), 1);
}

#[tokio::test]
async fn greylisted_mail_gets_through_and_its_wait_is_told_apart() {
    let lab = Lab::with_server(Misbehaviour::greylist(Duration::from_millis(2500))).await;
    let [first, ..] = Lab::addresses();
    let keys = format!("{RETRY}{ARRIVES}");
    let ran = lab.run(&Lab::deliver("grey", first, &keys)).end().await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let result = ran.result();
    let [check] = result.checks.as_slice() else {
        panic!("one check, not {:?}", result.checks);
    };
    assert_eq!(check.status, StatusWord::Degraded);
    assert_eq!(
        check.reason.as_deref(),
        Some("greylisted"),
        "{}",
        line(check)
    );
    assert!(
        line(check).contains("accepted at attempt 3, greylisted 3."),
        "{}",
        line(check)
    );
    let evidence = check.evidence.as_ref().unwrap();
    let deferral = evidence.deferral.as_ref().unwrap();
    assert!(
        deferral.greylisted && deferral.seconds >= 3.0,
        "{deferral:?}"
    );
    assert_eq!(deferral.attempts.len(), 3);
    // One mail, one entry, one tag; the wait is no part of the transit.
    assert_eq!(evidence.entries.len(), 1);
    assert!(
        check.phases_seconds["transit"] < 2.0,
        "{:?}",
        check.phases_seconds
    );
    let accepted = lab.platform.accepted();
    assert_eq!(accepted.len(), 1);
    let entry = lab.entry(&evidence.entries[0]).await;
    assert_eq!(
        (entry.state(), entry.last_try()),
        (EntryState::Delivered, 3)
    );

    let trace = lab
        .again()
        .args([
            "trace",
            accepted[0].message_id.as_ref().unwrap(),
            "--format",
            "json",
        ])
        .end()
        .await;
    let trace = json(&trace.stdout);
    assert_eq!(trace["entry"], evidence.entries[0].as_str());
    assert_eq!(
        (&trace["state"], &trace["attempts"]),
        (&Value::from("delivered"), &Value::from(3))
    );
}

#[tokio::test]
async fn refusal_that_lasts_is_a_failure_after_the_last_attempt() {
    let refusing = Misbehaviour::reply(Point::Rcpt, "452 4.3.1 Insufficient system storage");
    let lab = Lab::with_server(refusing).await;
    let [first, ..] = Lab::addresses();
    let keys = format!("retry: as-mta, retry_after: [1s], {ARRIVES}");
    let ran = lab.run(&Lab::deliver("full", first, &keys)).end().await;
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let result = ran.result();
    let check = &result.checks[0];
    assert_eq!(check.reason.as_deref(), Some("smtp-4xx"));
    assert!(
        check
            .notes
            .iter()
            .any(|note| note.starts_with("deferred 1")),
        "{:?}",
        check.notes
    );
    let id = &check.evidence.as_ref().unwrap().entries[0];
    assert_eq!(lab.entry(id).await.state(), EntryState::Deferred);
    assert_eq!(lab.platform.smtp_counters(first).connections, 2);
}

#[tokio::test]
async fn without_retry_a_greylisted_mail_is_sent_once() {
    let lab = Lab::with_server(Misbehaviour::greylist(Duration::from_millis(100))).await;
    let [first, ..] = Lab::addresses();
    let ran = lab.run(&Lab::deliver("grey", first, ARRIVES)).end().await;
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lab.platform.smtp_counters(first).connections, 1);
}

#[tokio::test]
async fn ledger_lists_counts_and_proves_its_books() {
    let lab = Lab::with_server(Misbehaviour::delivery(Delivery::Twice)).await;
    let none = lab.program("").args(["ledger"]).end().await;
    assert_eq!(none.code, 2, "there is no ledger yet: {}", none.stderr);
    let [first, second, ..] = Lab::addresses();
    let steps = [
        Lab::deliver(
            "twice",
            first,
            "expect: { arrives: { within: 20s, copies: 2 } }",
        ),
        Lab::deliver("good", second, ARRIVES),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);

    let ledger = |arguments: &'static [&'static str]| {
        let program = lab.again().args(["ledger"]).args(arguments);
        async move {
            let ended = program.end().await;
            assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
            ended.stdout
        }
    };
    let mails = json(&ledger(&["--format", "json"]).await);
    assert_eq!(mails["mails"].as_array().map(Vec::len), Some(2));
    for (arguments, expected) in [
        (&["--state", "delivered", "--format", "json"][..], 2),
        (&["--state", "lost", "--format", "json"], 0),
        (&["--step", "good", "--format", "json"], 1),
        (&["--scenario", "other", "--format", "json"], 0),
        (&["--target", "MX.Two.example.test", "--format", "json"], 1),
        (&["--since", "1h", "--format", "json"], 2),
        (&["--until", "2020-01-01", "--format", "json"], 0),
        (&["--limit", "1", "--format", "json"], 1),
    ] {
        let mails = json(&ledger(arguments).await);
        assert_eq!(
            mails["mails"].as_array().map(Vec::len),
            Some(expected),
            "{arguments:?}: {mails}"
        );
    }
    let paths = json(&ledger(&["--paths", "--format", "json"]).await);
    let twice = &paths["paths"][1];
    assert_eq!(
        (
            &twice["step"],
            &twice["planned"],
            &twice["delivered"],
            &twice["duplicated"],
            &twice["extra_copies"]
        ),
        (
            &Value::from("twice"),
            &Value::from(1),
            &Value::from(1),
            &Value::from(1),
            &Value::from(1)
        ),
        "{paths}"
    );
    assert!(
        ledger(&["--format", "csv"])
            .await
            .starts_with("planned_at,entry,state")
    );
    assert!(ledger(&[]).await.contains("lab/good"));
    assert!(
        ledger(&["verify"])
            .await
            .ends_with("2 mails: the books balance\n")
    );

    let file = lab.directory().join("state/postrider.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection
        .execute("UPDATE entries SET state = 'lost' WHERE step = 'good'", [])
        .unwrap();
    drop(connection);
    let verified = lab.again().args(["ledger", "verify"]).end().await;
    assert_eq!(verified.code, 1, "{}", verified.stderr);
    assert!(
        verified.stdout.contains("3 differences")
            && verified.stdout.contains("is kept as EntryRow")
            && verified
                .stdout
                .contains("the balance of lost differs by 1 mails"),
        "{}",
        verified.stdout
    );

    // The options of every command stand before and after; what selects mails does not.
    let storage = lab.directory().join("state");
    let before = [
        "ledger",
        "--storage.path",
        storage.to_str().unwrap(),
        "verify",
    ];
    assert_eq!(lab.again().args(before).end().await.code, 1);
    let selected = lab
        .again()
        .args(["ledger", "--paths", "verify"])
        .end()
        .await;
    assert_eq!(selected.code, 2, "{}", selected.stderr);
    let later = (postrider::clock::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let later = later.split('.').next().unwrap();
    let none = lab
        .again()
        .args(["ledger", "--since", later, "--format", "csv"])
        .end()
        .await;
    assert_eq!(none.stdout.lines().count(), 1, "{}", none.stdout);

    let unknown = lab.again().args(["trace", "1VWK5N000000001A"]).end().await;
    assert_eq!(unknown.code, 2);
    let wrong = lab.again().args(["ledger", "--state", "gone"]).end().await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("not-sent"), "{}", wrong.stderr);
}

#[tokio::test]
async fn wrong_words_about_bounces_and_attempts_are_told() {
    let mut lab = Lab::start().await;
    let [first, ..] = Lab::addresses();
    for (keys, expected) in [
        ("retry_after: [1m]", "conflicting-keys"),
        ("retry: as-mta, retry_after: [0s]", "bad-value"),
        ("retry: as-mta, stop_after: rcpt", "conflicting-keys"),
    ] {
        let ended = lab
            .program(&Lab::deliver("wrong", first, keys))
            .args(["validate"])
            .end()
            .await;
        assert_eq!(ended.code, 2, "{keys}: {}{}", ended.stdout, ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(expected), "{keys}: {said}");
    }
    lab.bounces_are_read = true;
    let good = lab.program(&Lab::deliver("good", first, ARRIVES));
    let main = std::fs::read_to_string(lab.directory().join("postrider.yaml")).unwrap();
    lab.write(
        "postrider.yaml",
        &main.replace("bounces_to: alice", "bounces_to: alcie"),
    );
    let ended = good.args(["validate"]).end().await;
    assert_eq!(ended.code, 2);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("did you mean `alice`?"), "{said}");
}
