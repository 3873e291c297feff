//! The way a mail takes: by the records, past hosts that are dead, and to the primary first.

use std::io;

use postrider::result::StatusWord;
use postrider_testkit::live::Node;

use super::lab::{Lab, led_to, line, of_step};

#[test]
fn route_goes_on_to_the_next_host_as_a_sender_does() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "routes",
        "
steps_run: together
steps:
  - id: ordinary
    deliver:
      route: { mx_of: example.test }
      expect: { accepted_by: mx1.example.test, arrives: { within: 5s } }
  - id: failover
    deliver:
      route: { mx_of: example.test, pretend_unreachable: [mx1.example.test] }
      expect: { accepted_by: mx2.example.test, arrives: { within: 5s } }
  - id: preferred
    deliver:
      route: { mx_of: example.test, pretend_unreachable: [127.0.21.1, 127.0.22.1] }
      expect: { arrives: { within: 5s } }
      prefer: { accepted_by: mx1.example.test }
  - id: nobody
    deliver:
      route: { mx_of: example.test, pretend_unreachable: [mx1.example.test, mx2.example.test] }
      expect: { arrives: { within: 5s } }
",
    )?;
    let first = lab.run(&[])?;
    let said = |result, step| line(of_step(result, step)[0]);
    assert_eq!(said(&first, "ordinary"), "pass");
    assert_eq!(said(&first, "failover"), "pass");
    let degraded = of_step(&first, "preferred")[0];
    assert_eq!(degraded.status, StatusWord::Degraded);
    assert!(
        line(degraded).starts_with("fallback-used: accepted by mx2.example.test [127.0.2")
            && line(degraded).ends_with(", not by mx1.example.test"),
        "{}",
        line(degraded)
    );
    assert_eq!(
        said(&first, "nobody"),
        "dns-mismatch: no MX host of example.test is left to deliver to"
    );
    for step in ["ordinary", "failover", "preferred"] {
        assert!(of_step(&first, step)[0].phases_seconds.contains_key("dns"));
    }
    // Nothing that was pretended was contacted; with a node really down the other one takes it.
    lab.platform.stop_node(Node::Filter1);
    let second = lab.run(&["--step", "ordinary", "--step", "failover"])?;
    let by = |step: &str| led_to(of_step(&second, step)[0]);
    assert_eq!(by("ordinary"), "mx1.example.test [127.0.22.1]");
    assert_eq!(by("failover"), "mx2.example.test [127.0.22.2]");
    assert_eq!(second.run.status, StatusWord::Pass, "{second:?}");
    assert_eq!(lab.entries().len(), 5, "one mail each, however many hosts");
    Ok(())
}

#[test]
fn primary_is_greeted_before_the_fallback_is_used() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario(
        "approach",
        "
steps:
  - id: fallback
    for_each: { mx_of: example.test, preference: not-lowest }
    deliver:
      to_address: ${item.address}
      approach: primary-first
      expect: { arrives: { within: 5s } }
",
    )?;
    let result = lab.run(&["--address", "127.0.22.2", "--transcript", "always"])?;
    let check = &result.checks[0];
    assert_eq!(check.status, StatusWord::Pass, "{check:#?}");
    assert_eq!(check.notes, ["after the primary", "250", "INBOX"]);
    let transcript = &check.evidence.as_ref().unwrap().transcript;
    let place = |words: &str| {
        transcript
            .iter()
            .position(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{words}: {transcript:#?}"))
    };
    let primary = place("=== first the primary: mx1.example.test [127.0.2");
    let quit = place("-> QUIT");
    let fallback = place("=== connecting to mx2.example.test [127.0.22.2]");
    assert!(primary < quit && quit < fallback, "{transcript:#?}");
    // The visit is a whole dialogue, and its time is not the delivery's.
    let node = match transcript[primary].contains("[127.0.21.1]") {
        true => Node::Filter1,
        false => Node::Filter2,
    };
    lab.await_log(node, "ehlo=1 quit=1 commands=2")?;
    Ok(())
}
