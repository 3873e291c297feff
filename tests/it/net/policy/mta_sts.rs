//! `mta_sts`: the policy host is a TLS server over pipes in memory.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::kinds::mta_sts::MtaSts;
use postrider_probes::outcome::Outcome;
use postrider_probes::phase::Phase;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::{problems, run, told};
use crate::support::policy_host::{Authority, Host, converse, head, ok};

const V4: &str = "192.0.2.5";
const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.test\r\nmx: *.backup.test\r\nmax_age: 604800\r\n";

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 443)
}

/// A healthy domain but for the policy host, which has these addresses.
fn net(addresses: &[&str]) -> FakeNet {
    FakeNet::new()
        .records("_mta-sts.example.test", "TXT", &["v=STSv1; id=2026;"])
        .records("mta-sts.example.test", "A", addresses)
        .records(
            "example.test",
            "MX",
            &["10 mx1.example.test", "20 mx2.backup.test"],
        )
}

fn good() -> Host {
    answering(ok(POLICY))
}

fn answering(answer: impl Into<String>) -> Host {
    Host::new("mta-sts.example.test", answer)
}

/// The next connection to `address` meets this host.
fn serve(authority: &Authority, net: &FakeNet, address: &str, host: Host) {
    tokio::spawn(converse(
        authority.acceptor(&host),
        host,
        net.peer(at(address)),
    ));
}

fn settings(authority: &Authority, more: Value) -> Value {
    let mut settings =
        json!({ "domain": "example.test", "trust": { "ca_file": authority.file.path() } });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    settings
}

async fn check(authority: &Authority, host: Host, more: Value) -> Outcome {
    let net = net(&[V4]);
    serve(authority, &net, V4, host);
    run::<MtaSts>(&net, settings(authority, more)).await
}

#[tokio::test]
async fn a_policy_that_covers_every_mx_passes() {
    let authority = Authority::new();
    let expect = json!({ "expect": { "mode": "enforce", "max_age_at_least": "7d", "id": "2026" } });
    let outcome = check(&authority, good(), expect).await;
    assert_eq!(told(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["enforce"]);
    for phase in [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Http] {
        assert!(outcome.phases.get(phase).is_some(), "{phase}");
    }
    let tls = outcome.evidence.tls.unwrap();
    assert_eq!(
        (tls.host.as_str(), tls.address),
        ("mta-sts.example.test", Some(at(V4)))
    );
    let said: Vec<String> = outcome
        .evidence
        .transcript
        .into_iter()
        .map(|line| line.text)
        .collect();
    assert!(said.contains(&"mode: enforce".to_owned()), "{said:?}");
}

#[tokio::test]
async fn each_fault_of_the_policy_host_has_its_word() {
    let authority = Authority::new();
    let large = "x".repeat(64 * 1024 + 1);
    for (host, wanted) in [
        (
            Host {
                name: "other.test".to_owned(),
                ..good()
            },
            "fail tls-certificate: sts-webpki-invalid: the certificate of mta-sts.example.test is for other.test, not for mta-sts.example.test (192.0.2.5:443)",
        ),
        (
            Host {
                expired: true,
                ..good()
            },
            "fail tls-certificate: sts-webpki-invalid: the certificate of mta-sts.example.test expired on 2021-01-01 (192.0.2.5:443)",
        ),
        (
            answering(head(
                "301 Moved Permanently",
                "Location: https://www.example.test/\r\n",
            )),
            "fail http-status: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) answered 301 Moved Permanently to https://www.example.test/; senders follow no redirect",
        ),
        (
            answering(head("404 Not Found", "")),
            "fail http-status: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) answered 404 Not Found for /.well-known/mta-sts.txt",
        ),
        (
            answering(ok(POLICY).replace("text/plain", "text/html")),
            "fail mta-sts-mismatch: sts-policy-invalid: mta-sts.example.test (192.0.2.5:443) sends the policy as text/html, not as text/plain",
        ),
        (
            answering(ok(&large)),
            "fail mta-sts-mismatch: sts-policy-invalid: the policy of mta-sts.example.test (192.0.2.5:443) is larger than 65536 bytes",
        ),
        (
            // No length, and no end but the connection's.
            answering(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{large}"
            )),
            "fail mta-sts-mismatch: sts-policy-invalid: the policy of mta-sts.example.test (192.0.2.5:443) is larger than 65536 bytes",
        ),
        (
            answering("SSH-2.0-OpenSSH\r\n\r\n"),
            "fail mta-sts-mismatch: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) broke HTTP: invalid HTTP version parsed",
        ),
        (
            answering(format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "X-A: b\r\n".repeat(200)
            )),
            "fail mta-sts-mismatch: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) broke HTTP: message head is too large",
        ),
        (
            answering(ok(POLICY).split_at(120).0),
            "fail mta-sts-mismatch: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) broke HTTP: ",
        ),
        (
            answering(ok("version: STSv1\nmode: enforce\nmax_age: 1\n")),
            "fail mta-sts-mismatch: sts-policy-invalid: the policy of mta-sts.example.test has no line `mx:`",
        ),
    ] {
        let outcome = check(&authority, host, json!({})).await;
        let told = told(&outcome);
        let is_right = told.len() == 1
            && (told[0] == wanted || (wanted.ends_with(": ") && told[0].starts_with(wanted)));
        assert!(is_right, "wanted {wanted}\n  told {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_given_up_in_time() {
    let authority = Authority::new();
    let given = settings(&authority, json!({ "fetch_within": "3s" }));
    let silent = net(&[V4]).silent_address(at(V4));
    assert_eq!(
        told(&run::<MtaSts>(&silent, given.clone()).await),
        ["fail connect-timeout: sts-policy-fetch-error: no answer on port 443 within 3 s"]
    );
    let refusing = net(&[V4]);
    assert_eq!(
        told(&run::<MtaSts>(&refusing, given.clone()).await),
        ["fail connect-refused: sts-policy-fetch-error: 192.0.2.5 port 443 refused the connection"]
    );
    // The connection stands and nobody says a word.
    let mute = net(&[V4]);
    let _pipe = mute.peer(at(V4));
    assert_eq!(
        told(&run::<MtaSts>(&mute, given.clone()).await),
        [
            "fail tls-handshake: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) did not end the TLS handshake within 3 s"
        ]
    );
    let slow = net(&[V4]);
    let half = Host {
        closes: false,
        ..answering(ok(POLICY).split_at(120).0)
    };
    serve(&authority, &slow, V4, half);
    let outcome = run::<MtaSts>(&slow, given).await;
    assert_eq!(
        told(&outcome),
        [
            "fail http-timeout: sts-policy-fetch-error: mta-sts.example.test (192.0.2.5:443) did not send the whole policy within 3 s"
        ]
    );
    assert!(outcome.phases.get(Phase::Http).unwrap() <= Duration::from_secs(3));
}

#[tokio::test]
async fn mx_hosts_outside_the_policy_are_named() {
    let authority = Authority::new();
    let records = [
        "10 mx1.example.test",
        "20 a.b.backup.test",
        "30 new.example.test",
    ];
    let uncovered = |host: &str| {
        format!(
            "mta-sts-mismatch: validation-failure: the policy does not cover {host} of example.test), only mx1.example.test, *.backup.test"
        )
    };
    for (mode, status) in [
        ("enforce", Some("fail")),
        ("testing", Some("degraded")),
        ("none", None),
    ] {
        let net = net(&[V4]).records("example.test", "MX", &records);
        serve(
            &authority,
            &net,
            V4,
            answering(ok(&POLICY.replace("enforce", mode))),
        );
        let outcome = run::<MtaSts>(&net, settings(&authority, json!({}))).await;
        let wanted: Vec<String> = status
            .into_iter()
            .flat_map(|status| {
                ["a.b.backup.test (MX 20", "new.example.test (MX 30"]
                    .map(|host| format!("{status} {}", uncovered(host)))
            })
            .collect();
        assert_eq!(told(&outcome), wanted, "{mode}");
        assert_eq!(outcome.notes, [mode, "no MX for *.backup.test"]);
    }
    // Without MX records it is the domain itself; a null MX is no host.
    for (records, wanted) in [
        (
            &[][..],
            vec![format!("fail {}", uncovered("example.test (MX 0"))],
        ),
        (&["0 ."][..], vec![]),
    ] {
        let net = net(&[V4]).records("example.test", "MX", records);
        serve(&authority, &net, V4, good());
        assert_eq!(
            told(&run::<MtaSts>(&net, settings(&authority, json!({}))).await),
            wanted
        );
    }
}

#[tokio::test]
async fn the_policy_must_say_what_is_expected() {
    let authority = Authority::new();
    let expect = json!({ "mode": "testing", "max_age_at_least": "30d", "id": "2027" });
    let lines = [
        "mta-sts-mismatch: the mode of the policy is enforce, not testing",
        "mta-sts-mismatch: senders keep the policy for 7d (max_age), at least 30d are wanted",
        "mta-sts-mismatch: the id of the record is 2026, not 2027",
    ];
    for (key, status) in [("expect", "fail"), ("prefer", "degraded")] {
        let outcome = check(&authority, good(), json!({ key: expect })).await;
        assert_eq!(told(&outcome), lines.map(|line| format!("{status} {line}")));
    }
}

#[tokio::test]
async fn the_record_decides_whether_a_policy_is_looked_for() {
    for (texts, wanted) in [
        (
            &[][..],
            "fail mta-sts-mismatch: no-policy-found: _mta-sts.example.test has no MTA-STS record, so no sender looks for a policy",
        ),
        (
            &["v=STSv1; id=1", "v=STSv1; id=2"][..],
            "fail mta-sts-mismatch: no-policy-found: _mta-sts.example.test has 2 MTA-STS records, and senders then use none",
        ),
        (
            &["v=STSv1 id=1"][..],
            "fail mta-sts-mismatch: no-policy-found: _mta-sts.example.test has the text `v=STSv1 id=1`, which does not begin with `v=STSv1;`",
        ),
        (
            &["v=STSv1; id=2026-11-21"][..],
            "fail mta-sts-mismatch: the record of _mta-sts.example.test has the id `2026-11-21`; it must be 1 to 32 letters and digits",
        ),
    ] {
        let net = net(&[V4]).records("_mta-sts.example.test", "TXT", texts);
        assert_eq!(
            told(&run::<MtaSts>(&net, json!({ "domain": "example.test" })).await),
            [wanted]
        );
        assert!(net.connections().is_empty());
    }
    let broken = net(&[V4]).rcode(None, "_mta-sts.example.test", "TXT", "SERVFAIL");
    assert_eq!(
        told(&run::<MtaSts>(&broken, json!({ "domain": "example.test" })).await),
        ["fail dns-servfail: 127.0.0.1 answered SERVFAIL for _mta-sts.example.test TXT"]
    );
    let homeless = net(&[]);
    assert_eq!(
        told(&run::<MtaSts>(&homeless, json!({ "domain": "example.test" })).await),
        ["fail dns-nxdomain: sts-policy-fetch-error: mta-sts.example.test has no address"]
    );
}

#[tokio::test]
async fn every_address_of_the_policy_host_is_asked() {
    let authority = Authority::new();
    let both = ["192.0.2.5", "192.0.2.6"];
    let half = net(&both);
    serve(&authority, &half, "192.0.2.6", good());
    assert_eq!(
        told(&run::<MtaSts>(&half, settings(&authority, json!({}))).await),
        ["fail connect-refused: sts-policy-fetch-error: 192.0.2.5 port 443 refused the connection"]
    );
    let old = net(&both);
    serve(&authority, &old, "192.0.2.5", good());
    serve(
        &authority,
        &old,
        "192.0.2.6",
        answering(ok(&POLICY.replace("604800", "86400"))),
    );
    assert_eq!(
        told(&run::<MtaSts>(&old, settings(&authority, json!({}))).await),
        [
            "fail mta-sts-mismatch: sts-policy-invalid: 192.0.2.6 gives another policy than 192.0.2.5"
        ]
    );
    let without_ipv6 = net(&[V4])
        .records("mta-sts.example.test", "AAAA", &["2001:db8::5"])
        .without_ipv6();
    serve(&authority, &without_ipv6, V4, good());
    let outcome = run::<MtaSts>(&without_ipv6, settings(&authority, json!({}))).await;
    assert_eq!(told(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["IPv4 addresses only", "enforce"]);
}

#[tokio::test]
async fn addresses_of_one_family_do_not_hide_that_the_other_is_unknown() {
    let authority = Authority::new();
    let net = net(&[V4]).rcode(None, "mta-sts.example.test", "AAAA", "SERVFAIL");
    serve(&authority, &net, V4, good());
    let outcome = run::<MtaSts>(&net, settings(&authority, json!({}))).await;
    assert_eq!(
        told(&outcome),
        [
            "fail dns-servfail: sts-policy-fetch-error: 127.0.0.1 answered SERVFAIL for mta-sts.example.test AAAA"
        ]
    );
    assert_eq!(outcome.notes, ["enforce"]);
}

#[tokio::test]
async fn addresses_beyond_the_limit_are_not_passed_in_silence() {
    let authority = Authority::new();
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", V4];
    for (count, wanted) in [
        (4, &[][..]),
        (
            5,
            &[
                "degraded mta-sts-mismatch: mta-sts.example.test has 5 addresses; only the first 4 are looked at",
            ][..],
        ),
    ] {
        let net = net(&addresses[..count]);
        for address in &addresses[..4] {
            serve(&authority, &net, address, good());
        }
        assert_eq!(
            told(&run::<MtaSts>(&net, settings(&authority, json!({}))).await),
            wanted
        );
        assert_eq!(net.connections().len(), 4);
    }
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
            json!({ "domain": "example.test", "expect": { "mode": "strict" } }),
            "unknown variant `strict`, expected one of `enforce`, `testing`, `none`",
        ),
    ] {
        assert_eq!(problems::<MtaSts>(settings), wanted);
    }
}
