//! The kind `mx` against a scripted network.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::kinds::mx::Mx;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::check::{Check, lines, mistakes};

fn mx(settings: Value) -> Mx {
    serde_json::from_value(settings).unwrap()
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    Check::of(net).run(&mx(settings)).await
}

fn at(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 53).into()
}

fn soa(serial: u32) -> String {
    format!("ns1.test hostmaster.test {serial} 3600 600 86400 60")
}

const SET: [&str; 2] = ["10 mx1.test", "20 mx2.test"];

/// A domain in good order: two hosts, and three name servers that agree.
fn zone() -> FakeNet {
    let net = FakeNet::new()
        .records("example.test", "MX", &SET)
        .records("mx1.test", "A", &["198.41.0.4"])
        .records("mx1.test", "AAAA", &["2001:500:2::c"])
        .records("mx2.test", "A", &["199.9.14.201"])
        .records("example.test", "NS", &["ns2.test", "ns1.test", "ns3.test"])
        .records("ns1.test", "A", &["192.0.2.1"])
        .records("ns2.test", "A", &["192.0.2.2"])
        .records("ns3.test", "A", &["192.0.2.3"]);
    [at(1), at(2), at(3)].into_iter().fold(net, |net, server| {
        net.records_at(server, "example.test", "MX", &SET)
            .records_at(server, "example.test", "SOA", &[&soa(7)])
    })
}

fn wanted() -> Value {
    json!({ "domain": "Example.test.", "expect": { "hosts": ["20 MX2.test.", "10 ${item.mx}"] } })
}

#[tokio::test]
async fn a_domain_in_good_order_passes_with_proof() {
    let net = zone();
    let outcome = run(&net, wanted()).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["3 servers", "exact"]);
    assert!(outcome.phases.get(Phase::Dns).is_some());
    assert_eq!(
        outcome.evidence.answers,
        [
            "example.test MX 300 10 mx1.test",
            "example.test MX 300 20 mx2.test",
            "ns1.test (192.0.2.1): 10 mx1.test, 20 mx2.test (serial 7)",
            "ns2.test (192.0.2.2): 10 mx1.test, 20 mx2.test (serial 7)",
            "ns3.test (192.0.2.3): 10 mx1.test, 20 mx2.test (serial 7)",
            "mx1.test: 198.41.0.4, 2001:500:2::c",
            "mx2.test: 199.9.14.201",
        ]
    );
    for (server, question) in net.questions() {
        assert_eq!(question.recursive, server.is_none(), "{question}");
    }
    let seen: Vec<String> = outcome
        .observations
        .iter()
        .map(|seen| format!("{} of {}", seen.what, seen.subject))
        .collect();
    for wanted in ["ns of example.test", "mx of example.test"] {
        assert!(seen.iter().any(|seen| seen == wanted), "{seen:?}");
    }
}

#[tokio::test]
async fn what_another_resolver_says_is_compared_with_what_that_one_said() {
    let other: SocketAddr = "127.0.0.9:5353".parse().unwrap();
    let net = FakeNet::new()
        .records_at(other, "d.test", "MX", &["10 mx1.test"])
        .records_at(other, "mx1.test", "A", &["198.41.0.4"]);
    let settings = json!({ "domain": "d.test", "ask": "resolver", "resolver": "127.0.0.9:5353" });
    let outcome = run(&net, settings).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert!(!outcome.observations.is_empty());
    for seen in &outcome.observations {
        assert!(seen.subject.ends_with(" at 127.0.0.9:5353"), "{seen:?}");
    }
}

#[tokio::test]
async fn the_resolver_alone_is_asked_when_it_is_said() {
    let net = zone();
    let settings = json!({
        "domain": "example.test", "ask": "resolver", "expect": { "ttl_at_most": "1m" },
    });
    assert_eq!(
        lines(&run(&net, settings).await),
        ["dns-mismatch: the MX records may be kept for 5m, at most 1m is wanted"]
    );
    assert!(net.questions().iter().all(|(server, _)| server.is_none()));
}

#[tokio::test]
async fn a_server_that_disagrees_is_the_one_finding() {
    let old = ["10 mx1.test", "30 old.test"];
    for settings in [wanted(), json!({ "domain": "example.test" })] {
        let net = zone().records_at(at(3), "example.test", "MX", &old);
        let outcome = run(&net, settings).await;
        assert_eq!(
            lines(&outcome),
            [
                "dns-disagreement: the name servers differ: ns1.test (192.0.2.1), ns2.test (192.0.2.2) has 10 mx1.test, 20 mx2.test; ns3.test (192.0.2.3) has 10 mx1.test, 30 old.test"
            ]
        );
        assert_eq!(outcome.status(), Status::Fail);
    }
}

#[tokio::test]
async fn a_server_that_is_behind_with_the_same_records_only_degrades() {
    let net = zone().records_at(at(2), "example.test", "SOA", &[&soa(6)]);
    let outcome = run(&net, wanted()).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-disagreement: the serial numbers of example.test differ: ns2.test (192.0.2.2) has 6; ns1.test (192.0.2.1), ns3.test (192.0.2.3) has 7"
        ]
    );
    assert_eq!(outcome.status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn each_bad_server_is_named() {
    let net = zone()
        .lame(at(1))
        .rcode(Some(at(2)), "example.test", "MX", "REFUSED")
        .silence(Some(at(3)), "example.test", "MX");
    let outcome = run(&net, wanted()).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-lame: ns1.test (192.0.2.1): not authoritative for example.test (lame)",
            "dns-lame: ns2.test (192.0.2.2): not authoritative for example.test (lame): it answered REFUSED",
            "dns-timeout: ns3.test (192.0.2.3): no answer from 192.0.2.3 for example.test MX within 5 s",
        ]
    );
    assert_eq!(outcome.phases.get(Phase::Dns), Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn a_resolver_that_lies_or_remembers_is_found_out() {
    let evil = ["10 evil.test"];
    let net =
        zone()
            .records("example.test", "MX", &evil)
            .records("evil.test", "A", &["199.7.91.13"]);
    assert_eq!(
        lines(&run(&net, wanted()).await),
        [
            "dns-disagreement: the resolver 127.0.0.1 has 10 evil.test, and the zone's servers have 10 mx1.test, 20 mx2.test; an old answer is forgotten within 5m"
        ]
    );
    // It hides the domain: that is its own word, with its code.
    let net = zone().rcode(None, "example.test", "MX", "NXDOMAIN");
    assert_eq!(
        lines(&run(&net, wanted()).await),
        ["dns-nxdomain: example.test does not exist, says 127.0.0.1"]
    );
    let net = zone().rcode(None, "example.test", "MX", "SERVFAIL");
    assert_eq!(
        lines(&run(&net, wanted()).await),
        ["dns-servfail: 127.0.0.1 answered SERVFAIL for example.test MX"]
    );
    // It hides the name servers: the set is judged all the same.
    let net = zone().rcode(None, "example.test", "NS", "REFUSED");
    assert_eq!(
        lines(&run(&net, wanted()).await),
        ["dns-servfail: 127.0.0.1 answered REFUSED for example.test NS"]
    );
}

#[tokio::test]
async fn without_an_answering_server_the_resolvers_set_is_judged() {
    let net = [1, 2, 3]
        .into_iter()
        .fold(zone(), |net, last| net.lame(at(last)));
    let settings = json!({ "domain": "example.test", "expect": { "hosts": ["10 mx1.test"] } });
    assert_eq!(
        lines(&run(&net, settings).await),
        [
            "dns-lame: all 3 name servers: not authoritative for example.test (lame)",
            "dns-mismatch: the resolver 127.0.0.1: not expected 20 mx2.test",
        ]
    );
}

/// A domain of its own for each odd host.
#[tokio::test]
async fn odd_hosts_are_named() {
    let net = FakeNet::new()
        .alias("alias.test", "mx1.test", "A", &["198.41.0.4"])
        .records("private.test", "A", &["10.0.0.1", "198.41.0.4"])
        .records("loopback.test", "A", &["127.0.0.1"])
        .records("empty.test", "TXT", &["no address"])
        .rcode(None, "servfail.test", "A", "SERVFAIL")
        .rcode(None, "servfail.test", "AAAA", "SERVFAIL")
        // Two names that are aliases of each other.
        .alias("loop.test", "other.test", "CNAME", &["loop.test"])
        .alias("loop.test", "other.test", "A", &[])
        .alias("loop.test", "other.test", "AAAA", &[]);
    for (host, wanted) in [
        (
            "alias.test",
            "dns-mismatch: alias.test (MX of d.test) is an alias of mx1.test; an MX must not be a CNAME",
        ),
        (
            "private.test",
            "dns-mismatch: private.test (MX of d.test) has the address 10.0.0.1 (private), which the world cannot reach",
        ),
        (
            "loopback.test",
            "dns-mismatch: loopback.test (MX of d.test) has the address 127.0.0.1 (loopback), which the world cannot reach",
        ),
        (
            "empty.test",
            "dns-nxdomain: empty.test (MX of d.test) has no address",
        ),
        (
            "nowhere.test",
            "dns-nxdomain: nowhere.test (MX of d.test): nowhere.test does not exist, says 127.0.0.1",
        ),
        (
            "servfail.test",
            "dns-servfail: servfail.test (MX of d.test): 127.0.0.1 answered SERVFAIL for servfail.test A",
        ),
        (
            "192.0.2.1",
            "dns-mismatch: 192.0.2.1 (MX of d.test): an address stands where a host name must be",
        ),
        (
            ".",
            "dns-mismatch: d.test publishes a null MX: it accepts no mail",
        ),
        (
            "loop.test",
            "dns-mismatch: loop.test (MX of d.test) is an alias of other.test; an MX must not be a CNAME, \
             dns-nxdomain: loop.test (MX of d.test) has no address",
        ),
    ] {
        let net = net
            .again()
            .records("d.test", "MX", &[&format!("10 {host}")]);
        let outcome = run(&net, json!({ "domain": "d.test", "ask": "resolver" })).await;
        assert_eq!(lines(&outcome).join(", "), wanted);
        assert_eq!(outcome.status(), Status::Fail);
    }
}

#[tokio::test]
async fn a_laboratory_may_have_private_addresses_and_says_so() {
    let net = FakeNet::new()
        .records("d.test", "MX", &["10 mx1.test"])
        .records("mx1.test", "A", &["127.0.21.1"]);
    let outcome = run(
        &net,
        json!({ "domain": "d.test", "ask": "resolver", "allow_private": true }),
    )
    .await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["private addresses allowed"]);
}

#[tokio::test]
async fn a_thousand_mx_records_are_one_answer_and_not_a_thousand_questions() {
    let thousand: Vec<String> = (0..1000)
        .map(|number| format!("{number} mx{number}.test"))
        .collect();
    let thousand: Vec<&str> = thousand.iter().map(String::as_str).collect();
    let net = (0..60).fold(
        FakeNet::new().records("d.test", "MX", &thousand),
        |net, number| net.records(&format!("mx{number}.test"), "A", &["198.41.0.4"]),
    );
    let outcome = run(
        &net,
        json!({ "domain": "d.test", "ask": "resolver", "expect": { "hosts": ["0 mx0.test"] } }),
    )
    .await;
    let told = lines(&outcome);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("dns-mismatch: not expected 1 mx1.test, 10 mx10.test, "));
    assert!(told[0].ends_with(" and 989 more"), "{}", told[0]);
    assert_eq!(
        told[1],
        "dns-mismatch: d.test has 1000 MX records; only the 50 most preferred are looked at"
    );
    assert_eq!(net.questions().len(), 101);
    assert!(outcome.evidence.answers.len() <= 100);
}

#[tokio::test]
async fn a_domain_that_is_an_alias_in_a_circle_ends() {
    let net = FakeNet::new()
        .alias("d.test", "e.test", "CNAME", &["d.test"])
        .alias("d.test", "e.test", "MX", &[]);
    let outcome = run(&net, json!({ "domain": "d.test", "ask": "resolver" })).await;
    assert_eq!(
        lines(&outcome),
        ["dns-nxdomain: d.test has no MX record: senders try the domain's own address"]
    );
}

#[tokio::test]
async fn an_alias_is_followed_into_its_own_zone() {
    let net = zone().alias("alias.test", "example.test", "MX", &SET);
    let settings = json!({ "domain": "alias.test", "expect": { "hosts": SET } });
    let outcome = run(&net, settings).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["3 servers", "exact"]);
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (json!({ "domain": "example.test" }), ""),
        (
            json!({ "domain": "a..b" }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            json!({ "domain": "d.test", "prefer": { "hosts": ["mx1.test"] } }),
            "`mx1.test` is not an MX record: write the preference and the host, as `10 mx1.example.net`",
        ),
        (
            json!({ "domain": "d.test", "ask": "resolver", "port": 5353 }),
            "`port` is the authoritative servers' port, and only the resolver is asked: leave `ask: resolver` out, or give the port in `resolver`",
        ),
    ] {
        assert_eq!(mistakes(&mx(settings)), wanted);
    }
    assert!(serde_json::from_value::<Mx>(json!({ "domain": "d.test", "host": [] })).is_err());
}

#[test]
fn the_longest_time_follows_from_the_limit() {
    let longest =
        mx(json!({ "domain": "d.test", "within": "2s" })).longest(&MessageDefaults::default());
    assert_eq!(longest, Duration::from_secs(39));
}
