//! The kind `tls` against servers that say the wrong thing before the handshake, or instead of it.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_probes::kinds::tls::Tls;
use postrider_probes::outcome::{Mark, Outcome};
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

use super::check::{Check, mistakes};

async fn run(net: &FakeNet, settings: Value) -> Outcome {
    let tls: Tls = serde_json::from_value(settings).unwrap();
    Check::of(net).run(&tls).await
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect()
}

/// Says each part, and waits for a line of the client's in between; then stays until the client goes.
async fn serve(mut peer: DuplexStream, says: Vec<Vec<u8>>) -> Vec<u8> {
    let mut heard = Vec::new();
    for (turn, part) in says.into_iter().enumerate() {
        let lines = |heard: &[u8]| heard.iter().filter(|byte| **byte == b'\n').count();
        while lines(&heard) < turn {
            if !matches!(peer.read_buf(&mut heard).await, Ok(1..)) {
                return heard;
            }
        }
        // A client that has had enough does not listen to the end.
        if peer.write_all(&part).await.is_err() {
            return heard;
        }
    }
    let _ = peer.read_to_end(&mut heard).await;
    heard
}

const HOST: &str = "192.0.2.1";

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(HOST.parse().unwrap(), port)
}

/// What is found of a server that says this.
async fn told(starttls: Option<&str>, says: &[&[u8]]) -> (Vec<String>, Outcome, Vec<u8>) {
    let net = FakeNet::new();
    let says = says.iter().map(|part| part.to_vec()).collect();
    let server = tokio::spawn(serve(net.peer(at(1000)), says));
    let mut settings = json!({ "host": HOST, "port": 1000, "within": "10s" });
    if let Some(protocol) = starttls {
        settings["starttls"] = json!(protocol);
    }
    let outcome = run(&net, settings).await;
    let heard = tokio::time::timeout(Duration::from_secs(60), server).await;
    (lines(&outcome), outcome, heard.unwrap().unwrap())
}

/// The protocol, what the server says by turns, and the line.
type Case<'a> = (Option<&'a str>, &'a [&'a [u8]], &'a str);

#[tokio::test(start_paused = true)]
async fn a_wrong_word_before_the_handshake_is_named() {
    let long: &[u8] = &b"x".repeat(9000);
    let endless: &[u8] = &b"FEATURE\r\n".repeat(200);
    let announced: &[u8] = &b"\"FEATURE\" \"on\"\r\n".repeat(200);
    let cases: &[Case] = &[
        (
            Some("smtp"),
            &[
                b"220 mx1\r\n",
                b"250-mx1\r\n250 STARTTLS\r\n",
                b"220 go\r\n250 injected\r\n",
            ],
            "tls-injection: 14 bytes of plain text follow the STARTTLS reply: 250 injected\\r\\n; discarded, the dialogue ends",
        ),
        (
            Some("imap"),
            &[
                b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
                b"P1 OK go\r\n* OK injected\r\n",
            ],
            "tls-injection: ",
        ),
        (
            Some("pop3"),
            &[
                b"+OK hi\r\n",
                b"+OK\r\nSTLS\r\n.\r\n",
                b"+OK go\r\n+OK injected\r\n",
            ],
            "tls-injection: 14 bytes of plain text follow the server's consent to TLS: +OK injected; discarded, the dialogue ends",
        ),
        (
            Some("sieve"),
            &[
                b"\"STARTTLS\"\r\nOK\r\n",
                b"OK go\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n",
            ],
            "tls-injection: 20 bytes of plain text follow the server's consent to TLS: \"SASL\" \"PLAIN\"\\r\\nOK; discarded, the dialogue ends",
        ),
        (
            Some("smtp"),
            &[b"554 5.7.1 not you\r\n"],
            "greeting-rejected: 554 5.7.1 not you (as greeting)",
        ),
        (
            Some("smtp"),
            &[b"220 mx1\r\n", b"250 mx1\r\n"],
            "tls-not-offered: the SMTP server does not offer STARTTLS",
        ),
        (
            Some("smtp"),
            &[
                b"220 mx1\r\n",
                b"250-mx1\r\n250 STARTTLS\r\n",
                b"454 4.7.0 no key\r\n",
            ],
            "tls-not-offered: the SMTP server refused STARTTLS: 454 4.7.0 no key",
        ),
        (
            Some("imap"),
            &[b"* BYE overloaded\r\n"],
            "greeting-rejected: the server greets with BYE: overloaded",
        ),
        (
            Some("imap"),
            &[b"* PREAUTH hi\r\n"],
            "tls-not-offered: the server greets with PREAUTH before TLS, which rules STARTTLS out",
        ),
        (
            Some("pop3"),
            &[b"-ERR [SYS/TEMP] later\r\n"],
            "greeting-rejected: [SYS/TEMP] later (as greeting)",
        ),
        (
            Some("pop3"),
            &[b"220 mx1 ESMTP\r\n"],
            "greeting-rejected: `220 mx1 ESMTP` is no greeting of a POP3 server",
        ),
        (
            Some("pop3"),
            &[b"+OK\r\n", b"+OK\r\nUIDL\r\n.\r\n"],
            "tls-not-offered: the POP3 server does not offer STLS",
        ),
        // It knows no CAPA, so it is asked all the same.
        (
            Some("pop3"),
            &[b"+OK\r\n", b"-ERR what\r\n", b"-ERR what\r\n"],
            "tls-not-offered: the POP3 server refused STLS: what",
        ),
        (
            Some("pop3"),
            &[b"+OK\r\n", b"maybe\r\n"],
            "tls-handshake: `maybe` is no reply to CAPA",
        ),
        (
            Some("pop3"),
            &[b"+OK\r\n", b"+OK\r\n", endless],
            "tls-handshake: no reply to CAPA within 10 s",
        ),
        (
            Some("pop3"),
            &[long],
            "greeting-rejected: a line is longer than 8192 bytes (instead of a greeting)",
        ),
        (
            Some("sieve"),
            &[b"BYE \"too many\"\r\n"],
            "greeting-rejected: \"too many\" (as greeting)",
        ),
        (
            Some("sieve"),
            &[b"\"SIEVE\" \"fileinto\"\r\nOK\r\n"],
            "tls-not-offered: the ManageSieve server does not offer STARTTLS",
        ),
        (
            Some("sieve"),
            &[b"\"STARTTLS\"\r\nOK\r\n", b"NO \"no key\"\r\n"],
            "tls-not-offered: the ManageSieve server refused STARTTLS: \"no key\"",
        ),
        (
            Some("sieve"),
            &[announced],
            "greeting-rejected: one reply has more than 128 lines or items (instead of a greeting)",
        ),
        (
            Some("sieve"),
            &[b"+OK\r\n"],
            "greeting-rejected: `+OK` is no greeting of a ManageSieve server",
        ),
        (
            Some("smtp"),
            &[],
            "banner-timeout: connected, but no greeting within 10 s",
        ),
        (
            Some("pop3"),
            &[],
            "banner-timeout: connected, but no greeting within 10 s",
        ),
        (None, &[], "tls-handshake: no TLS handshake within 10 s"),
        (
            None,
            &[b"220 mx1 ESMTP\r\n"],
            "tls-handshake: the server's bytes are not TLS: ",
        ),
    ];
    for (starttls, says, wanted) in cases {
        let (lines, outcome, heard) = told(*starttls, says).await;
        let wanted = format!("fail {wanted}");
        let [line] = lines.as_slice() else {
            panic!("{starttls:?} {wanted}: {lines:?}");
        };
        // A line that ends with a space goes on in the library's words.
        let same = line == &wanted || (wanted.ends_with(' ') && line.starts_with(&wanted));
        assert!(same, "{starttls:?}: {line} instead of {wanted}");
        assert!(outcome.evidence.tls.is_none(), "{line}");
        let said = outcome.evidence.transcript.last().unwrap();
        assert_eq!(
            (said.mark, said.text.as_str()),
            (Mark::Unexpected, &line[5..])
        );
        assert!(outcome.evidence.transcript.len() <= 400);
        // No handshake was begun with a server that did not agree to it.
        if starttls.is_some() {
            assert!(!heard.contains(&22), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_is_given_up_in_time() {
    for (starttls, drips) in [("smtp", "2"), ("imap", "*"), ("pop3", "+"), ("sieve", "\"")] {
        let net = FakeNet::new();
        let mut peer = net.peer(at(1000));
        let server = tokio::spawn(async move {
            while peer.write_all(drips.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        let settings = json!({ "host": HOST, "port": 1000, "within": "10s", "starttls": starttls });
        let outcome = run(&net, settings).await;
        assert_eq!(outcome.findings.len(), 1, "{starttls}");
        assert!(
            began.elapsed() <= Duration::from_secs(10),
            "{starttls}: {:?}",
            began.elapsed()
        );
        server.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_address_is_looked_at_or_one_after_the_other_until_one_answers() {
    let net = || FakeNet::new().records("mx.test", "A", &["192.0.2.1", "192.0.2.2"]);
    let refused = |last: u8| {
        format!(
            "fail connect-refused: 192.0.2.{last}: 192.0.2.{last} port 1000 refused the connection"
        )
    };
    for addresses in ["every", "any"] {
        let outcome = run(
            &net(),
            json!({ "host": "mx.test", "port": 1000, "addresses": addresses }),
        )
        .await;
        assert_eq!(lines(&outcome), [refused(1), refused(2)], "{addresses}");
    }
    let outcome = run(
        &net(),
        json!({ "host": "mx.test", "to_address": "192.0.2.9", "port": 1000 }),
    )
    .await;
    let line = "fail connect-refused: 192.0.2.9 port 1000 refused the connection";
    assert_eq!(lines(&outcome), [line]);
    let outcome = run(&net(), json!({ "host": "no.test", "port": 1000 })).await;
    assert_eq!(
        lines(&outcome),
        ["fail dns-nxdomain: no.test does not exist, says 127.0.0.1"]
    );
    let outcome = run(
        &net(),
        json!({ "host": "mx.test", "port": 1000, "family": "ipv6" }),
    )
    .await;
    assert_eq!(
        lines(&outcome),
        ["fail dns-nxdomain: mx.test has no address"]
    );
}

#[tokio::test(start_paused = true)]
async fn addresses_that_are_not_looked_at_are_told() {
    for (count, told) in [(8, 0), (9, 1)] {
        let addresses: Vec<String> = (1..=count).map(|last| format!("192.0.2.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let net = FakeNet::new().records("mx.test", "A", &addresses);
        let outcome = run(&net, json!({ "host": "mx.test", "port": 1000 })).await;
        let line = format!(
            "degraded dns-mismatch: mx.test has {count} addresses; only the first 8 are looked at"
        );
        let lines = lines(&outcome);
        assert_eq!(lines.iter().filter(|known| **known == line).count(), told);
        assert_eq!(lines.len(), 8 + told, "{lines:?}");
    }
}

/// Stands for an answer: the connection is closed instead.
const HANGS_UP: &[u8] = b"hangs up";

/// Answers hellos, one on each connection, with what is given.
async fn enumerated(what: &str, answers: Vec<Vec<u8>>) -> Outcome {
    let net = FakeNet::new();
    // The session itself meets a server that speaks nothing new.
    let refusal = vec![21, 3, 1, 0, 2, 2, 70];
    for answer in std::iter::once(refusal).chain(answers) {
        let mut peer = net.peer(at(1000));
        tokio::spawn(async move {
            let mut block = [0; 4096];
            let _ = peer.read(&mut block).await;
            if answer == HANGS_UP {
                return;
            }
            let _ = peer.write_all(&answer).await;
            let _ = peer.read(&mut block).await;
        });
    }
    run(
        &net,
        json!({
            "host": HOST, "port": 1000, "within": "10s", "enumerate": what,
            "expect": { "not_versions": ["TLSv1.0"] },
        }),
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_old_versions_only_is_shown_as_what_it_is() {
    let refusal = || vec![21, 3, 1, 0, 2, 2, 70];
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let outcome = enumerated("versions", vec![refusal(), refusal(), refusal(), hello]).await;
    assert_eq!(
        lines(&outcome),
        [
            "fail tls-version: the server speaks no TLS 1.2 or newer with AEAD cipher suites (alert ProtocolVersion)",
            "fail tls-version: TLSv1.0 is offered, with TLS_RSA_WITH_AES_128_CBC_SHA",
        ]
    );
    let offers = outcome.evidence.tls.unwrap().offers;
    let refused: Vec<Option<&str>> = offers
        .iter()
        .map(|offer| offer.refused.as_deref())
        .collect();
    let alert = Some("alert protocol_version");
    assert_eq!(refused, [alert, alert, alert, None]);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_us_from_asking_is_no_failure_of_the_server() {
    for (answers, wanted) in [
        (
            vec![b"220 mx1\r\n".to_vec()],
            "error tls-handshake: the answer is not TLS: it begins with byte 0x32 (asking for TLSv1.3)",
        ),
        (
            vec![Vec::new()],
            "error tls-handshake: no answer to the TLS hello within 10 s (asking for TLSv1.3)",
        ),
        (
            vec![],
            "error connect-refused: 192.0.2.1 port 1000 refused the connection (asking for TLSv1.3)",
        ),
    ] {
        let lines = lines(&enumerated("versions", answers).await);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1], wanted);
    }
}

/// An alert, and a choice of TLS 1.2.
fn refusal_and_choice() -> (Vec<u8>, Vec<u8>) {
    let mut choice = vec![22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
    choice.extend([7; 32]);
    choice.extend([0, 0xc0, 0x2f, 0]);
    (vec![21, 3, 1, 0, 2, 2, 70], choice)
}

const NOT_ASKED: &str = "error connect-reset: the question could not be put: the server closes the connection, now even where it had answered before; it may limit connections (asking for TLSv1.2)";

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_where_it_answered_before_refuses_nothing() {
    let (refusal, choice) = refusal_and_choice();
    let hangs_up = || HANGS_UP.to_vec();
    // The version was never answered.
    let outcome = enumerated(
        "versions",
        vec![refusal.clone(), hangs_up(), hangs_up(), hangs_up()],
    )
    .await;
    assert_eq!(lines(&outcome)[1..], [NOT_ASKED]);
    let offers = outcome.evidence.tls.unwrap().offers;
    assert_eq!(offers.len(), 1, "{offers:?}");

    // One suite of the version was.
    let answers = vec![refusal, choice, hangs_up(), hangs_up(), hangs_up()];
    let outcome = enumerated("ciphers", answers).await;
    assert_eq!(lines(&outcome)[1..], [NOT_ASKED]);
    let offers = outcome.evidence.tls.unwrap().offers;
    let [_, offer] = offers.as_slice() else {
        panic!("{offers:?}");
    };
    assert_eq!(offer.ciphers.len(), 1);
    assert!(!offer.all_ciphers);
    assert_eq!(offer.refused, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_is_asked_again_and_may_refuse_so() {
    let (refusal, choice) = refusal_and_choice();
    let hangs_up = || HANGS_UP.to_vec();
    // Nothing to ask in between; once in vain; not at all; twice, and what was answered before is answered still.
    let answers = vec![
        hangs_up(),
        hangs_up(),
        hangs_up(),
        choice.clone(),
        refusal,
        hangs_up(),
        hangs_up(),
        choice,
    ];
    let outcome = enumerated("versions", answers).await;
    assert_eq!(lines(&outcome).len(), 1, "{:?}", lines(&outcome));
    let offers = outcome.evidence.tls.unwrap().offers;
    let refused: Vec<Option<&str>> = offers
        .iter()
        .map(|offer| offer.refused.as_deref())
        .collect();
    let alert = Some("alert protocol_version");
    let closed = Some("the server closed the connection");
    assert_eq!(refused, [closed, None, alert, closed]);
}

#[test]
fn every_mistake_is_found_before_anything_is_contacted() {
    let expect = |rules: Value| json!({ "host": "imap.test", "port": 993, "expect": rules });
    for (settings, wanted) in [
        (json!({ "host": "imap.test", "port": 993 }), ""),
        (
            json!({ "to_address": "192.0.2.1", "starttls": "smtp", "helo": "probe.test" }),
            "",
        ),
        (
            json!({ "port": 993 }),
            "`tls` does not say where to look: add `host: imap.example.net`, or `for_each` to the step",
        ),
        (
            json!({ "host": "imap.test" }),
            "`tls` does not say which port: add `port:`, such as 465, 993 or 443, or `starttls:` with a protocol",
        ),
        (
            json!({ "host": "a b", "port": 993 }),
            "`a b` is not a host name or an address",
        ),
        (
            json!({ "to_address": "imap.test", "port": 993 }),
            "`imap.test` is not an IP address",
        ),
        (
            json!({ "host": "imap.test", "port": 0 }),
            "a port is a whole number from 1 to 65535",
        ),
        (
            json!({ "host": "imap.test", "port": 993, "within": "0s" }),
            "`within` is zero",
        ),
        (
            json!({ "host": "imap.test", "port": 993, "helo": "probe.test" }),
            "nobody says `helo` without `starttls: smtp`: remove `helo`",
        ),
        (
            expect(json!({ "names": ["a b"] })),
            "`a b` is not a host name or an address",
        ),
        (
            expect(json!({ "fingerprint": "abc" })),
            "`fingerprint` is the SHA-256 of a certificate: 64 hexadecimal digits: see `openssl x509 -noout -fingerprint -sha256 -in FILE`",
        ),
        (
            expect(json!({ "signatures": ["sha1"] })),
            "`sha1` is no signature algorithm: there are `md5WithRSAEncryption`, …",
        ),
        (
            expect(json!({ "versions": ["TLSv1.2"], "not_versions": ["TLSv1.1", "TLSv1.2"] })),
            "TLSv1.2 cannot be offered and refused: leave it out of one of the two",
        ),
        (
            expect(json!({ "not_ciphers": ["RC4"] })),
            "no cipher suite that can be asked for is called `RC4`: write an IANA name, as `TLS_RSA_WITH_AES_128_CBC_SHA`, or `*_CBC_*`",
        ),
        (
            expect(json!({ "not_ciphers": ["*_RC4_*"], "ciphers": ["TLS_AES_*"] })),
            "",
        ),
    ] {
        let tls: Tls = serde_json::from_value(settings.clone()).unwrap();
        let found = mistakes(&tls);
        let same = match wanted.strip_suffix('…') {
            Some(begin) => found.starts_with(begin),
            None => found == wanted,
        };
        assert!(same, "{settings}: {found}");
    }
}
