//! One node does something wrong: its two addresses are blamed, with the phase, and no other.

use std::io;
use std::time::Duration;

use postrider::result::{RunResult, StatusWord};
use postrider_testkit::live::{ALICE, Certificate, Node, Stage, wait_until};
use tokio::time::Instant;

use super::lab::{EVERY_ADDRESS, FILTER1, FILTER2, Lab, assert_blamed, at, line, of_step};

#[test]
fn stopped_node_is_blamed_at_its_two_addresses() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    lab.platform.stop_node(Node::Filter1);
    let ended = lab.postrider(&["run", "--format", "json"])?;
    assert_eq!(ended.code(), Some(1));
    let result: RunResult = serde_json::from_str(&ended.stdout)?;
    assert_blamed(&result, &FILTER1, "connect-refused");
    for address in FILTER1 {
        let check = at(&result, address);
        let phases: Vec<&str> = check.phases_seconds.keys().map(String::as_str).collect();
        assert_eq!(phases, ["connect", "dns"], "the phase that failed is timed");
        assert_eq!(
            check.target.as_ref().unwrap().node.as_deref(),
            Some("filter1")
        );
    }
    let mut states = lab.states();
    states.sort();
    assert_eq!(states, ["delivered", "delivered", "not-sent", "not-sent"]);
    lab.platform.start_node(Node::Filter1)?;
    assert_blamed(&lab.run(&[])?, &[], "");
    Ok(())
}

#[test]
fn refusal_is_blamed_on_the_stage_where_it_came() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    // Stage, what the node says, the reason, the last phase, where in the dialogue, the ledger's word.
    let cases = [
        (
            Stage::Connect,
            "421 4.3.2 not today",
            "greeting-rejected",
            "banner",
            "as greeting",
            "not-sent",
        ),
        (
            Stage::Connect,
            "554 5.7.1 not you",
            "greeting-rejected",
            "banner",
            "as greeting",
            "not-sent",
        ),
        (
            Stage::Ehlo,
            "450 4.7.1 who is that",
            "greeting-rejected",
            "ehlo",
            "after EHLO",
            "not-sent",
        ),
        (
            Stage::Ehlo,
            "550 5.7.1 not that name",
            "greeting-rejected",
            "ehlo",
            "after EHLO",
            "not-sent",
        ),
        (
            Stage::Mail,
            "451 4.1.8 not now",
            "smtp-4xx",
            "mail",
            "after MAIL FROM",
            "deferred",
        ),
        (
            Stage::Mail,
            "550 5.1.8 no such sender",
            "smtp-5xx",
            "mail",
            "after MAIL FROM",
            "refused",
        ),
        (
            Stage::Rcpt,
            "450 4.2.0 try later",
            "smtp-4xx",
            "rcpt",
            "after RCPT TO",
            "deferred",
        ),
        (
            Stage::Rcpt,
            "550 5.7.1 not to alice",
            "smtp-5xx",
            "rcpt",
            "after RCPT TO",
            "refused",
        ),
        (
            Stage::Data,
            "451 4.3.0 no room",
            "smtp-4xx",
            "data",
            "after DATA",
            "deferred",
        ),
        (
            Stage::Data,
            "554 5.5.1 no data",
            "smtp-5xx",
            "data",
            "after DATA",
            "refused",
        ),
        (
            Stage::EndOfData,
            "451 4.7.1 come again",
            "smtp-4xx",
            "data",
            "after the final dot",
            "deferred",
        ),
        (
            Stage::EndOfData,
            "550 5.7.1 no spam here",
            "smtp-5xx",
            "data",
            "after the final dot",
            "refused",
        ),
    ];
    for (stage, reply, reason, phase, place, state) in cases {
        lab.platform.refuse(Node::Filter2, stage, reply)?;
        let known = lab.entries().len();
        let result = lab.run(&[])?;
        assert_blamed(&result, &FILTER2, reason);
        let (code, words) = (&reply[..9], &reply[10..]);
        for address in FILTER2 {
            let check = at(&result, address);
            let said = line(check);
            assert!(
                said.starts_with(&format!("{reason}: {code}"))
                    && said.contains(words)
                    && said.ends_with(&format!("({place})")),
                "{stage:?}: {said}"
            );
            let last = ["transit", "data", "rcpt", "mail", "ehlo", "banner"]
                .into_iter()
                .find(|phase| check.phases_seconds.contains_key(*phase));
            assert_eq!(last, Some(phase), "{stage:?}");
            let evidence = check.evidence.as_ref().unwrap();
            assert!(
                evidence.transcript.iter().any(|line| line.contains(words)),
                "the dialogue of a failure is kept"
            );
            let id = &evidence.entries[0];
            let entries = lab.entries();
            let entry = entries.iter().find(|entry| entry.id == *id).unwrap();
            assert_eq!(
                (entry.state.as_str(), entry.open),
                (state, false),
                "{stage:?}"
            );
        }
        assert_eq!(lab.entries().len(), known + 4, "nothing is sent twice");
    }
    Ok(())
}

#[test]
fn held_mail_is_missed_at_one_node_and_booked_when_it_comes() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    lab.platform.hold_mail(Node::Filter2)?;
    let result = lab.run(&[])?;
    assert_blamed(&result, &FILTER2, "not-delivered");
    for address in FILTER2 {
        let check = at(&result, address);
        let smtp = check.evidence.as_ref().unwrap().smtp.as_ref().unwrap();
        let queue_id = smtp.queue_id.as_ref().unwrap();
        assert_eq!(
            line(check),
            format!(
                "not-delivered: accepted as {queue_id}, not in INBOX or the junk folder after 3 s"
            )
        );
        assert!(check.phases_seconds["transit"] >= 3.0);
        assert!(
            lab.platform
                .smtp_log(Node::Filter2)
                .contains(&format!("{queue_id}: to=<{ALICE}>")),
            "still there"
        );
    }
    let overdue: Vec<_> = lab
        .entries()
        .into_iter()
        .filter(|entry| entry.state == "overdue" && entry.open)
        .collect();
    assert_eq!(overdue.len(), 2, "{:#?}", lab.entries());
    lab.platform.release_mail(Node::Filter2)?;
    for entry in &overdue {
        lab.platform.await_delivery(&entry.message_id())?;
    }
    let ended = lab.postrider(&["run", "--address", "127.0.21.1"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for entry in &overdue {
        let mail = format!("(mail {})", entry.id);
        let mut lines = ended.stderr.lines().filter(|line| line.ends_with(&mail));
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with("corrected: "), "{ended:?}");
        assert!(
            line.contains(" said not-delivered; it arrived after "),
            "{line}"
        );
        assert_eq!(lines.next(), None, "{ended:?}");
    }
    assert_eq!(lab.states(), ["delivered"; 5]);
    assert!(lab.entries().iter().all(|entry| !entry.open));
    assert_eq!(lab.mailbox(ALICE)?, [], "own mail is removed");
    Ok(())
}

#[test]
fn slow_mail_is_blamed_on_the_hop_where_it_waited() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "slow",
        "
steps:
  - id: each
    for_each: { mx_of: example.test }
    deliver:
      to_address: ${item.address}
      expect: { arrives: { within: 30s, warn_after: 1500ms } }
",
    )?;
    lab.platform.hold_mail(Node::Filter2)?;
    let running = lab.spawn(&["run", "--format", "json"])?;
    lab.await_log(Node::Filter2, "status=deferred")?;
    // The fault is the wait itself.
    let since = Instant::now();
    wait_until(Duration::from_secs(10), || {
        (since.elapsed() > Duration::from_millis(2300)).then_some(())
    });
    lab.platform.release_mail(Node::Filter2)?;
    let ended = running.finish()?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let result: RunResult = serde_json::from_str(&ended.stdout)?;
    assert_eq!(result.run.status, StatusWord::Degraded);
    assert_blamed(&result, &FILTER2, "slow");
    for address in FILTER2 {
        let said = line(at(&result, address));
        assert!(
            said.starts_with("slow: transit ")
                && said.ends_with(" of it between filter2.cluster.test and store.cluster.test"),
            "{said}"
        );
    }
    Ok(())
}

#[test]
fn bad_certificate_is_blamed_on_the_node_that_shows_it() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let verified = EVERY_ADDRESS
        .replace("deliver:\n", "deliver:\n      tls: required-and-verified\n")
        .replace(
            "        certificate: { matches: mx-name, valid_for: 14d }\n",
            "",
        );
    lab.scenario("judged", EVERY_ADDRESS)?;
    lab.scenario("verified", &verified)?;
    for (certificate, words) in [
        (
            Certificate::WrongName,
            " is for other.outside.test, not for mx",
        ),
        (Certificate::Expired, " expired on 2021-01-01"),
        (Certificate::SelfSigned, " is self-signed"),
    ] {
        lab.platform
            .present_certificate(Node::Filter1, certificate)?;
        let judged = lab.run(&["judged"])?;
        assert_blamed(&judged, &FILTER1, "tls-certificate");
        let sent = lab.entries().len();
        let verified = lab.run(&["verified"])?;
        assert_blamed(&verified, &FILTER1, "tls-certificate");
        for address in FILTER1 {
            // Recorded and judged: the mail went on. Enforced: nothing was sent.
            let check = at(&judged, address);
            assert!(line(check).contains(words), "{}", line(check));
            assert_eq!(check.notes, ["250", "INBOX"]);
            let check = at(&verified, address);
            assert!(line(check).contains(words), "{}", line(check));
            assert_eq!(check.notes, ["not sent"]);
            assert!(
                check.phases_seconds.contains_key("starttls")
                    && !check.phases_seconds.contains_key("mail")
            );
            let tls = check.evidence.as_ref().unwrap().tls.as_ref().unwrap();
            assert!(tls.fault.is_some() && !tls.fingerprint.is_empty());
        }
        let new = &lab.entries()[sent..];
        let unsent = new.iter().filter(|entry| entry.state == "not-sent");
        assert_eq!((new.len(), unsent.count()), (4, 2));
    }
    Ok(())
}

#[test]
fn missing_starttls_is_blamed_only_where_tls_is_required() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "required",
        &EVERY_ADDRESS.replace(
            "        certificate: { matches: mx-name, valid_for: 14d }\n",
            "",
        ),
    )?;
    lab.scenario(
        "opportunistic",
        "
steps:
  - id: each
    for_each: { mx_of: example.test }
    deliver:
      to_address: ${item.address}
      tls: opportunistic
      expect: { arrives: { within: 3s } }
",
    )?;
    lab.platform.without_starttls(Node::Filter1)?;
    let required = lab.run(&["required"])?;
    assert_blamed(&required, &FILTER1, "tls-not-offered");
    let opportunistic = lab.run(&["opportunistic"])?;
    assert_blamed(&opportunistic, &[], "");
    for (addresses, has_tls) in [(FILTER1, false), (FILTER2, true)] {
        for address in addresses {
            let evidence = at(&opportunistic, address).evidence.as_ref().unwrap();
            assert_eq!(evidence.tls.is_some(), has_tls, "{address}");
        }
    }
    Ok(())
}

#[test]
fn mail_in_the_junk_folder_is_not_delivered() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    lab.platform.junk_mail(Node::Filter1)?;
    let result = lab.run(&[])?;
    assert_blamed(&result, &FILTER1, "delivered-elsewhere");
    for address in FILTER1 {
        let check = at(&result, address);
        assert_eq!(
            line(check),
            "delivered-elsewhere: delivered to Junk, not to INBOX"
        );
        assert_eq!(check.notes, ["250", "Junk"]);
        let arrivals = &check.evidence.as_ref().unwrap().arrivals;
        assert_eq!(
            (arrivals.len(), arrivals[0].folder.as_str()),
            (1, "Junk"),
            "{arrivals:?}"
        );
    }
    let mut states = lab.states();
    states.sort();
    assert_eq!(states, ["delivered", "delivered", "junked", "junked"]);
    assert_eq!(
        lab.mailbox(ALICE)?,
        [],
        "own mail is removed from there, too"
    );
    Ok(())
}

#[test]
fn recorded_authentication_results_are_judged() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "authenticated",
        "
steps:
  - id: each
    for_each: { mx_of: example.test }
    deliver:
      to_address: ${item.address}
      expect:
        arrives: { within: 3s }
        authentication_results: { spf: pass, dkim: pass }
",
    )?;
    let results = |dkim: &str| {
        format!(
            "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=outside.test; dkim={dkim} header.d=outside.test"
        )
    };
    lab.platform.stamp_mail(Node::Filter1, &results("pass"))?;
    lab.platform.stamp_mail(Node::Filter2, &results("fail"))?;
    let result = lab.run(&[])?;
    assert_blamed(&result, &FILTER2, "auth-results");
    for address in FILTER2 {
        assert_eq!(
            line(at(&result, address)),
            "auth-results: dkim=fail recorded for dkim, expected pass"
        );
    }
    Ok(())
}

#[test]
fn unknown_recipient_must_be_refused_in_the_session() -> io::Result<()> {
    let lab = Lab::start()?;
    let step = |id: &str, recipient: &str| {
        format!(
            "
  - id: {id}
    for_each: {{ mx_of: example.test, preference: any, addresses: all }}
    deliver:
      to_address: ${{item.address}}
      envelope_to: {recipient}
      stop_after: rcpt
      expect: {{ reply: 5xx, enhanced_status: 5.1.1 }}"
        )
    };
    let steps = [
        step("unknown", "no-such-user-${run.id}@example.test"),
        step("known", "bob@example.test"),
        step("relay", "someone@elsewhere.test"),
    ];
    lab.scenario(
        "recipients",
        &format!("steps_run: together\nsteps:{}\n", steps.concat()),
    )?;
    let result = lab.run(&[])?;
    for check in of_step(&result, "unknown") {
        assert_eq!(
            (line(check).as_str(), check.notes.as_slice()),
            ("pass", ["550".to_owned()].as_slice())
        );
    }
    for check in of_step(&result, "known") {
        assert_eq!(
            line(check),
            "wrongly-accepted: 250 2.1.5 Ok (after RCPT TO), expected 5xx"
        );
    }
    // Refused, but not for the reason that was expected.
    for check in of_step(&result, "relay") {
        assert_eq!(
            line(check),
            "smtp-unexpected-reply: 554 5.7.1 <someone@elsewhere.test>: Relay access denied (after RCPT TO), expected 5.1.1"
        );
    }
    assert_eq!(result.checks.len(), 12);
    assert!(lab.entries().is_empty(), "nothing was to be sent");
    assert_eq!(lab.platform.deliveries(), []);
    Ok(())
}
