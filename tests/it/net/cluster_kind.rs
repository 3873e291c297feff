//! The kind `cluster` against a scripted network; its rules are tested beside the code.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::inventory::Node;
use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::cluster::Cluster;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::observation::{Observation, What};
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::check::{Check, lines, mistakes};

fn cluster(settings: Value) -> Cluster {
    serde_json::from_value(settings).unwrap()
}

fn node(name: &str, primary: &str, fallback: &str) -> Node {
    Node {
        name: name.to_owned(),
        server_name: Some(format!("{name}.cluster.test")),
        primary: vec![primary.parse().unwrap()],
        fallback: vec![fallback.parse().unwrap()],
        site: None,
    }
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    let mut check = Check::of(net);
    check.platform.domains = vec!["example.test".to_owned()];
    check.platform.nodes = vec![
        node("filter1", "192.0.2.1", "192.0.2.2"),
        node("filter2", "198.51.100.1", "198.51.100.2"),
    ];
    check.run(&cluster(settings)).await
}

fn authoritative() -> SocketAddr {
    ([192, 0, 2, 53], 53).into()
}

/// Everything in good order.
fn good() -> FakeNet {
    let reverse = |net: FakeNet, address: &str, name: &str| {
        let mut parts: Vec<&str> = address.split('.').collect();
        parts.reverse();
        net.records(&format!("{}.in-addr.arpa", parts.join(".")), "PTR", &[name])
            .records(name, "A", &[address])
    };
    let net = FakeNet::new()
        .records(
            "example.test",
            "MX",
            &["10 mx1.example.test", "20 mx2.example.test"],
        )
        .records("example.test", "NS", &["ns1.test"])
        .records("ns1.test", "A", &["192.0.2.53"]);
    let net = [
        ("mx1.example.test", ["192.0.2.1", "198.51.100.1"]),
        ("mx2.example.test", ["192.0.2.2", "198.51.100.2"]),
    ]
    .into_iter()
    .fold(net, |net, (host, addresses)| {
        // The resolver has counted down.
        net.records_with_ttl(host, "A", &addresses, 5)
            .records_with_ttl_at(authoritative(), host, "A", &addresses, 60)
    });
    [
        ("192.0.2.1", "filter1.cluster.test"),
        ("198.51.100.1", "filter2.cluster.test"),
        ("192.0.2.2", "out1.cluster.test"),
        ("198.51.100.2", "out2.cluster.test"),
    ]
    .into_iter()
    .fold(net, |net, (address, name)| reverse(net, address, name))
}

#[tokio::test]
async fn a_cluster_in_good_order_passes_with_proof() {
    let outcome = run(&good(), json!({})).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["2 nodes, 10 rules"]);
    assert!(outcome.phases.get(Phase::Dns).is_some());
    assert_eq!(
        outcome.evidence.answers,
        [
            "example.test MX 10 mx1.example.test: 192.0.2.1, 198.51.100.1",
            "example.test MX 20 mx2.example.test: 192.0.2.2, 198.51.100.2",
            "filter1.cluster.test: 192.0.2.1",
            "filter2.cluster.test: 198.51.100.1",
            "1.2.0.192.in-addr.arpa PTR filter1.cluster.test (leads back)",
            "2.2.0.192.in-addr.arpa PTR out1.cluster.test (leads back)",
            "1.100.51.198.in-addr.arpa PTR filter2.cluster.test (leads back)",
            "2.100.51.198.in-addr.arpa PTR out2.cluster.test (leads back)",
        ]
    );
}

#[tokio::test]
async fn the_addresses_of_server_names_are_remembered_when_they_could_be_asked() {
    let seen = |outcome: &Outcome| -> Vec<String> {
        let of_servers = |seen: &&Observation| {
            seen.what == What::Addresses && seen.subject.contains(".cluster.test ")
        };
        let of_servers = outcome.observations.iter().filter(of_servers);
        of_servers
            .map(|seen| format!("{} {}", seen.subject, seen.values))
            .collect()
    };
    let outcome = run(&good(), json!({})).await;
    let filter2 = [
        "filter2.cluster.test (IPv4) \"198.51.100.1\"",
        "filter2.cluster.test (IPv6) nothing",
    ];
    assert_eq!(
        seen(&outcome),
        [
            "filter1.cluster.test (IPv4) \"192.0.2.1\"",
            "filter1.cluster.test (IPv6) nothing",
            filter2[0],
            filter2[1],
        ]
    );
    let net = good().rcode(None, "filter1.cluster.test", "AAAA", "SERVFAIL");
    assert_eq!(seen(&run(&net, json!({})).await), filter2);
}

#[tokio::test]
async fn the_time_to_live_is_the_authoritative_servers() {
    let net = good().records_with_ttl_at(
        authoritative(),
        "mx2.example.test",
        "A",
        &["192.0.2.2", "198.51.100.2"],
        3600,
    );
    let told = "cluster-layout: mx-ttl: the addresses of mx2.example.test may be kept for 1h, at most 1m is wanted: so long a dead one is tried";
    let outcome = run(&net, json!({})).await;
    assert_eq!(lines(&outcome), [told]);
    assert_eq!(outcome.status(), Status::Degraded);
    for settings in [
        json!({ "ttl_at_most": "1h" }),
        json!({ "except": ["mx-ttl"] }),
    ] {
        assert_eq!(lines(&run(&net, settings).await), [""; 0]);
    }
}

#[tokio::test]
async fn a_breach_that_breaks_mail_fails() {
    let net = good().records("filter2.cluster.test", "A", &["203.0.113.1"]);
    let outcome = run(&net, json!({})).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-mismatch: server-names: the server name filter2.cluster.test of node filter2 does not lead to 198.51.100.1 and leads to 203.0.113.1; it is to lead to its primary address alone"
        ]
    );
    assert_eq!(outcome.status(), Status::Fail);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_told_and_the_rest_is_judged() {
    let net = good().rcode(None, "example.test", "MX", "SERVFAIL").rcode(
        None,
        "1.2.0.192.in-addr.arpa",
        "PTR",
        "SERVFAIL",
    );
    assert_eq!(
        lines(&run(&net, json!({})).await),
        [
            "dns-servfail: primary-names: the reverse name of 192.0.2.1 (filter1): 127.0.0.1 answered SERVFAIL for 1.2.0.192.in-addr.arpa PTR",
            "dns-servfail: 127.0.0.1 answered SERVFAIL for example.test MX",
        ]
    );
    let net = good().silence(Some(authoritative()), "mx1.example.test", "A");
    assert_eq!(
        lines(&run(&net, json!({})).await),
        [
            "dns-timeout: the time to live of mx1.example.test: no answer from 192.0.2.53 for mx1.example.test A within 5 s"
        ]
    );
}

#[tokio::test]
async fn servers_are_visited_only_with_a_greeting() {
    let net = good();
    run(&net, json!({})).await;
    assert_eq!(net.connections(), []);
    let settings = json!({ "greeting": { "helo": "probe.test", "port": 2525 } });
    let outcome = run(&net, settings).await;
    assert_eq!(
        lines(&outcome),
        [
            "connect-refused: same-identity: 192.0.2.1 (filter1): 192.0.2.1 port 2525 refused the connection",
            "connect-refused: same-identity: 198.51.100.1 (filter2): 198.51.100.1 port 2525 refused the connection",
        ]
    );
    assert_eq!(outcome.notes, ["2 nodes, 11 rules"]);
}

#[tokio::test]
async fn a_thousand_mx_records_are_bounded() {
    let thousand: Vec<String> = (0..1000)
        .map(|number| format!("{number} mx{number}.example.test"))
        .collect();
    let thousand: Vec<&str> = thousand.iter().map(String::as_str).collect();
    let net = (0..60).fold(
        good().records("example.test", "MX", &thousand),
        |net, number| {
            let host = format!("mx{number}.example.test");
            let net = net.records(&host, "A", &["192.0.2.1"]);
            net.records_at(authoritative(), &host, "A", &["192.0.2.1"])
        },
    );
    let outcome = run(&net, json!({ "ttl_at_most": "1d" })).await;
    assert_eq!(
        lines(&outcome),
        [
            "dns-mismatch: example.test has 1000 MX records; only the 50 most preferred are looked at",
            "cluster-layout: there are 50 MX hosts; only the first 16 are looked at",
        ]
    );
    assert!(net.questions().len() < 300, "{}", net.questions().len());
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    let nodes = "the main file names no nodes: add `platform: {nodes: …}` to the main file";
    let greeting = json!({ "helo": "probe.test" });
    for (settings, wanted) in [
        (json!({ "domain": "example.test" }), nodes.to_owned()),
        (
            json!({}),
            format!(
                "{nodes}\nno mail domain is named: add `domain: example.net`, or `platform: {{domains: …}}` to the main file"
            ),
        ),
        (
            json!({ "domain": "a..b" }),
            format!(
                "`a..b` is no domain name: each part between dots has 1 to 63 characters\n{nodes}"
            ),
        ),
        (
            json!({ "domain": "example.test", "greeting": greeting, "except": ["same-identity"] }),
            format!(
                "{nodes}\n`greeting` is for the rule `same-identity`, which is excepted: leave one of the two out"
            ),
        ),
    ] {
        assert_eq!(mistakes(&cluster(settings)), wanted);
    }
    assert!(serde_json::from_value::<Cluster>(json!({ "except": ["mx-tll"] })).is_err());
}

#[test]
fn the_longest_time_follows_from_the_limits() {
    let longest = |settings: Value| cluster(settings).longest(&MessageDefaults::default());
    assert_eq!(longest(json!({ "within": "1s" })), Duration::from_secs(61));
}
