//! The kind `tlsa` against a scripted network: what the names promise, up to the connection.

use std::time::Duration;

use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::kinds::tlsa::Tlsa;
use postrider_probes::net::{AskError, Security};
use postrider_probes::outcome::{Finding, Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::check::{Check, lines, mistakes};

fn tlsa(settings: Value) -> Tlsa {
    serde_json::from_value(settings).unwrap()
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    Check::of(net).run(&tlsa(settings)).await
}

const KEY: &str = "3 1 1 abababababababababababababababababababababababababababababababab";
const OWNER: &str = "_25._tcp.mx1.test";

/// A domain with one MX host, everything signed; nobody listens.
fn good() -> FakeNet {
    FakeNet::new()
        .signed()
        .records("example.test", "MX", &["10 mx1.test"])
        .records("mx1.test", "A", &["192.0.2.10"])
        .records("mx1.test", "AAAA", &["2001:db8::10"])
        .records(OWNER, "TLSA", &[KEY])
}

fn of_domain() -> Value {
    json!({ "host": "mx1.test", "domain": "example.test" })
}

#[tokio::test]
async fn every_address_is_connected_to_when_the_records_are_proven() {
    let net = good();
    let outcome = run(&net, of_domain()).await;
    assert_eq!(
        lines(&outcome),
        [
            "connect-refused: 192.0.2.10: 192.0.2.10 port 25 refused the connection",
            "connect-refused: 2001:db8::10: 2001:db8::10 port 25 refused the connection",
        ]
    );
    assert!(outcome.phases.get(Phase::Dns).is_some());
    assert_eq!(
        outcome.evidence.answers[..2],
        [
            "example.test MX 300 10 mx1.test",
            "example.test MX: NOERROR, secure"
        ]
    );
    let one = run(
        &net,
        json!({ "host": "mx1.test", "to_address": "192.0.2.10", "port": 25 }),
    )
    .await;
    assert_eq!(
        lines(&one),
        ["connect-refused: 192.0.2.10 port 25 refused the connection"]
    );
}

#[tokio::test]
async fn what_is_not_secure_is_never_connected_to() {
    let bogus = || Security::Bogus("its signature ended".to_owned());
    let liar = || Security::Unvalidated("192.0.2.53 does not validate".to_owned());
    for (name, record_type, security, line) in [
        (
            "example.test",
            "MX",
            Security::Insecure,
            "dane-mismatch: DANE is required, and the MX records of example.test are not signed (insecure) (dane-required)",
        ),
        (
            "mx1.test",
            "A",
            Security::Insecure,
            "dane-mismatch: DANE is required, and the addresses of mx1.test are not signed (insecure) (dane-required)",
        ),
        (
            "mx1.test",
            "AAAA",
            Security::Insecure,
            "dane-mismatch: DANE is required, and the addresses of mx1.test are not signed (insecure) (dane-required)",
        ),
        (
            OWNER,
            "TLSA",
            Security::Insecure,
            "dane-mismatch: DANE is required, and _25._tcp.mx1.test is not signed (insecure) (dane-required)",
        ),
        (
            "example.test",
            "MX",
            bogus(),
            "dns-bogus: example.test MX fails validation: its signature ended (dnssec-invalid)",
        ),
        (
            "mx1.test",
            "AAAA",
            bogus(),
            "dns-bogus: mx1.test AAAA fails validation: its signature ended (dnssec-invalid)",
        ),
        (
            OWNER,
            "TLSA",
            bogus(),
            "dns-bogus: _25._tcp.mx1.test TLSA fails validation: its signature ended (dnssec-invalid)",
        ),
        (
            OWNER,
            "TLSA",
            liar(),
            "dns-unvalidated: 192.0.2.53 does not validate",
        ),
    ] {
        let net = good().proves(name, record_type, security.clone());
        let outcome = run(&net, of_domain()).await;
        assert_eq!(lines(&outcome), [line]);
        assert!(net.connections().is_empty(), "{name} {record_type}");
        let status = match security {
            Security::Unvalidated(_) => Status::Error,
            _ => Status::Fail,
        };
        assert_eq!(outcome.status(), status, "{line}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_or_no_fault_as_expected() {
    let without = || good().records(OWNER, "TLSA", &[]);
    let line = "dane-mismatch: DANE is required, and there is no TLSA record at _25._tcp.mx1.test (dane-required)";
    for (key, dane, status) in [
        (None, "", Status::Fail),
        (Some("expect"), "required", Status::Fail),
        (Some("prefer"), "required", Status::Degraded),
        (Some("expect"), "if-published", Status::Pass),
        (Some("prefer"), "if-published", Status::Pass),
    ] {
        let mut settings = of_domain();
        if let Some(key) = key {
            settings[key] = json!({ "dane": dane });
        }
        let outcome = run(&without(), settings).await;
        assert_eq!(outcome.status(), status, "{key:?} {dane}");
        match status {
            Status::Pass => assert_eq!(
                outcome.notes,
                ["no DANE: there is no TLSA record at _25._tcp.mx1.test"]
            ),
            _ => assert_eq!(lines(&outcome), [line]),
        }
    }
    for (net, line) in [
        (
            good().records("example.test", "MX", &["10 mx2.test"]),
            "dns-mismatch: mx1.test is no MX host of example.test",
        ),
        (
            good().rcode(None, "example.test", "MX", "NXDOMAIN"),
            "dns-nxdomain: example.test does not exist, says 127.0.0.1",
        ),
        (
            good()
                .records("mx1.test", "A", &[])
                .records("mx1.test", "AAAA", &[]),
            "dns-nxdomain: mx1.test has no address",
        ),
        (
            good().rcode(None, OWNER, "TLSA", "SERVFAIL"),
            "dns-servfail: 127.0.0.1 answered SERVFAIL for _25._tcp.mx1.test TLSA",
        ),
        (
            good().ask_error(None, "mx1.test", "A", AskError::NoResolver),
            "vantage-dns: no resolver is configured: set `resolver:` or provide a resolv.conf",
        ),
    ] {
        let outcome = run(&net, of_domain()).await;
        assert_eq!(lines(&outcome), [line]);
        assert!(net.connections().is_empty());
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_or_used_are_named() {
    let net = good().records(
        OWNER,
        "TLSA",
        &["3 1 1 \u{1b}[2J", "3 1 1 zz", KEY, "1 0 1 abab"],
    );
    let outcome = run(&net, of_domain()).await;
    assert_eq!(outcome.notes, ["3 of 4 TLSA records cannot be used"]);
    let unusable: Vec<&String> = outcome
        .evidence
        .answers
        .iter()
        .filter(|line| line.contains("cannot be used"))
        .collect();
    assert_eq!(
        unusable,
        [
            "_25._tcp.mx1.test TLSA 1 0 1 abab cannot be used: usage 1 (PKIX-EE) is not for SMTP (RFC 7672 §3.1.3)",
            "_25._tcp.mx1.test TLSA 3 1 1 \\x1b[2J cannot be used: not three numbers and a hexadecimal text, as in `3 1 1 0c72ac70…`",
            "_25._tcp.mx1.test TLSA 3 1 1 zz cannot be used: not three numbers and a hexadecimal text, as in `3 1 1 0c72ac70…`",
        ]
    );
}

#[tokio::test]
async fn a_thousand_records_make_one_line() {
    let records: Vec<String> = (0..1000)
        .map(|number| format!("3 1 1 {number:04x}"))
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let outcome = run(&good().records(OWNER, "TLSA", &records), of_domain()).await;
    let told = lines(&outcome);
    assert_eq!(told.len(), 1);
    assert!(told[0].len() < 800, "{told:?}");
    assert!(outcome.evidence.answers.len() < 300);
}

#[tokio::test]
async fn addresses_that_are_not_looked_at_are_told() {
    for (count, told) in [(8, 0), (9, 1)] {
        let addresses: Vec<String> = (1..=count).map(|last| format!("192.0.2.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let net = good()
            .records("mx1.test", "A", &addresses)
            .records("mx1.test", "AAAA", &[]);
        let outcome = run(&net, of_domain()).await;
        let line =
            format!("dns-mismatch: mx1.test has {count} addresses; only the first 8 are looked at");
        let of_count =
            |finding: &&Finding| finding.line() == line && finding.status == Status::Degraded;
        assert_eq!(outcome.findings.iter().filter(of_count).count(), told);
        assert_eq!(net.connections().len(), 8);
    }
}

#[tokio::test]
async fn the_name_at_the_end_of_an_alias_counts_first() {
    let net = good()
        .alias("mx1.test", "real.test", "A", &["192.0.2.10"])
        .alias("mx1.test", "real.test", "AAAA", &[])
        .records("_25._tcp.real.test", "TLSA", &["0 0 1 abab"]);
    let outcome = run(&net, of_domain()).await;
    assert_eq!(
        lines(&outcome),
        [
            "dane-mismatch: no TLSA record of _25._tcp.real.test can be used: 0 0 1 abab: usage 0 (PKIX-TA) is not for SMTP (RFC 7672 §3.1.3) (tlsa-invalid)"
        ]
    );
    let net = net.records("_25._tcp.real.test", "TLSA", &[]);
    let outcome = run(&net, of_domain()).await;
    assert_eq!(
        lines(&outcome),
        ["connect-refused: 192.0.2.10 port 25 refused the connection"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_resolver_ends_by_its_limit() {
    let net = good().silence(None, OWNER, "TLSA");
    let outcome = run(&net, json!({ "host": "mx1.test", "within": "3s" })).await;
    assert_eq!(
        lines(&outcome),
        ["dns-timeout: no answer from 127.0.0.1 for _25._tcp.mx1.test TLSA within 3 s"]
    );
    assert_eq!(outcome.phases.get(Phase::Dns), Some(Duration::from_secs(3)));
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (json!({ "host": "mx1.test" }), ""),
        (
            json!({}),
            "`tlsa` does not say which server: add `host: mx1.example.net`, or `for_each` to the step",
        ),
        (
            json!({ "host": "a..b" }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            json!({ "host": "mx1.test", "domain": "" }),
            "an empty text is no domain name",
        ),
        (
            json!({ "host": "mx1.test", "to_address": "mx1.test" }),
            "`mx1.test` is not an IP address",
        ),
        (
            json!({ "host": "mx1.test", "port": 0 }),
            "a port is a whole number from 1 to 65535",
        ),
        (
            json!({ "host": "mx1.test", "starttls": "none" }),
            "`tlsa` does not say which port: add `port:`, such as 465, 993 or 443",
        ),
        (
            json!({ "host": "mx1.test", "starttls": "imap", "helo": "probe.test" }),
            "nobody says `helo` without `starttls: smtp`: remove `helo`",
        ),
        (
            json!({ "host": "mx1.test", "within": "0s" }),
            "`within` is zero",
        ),
    ] {
        assert_eq!(mistakes(&tlsa(settings)), wanted);
    }
    for wrong in [
        json!({ "host": "mx1.test", "expect": {} }),
        json!({ "host": "mx1.test", "expect": { "dane": "maybe" } }),
        json!({ "host": "mx1.test", "unknown": 1 }),
    ] {
        assert!(serde_json::from_value::<Tlsa>(wrong).is_err());
    }
}

#[test]
fn the_longest_time_follows_from_the_limits() {
    let longest = |settings: Value| tlsa(settings).longest(&MessageDefaults::default());
    // Four rounds of names; six of dialogue for each of eight addresses.
    assert_eq!(
        longest(json!({ "host": "mx1.test", "within": "2s" })),
        Duration::from_secs(2 * (4 + 6 * 8) + 1)
    );
    assert_eq!(
        longest(json!({ "host": "mx1.test", "to_address": "192.0.2.1", "within": "2s" })),
        Duration::from_secs(2 * (4 + 6) + 1)
    );
}
