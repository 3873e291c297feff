//! A node that takes its time: the phase is named, and a reply that comes too late is no reason to send again.

use std::io;

use postrider::result::StatusWord;
use postrider_testkit::live::{ALICE, Node, Stage};
use rustix::process::Signal;

use super::lab::{FILTER1, Lab, assert_blamed, at, line};

fn steps(settings: &str) -> String {
    format!(
        "
steps:
  - id: each
    for_each: {{ mx_of: example.test }}
    deliver:
      to_address: ${{item.address}}
{settings}"
    )
}

#[test]
fn slow_acceptance_is_blamed_on_its_phase() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let settings = "      expect: { accepted: { within: 20s, warn_after: 900ms } }\n";
    lab.scenario("slow", &steps(settings))?;
    for (stage, phase) in [
        (Stage::Connect, "banner"),
        (Stage::Rcpt, "rcpt"),
        (Stage::EndOfData, "data"),
    ] {
        lab.platform.delay(Node::Filter1, stage, 1)?;
        let result = lab.run(&[])?;
        assert_blamed(&result, &FILTER1, "slow");
        assert_eq!(result.run.status, StatusWord::Degraded);
        for address in FILTER1 {
            let check = at(&result, address);
            assert!(
                line(check).starts_with("slow: accepted after 1.")
                    && line(check).contains(&format!(", warned after 900 ms; {phase} took ")),
                "{}",
                line(check)
            );
            assert!(check.phases_seconds[phase] >= 0.99);
        }
    }
    Ok(())
}

const IMPATIENT: &str = "      timeouts: { banner: 1s, command: 1s, final_reply: 1s }
      expect: { arrives: { within: 15s, watch_copies_for: 0s } }
";

#[test]
fn late_reply_is_a_time_out_and_after_the_dot_nobody_knows() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("impatient", &steps(IMPATIENT))?;
    lab.platform.delay(Node::Filter1, Stage::Connect, 2)?;
    let result = lab.run(&[])?;
    assert_blamed(&result, &FILTER1, "banner-timeout");
    for address in FILTER1 {
        assert_eq!(
            line(at(&result, address)),
            "banner-timeout: connected, but no greeting within 1 s"
        );
    }
    let mut states = lab.states();
    states.sort();
    assert_eq!(states, ["delivered", "delivered", "not-sent", "not-sent"]);
    let known = lab.entries().len();
    lab.platform.delay(Node::Filter1, Stage::EndOfData, 2)?;
    let result = lab.run(&[])?;
    assert_blamed(&result, &FILTER1, "smtp-timeout");
    for address in FILTER1 {
        let check = at(&result, address);
        assert_eq!(
            line(check),
            "smtp-timeout: no reply to the final dot within 1 s: nobody knows whether the mail was taken; it is not sent again"
        );
        // It was taken, as the mailbox shows. How long that took cannot be said.
        let arrivals = &check.evidence.as_ref().unwrap().arrivals;
        assert_eq!((arrivals.len(), arrivals[0].after_seconds), (1, None));
        assert!(!check.phases_seconds.contains_key("transit"));
    }
    let new = &lab.entries()[known..];
    assert_eq!(new.len(), 4, "nothing was sent twice");
    assert!(
        new.iter()
            .all(|entry| entry.state == "delivered" && entry.copies == 1),
        "{new:#?}"
    );
    assert_eq!(lab.mailbox(ALICE)?, []);
    Ok(())
}

#[test]
fn mail_of_a_run_that_was_killed_before_the_final_reply_is_uncertain() -> io::Result<()> {
    let mut lab = Lab::start()?;
    // Large, so that Postfix does not keep all of it in a buffer until it replies.
    let settings = "      size: 64KiB\n      expect: { arrives: { within: 15s } }\n";
    lab.scenario("each", &steps(settings))?;
    lab.platform.delay(Node::Filter1, Stage::EndOfData, 4)?;
    let running = lab.spawn(&["run", "--address", "127.0.21.1"])?;
    // The message has been read, and its final reply is seconds away.
    lab.await_log(Node::Filter1, "message-id=<")?;
    running.signal(Signal::KILL)?;
    running.finish()?;
    assert_eq!(lab.states(), ["planned"]);
    let ended = lab.postrider(&["run", "--address", "127.0.22.1"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(lab.states(), ["uncertain", "delivered"]);
    let killed = &lab.entries()[0];
    assert!(killed.open, "it may still come");
    lab.platform.await_delivery(&killed.message_id())?;
    let ended = lab.postrider(&["run", "--address", "127.0.22.1"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(lab.states(), ["delivered"; 3]);
    assert_eq!(lab.mailbox(ALICE)?, []);
    assert_eq!(
        lab.platform
            .smtp_log(Node::Filter1)
            .matches("message-id=<")
            .count(),
        1,
        "it was sent once"
    );
    Ok(())
}
