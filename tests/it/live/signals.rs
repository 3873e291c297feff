//! Ctrl-C and SIGTERM in the middle of a run.

use std::io;
use std::time::Duration;

use postrider::result::{RunResult, StatusWord};
use postrider_testkit::live::{ALICE, Node, wait_until};
use rustix::process::Signal;
use tokio::time::Instant;

use super::lab::{EVERY_ADDRESS, Lab, Running, at, line};

/// A run of which filter1's mails are in the mailbox and filter2's are held.
fn run_in_flight(lab: &mut Lab) -> io::Result<Running> {
    let patient = EVERY_ADDRESS.replace("within: 3s", "within: 50s");
    lab.scenario("every-address", &patient)?;
    lab.platform.hold_mail(Node::Filter2)?;
    let running = lab.spawn(&["run", "--format", "jsonl"])?;
    let in_flight = || {
        let ended = running.printed().matches("\"event\":\"check\"").count();
        let mut states = lab.states();
        states.sort();
        (ended == 2 && states == ["accepted", "accepted", "delivered", "delivered"]).then_some(())
    };
    wait_until(Duration::from_secs(20), in_flight)
        .ok_or_else(|| io::Error::other(format!("{:#?}", lab.entries())))?;
    Ok(running)
}

#[test]
fn first_signal_ends_the_run_in_good_order() -> io::Result<()> {
    for (signal, name, code) in [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143)] {
        let mut lab = Lab::start()?;
        let running = run_in_flight(&mut lab)?;
        let asked = Instant::now();
        running.signal(signal)?;
        let said = || running.told().contains(name).then_some(());
        wait_until(Duration::from_secs(5), said).expect("it says at once what it does");
        assert!(asked.elapsed() < Duration::from_secs(1));
        let ended = running.finish()?;
        assert!(asked.elapsed() < Duration::from_secs(10));
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        assert_eq!(
            ended.stderr.trim_end(),
            format!("{name}: ending the checks, removing own mail; once more to leave at once")
        );
        // The report is written all the same: what had ended is told, the rest is not a failure of the platform.
        let last = ended.stdout.lines().next_back().unwrap_or_default();
        let last: serde_json::Value = serde_json::from_str(last)?;
        let result: RunResult = serde_json::from_value(last["data"].clone())?;
        assert_eq!(result.run.cancelled.as_deref(), Some(name));
        assert_eq!(
            (result.counts.pass, result.counts.error),
            (2, 2),
            "{result:#?}"
        );
        let unfinished = at(&result, std::net::Ipv4Addr::new(127, 0, 22, 1));
        assert_eq!(unfinished.status, StatusWord::Error);
        assert_eq!(
            line(unfinished),
            "cancelled: the run was cancelled (during transit)"
        );
        assert!(unfinished.phases_seconds["transit"] > 0.0);
        assert_eq!(lab.mailbox(ALICE)?, [], "own mail is removed");
        let mut states = lab.states();
        states.sort();
        assert_eq!(states, ["accepted", "accepted", "delivered", "delivered"]);
    }
    Ok(())
}

#[test]
fn second_signal_leaves_at_once() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let running = run_in_flight(&mut lab)?;
    running.signal(Signal::INT)?;
    running.signal(Signal::TERM)?;
    let ended = running.finish()?;
    assert!(matches!(ended.code(), Some(130 | 143)), "{ended:?}");
    assert!(ended.stderr.contains("\nleaving now; "), "{ended:?}");
    assert!(!ended.stdout.contains("\"event\":\"run\""), "{ended:?}");
    Ok(())
}
