//! Real bounces and real greylisting.

use std::io;

use postrider::result::StatusWord;
use postrider_testkit::live::{ALICE, Node, SENDER};

use super::lab::{Lab, line};

fn one_mail(address: &str, keys: &str) -> String {
    format!(
        "steps:\n  - id: mail\n    deliver:\n      to_address: {address}\n      server_name: mx1.example.test\n{keys}"
    )
}

#[test]
fn bounce_of_a_real_relay_is_matched_with_its_mail() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.read_bounces()?;
    lab.platform
        .refuse_recipient(Node::Store, ALICE, "550 5.1.1 no such mailbox here")?;
    lab.scenario(
        "gone",
        &one_mail("127.0.21.1", "      expect: { arrives: { within: 40s } }\n"),
    )?;
    let result = lab.run(&["gone"])?;
    let check = &result.checks[0];
    let said = line(check);
    assert!(said.starts_with("not-delivered: bounced by "), "{said}");
    assert!(
        said.contains("550 5.1.1") && said.contains("no such mailbox here"),
        "{said}"
    );
    assert_eq!(lab.states(), ["bounced"]);
    // The bounce is ours, proven by the tag that it returns: it is removed, from the sender's mailbox.
    assert!(
        lab.mailbox(SENDER)?.is_empty(),
        "{:?}",
        lab.mailbox(SENDER)?
    );

    let entry = lab.entries().remove(0);
    let trace = lab.postrider(&["trace", &entry.message_id()])?;
    assert!(trace.stdout.contains("failed by"), "{trace:?}");
    let verified = lab.postrider(&["ledger", "verify"])?;
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    Ok(())
}

#[test]
fn mail_that_postgrey_holds_off_gets_through_at_a_later_attempt() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.platform.greylist(Node::Filter1, 2)?;
    lab.scenario(
        "grey",
        &one_mail(
            "127.0.21.1",
            "      retry: as-mta\n      retry_after: [1s, 3s, 3s]\n      expect: { arrives: { within: 20s, watch_copies_for: 0s } }\n",
        ),
    )?;
    let result = lab.run(&["grey"])?;
    let check = &result.checks[0];
    assert_eq!(check.status, StatusWord::Degraded, "{}", line(check));
    assert_eq!(
        check.reason.as_deref(),
        Some("greylisted"),
        "{}",
        line(check)
    );
    let evidence = check.evidence.as_ref();
    let deferral = evidence.and_then(|evidence| evidence.deferral.as_ref());
    let deferral = deferral.ok_or_else(|| io::Error::other(line(check)))?;
    // postgrey counts whole seconds: two of them may be little more than one.
    assert!(
        deferral.greylisted && deferral.seconds > 1.0,
        "{deferral:?}"
    );
    assert!(
        check.phases_seconds["transit"] < deferral.seconds,
        "{check:?}"
    );
    assert_eq!(lab.states(), ["delivered"]);
    // The same pair of sender and recipient is known now.
    let again = lab.run(&["grey"])?;
    assert_eq!(
        again.checks[0].status,
        StatusWord::Pass,
        "{}",
        line(&again.checks[0])
    );
    Ok(())
}
