//! `spf`.

use std::time::Duration;

use postrider_probes::kinds::spf::Spf;
use postrider_probes::net::AskError;
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::{problems, run, told};

const CROWD: [&str; 11] = [
    "1 crowd1.test",
    "2 crowd2.test",
    "3 crowd3.test",
    "4 crowd4.test",
    "5 crowd5.test",
    "6 crowd6.test",
    "7 crowd7.test",
    "8 crowd8.test",
    "9 crowd9.test",
    "10 crowd10.test",
    "11 crowd11.test",
];

fn net() -> FakeNet {
    let txt = |net: FakeNet, name: &str, record: &str| net.records(name, "TXT", &[record]);
    let net = FakeNet::new()
        .records("mx.test", "MX", &["10 h1.test", "20 h2.test"])
        .records("h1.test", "A", &["192.0.2.7"])
        .records("h2.test", "A", &["192.0.2.1"])
        .records("h2.test", "AAAA", &["2001:db8::1"])
        .records(
            "1.2.0.192.in-addr.arpa",
            "PTR",
            &["evil.test", "out.ptr.test"],
        )
        .records("out.ptr.test", "A", &["192.0.2.1"])
        .records("evil.test", "A", &["198.51.100.1"])
        .records("192.0.2.1.in-addr.exists.test", "A", &["127.0.0.2"])
        .records("out.ptr.test.p.test", "A", &["192.0.2.1"])
        .records("two.test", "TXT", &["v=spf1 -all", "v=spf1 mx -all"])
        .records("other.test", "TXT", &["something else", "v=spf10 -all"])
        .rcode(None, "servfail.test", "TXT", "SERVFAIL")
        .rcode(None, "servfail-a.test", "A", "SERVFAIL")
        .alias(
            "alias.test",
            "ip.test",
            "TXT",
            &["v=spf1 ip4:192.0.2.0/24 -all"],
        );
    [
        ("ip.test", "v=spf1 ip4:192.0.2.0/24 -all"),
        ("ip6.test", "v=spf1 ip6:2001:db8::/32 -all"),
        ("a.test", "v=spf1 a:h2.test/32//64 ~all"),
        ("a24.test", "v=spf1 a:h1.test/24 -all"),
        ("mx.test", "v=spf1 mx -all"),
        ("ptr.test", "v=spf1 ptr -all"),
        ("p.test", "v=spf1 exists:%{p}.%{d} -all"),
        ("exists.test", "v=spf1 exists:%{i}.%{v}.exists.test -all"),
        ("include.test", "v=spf1 include:ip.test -all"),
        ("include-fail.test", "v=spf1 include:all.test ?all"),
        // The inner include fails the client: that is no match, and the walk goes on.
        (
            "nested.test",
            "v=spf1 include:nested-inner.test ip4:192.0.2.1 ?all",
        ),
        ("nested-inner.test", "v=spf1 -include:ip.test"),
        ("include-none.test", "v=spf1 include:h1.test -all"),
        ("redirect.test", "v=spf1 redirect=ip.test"),
        ("redirect-none.test", "v=spf1 redirect=nowhere.test"),
        ("all.test", "v=spf1 -all"),
        ("soft.test", "v=spf1 ~all"),
        ("quiet.test", "v=spf1"),
        ("label", "v=spf1 +all"),
        ("crowd.test", "v=spf1 mx -all"),
        ("bad.test", "v=spf1 moo -all"),
        ("loop.test", "v=spf1 include:loop.test -all"),
        ("void.test", "v=spf1 a:n1.test a:n2.test a:n3.test -all"),
        (
            "voids.test",
            "v=spf1 a:n1.test mx:h1.test ip4:192.0.2.1 -all",
        ),
        ("servfail-term.test", "v=spf1 a:servfail-a.test -all"),
        ("local.test", "v=spf1 exists:%{l}.%{o}.user.test -all"),
        (
            "long.test",
            "v=spf1 exists:%{l}%{l}%{l}%{l}%{l}%{l}.long.test -all",
        ),
    ]
    .into_iter()
    .fold(net, |net, (name, record)| txt(net, name, record))
    .records("crowd.test", "MX", &CROWD)
    .records("crowd3.test", "A", &["192.0.2.1"])
    .records("bob.local.test.user.test", "A", &["127.0.0.2"])
}

fn of(domain: &str, address: &str) -> Value {
    json!({ "address": address, "helo": "mail.helo.test", "sender": format!("bob@{domain}") })
}

/// Domain, client, result, what decided, lookups.
type Row = (&'static str, &'static str, &'static str, &'static str, u8);

#[tokio::test]
async fn each_mechanism_decides_as_the_standard_says() {
    let rows: &[Row] = &[
        (
            "ip.test",
            "192.0.2.1",
            "pass",
            "`ip4:192.0.2.0/24` of ip.test",
            0,
        ),
        ("ip.test", "198.51.100.1", "fail", "`-all` of ip.test", 0),
        (
            "ip.test",
            "::ffff:192.0.2.1",
            "pass",
            "`ip4:192.0.2.0/24` of ip.test",
            0,
        ),
        (
            "ip6.test",
            "2001:db8:9::1",
            "pass",
            "`ip6:2001:db8::/32` of ip6.test",
            0,
        ),
        ("ip6.test", "192.0.2.1", "fail", "`-all` of ip6.test", 0),
        (
            "a.test",
            "192.0.2.1",
            "pass",
            "`a:h2.test/32//64` of a.test",
            1,
        ),
        ("a.test", "192.0.2.2", "softfail", "`~all` of a.test", 1),
        (
            "a.test",
            "2001:db8::9",
            "pass",
            "`a:h2.test/32//64` of a.test",
            1,
        ),
        (
            "a24.test",
            "192.0.2.200",
            "pass",
            "`a:h1.test/24` of a24.test",
            1,
        ),
        ("mx.test", "192.0.2.1", "pass", "`mx` of mx.test", 1),
        // h1 has no IPv6 address: that is no void lookup.
        ("mx.test", "2001:db8::1", "pass", "`mx` of mx.test", 1),
        ("ptr.test", "192.0.2.1", "pass", "`ptr` of ptr.test", 1),
        ("ptr.test", "192.0.2.2", "fail", "`-all` of ptr.test", 1),
        (
            "p.test",
            "192.0.2.1",
            "pass",
            "`exists:%{p}.%{d}` of p.test",
            1,
        ),
        (
            "exists.test",
            "192.0.2.1",
            "pass",
            "`exists:%{i}.%{v}.exists.test` of exists.test",
            1,
        ),
        (
            "local.test",
            "192.0.2.1",
            "pass",
            "`exists:%{l}.%{o}.user.test` of local.test",
            1,
        ),
        (
            "include.test",
            "192.0.2.1",
            "pass",
            "`include:ip.test` of include.test, `ip4:192.0.2.0/24` of ip.test",
            1,
        ),
        (
            "include-fail.test",
            "192.0.2.1",
            "neutral",
            "`?all` of include-fail.test",
            1,
        ),
        (
            "nested.test",
            "192.0.2.1",
            "pass",
            "`ip4:192.0.2.1` of nested.test",
            2,
        ),
        (
            "redirect.test",
            "192.0.2.1",
            "pass",
            "`ip4:192.0.2.0/24` of ip.test",
            1,
        ),
        (
            "redirect.test",
            "198.51.100.1",
            "fail",
            "`-all` of ip.test",
            1,
        ),
        (
            "alias.test",
            "192.0.2.1",
            "pass",
            "`ip4:192.0.2.0/24` of alias.test",
            0,
        ),
        (
            "quiet.test",
            "192.0.2.1",
            "neutral",
            "no term of quiet.test matches",
            0,
        ),
        (
            "other.test",
            "192.0.2.1",
            "none",
            "other.test has no SPF record",
            0,
        ),
        // One label is no domain (section 4.3).
        ("label", "192.0.2.1", "none", "label has no SPF record", 0),
        ("crowd.test", "192.0.2.1", "pass", "`mx` of crowd.test", 1),
        (
            "crowd.test",
            "192.0.2.2",
            "permerror",
            "`mx` of crowd.test has 11 MX hosts, more than 10 must not be asked for",
            1,
        ),
        (
            "nowhere.test",
            "192.0.2.1",
            "none",
            "nowhere.test has no SPF record",
            0,
        ),
        (
            "voids.test",
            "192.0.2.1",
            "pass",
            "`ip4:192.0.2.1` of voids.test",
            2,
        ),
    ];
    let mut wrong = Vec::new();
    for (domain, client, result, by, lookups) in rows {
        let mut settings = of(domain, client);
        // Always another result than the one that comes, so that the finding tells all.
        let other = if *result == "permerror" {
            "none"
        } else {
            "permerror"
        };
        settings["expect"] = json!({ "result": other });
        let outcome = run::<Spf>(&net(), settings).await;
        let wanted = format!("fail spf-mismatch: {result} (expected {other}): {by}");
        if told(&outcome) != [wanted.as_str()]
            || outcome.notes[..2] != [(*result).to_owned(), format!("{lookups} of 10 lookups")]
        {
            wrong.push(format!(
                "{domain} {client}: {:?} {:?}",
                told(&outcome),
                outcome.notes
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_an_error_word_and_never_none() {
    let mut wrong = Vec::new();
    for (domain, wanted) in [
        (
            "two.test",
            "fail spf-mismatch: permerror (expected pass): two.test has 2 SPF records, there must be one",
        ),
        (
            "bad.test",
            "fail spf-mismatch: permerror (expected pass): the record of bad.test has `moo`, which is no mechanism",
        ),
        (
            "include-none.test",
            "fail spf-mismatch: permerror (expected pass): `include:h1.test` of include-none.test leads to h1.test, which has no SPF record",
        ),
        (
            "redirect-none.test",
            "fail spf-mismatch: permerror (expected pass): `redirect=` of redirect-none.test leads to nowhere.test, which has no SPF record",
        ),
        (
            "loop.test",
            "fail spf-mismatch: permerror (expected pass): more than 10 terms ask DNS: `include:loop.test` of loop.test would be one more",
        ),
        (
            "void.test",
            "fail spf-mismatch: permerror (expected pass): more than 2 terms find nothing in DNS (void lookups): `a:n3.test` of void.test is one more",
        ),
        (
            "servfail.test",
            "fail dns-servfail: temperror (expected pass): 127.0.0.1 answered SERVFAIL for servfail.test TXT",
        ),
        (
            "servfail-term.test",
            "fail dns-servfail: temperror (expected pass): 127.0.0.1 answered SERVFAIL for servfail-a.test A",
        ),
    ] {
        let outcome = run::<Spf>(&net(), of(domain, "192.0.2.1")).await;
        if told(&outcome) != [wanted] {
            wrong.push(format!("{domain}: {:?}", told(&outcome)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_expected_error_word_passes_and_a_preference_degrades() {
    for (domain, expect, wanted) in [
        (
            "servfail.test",
            json!({ "expect": { "result": "temperror" } }),
            vec![],
        ),
        (
            "two.test",
            json!({ "expect": { "result": "permerror" } }),
            vec![],
        ),
        (
            "soft.test",
            json!({ "prefer": { "result": "fail" } }),
            vec!["degraded spf-mismatch: softfail (expected fail): `~all` of soft.test"],
        ),
        (
            "include.test",
            json!({ "prefer": { "lookups_at_most": 0 } }),
            vec!["degraded spf-mismatch: 1 terms asked DNS, at most 0 are wanted"],
        ),
    ] {
        let mut settings = of(domain, "192.0.2.1");
        settings
            .as_object_mut()
            .unwrap()
            .extend(expect.as_object().unwrap().clone());
        assert_eq!(
            told(&run::<Spf>(&net(), settings).await),
            wanted,
            "{domain}"
        );
    }
}

#[tokio::test]
async fn without_a_sender_the_helo_name_is_evaluated() {
    let net = net().records(
        "mail.helo.test",
        "TXT",
        &["v=spf1 exists:%{l}.%{h}.u.test -all"],
    );
    let net = net.records("postmaster.mail.helo.test.u.test", "A", &["127.0.0.2"]);
    let outcome = run::<Spf>(
        &net,
        json!({ "address": "${item.address}", "helo": "mail.helo.test" }),
    )
    .await;
    assert_eq!(told(&outcome), [""; 0]);
    assert_eq!(
        outcome.evidence.answers,
        [
            "mail.helo.test TXT 300 v=spf1 exists:%{l}.%{h}.u.test -all",
            "postmaster.mail.helo.test.u.test A 300 127.0.0.2",
        ]
    );
    assert!(outcome.phases.get(Phase::Dns).is_some());
}

#[tokio::test(start_paused = true)]
async fn silence_is_temperror_and_the_whole_evaluation_has_a_limit() {
    let silent = net().silence(None, "ip.test", "TXT");
    assert_eq!(
        told(&run::<Spf>(&silent, of("ip.test", "192.0.2.1")).await),
        [
            "fail dns-timeout: temperror (expected pass): no answer from 127.0.0.1 for ip.test TXT within 5 s"
        ]
    );
    let slow = net().silence(None, "ip.test", "TXT");
    let mut settings = of("ip.test", "192.0.2.1");
    settings["within"] = json!("1m");
    let outcome = run::<Spf>(&slow, settings).await;
    assert_eq!(
        told(&outcome),
        ["fail dns-timeout: temperror (expected pass): the evaluation did not end within 20 s"]
    );
    assert_eq!(
        outcome.phases.get(Phase::Dns),
        Some(Duration::from_secs(20))
    );
}

#[tokio::test]
async fn our_own_resolver_that_does_not_work_blames_nobody() {
    let error = AskError::Unreachable {
        server: "127.0.0.1".to_owned(),
        problem: "Connection refused".to_owned(),
    };
    let net = net().ask_error(None, "ip.test", "TXT", error);
    let mut settings = of("ip.test", "192.0.2.1");
    settings["expect"] = json!({ "result": "temperror" });
    assert_eq!(
        told(&run::<Spf>(&net, settings).await),
        ["error vantage-dns: the resolver 127.0.0.1 cannot be asked: Connection refused"]
    );
}

#[tokio::test]
async fn names_from_macros_are_bounded() {
    let sender = format!("{}@long.test", "a.".repeat(60));
    let settings = json!({
        "address": "192.0.2.1", "helo": "h.test", "sender": sender, "expect": { "result": "fail" },
    });
    let net = net();
    assert_eq!(told(&run::<Spf>(&net, settings).await), [""; 0]);
    for (_, question) in net.questions() {
        assert!(question.name.len() <= 253, "{}", question.name);
    }
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (of("ip.test", "192.0.2.1"), ""),
        (
            of("ip.test", "192.0.2"),
            "`192.0.2` is not an address: write an IPv4 or IPv6 address, as `192.0.2.25`, or `${item.address}`",
        ),
        (
            json!({ "address": "192.0.2.1", "helo": "a..b" }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            json!({ "address": "192.0.2.1", "helo": "a.b", "sender": "example.test" }),
            "`example.test` is not a mail address: write it as `alice@example.net`; leave `sender` out for mail with an empty one",
        ),
        (
            json!({ "address": "192.0.2.1", "helo": "a.b", "resolver": "localhost" }),
            "`localhost` is not an address: write it as `192.0.2.53` or `[2001:db8::53]:5353`",
        ),
        (
            json!({ "address": "192.0.2.1", "helo": "a.b", "expect": { "result": "softFail" } }),
            "unknown variant `softFail`, expected one of `none`, `neutral`, `pass`, `fail`, `softfail`, `temperror`, `permerror`",
        ),
    ] {
        assert_eq!(problems::<Spf>(settings), wanted);
    }
}
