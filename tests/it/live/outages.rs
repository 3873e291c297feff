//! Behind the filters something is down: nobody in front is blamed for what cannot be seen.

use std::io;

use postrider::result::{RunResult, StatusWord};
use postrider_testkit::live::{ALICE, Node};

use super::lab::{ADDRESSES, EVERY_ADDRESS, Lab, assert_blamed, at, line, of_step};

/// Nothing can arrive, so nothing has to be waited for.
fn hopeless() -> String {
    EVERY_ADDRESS.replace("within: 3s", "within: 500ms")
}

#[test]
fn mail_that_waits_for_the_store_is_missed_everywhere() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", &hopeless())?;
    lab.platform.stop_node(Node::Store);
    let result = lab.run(&[])?;
    assert_blamed(&result, &ADDRESSES, "not-delivered");
    assert_eq!(lab.states(), ["overdue"; 4]);
    lab.platform.start_node(Node::Store)?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    for entry in lab.entries() {
        lab.platform.await_delivery(&entry.message_id())?;
    }
    let ended = lab.postrider(&["run", "--mx", "mx1.example.test"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        ended
            .stderr
            .matches("said not-delivered; it arrived")
            .count(),
        4
    );
    assert_eq!(lab.states(), ["delivered"; 6]);
    assert_eq!(lab.mailbox(ALICE)?, []);
    Ok(())
}

#[test]
fn mailbox_that_goes_away_during_the_wait_costs_no_mail() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let patient = EVERY_ADDRESS.replace("within: 3s", "within: 50s");
    lab.scenario("every-address", &patient)?;
    lab.platform.hold_mail(Node::Filter2)?;
    let running = lab.spawn(&["run", "--format", "json", "--address", "127.0.22.1"])?;
    lab.await_log(Node::Filter2, "status=deferred")?;
    lab.platform.stop_mailboxes();
    lab.platform.release_mail(Node::Filter2)?;
    lab.await_log(Node::Store, "status=deferred")?;
    lab.platform.start_mailboxes()?;
    let ended = running.finish()?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let entries = lab.entries();
    assert_eq!((entries.len(), entries[0].copies), (1, 1));
    assert_eq!(entries[0].state, "delivered");
    assert_eq!(lab.mailbox(ALICE)?, []);
    Ok(())
}

#[test]
fn mailbox_that_cannot_be_read_is_our_trouble_not_lost_mail() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let login = "
  - id: login
    always: true
    imap: { in: alice }
";
    lab.scenario(
        "every-address",
        &format!("{}{login}", hopeless().trim_end()),
    )?;
    lab.platform.stop_mailboxes();
    let ended = lab.postrider(&[
        "run", "--format", "json", "--step", "primary", "--step", "fallback",
    ])?;
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let result: RunResult = serde_json::from_str(&ended.stdout)?;
    for address in ADDRESSES {
        let check = at(&result, address);
        assert_eq!(check.status, StatusWord::Error, "{check:#?}");
        assert!(
            line(check).starts_with("cannot-observe: the mailbox could not be read: "),
            "{}",
            line(check)
        );
        assert_eq!(check.notes, ["250"], "the platform has done its part");
    }
    // What is broken is said by the step that is about it.
    let ended = lab.postrider(&["run", "--format", "json", "--step", "login"])?;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let result: RunResult = serde_json::from_str(&ended.stdout)?;
    let imap = of_step(&result, "login")[0];
    assert_eq!(imap.status, StatusWord::Fail);
    assert!(
        line(imap).starts_with("connect-refused: "),
        "{}",
        line(imap)
    );
    assert!(
        lab.states()
            .iter()
            .all(|state| state == "accepted" || state == "overdue"),
        "{:?}",
        lab.states()
    );
    lab.platform.start_mailboxes()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    for entry in lab.entries() {
        lab.platform.await_delivery(&entry.message_id())?;
    }
    let result = lab.run(&[])?;
    assert_eq!(result.run.status, StatusWord::Pass, "{result:#?}");
    assert_eq!(lab.states(), ["delivered"; 8]);
    assert_eq!(lab.mailbox(ALICE)?, []);
    Ok(())
}
