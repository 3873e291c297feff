//! The kind `dns` against a scripted network.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::kinds::dns::Dns;
use postrider_probes::net::Security;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::check::{Check, lines, mistakes};

fn dns(settings: Value) -> Dns {
    serde_json::from_value(settings).unwrap()
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    Check::of(net).run(&dns(settings)).await
}

fn at(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 53).into()
}

#[tokio::test]
async fn the_exact_set_passes_in_any_order() {
    let net = FakeNet::new().records("example.test", "MX", &["20 mx2.test", "10 mx1.test"]);
    let outcome = run(
        &net,
        json!({
            "query": "example.test",
            "type": "MX",
            "expect": { "answers": ["10 ${item.mx}", "20 MX2.test."], "ttl_at_most": "5m" },
        }),
    )
    .await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["exact"]);
    assert!(outcome.phases.get(Phase::Dns).is_some());
    assert_eq!(
        outcome.evidence.answers,
        [
            "example.test MX 300 20 mx2.test",
            "example.test MX 300 10 mx1.test"
        ]
    );
}

#[tokio::test]
async fn a_difference_names_what_is_missing_and_what_is_too_many() {
    let net = FakeNet::new().records("example.test", "MX", &["10 mx1.test", "30 old.test"]);
    let rules = json!({ "answers": ["10 mx1.test", "20 mx2.test"] });
    for (key, status) in [("expect", Status::Fail), ("prefer", Status::Degraded)] {
        let outcome = run(
            &net,
            json!({ "query": "example.test", "type": "MX", key: rules }),
        )
        .await;
        assert_eq!(outcome.status(), status);
        assert_eq!(
            lines(&outcome),
            ["dns-mismatch: missing 20 mx2.test; not expected 30 old.test"]
        );
        assert_eq!(outcome.notes, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_question_is_timed_too() {
    let net = FakeNet::new().silence(None, "example.test", "MX");
    let outcome = run(
        &net,
        json!({ "query": "example.test", "type": "MX", "within": "3s" }),
    )
    .await;
    assert_eq!(
        lines(&outcome),
        ["dns-timeout: no answer from 127.0.0.1 for example.test MX within 3 s"]
    );
    assert_eq!(outcome.phases.get(Phase::Dns), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn remote_text_is_made_safe() {
    let net = FakeNet::new().records("example.test", "TXT", &["\u{1b}[2J\u{202e}evil"]);
    let outcome = run(
        &net,
        json!({ "query": "example.test", "type": "TXT", "expect": { "answers": [] } }),
    )
    .await;
    assert_eq!(
        lines(&outcome),
        ["dns-mismatch: not expected \\x1b[2J\\u{202e}evil"]
    );
    assert_eq!(
        outcome.evidence.answers,
        ["example.test TXT 300 \\x1b[2J\\u{202e}evil"]
    );
}

#[tokio::test]
async fn a_step_may_ask_another_resolver() {
    let other: SocketAddr = "127.0.0.9:5353".parse().unwrap();
    let net = FakeNet::new().records_at(other, "example.test", "A", &["192.0.2.1"]);
    let outcome = run(
        &net,
        json!({ "query": "example.test", "type": "TYPE1", "resolver": "127.0.0.9:5353" }),
    )
    .await;
    assert_eq!(lines(&outcome), [""; 0]);
    let (server, question) = net.questions().remove(0);
    assert_eq!(server, Some(other));
    assert!(question.recursive);
}

/// A zone with three name servers, one of them with an IPv6 address as well.
fn zone() -> FakeNet {
    let net = FakeNet::new()
        .records("example.test", "NS", &["ns2.test", "ns1.test", "ns3.test"])
        .records("ns1.test", "A", &["192.0.2.1"])
        .records("ns1.test", "AAAA", &["2001:db8::1"])
        .records("ns2.test", "A", &["192.0.2.2"])
        .records("ns3.test", "A", &["192.0.2.3"]);
    let v6: SocketAddr = "[2001:db8::1]:53".parse().unwrap();
    [at(1), at(2), at(3), v6]
        .into_iter()
        .fold(net, |net, server| {
            net.records_at(server, "example.test", "MX", &["10 mx1.test"])
        })
}

fn every_server(expect: Value) -> Value {
    json!({
        "query": "example.test",
        "type": "MX",
        "ask": "every-authoritative-server",
        "expect": expect,
    })
}

fn wanted() -> Value {
    every_server(json!({ "answers": ["10 mx1.test"] }))
}

#[tokio::test]
async fn every_address_of_every_name_server_is_asked_without_recursion() {
    let net = zone();
    let outcome = run(&net, wanted()).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["4 servers", "exact"]);
    assert_eq!(
        outcome.evidence.answers,
        [
            "ns1.test (192.0.2.1): 10 mx1.test",
            "ns1.test (2001:db8::1): 10 mx1.test",
            "ns2.test (192.0.2.2): 10 mx1.test",
            "ns3.test (192.0.2.3): 10 mx1.test",
        ]
    );
    for (server, question) in net.questions() {
        assert_eq!(question.recursive, server.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn each_bad_server_is_named() {
    let net = zone()
        .lame(at(1))
        .records_at(at(2), "example.test", "MX", &["10 old.test"])
        .rcode(
            Some("[2001:db8::1]:53".parse().unwrap()),
            "example.test",
            "MX",
            "REFUSED",
        )
        .silence(Some(at(3)), "example.test", "MX");
    let outcome = run(&net, wanted()).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-lame: ns1.test (192.0.2.1): not authoritative for example.test (lame)",
            "dns-lame: ns1.test (2001:db8::1): not authoritative for example.test (lame): it answered REFUSED",
            "dns-mismatch: ns2.test (192.0.2.2): missing 10 mx1.test; not expected 10 old.test",
            "dns-timeout: ns3.test (192.0.2.3): no answer from 192.0.2.3 for example.test MX within 5 s",
        ]
    );
    // All at the same time.
    assert_eq!(outcome.phases.get(Phase::Dns), Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn one_fault_of_all_servers_is_said_once() {
    let outcome = run(&zone(), every_server(json!({ "answers": ["10 new.test"] }))).await;
    assert_eq!(
        lines(&outcome),
        ["dns-mismatch: all 4 name servers: missing 10 new.test; not expected 10 mx1.test"]
    );
}

#[tokio::test]
async fn servers_that_differ_are_told_even_when_nothing_is_expected() {
    let net = zone().records_at(at(3), "example.test", "MX", &["10 old.test"]);
    let outcome = run(&net, every_server(json!({ "ttl_at_most": "1h" }))).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-disagreement: the name servers differ: ns1.test (192.0.2.1), ns1.test (2001:db8::1), ns2.test (192.0.2.2) has 10 mx1.test; ns3.test (192.0.2.3) has 10 old.test"
        ]
    );
}

#[tokio::test]
async fn a_name_server_without_address_is_a_finding() {
    let net = zone().records("ns3.test", "A", &[]);
    let outcome = run(&net, wanted()).await;
    assert_eq!(
        lines(&outcome),
        ["dns-nxdomain: name server ns3.test has no address"]
    );
}

#[tokio::test]
async fn the_zone_is_looked_for_upwards() {
    let net = zone().records_at(at(1), "_dmarc.example.test", "TXT", &["v=DMARC1; p=none"]);
    let net = [at(2), at(3), "[2001:db8::1]:53".parse().unwrap()]
        .into_iter()
        .fold(net, |net, server| {
            net.records_at(server, "_dmarc.example.test", "TXT", &["v=DMARC1; p=none"])
        });
    let outcome = run(
        &net,
        json!({
            "query": "_dmarc.example.test",
            "type": "TXT",
            "ask": "every-authoritative-server",
            "expect": { "answers": ["v=DMARC1; p=none"] },
        }),
    )
    .await;
    assert_eq!(lines(&outcome), [""; 0]);

    let outcome = run(
        &FakeNet::new(),
        json!({ "query": "a.b.test", "type": "TXT", "ask": "every-authoritative-server" }),
    )
    .await;
    assert_eq!(
        lines(&outcome),
        ["dns-nxdomain: no name servers are known for a.b.test"]
    );
}

#[tokio::test]
async fn without_ipv6_the_other_servers_are_asked() {
    let outcome = run(&zone().without_ipv6(), wanted()).await;
    assert_eq!(outcome.status(), Status::Pass);
    assert_eq!(outcome.notes, ["IPv4 servers only", "3 servers", "exact"]);
    assert!(outcome.evidence.answers.contains(
        &"ns1.test (2001:db8::1): not asked, there is no IPv6 route from here".to_owned()
    ));

    let only_v6 = zone()
        .records("example.test", "NS", &["ns1.test"])
        .records("ns1.test", "A", &[])
        .without_ipv6();
    assert_eq!(
        lines(&run(&only_v6, wanted()).await),
        ["vantage-no-ipv6: no IPv6 route from here to ns1.test (2001:db8::1)"]
    );
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (json!({ "query": "example.test", "type": "MX" }), ""),
        (
            json!({ "query": "a..b", "type": "MX" }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            json!({ "query": "example.test", "type": "mx" }),
            "`mx` is no record type: write `MX`",
        ),
        (
            json!({ "query": "example.test", "type": "MAIL" }),
            "`MAIL` is no record type: write one as `MX`, `TXT`, or `TYPE123` by its number",
        ),
        (
            json!({ "query": "example.test", "type": "MX", "expect": { "answers": ["mx1.test"] } }),
            "`mx1.test` is not an MX record: write the preference and the host, as `10 mx1.example.net`",
        ),
        (
            json!({ "query": "example.test", "type": "A", "prefer": { "answers": ["::1"] } }),
            "`::1` is not the address of an A record",
        ),
        (
            json!({ "query": "example.test", "type": "A", "expect": { "rcode": "NXDOMAN" } }),
            "`NXDOMAN` is no response code: there are `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, `FORMERR`, `NOTIMP`",
        ),
        (
            json!({ "query": "example.test", "type": "A", "ask": "every-authoritative-server", "expect": { "dnssec": "secure" } }),
            "`dnssec` is what a resolver proves, and only the authoritative servers are asked: leave out `ask`, or make it a step of its own",
        ),
        (
            json!({ "query": "example.test", "type": "A", "port": 5353 }),
            "`port` is the authoritative servers' port, and only the resolver is asked: write `ask: every-authoritative-server`, or give the port in `resolver`",
        ),
    ] {
        assert_eq!(mistakes(&dns(settings)), wanted);
    }
}

#[test]
fn the_longest_time_follows_from_the_limits() {
    let longest = |settings: Value| dns(settings).longest(&MessageDefaults::default());
    let short = json!({ "query": "example.test", "type": "MX", "within": "2s" });
    assert_eq!(longest(short), Duration::from_secs(3));
    let long = json!({
        "query": "example.test", "type": "MX", "within": "2s", "ask": "every-authoritative-server",
    });
    assert_eq!(longest(long), Duration::from_secs(21));
}

#[tokio::test]
async fn what_is_proven_is_judged_beside_the_records() {
    let of = |security: Security| {
        FakeNet::new()
            .records("example.test", "MX", &["10 mx1.test"])
            .proves("example.test", "MX", security)
    };
    let expect = json!({ "answers": ["10 mx2.test"], "dnssec": "secure" });
    let settings = json!({ "query": "example.test", "type": "MX", "expect": expect });
    let records = "dns-mismatch: missing 10 mx2.test; not expected 10 mx1.test";
    for (security, status, told) in [
        (Security::Secure, Status::Fail, vec![records]),
        (
            Security::Insecure,
            Status::Fail,
            vec![
                "dns-mismatch: example.test MX is insecure: its zone is proven to be unsigned (expected secure)",
                records,
            ],
        ),
        // What is not proven is not judged.
        (
            Security::Bogus("its signature ended".to_owned()),
            Status::Fail,
            vec!["dns-bogus: example.test MX fails validation: its signature ended"],
        ),
        (
            Security::Unvalidated("it lies".to_owned()),
            Status::Error,
            vec!["dns-unvalidated: it lies"],
        ),
        (
            Security::Indeterminate,
            Status::Error,
            vec![
                "dns-unvalidated: nothing is proven of example.test MX: 127.0.0.1 answered with an error what the proof takes",
            ],
        ),
    ] {
        let word = security.word();
        let outcome = run(&of(security), settings.clone()).await;
        assert_eq!(lines(&outcome), told, "{word}");
        assert_eq!(outcome.status(), status, "{word}");
        let proof = outcome.evidence.answers.last().unwrap();
        assert_eq!(*proof, format!("example.test MX: {word}"));
    }
}
