//! Mail through every address, seen in the mailbox, with all that is measured on the way.

use std::io;

use postrider::result::{CheckResult, StatusWord};
use postrider_testkit::live::{ALICE, Node, Options};

use super::lab::{ADDRESSES, EVERY_ADDRESS, FILTER1, Lab, at, line, of_step};

const VERIFIED: &str = "
steps:
  - id: mx-set
    dns:
      query: example.test
      type: MX
      expect: { answers: [10 mx1.example.test, 20 mx2.example.test] }
  - id: primary
    for_each: { mx_of: example.test, preference: lowest, addresses: all }
    deliver:
      to_address: ${item.address}
      tls: required-and-verified
      expect:
        reply: 250
        certificate: { matches: mx-name, valid_for: 14d }
        accepted: { within: 10s }
        arrives: { folder: INBOX, within: 10s, copies: 1 }
  - id: fallback
    for_each: { mx_of: example.test, preference: not-lowest, addresses: all }
    deliver:
      to_address: ${item.address}
      tls: required-and-verified
      expect:
        accepted_by: ${item.mx}
        arrives: { within: 10s }
  - id: mailbox
    imap:
      in: alice
      read: newest
      expect: { login: { within: 10s }, capabilities: [IDLE, UIDPLUS] }
";

/// MX, address, node, role.
const TARGETS: [(&str, &str, &str, &str); 5] = [
    ("mx1.example.test", "127.0.21.1", "filter1", "primary"),
    ("mx1.example.test", "127.0.22.1", "filter2", "primary"),
    ("mx1.example.test", "::1", "filter1", "primary"),
    ("mx2.example.test", "127.0.21.2", "filter1", "fallback"),
    ("mx2.example.test", "127.0.22.2", "filter2", "fallback"),
];

#[test]
fn every_address_delivers_and_everything_on_the_way_is_recorded() -> io::Result<()> {
    let lab = Lab::start_with(Options { ipv6: true })?;
    lab.scenario("verified", VERIFIED)?;
    // Something to read for the step that reads.
    lab.platform
        .inject_foreign_mail(ALICE, b"Subject: there before\n\nA word.\n")?;
    let ended = lab.postrider(&["run", "--format", "json"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let result: postrider::result::RunResult = serde_json::from_str(&ended.stdout)?;
    assert_eq!(result.run.status, StatusWord::Pass);
    assert_eq!(
        (result.counts.pass, result.checks.len()),
        (7, 7),
        "{result:#?}"
    );
    for (mx, address, node, role) in TARGETS {
        let check = at(&result, address.parse::<std::net::IpAddr>().unwrap());
        let target = check.target.as_ref().unwrap();
        assert_eq!(
            (target.mx.as_str(), target.port, target.role.as_str()),
            (mx, Some(lab.platform.smtp_port()), role)
        );
        assert_eq!(target.node.as_deref(), Some(node));
        let family = if address.contains(':') {
            "ipv6"
        } else {
            "ipv4"
        };
        assert_eq!(target.family, family);
        assert_eq!(check.notes, ["250", "INBOX"]);
        assert!(
            check
                .source
                .file
                .ends_with("/probe/scenarios/verified.yaml")
        );
        every_phase_is_timed(check);
        dialogue_is_recorded(&lab, check, node);
        hops_are_named(check, node);
    }
    let imap = of_step(&result, "mailbox")[0];
    for phase in [
        "dns",
        "connect",
        "tls",
        "imap-login",
        "imap-select",
        "imap-fetch",
    ] {
        assert!(imap.phases_seconds.contains_key(phase), "{phase}: {imap:?}");
    }
    assert_eq!(of_step(&result, "mx-set")[0].notes, ["exact"]);
    the_ledger_agrees_with_the_store(&lab);
    // Own mail is gone, the other's is there.
    assert_eq!(lab.mailbox(ALICE)?.len(), 1);
    Ok(())
}

fn every_phase_is_timed(check: &CheckResult) {
    let phases = [
        "dns", "connect", "banner", "ehlo", "starttls", "mail", "rcpt", "data", "transit",
    ];
    let timed: Vec<&str> = check.phases_seconds.keys().map(String::as_str).collect();
    let mut expected = phases.to_vec();
    expected.sort_unstable();
    assert_eq!(timed, expected);
    let sum: f64 = check
        .phases_seconds
        .iter()
        .filter(|(phase, _)| *phase != "dns")
        .map(|(_, spent)| spent)
        .sum();
    assert!(
        sum > 0.0 && sum <= check.duration_seconds,
        "{sum}: {check:?}"
    );
    for phase in ["connect", "starttls", "data"] {
        assert!(check.phases_seconds[phase] > 0.0, "{phase}");
    }
}

fn dialogue_is_recorded(lab: &Lab, check: &CheckResult, node: &str) {
    let evidence = check.evidence.as_ref().unwrap();
    assert!(
        evidence.transcript.is_empty(),
        "kept only of what does not pass"
    );
    let smtp = evidence.smtp.as_ref().unwrap();
    let name = format!("{node}.cluster.test");
    assert_eq!(smtp.banner, Some(format!("{name} ESMTP Postfix")));
    assert!(smtp.keywords.contains(&"SIZE 10240000".to_owned()));
    let queue_id = smtp.queue_id.as_deref().unwrap();
    assert_eq!(
        smtp.final_reply,
        Some(format!("250 2.0.0 Ok: queued as {queue_id}"))
    );
    let entry = &evidence.entries[0];
    let logged = format!(
        "{queue_id}: message-id=<{}@outside.test>",
        entry.to_lowercase()
    );
    for other in [Node::Filter1, Node::Filter2] {
        let here = lab.platform.smtp_log(other).contains(&logged);
        assert_eq!(here, other.name() == node, "{logged} on {}", other.name());
    }
    let tls = evidence.tls.as_ref().unwrap();
    assert_eq!(tls.version, "TLSv1.3");
    assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
    assert_eq!(tls.names, ["mx1.example.test", "mx2.example.test", &name]);
    assert_eq!(tls.issuer, "CN=Laboratory CA");
    assert_eq!(tls.not_after.as_deref(), Some("2045-01-01T00:00:00Z"));
    assert_eq!((tls.fingerprint.len(), &tls.fault), (64, &None));
    assert!(!tls.insecure);
}

fn hops_are_named(check: &CheckResult, node: &str) {
    let arrivals = &check.evidence.as_ref().unwrap().arrivals;
    assert_eq!(arrivals.len(), 1, "{arrivals:?}");
    let filter = format!("{node}.cluster.test");
    let named: Vec<(Option<&str>, &str)> = arrivals[0]
        .hops
        .iter()
        .map(|hop| (hop.from.as_deref(), hop.by.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (Some("probe.outside.test"), filter.as_str()),
            (Some(filter.as_str()), "store.cluster.test"),
            (Some("store.cluster.test"), "imap.example.test"),
        ]
    );
    for hop in &arrivals[0].hops[1..] {
        let spent = hop.seconds.unwrap();
        assert!((0.0..5.0).contains(&spent) && !hop.skewed, "{hop:?}");
    }
    // One clock, and whole seconds.
    let skew = arrivals[0].skew_seconds.unwrap();
    assert!((-2.0..0.5).contains(&skew), "{skew}");
    assert!(arrivals[0].internal_date.is_some());
}

fn the_ledger_agrees_with_the_store(lab: &Lab) {
    let deliveries = lab.platform.deliveries();
    let entries = lab.entries();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        assert_eq!(
            (entry.state.as_str(), entry.copies, entry.open),
            ("delivered", 1, false)
        );
        let stored = deliveries
            .iter()
            .find(|delivery| delivery.message_id == entry.message_id())
            .unwrap();
        let stored_us = i64::try_from(stored.at.as_micros()).unwrap();
        let late = entry.first_seen_us.unwrap() - stored_us;
        // Dovecot writes its log line after the mail is visible, on a busy machine milliseconds after. How soon it is
        // seen is measured by the benches.
        assert!((-100_000..1_000_000).contains(&late), "{late} µs");
    }
}

#[test]
fn people_and_programs_read_the_same_reasons() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    lab.platform.stop_node(Node::Filter1);
    let people = lab.postrider(&["run"])?;
    assert_eq!(people.code(), Some(1), "{people:?}");
    let programs = lab.postrider(&["show", "last", "--format", "json"])?;
    let result: postrider::result::RunResult = serde_json::from_str(&programs.stdout)?;
    let shown = lab.postrider(&["show", &result.run.id])?;
    assert_eq!((programs.code(), shown.code()), (Some(0), Some(0)));
    for address in ADDRESSES {
        let check = at(&result, address);
        assert_eq!(
            check.status == StatusWord::Fail,
            FILTER1.contains(&address),
            "{address}"
        );
        if check.status == StatusWord::Fail {
            for text in [&people.stdout, &shown.stdout] {
                assert!(
                    text.lines().any(|said| said.trim() == line(check)),
                    "{}\n{text}",
                    line(check)
                );
            }
        }
    }
    for text in [&people.stdout, &shown.stdout] {
        assert!(
            text.contains(
                "2 failed · 0 degraded · 2 passed · 0 not tested · 0 skipped     4 of 4 checks in "
            ),
            "{text}"
        );
    }
    assert!(people.stderr.is_empty(), "{}", people.stderr);
    Ok(())
}

#[test]
fn stored_check_is_shown_with_its_times_hops_and_dialogue() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    let result = lab.run(&["--address", "127.0.22.2"])?;
    let check = &result.checks[0];
    let queue_id = check
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.smtp.as_ref()?.queue_id.clone())
        .unwrap();
    let name = format!("{}/{}", result.run.id, check.number);
    let shown = lab.postrider(&["show", &name, "--transcript"])?;
    let page = &shown.stdout;
    for words in [
        "fallback  mx2.example.test  127.0.22.2  filter2 (fallback)  ✓ passed",
        "  starttls ",
        "TLSv1.3 · mx1.example.test, mx2.example.test, filter2.cluster.test · chain ok",
        "filter2.cluster.test → store.cluster.test",
        "store.cluster.test → imap.example.test",
        "issued by CN=Laboratory CA",
        &format!("queued as {queue_id}"),
        "-> EHLO probe.outside.test",
        "~> RCPT TO:<alice@example.test>",
        "<~ 221 ",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    Ok(())
}
