//! The kind `dnsbl` against a scripted network.

use std::time::Duration;

use postrider_probes::kind::Kind as _;
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::kinds::dnsbl::Dnsbl;
use postrider_probes::outcome::{Outcome, Status};
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::check::{Check, lines, mistakes};

fn dnsbl(settings: Value) -> Dnsbl {
    serde_json::from_value(settings).unwrap()
}

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    Check::of(net).run(&dnsbl(settings)).await
}

/// `::` and all nibbles of an IPv4 address in disguise, reversed.
fn test6(last: &str) -> String {
    format!("{last}.0.0.0.0.0.f.7.f.f.f.f.{}bl.test", "0.".repeat(20))
}

/// A list in good order that knows nobody but its test entries.
fn good() -> FakeNet {
    FakeNet::new()
        .records("2.0.0.127.bl.test", "A", &["127.0.0.2"])
        .records(&test6("2"), "A", &["127.0.0.2"])
}

fn address(text: &str) -> Value {
    json!({
        "of": { "address": text },
        "lists": [{ "zone": "BL.test.", "meanings": { "127.0.0.3": "sends spam" } }],
    })
}

const V4: &str = "10.2.0.192.bl.test";

#[tokio::test]
async fn an_address_that_is_on_no_list_passes() {
    let net = good();
    let outcome = run(&net, address("192.0.2.10")).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["not listed"]);
    assert_eq!(
        outcome.evidence.answers,
        ["bl.test: 192.0.2.10 is not listed"]
    );
    assert!(outcome.phases.get(Phase::Dns).is_some());
    let asked: Vec<String> = net
        .questions()
        .into_iter()
        .map(|(_, question)| question.to_string())
        .collect();
    assert_eq!(
        asked,
        [
            "2.0.0.127.bl.test A",
            "1.0.0.127.bl.test A",
            "10.2.0.192.bl.test A"
        ]
    );
}

#[tokio::test]
async fn a_listing_is_told_with_its_meaning_and_words() {
    let net = good()
        .records(V4, "A", &["127.0.0.3", "127.0.0.9"])
        .records(V4, "TXT", &["see https://bl.test/\u{1b}[2J"]);
    let mut settings = address("192.0.2.10");
    let told = "dnsbl-listed: 192.0.2.10 is on bl.test: 127.0.0.3 (sends spam), 127.0.0.9; it says: see https://bl.test/\\x1b[2J";
    let outcome = run(&net, settings.clone()).await;
    assert_eq!(lines(&outcome), [told]);
    assert_eq!(outcome.status(), Status::Fail);
    settings["lists"][0]["when_listed"] = json!("degrade");
    let outcome = run(&net, settings).await;
    assert_eq!(
        (lines(&outcome), outcome.status()),
        (vec![told.to_owned()], Status::Degraded)
    );
}

#[tokio::test]
async fn ipv6_addresses_are_asked_for_by_nibbles() {
    let name = format!("0.1.0.0.{}8.b.d.0.1.0.0.2.bl.test", "0.".repeat(20));
    let net = good().records(&name, "A", &["127.0.0.3"]);
    assert_eq!(
        lines(&run(&net, address("2001:db8::10")).await),
        ["dnsbl-listed: 2001:db8::10 is on bl.test: 127.0.0.3 (sends spam)"]
    );
    assert_eq!(
        net.questions()[0].1.name,
        test6("2"),
        "the test entry of the same family comes first"
    );
    // A list of IPv4 addresses alone has nothing to say, and that is no pass.
    let mut settings = address("2001:db8::10");
    settings["lists"][0]["family"] = json!("ipv4");
    assert_eq!(
        lines(&run(&good(), settings).await),
        ["cannot-ask: no list has addresses of this family: nothing was asked"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_asked_is_an_error_and_never_a_verdict() {
    let (present, absent) = ("2.0.0.127.bl.test", "1.0.0.127.bl.test");
    for (net, wanted) in [
        // The list is gone.
        (FakeNet::new(), "its test entry 127.0.0.2 is not listed"),
        // Everything is listed.
        (
            good().records(absent, "A", &["127.0.0.2"]),
            "it lists 127.0.0.1, which no list may: it lists everything",
        ),
        // A resolver that rewrites what does not exist.
        (
            good().records(absent, "A", &["203.0.113.80"]),
            "it answered 203.0.113.80, which is not in 127.0.0.0/8: the answer is rewritten on the way, or the list is gone",
        ),
        (
            good().records(present, "A", &["127.255.255.254"]),
            "it refuses with 127.255.255.254: it is asked through a public resolver",
        ),
        (
            good().rcode(None, present, "A", "REFUSED"),
            "127.0.0.1 answered REFUSED for 2.0.0.127.bl.test A",
        ),
        (
            good().silence(None, present, "A"),
            "no answer from 127.0.0.1 for 2.0.0.127.bl.test A within 5 s",
        ),
    ] {
        // Whatever it says of the address.
        let net = net.records(V4, "A", &["127.0.0.3"]);
        let outcome = run(&net, address("192.0.2.10")).await;
        assert_eq!(
            lines(&outcome),
            [format!("cannot-ask: bl.test cannot be asked: {wanted}")]
        );
        assert_eq!(outcome.status(), Status::Error);
        assert!(
            net.questions()
                .iter()
                .all(|(_, question)| question.name != V4)
        );
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_an_error_too() {
    let net = good().records(V4, "A", &["127.255.255.255"]);
    assert_eq!(
        lines(&run(&net, address("192.0.2.10")).await),
        [
            "cannot-ask: bl.test cannot be asked for 192.0.2.10: it refuses with 127.255.255.255: it is asked too often"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_falls_silent_is_left_alone() {
    let addresses: Vec<String> = (0..60).map(|last| format!("192.0.2.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let net = addresses.iter().fold(
        good().records("many.test", "A", &addresses),
        |net, address| {
            let mut parts: Vec<&str> = address.split('.').collect();
            parts.reverse();
            net.silence(None, &format!("{}.bl.test", parts.join(".")), "A")
        },
    );
    let settings = json!({ "of": { "name": "many.test" }, "lists": [{ "zone": "bl.test" }] });
    let outcome = run(&net, settings).await;
    assert_eq!(
        lines(&outcome),
        [
            "cannot-ask: bl.test cannot be asked for 192.0.2.0: no answer from 127.0.0.1 for 0.2.0.192.bl.test A within 5 s (and so for 15 more)"
        ]
    );
    assert_eq!(outcome.phases.get(Phase::Dns), Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn one_list_that_cannot_be_asked_does_not_hide_what_another_says() {
    let net = good().records(V4, "A", &["127.0.0.9"]);
    let settings = json!({
        "of": { "address": "192.0.2.10" },
        "lists": [{ "zone": "gone.test" }, { "zone": "bl.test" }],
    });
    let outcome = run(&net, settings).await;
    assert_eq!(
        lines(&outcome),
        [
            "dnsbl-listed: 192.0.2.10 is on bl.test: 127.0.0.9",
            "cannot-ask: gone.test cannot be asked: its test entry 127.0.0.2 is not listed",
        ]
    );
    assert_eq!(outcome.status(), Status::Fail);
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    let of = json!({ "address": "192.0.2.1" });
    for (settings, wanted) in [
        (address("192.0.2.1"), ""),
        (
            json!({ "of": of, "lists": [] }),
            "`lists` has from 1 to 20 lists: write the lists of one purpose into one step",
        ),
        (
            json!({ "of": of, "lists": [{ "zone": "a..b" }] }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            json!({ "of": of, "lists": [{ "zone": "a.test" }, { "zone": "a.test" }] }),
            "`a.test` stands here a second time: leave one of them out",
        ),
    ] {
        assert_eq!(mistakes(&dnsbl(settings)), wanted);
    }
    let wrong =
        json!({ "of": of, "lists": [{ "zone": "a.test", "meanings": { "192.0.2.1": "x" } }] });
    let error = serde_json::from_value::<Dnsbl>(wrong)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`192.0.2.1` is no answer of a block list: write one as `127.0.0.2`"),
        "{error}"
    );
}

#[test]
fn the_longest_time_follows_from_the_limit() {
    let mut settings = address("192.0.2.1");
    settings["within"] = json!("1s");
    let longest = dnsbl(settings).longest(&MessageDefaults::default());
    assert_eq!(longest, Duration::from_secs(20));
}
