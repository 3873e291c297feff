//! The kind `ptr` against a scripted network.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::inventory::Node;
use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::kinds::ptr::Ptr;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::check::{Check, lines, mistakes};

fn ptr(settings: Value) -> Ptr {
    serde_json::from_value(settings).unwrap()
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    Check::of(net).run(&ptr(settings)).await
}

fn address(text: &str) -> Value {
    json!({ "of": { "address": text } })
}

const V4: &str = "10.2.0.192.in-addr.arpa";
const V6: &str = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

/// One host with an address of each family, in good order.
fn good() -> FakeNet {
    FakeNet::new()
        .records(V4, "PTR", &["Filter1.Test."])
        .records(V6, "PTR", &["filter1.test"])
        .records("filter1.test", "A", &["192.0.2.10"])
        .records("filter1.test", "AAAA", &["2001:db8::10"])
}

fn nodes() -> Vec<Node> {
    let node = |name: &str, primary: &[&str], fallback: &[&str]| {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Node {
            name: name.to_owned(),
            server_name: Some(format!("{name}.test")),
            primary: parse(primary),
            fallback: parse(fallback),
            site: None,
        }
    };
    vec![
        node("filter1", &["192.0.2.10", "2001:db8::10"], &[]),
        node("filter2", &["192.0.2.20"], &["192.0.2.21"]),
    ]
}

#[tokio::test]
async fn both_families_lead_back() {
    for (text, reverse) in [("192.0.2.10", V4), ("2001:db8::10", V6)] {
        let net = good();
        let outcome = run(&net, address(text)).await;
        assert_eq!(lines(&outcome), [""; 0]);
        assert_eq!(outcome.notes, ["filter1.test"]);
        assert_eq!(
            outcome.evidence.answers,
            [format!("{reverse} PTR filter1.test (leads back)")]
        );
        assert!(outcome.phases.get(Phase::Dns).is_some());
        assert_eq!(net.questions().len(), 2);
    }
}

#[tokio::test]
async fn all_addresses_of_a_name_are_looked_at() {
    let outcome = run(&good(), json!({ "of": { "name": "filter1.test" } })).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["2 addresses"]);

    let net = good().rcode(None, V6, "PTR", "NXDOMAIN");
    let outcome = run(&net, json!({ "of": { "name": "filter1.test" } })).await;
    assert_eq!(
        lines(&outcome),
        ["ptr-mismatch: 2001:db8::10 has no reverse name"]
    );
    assert_eq!(
        lines(&run(&good(), json!({ "of": { "name": "nobody.test" } })).await),
        ["dns-nxdomain: nobody.test does not exist, says 127.0.0.1"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_server_cannot_say_is_not_missing() {
    for (net, wanted) in [
        (
            good().rcode(None, V4, "PTR", "SERVFAIL"),
            "dns-servfail: the reverse name of 192.0.2.10: 127.0.0.1 answered SERVFAIL for 10.2.0.192.in-addr.arpa PTR",
        ),
        (
            good().silence(None, V4, "PTR"),
            "dns-timeout: the reverse name of 192.0.2.10: no answer from 127.0.0.1 for 10.2.0.192.in-addr.arpa PTR within 5 s",
        ),
        (
            good().rcode(None, "filter1.test", "A", "REFUSED"),
            "dns-servfail: 192.0.2.10 is filter1.test: 127.0.0.1 answered REFUSED for filter1.test A",
        ),
    ] {
        assert_eq!(lines(&run(&net, address("192.0.2.10")).await), [wanted]);
    }
}

#[tokio::test]
async fn the_nodes_primary_addresses_have_the_server_names() {
    let net = good()
        .records("20.2.0.192.in-addr.arpa", "PTR", &["mx2.test"])
        .records("mx2.test", "A", &["192.0.2.20"])
        .records("21.2.0.192.in-addr.arpa", "PTR", &["out2.test"])
        .records("out2.test", "A", &["192.0.2.21"]);
    let mut check = Check::of(&net);
    check.platform.nodes = nodes();
    let settings = json!({ "of": { "nodes": "all" }, "expect": { "matches": "server-name" } });
    let outcome = check.run(&ptr(settings)).await;
    assert_eq!(
        lines(&outcome),
        ["ptr-mismatch: 192.0.2.20 (filter2) is mx2.test, not filter2.test, its server name"]
    );
    assert_eq!(outcome.notes, ["4 addresses"]);
}

#[tokio::test]
async fn a_reverse_zone_may_be_delegated_by_aliases() {
    let net = FakeNet::new()
        .alias(V4, "10.0-63.2.0.192.in-addr.arpa", "PTR", &["filter1.test"])
        .records("filter1.test", "A", &["192.0.2.10"]);
    assert_eq!(lines(&run(&net, address("192.0.2.10")).await), [""; 0]);
    // An alias that leads in a circle has no name.
    let net = FakeNet::new().alias(V4, V4, "PTR", &[]);
    assert_eq!(
        lines(&run(&net, address("192.0.2.10")).await),
        ["ptr-mismatch: 192.0.2.10 has no reverse name"]
    );
}

#[tokio::test]
async fn a_hundred_names_are_bounded_and_the_wanted_one_is_among_them() {
    let hundred: Vec<String> = (0..100)
        .map(|number| format!("h{number:02}.test"))
        .collect();
    let hundred: Vec<&str> = hundred.iter().map(String::as_str).collect();
    let net = hundred
        .iter()
        .fold(FakeNet::new().records(V4, "PTR", &hundred), |net, name| {
            net.records(name, "A", &["192.0.2.10"])
        });
    let settings = json!({
        "of": { "address": "192.0.2.10" }, "expect": { "name": "H99.test." },
    });
    let outcome = run(&net, settings).await;
    assert_eq!(
        lines(&outcome),
        ["ptr-mismatch: 192.0.2.10 has 100 reverse names; only 8 are looked at"]
    );
    assert_eq!(outcome.status(), Status::Degraded);
    assert_eq!(outcome.notes, ["h99.test and 99 more names"]);
    assert_eq!(net.questions().len(), 9);
}

#[tokio::test]
async fn hostile_names_are_names_and_nothing_else() {
    let net = FakeNet::new().records(V4, "PTR", &["a\\032b..\u{1b}[2J", "."]);
    let outcome = run(&net, address("192.0.2.10")).await;
    assert_eq!(
        lines(&outcome),
        [
            "ptr-mismatch: 192.0.2.10 is ., but that is no host name",
            "ptr-mismatch: 192.0.2.10 is a\\032b..\\x1b[2j, but that is no host name",
        ]
    );
}

/// Says the greeting, answers EHLO and QUIT.
async fn smtp(mut peer: DuplexStream, greeting: &str, ehlo: &str) {
    peer.write_all(format!("{greeting}\r\n").as_bytes())
        .await
        .unwrap();
    let mut heard = Vec::new();
    while peer.read_buf(&mut heard).await.unwrap_or(0) > 0 {
        if heard.ends_with(b"\r\n") {
            let reply = match heard.starts_with(b"EHLO") {
                true => format!("250-{ehlo} at your service\r\n250 PIPELINING\r\n"),
                false => "221 bye\r\n".to_owned(),
            };
            heard.clear();
            peer.write_all(reply.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_server_calls_itself_by_its_reverse_name() {
    let at: SocketAddr = "192.0.2.10:2525".parse().unwrap();
    for (greeting, ehlo, wanted) in [
        ("220 Filter1.test ESMTP", "filter1.test", vec![]),
        (
            "220 mx1.test ESMTP",
            "localhost.localdomain",
            vec![
                "ptr-mismatch: 192.0.2.10 greets as mx1.test, and its reverse name is filter1.test",
                "ptr-mismatch: 192.0.2.10 answers EHLO as localhost.localdomain, and its reverse name is filter1.test",
            ],
        ),
        (
            "554 no service",
            "",
            vec!["greeting-rejected: 192.0.2.10: 554 no service (as greeting)"],
        ),
    ] {
        let net = good();
        let peer = net.peer(at);
        let mut settings = address("192.0.2.10");
        settings["expect"] = json!({ "banner": "reverse-name" });
        settings["helo"] = json!("probe.test");
        settings["port"] = json!(2525);
        let (kind, check) = (ptr(settings), Check::of(&net));
        let (outcome, ()) = tokio::join!(check.run(&kind), smtp(peer, greeting, ehlo));
        assert_eq!(lines(&outcome), wanted);
        assert!(outcome.phases.get(Phase::Banner).is_some());
        assert_eq!(outcome.phases.get(Phase::Ehlo).is_some(), !ehlo.is_empty());
        let smtp = outcome.evidence.smtp.unwrap();
        assert_eq!(
            format!("220 {}", smtp.banner.unwrap()).len(),
            greeting.len()
        );
    }
}

#[tokio::test]
async fn greetings_that_are_not_read_are_told() {
    for (count, wanted) in [
        (16, vec![]),
        (
            17,
            vec!["ptr-mismatch: there are 17 addresses; only the first 16 greetings are read"],
        ),
    ] {
        let addresses: Vec<String> = (1..=count).map(|last| format!("192.0.2.{last}")).collect();
        let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let net = (1..=count).fold(
            FakeNet::new().records("filter1.test", "A", &texts),
            |net, last| {
                net.records(
                    &format!("{last}.2.0.192.in-addr.arpa"),
                    "PTR",
                    &["filter1.test"],
                )
            },
        );
        for address in &addresses {
            let peer = net.peer(SocketAddr::new(address.parse().unwrap(), 25));
            tokio::spawn(smtp(peer, "220 filter1.test ESMTP", ""));
        }
        let settings = json!({
            "of": { "name": "filter1.test" }, "expect": { "banner": "reverse-name" },
        });
        let outcome = run(&net, settings).await;
        assert_eq!(lines(&outcome), wanted);
        let status = match wanted.is_empty() {
            true => Status::Pass,
            false => Status::Degraded,
        };
        assert_eq!(outcome.status(), status);
        assert_eq!(net.connections().len(), 16);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_its_own_finding() {
    let mut settings = address("192.0.2.10");
    settings["expect"] = json!({ "banner": "reverse-name" });
    assert_eq!(
        lines(&run(&good(), settings).await),
        ["connect-refused: 192.0.2.10: 192.0.2.10 port 25 refused the connection"]
    );
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (address("192.0.2.10"), ""),
        (address("${item.mx}"), ""),
        (
            json!({}),
            "it is not said whose addresses are meant: add `of: {address: …}`, `of: {name: …}` or `of: {nodes: all}`, or `for_each` to the step",
        ),
        (
            json!({ "of": { "address": "192.0.2.10", "name": "a.test" } }),
            "`of` has exactly one of `address`, `name` and `nodes`: write two steps for two kinds of addresses",
        ),
        (
            json!({ "of": {} }),
            "`of` has exactly one of `address`, `name` and `nodes`: write two steps for two kinds of addresses",
        ),
        (
            address("mail.test"),
            "`mail.test` is not an IP address: write a name under `name`",
        ),
        (
            json!({ "of": { "nodes": "all" } }),
            "the main file names no nodes: add `platform: {nodes: …}` to the main file",
        ),
        (
            json!({ "of": { "address": "::1" }, "prefer": { "matches": "server-name" } }),
            "server names are compared, and the main file names no nodes: add `platform: {nodes: …}` to the main file",
        ),
        (
            json!({ "of": { "address": "::1" }, "helo": "probe.test" }),
            "`helo` is for the greeting, and no greeting is read: add `expect: {banner: reverse-name}`",
        ),
    ] {
        assert_eq!(mistakes(&ptr(settings)), wanted);
    }
}

#[test]
fn the_longest_time_follows_from_the_limits() {
    let longest = |settings: Value| ptr(settings).longest(&MessageDefaults::default());
    let short = json!({ "of": { "address": "::1" }, "within": "1s" });
    assert_eq!(longest(short.clone()), Duration::from_secs(38));
    let mut read = short;
    read["expect"] = json!({ "banner": "server-name" });
    assert_eq!(longest(read), Duration::from_secs(38 + 110));
}
