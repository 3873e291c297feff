//! The program dies with mail on its way: nothing is lost, invented or sent again.

use std::io;
use std::time::Duration;

use postrider_testkit::live::{ALICE, Node, wait_until};
use rustix::process::Signal;

use super::lab::{EVERY_ADDRESS, Lab};

#[test]
fn mail_of_a_killed_run_is_remembered_and_never_sent_again() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let patient = EVERY_ADDRESS.replace("within: 3s", "within: 50s");
    lab.scenario("every-address", &patient)?;
    lab.platform.hold_mail(Node::Filter2)?;
    let running = lab.spawn(&["run", "--mx", "mx1.example.test"])?;
    // One has arrived, the other one is accepted and held.
    let in_flight = || {
        let mut states = lab.states();
        states.sort();
        (states == ["accepted", "delivered"]).then_some(())
    };
    wait_until(Duration::from_secs(20), in_flight)
        .unwrap_or_else(|| panic!("{:#?}", lab.entries()));
    running.signal(Signal::KILL)?;
    running.finish()?;
    let held = lab
        .entries()
        .into_iter()
        .find(|entry| entry.state == "accepted")
        .unwrap();
    assert!(held.open);

    let shown = lab.postrider(&["show", "last"])?;
    assert_eq!(shown.code(), Some(0));
    for words in ["not tested", "the program ended before the run did"] {
        assert!(shown.stdout.contains(words), "{words}\n{}", shown.stdout);
    }

    let ended = lab.postrider(&["run", "--address", "127.0.21.2"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let again = lab.entries();
    let entry = again.iter().find(|entry| entry.id == held.id).unwrap();
    assert_eq!((entry.state.as_str(), entry.open), ("accepted", true));

    lab.platform.release_mail(Node::Filter2)?;
    lab.platform.await_delivery(&held.message_id())?;
    let ended = lab.postrider(&["run", "--address", "127.0.21.2"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(lab.states(), ["delivered"; 4]);
    assert!(
        lab.entries()
            .iter()
            .all(|entry| entry.copies == 1 && !entry.open)
    );
    assert_eq!(
        lab.mailbox(ALICE)?,
        [],
        "also the first run's mails are removed"
    );
    // Each mail entered the platform once.
    let logs = lab.platform.smtp_log(Node::Filter1) + &lab.platform.smtp_log(Node::Filter2);
    for entry in lab.entries() {
        let entered = format!("message-id={}", entry.message_id());
        assert_eq!(logs.matches(&entered).count(), 1, "{entered}");
    }
    Ok(())
}

#[test]
fn second_program_does_not_share_the_ledger() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let patient = EVERY_ADDRESS.replace("within: 3s", "within: 50s");
    lab.scenario("every-address", &patient)?;
    lab.platform.hold_mail(Node::Filter2)?;
    let running = lab.spawn(&["run", "--address", "127.0.22.1"])?;
    lab.await_log(Node::Filter2, "status=deferred")?;
    let second = lab.postrider(&["run", "--address", "127.0.21.1"])?;
    assert_eq!(second.code(), Some(3), "{second:?}");
    assert!(
        second.stderr.contains(" is in use by process "),
        "{second:?}"
    );
    // Looking is always possible.
    let shown = lab.postrider(&["show", "last"])?;
    assert_eq!(shown.code(), Some(0), "{shown:?}");
    drop(running);
    Ok(())
}
