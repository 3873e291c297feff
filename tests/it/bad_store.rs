//! A store that fails in the middle of a run: nothing passes, and nothing that the platform said is hidden.

use postrider::demo::platform::misbehaviour::{Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider::store::Store;

use crate::support::{Lab, Ran, line, says};

/// Makes a store that cannot write facts of this kind.
async fn break_store(lab: &Lab, kind: &str) {
    let directory = lab.directory().join("state");
    Store::open(&directory).await.unwrap().close().await;
    let database = rusqlite::Connection::open(directory.join("postrider.db")).unwrap();
    let trigger = format!(
        "CREATE TRIGGER broken BEFORE INSERT ON ledger_events WHEN NEW.kind = '{kind}'
         BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    );
    database.execute_batch(&trigger).unwrap();
}

fn said_goodbye(ran: &Ran) -> bool {
    let check = ran.check("mail");
    let evidence = check.evidence.unwrap();
    evidence
        .transcript
        .iter()
        .any(|line| line.ends_with("QUIT"))
}

#[tokio::test]
async fn outcome_that_cannot_be_booked_is_told_and_the_server_is_left_politely() {
    let [first, ..] = Lab::addresses();
    let lab = Lab::start().await;
    break_store(&lab, "attempted").await;
    let steps = Lab::deliver("mail", first, "expect: { arrives: { within: 10s } }");
    let ran = lab.run(&steps).end().await;
    let check = ran.check("mail");
    let wanted = "store-failed: …database or disk is full…; not booked: the server said 250 …";
    assert!(says(&line(&check), wanted), "{check:#?}");
    assert_eq!(check.status, StatusWord::Error);
    assert_eq!((check.findings.len(), ran.code), (1, 3), "{check:#?}");
    assert!(said_goodbye(&ran), "{check:#?}");
}

#[tokio::test]
async fn refusal_that_cannot_be_booked_is_still_a_refusal() {
    let [first, ..] = Lab::addresses();
    let refusing = Misbehaviour::reply(Point::Rcpt, "550 5.7.1 no");
    let lab = Lab::with_server(refusing).await;
    break_store(&lab, "attempted").await;
    let ran = lab
        .run(&Lab::deliver("mail", first, "tls: required"))
        .end()
        .await;
    let check = ran.check("mail");
    let reasons: Vec<&str> = check.findings.iter().map(|f| f.reason.as_str()).collect();
    assert_eq!(reasons, ["smtp-5xx", "store-failed"], "{check:#?}");
    assert!(said_goodbye(&ran), "{check:#?}");
}

#[tokio::test]
async fn mail_whose_sighting_cannot_be_written_has_not_passed() {
    let [first, ..] = Lab::addresses();
    let lab = Lab::start().await;
    break_store(&lab, "sighted").await;
    let steps = Lab::deliver("mail", first, "expect: { arrives: { within: 500ms } }");
    let ran = lab.run(&steps).end().await;
    let check = ran.check("mail");
    let wanted = "store-failed: …database or disk is full…";
    assert!(says(&line(&check), wanted), "{check:#?}");
    assert_eq!((check.status, ran.code), (StatusWord::Error, 3));
    assert_eq!(ran.result().run.status, StatusWord::Error);
}
