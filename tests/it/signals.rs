//! Ctrl-C and SIGTERM: what a signal ends, and what it leaves as it is.

use std::net::IpAddr;
use std::time::Duration;

use postrider::demo::platform::misbehaviour::{
    Delivery, Greeting, ImapMisbehaviour, Misbehaviour, NameFault,
};
use postrider::demo::platform::topology::FILTER1_PRIMARY;
use postrider::result::StatusWord;
use postrider_probes::post::EntryState;
use tokio::time::Instant;

use crate::support::{Lab, line, says, until};

const GOOD: IpAddr = FILTER1_PRIMARY;
const ARRIVES: &str = "expect: { arrives: { within: 10s } }";

/// The second address, which the tests make misbehave.
fn bad() -> IpAddr {
    Lab::addresses()[1]
}

#[tokio::test]
async fn a_signal_ends_the_run_in_good_order() {
    for (signal, name, code) in [("INT", "SIGINT", 130), ("TERM", "SIGTERM", 143)] {
        let lab = Lab::start().await;
        let lost = Misbehaviour::delivery(Delivery::Lost);
        lab.platform.set_misbehaviour(bad(), lost).await.unwrap();
        let steps = [
            Lab::deliver("good", GOOD, ARRIVES),
            Lab::deliver("waits", bad(), "expect: { arrives: { within: 50s } }"),
        ]
        .concat();
        let running = lab.run(&steps).start();
        until(|| (lab.platform.accepted().len() == 2).then_some(())).await;
        until(|| lab.platform.deliveries().pop()).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        let asked = Instant::now();
        running.signal(signal);
        let ran = running.end().await;
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "{:?}",
            asked.elapsed()
        );
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
        let result = ran.result();
        assert_eq!(result.run.cancelled.as_deref(), Some(name));
        assert_eq!(ran.check("good").status, StatusWord::Pass, "{result:#?}");
        let waits = ran.check("waits");
        assert_eq!(waits.status, StatusWord::Error);
        let wanted = "cancelled: the run was cancelled…";
        assert!(says(&line(&waits), wanted), "{}", line(&waits));
        assert!(waits.phases_seconds["transit"] > 0.5, "{waits:#?}");
        assert!(
            lab.platform.mailbox("INBOX").is_empty(),
            "own mail is removed"
        );
        let id = &waits.evidence.unwrap().entries[0];
        assert_eq!(lab.entry(id).await.state(), EntryState::Accepted);
    }
}

#[tokio::test]
async fn a_signal_is_heeded_while_names_and_mailboxes_are_waited_for() {
    let mut setup = Lab::setup();
    setup.records.push("silent IN MX 10 mx.one".into());
    setup
        .faults
        .names
        .insert("silent.example.test".into(), NameFault::Silence);
    setup.faults.imap = ImapMisbehaviour {
        greeting: Greeting::Silence,
        ..ImapMisbehaviour::default()
    };
    let lab = Lab::from_setup(setup).await;
    let silent = "  - id: silent
    for_each: { mx_of: silent.example.test }
    deliver: { to_address: \"${item.address}\", stop_after: rcpt }
";
    for steps in [silent.to_owned(), Lab::deliver("mail", GOOD, ARRIVES)] {
        let running = lab.run(&steps).start();
        tokio::time::sleep(Duration::from_millis(500)).await;
        running.signal("INT");
        let ran = running.end().await;
        assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
        let result = ran.result();
        assert_eq!(result.counts.error, 1, "{result:#?}");
        assert_eq!(result.checks[0].reason.as_deref(), Some("cancelled"));
    }
    assert_eq!(lab.platform.data_commands(), 0);
}

#[tokio::test]
async fn a_signal_while_the_program_tidies_up_changes_no_exit_code() {
    let good = Lab::deliver("good", GOOD, ARRIVES);
    let fail = Lab::deliver("fail", bad(), "stop_after: rcpt");
    for (signal, name, steps, code) in [
        ("INT", "SIGINT", good.clone(), 0),
        ("TERM", "SIGTERM", good + &fail, 1),
    ] {
        // Own mail is removed at the end, and this server does not answer that.
        let lab = Lab::with_imap(ImapMisbehaviour {
            hang_at: Some("UID EXPUNGE".to_owned()),
            ..ImapMisbehaviour::default()
        })
        .await;
        lab.platform
            .set_misbehaviour(bad(), Misbehaviour::refuse())
            .await
            .unwrap();
        let running = lab.run(&steps).start();
        until(|| running.printed().ends_with("}\n").then_some(())).await;
        running.signal(signal);
        let ran = running.end().await;
        assert!(
            ran.stderr
                .starts_with(&format!("{name}: the result stands; ")),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.result().run.cancelled, None);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
    }
}

#[tokio::test]
async fn a_look_that_a_signal_ends_is_neither_right_nor_wrong() {
    let imap = ImapMisbehaviour {
        greeting: Greeting::Silence,
        ..ImapMisbehaviour::default()
    };
    for (signal, name, code) in [("INT", "SIGINT", 130), ("TERM", "SIGTERM", 143)] {
        let lab = Lab::with_imap(imap.clone()).await;
        lab.program(&Lab::deliver("mail", GOOD, ARRIVES));
        let running = lab.again().args(["validate", "--online"]).start();
        until(|| (lab.platform.imap_counters().connections > 0).then_some(())).await;
        running.signal(signal);
        let ran = running.end().await;
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
        assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
    }
}
