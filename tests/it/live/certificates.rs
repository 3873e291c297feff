//! What servers show before anybody logs in: Dovecot with a face for each fault, and Postfix.

use std::fs;
use std::io;
use std::process::Command;

use postrider::result::{RunResult, StatusWord};
use postrider_testkit::live::{Certificate, FACE_NAME, Face, Faces, Node};

use super::lab::{ADDRESSES, FILTER1, Lab, assert_blamed, at as lab_at, line, of_step};

/// One step and what it must come to.
struct Case {
    what: &'static str,
    tls: String,
    status: StatusWord,
    line: &'static str,
}

/// Runs the cases together.
fn run(faces: &Faces, cases: &[Case]) -> io::Result<RunResult> {
    let directory = tempfile::tempdir()?;
    fs::write(
        directory.path().join("postrider.yaml"),
        format!(
            "version: 1\nvantage: laboratory\ninclude: [faces.yaml]\nplatform: {{ domains: [faces.test], trust: {{ ca_file: {} }}, \
             connections_per_address: 10 }}\n",
            faces.ca_file().display()
        ),
    )?;
    let steps: String = cases
        .iter()
        .map(|case| format!("  - {{ id: {}, tls: {{ {} }} }}\n", case.what, case.tls))
        .collect();
    let scenario = format!("version: 1\nname: faces\nsteps_run: together\nsteps:\n{steps}");
    fs::write(directory.path().join("faces.yaml"), scenario)?;
    let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .arg("--config")
        .arg(directory.path().join("postrider.yaml"))
        .arg("--storage.path")
        .arg(directory.path().join("state"))
        .args(["run", "--format", "json"])
        .output()?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("{error}: {said}"))
    })
}

/// What a step says that is not what its case wants.
fn wrong(result: &RunResult, cases: &[Case]) -> Vec<String> {
    cases
        .iter()
        .filter_map(|case| {
            let check = of_step(result, case.what)[0];
            let said = line(check);
            // A line that ends with an ellipsis goes on in words that depend on the day.
            let same = match case.line.strip_suffix('…') {
                Some(begin) => said.starts_with(begin),
                None => said == case.line,
            };
            let findings = check.findings.len() == usize::from(case.status != StatusWord::Pass);
            let right = same && findings && check.status == case.status;
            (!right).then(|| format!("{}: {:?} {:#?}", case.what, check.status, check.findings))
        })
        .collect()
}

fn at(face: Face, rest: &str) -> String {
    format!("host: {FACE_NAME}, to_address: {}, {rest}", face.address())
}

fn pass(what: &'static str, tls: String) -> Case {
    Case {
        what,
        tls,
        status: StatusWord::Pass,
        line: "pass",
    }
}

fn fail(what: &'static str, tls: String, line: &'static str) -> Case {
    Case {
        what,
        tls,
        status: StatusWord::Fail,
        line,
    }
}

#[test]
fn each_face_is_told_by_each_way_to_tls() -> io::Result<()> {
    let faces = Faces::start()?;
    let imaps = format!("port: {}", faces.imaps());
    let imap = format!("starttls: imap, port: {}", faces.imap());
    let pop3 = format!("starttls: pop3, port: {}", faces.pop3());
    let sieve = format!("starttls: sieve, port: {}", faces.sieve());
    let ways = [
        ("imaps", &imaps),
        ("imap", &imap),
        ("pop3", &pop3),
        ("sieve", &sieve),
    ];
    let mut cases = Vec::new();
    for (way, how) in ways {
        let id = |face: &str| -> &'static str { Box::leak(format!("{way}-{face}").into()) };
        cases.push(pass(id("good"), at(Face::Good, how)));
        cases.push(pass(id("chain"), at(Face::Chain, how)));
        cases.push(fail(
            id("wrong-name"),
            at(Face::WrongName, how),
            "tls-certificate: the certificate is for other.outside.test, not for imap.faces.test",
        ));
        cases.push(fail(
            id("expired"),
            at(
                Face::Expired,
                &format!("{how}, expect: {{ valid_for_days: 14 }}"),
            ),
            "tls-certificate: the certificate expired on 2021-01-01",
        ));
        cases.push(fail(
            id("self-signed"),
            at(Face::SelfSigned, how),
            "tls-certificate: the certificate is self-signed",
        ));
        cases.push(fail(
            id("short-key"),
            at(Face::ShortKey, how),
            "tls-certificate: the certificate's RSA key of 1024 bits is too short: TLS clients refuse less than 2048",
        ));
        cases.push(fail(
            id("ends-soon"),
            at(
                Face::EndsSoon,
                &format!("{how}, expect: {{ valid_for_days: 14 }}"),
            ),
            "certificate-expiring: the certificate is valid for 5 days only, until …",
        ));
        cases.push(fail(
            id("broken-chain"),
            at(Face::BrokenChain, how),
            "tls-certificate: the certificate its issuer Laboratory Intermediate is not trusted; the server sent its own certificate alone",
        ));
    }
    // Dovecot's ManageSieve offers what it then refuses.
    for (way, how, line) in [
        (
            "imap",
            &imap,
            "tls-not-offered: the IMAP server does not offer STARTTLS",
        ),
        (
            "pop3",
            &pop3,
            "tls-not-offered: the POP3 server does not offer STLS",
        ),
        (
            "sieve",
            &sieve,
            "tls-not-offered: the ManageSieve server refused STARTTLS: \"TLS support isn't enabled.\"",
        ),
    ] {
        let id = Box::leak(format!("{way}-plain").into());
        cases.push(fail(id, at(Face::Plain, how), line));
    }
    let result = run(&faces, &cases)?;
    let wrong = wrong(&result, &cases);
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), faces.log());
    for (way, phases) in [
        ("imaps", &["connect", "tls"][..]),
        ("imap", &["banner", "connect", "starttls"]),
        ("pop3", &["banner", "connect", "starttls"]),
        ("sieve", &["banner", "connect", "starttls"]),
    ] {
        let check = of_step(&result, &format!("{way}-good"))[0];
        let timed: Vec<&str> = check.phases_seconds.keys().map(String::as_str).collect();
        assert_eq!(timed, phases, "{way}");
    }
    // Nobody tried to log in.
    assert!(!faces.log().contains("auth failed"), "{}", faces.log());
    Ok(())
}

#[test]
fn rules_hold_or_say_what_was_found() -> io::Result<()> {
    let faces = Faces::start()?;
    let how = format!("port: {}", faces.imaps());
    let rule = |face, rules: &str| at(face, &format!("{how}, {rules}"));
    let cases = [
        pass(
            "all-good",
            rule(
                Face::Good,
                "expect: { valid_for_days: 1000, names: [pop.faces.test], issuer: laboratory, key_types: [ecdsa], rsa_bits: 4096, \
                 signatures: [ecdsa-with-SHA256] }, prefer: { valid_for_days: 2000 }",
            ),
        ),
        Case {
            status: StatusWord::Degraded,
            ..fail(
                "soon",
                rule(
                    Face::EndsSoon,
                    "expect: { valid_for_days: 3 }, prefer: { valid_for_days: 14 }",
                ),
                "certificate-expiring: the certificate is valid for 5 days only, until …",
            )
        },
        fail(
            "name",
            rule(
                Face::Good,
                "expect: { names: [pop.faces.test, smtp.faces.test] }",
            ),
            "tls-certificate: the certificate is for imap.faces.test, pop.faces.test, not for smtp.faces.test",
        ),
        fail(
            "issuer",
            rule(Face::Chain, "expect: { issuer: Laboratory CA }"),
            "tls-certificate: the certificate is issued by CN=Laboratory Intermediate, not by Laboratory CA",
        ),
        fail(
            "key",
            rule(Face::Good, "expect: { key_types: [rsa, ed25519] }"),
            "tls-certificate: the certificate has a key of type ECDSA, not RSA or Ed25519",
        ),
        fail(
            "signature",
            rule(Face::Good, "expect: { signatures: [id-Ed25519] }"),
            "tls-certificate: the certificate is signed with ecdsa-with-SHA256, not with id-Ed25519",
        ),
        fail(
            "server-name",
            rule(Face::Good, "server_name: mail.faces.test"),
            "tls-certificate: the certificate is for imap.faces.test, pop.faces.test, not for mail.faces.test",
        ),
        pass("insecure", rule(Face::Expired, "trust: { insecure: true }")),
        pass(
            "any",
            rule(Face::SelfSigned, "expect: { certificate: any }"),
        ),
        fail(
            "pin",
            rule(
                Face::Good,
                "trust: { pin: \"0000000000000000000000000000000000000000000000000000000000000000\" }",
            ),
            "tls-certificate: the certificate has the SHA-256 fingerprint …",
        ),
        pass(
            "new-versions",
            rule(
                Face::Good,
                "expect: { versions: [TLSv1.3, TLSv1.2], not_versions: [TLSv1.1, TLSv1.0] }",
            ),
        ),
        fail(
            "missing-version",
            rule(Face::Good, "expect: { versions: [TLSv1.1] }"),
            "tls-version: TLSv1.1 is not offered: the server closed the connection",
        ),
        fail(
            "old-version",
            rule(Face::Old, "expect: { not_versions: [TLSv1.0] }"),
            "tls-version: TLSv1.0 is offered, with TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        ),
        fail(
            "old-ciphers",
            rule(
                Face::Old,
                "expect: { ciphers: [\"TLS_ECDHE_*_GCM_*\"], not_ciphers: [\"*_CBC_SHA\"] }",
            ),
            "tls-version: TLSv1.2 is offered with TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA…",
        ),
        fail(
            "missing-cipher",
            rule(
                Face::Good,
                "expect: { ciphers: [TLS_AES_128_CCM_8_SHA256] }",
            ),
            "tls-version: no cipher suite TLS_AES_128_CCM_8_SHA256 is offered",
        ),
        fail(
            "closed",
            at(Face::Good, "port: 1"),
            "connect-refused: 127.0.24.1 port 1 refused the connection",
        ),
        fail(
            "no-tls",
            at(Face::Good, &format!("port: {}", faces.imap())),
            "tls-handshake: the server's bytes are not TLS: …",
        ),
    ];
    let result = run(&faces, &cases)?;
    let wrong = wrong(&result, &cases);
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), faces.log());

    let tls = |step: &str| {
        of_step(&result, step)[0]
            .evidence
            .clone()
            .unwrap()
            .tls
            .unwrap()
    };
    let chain = tls("issuer");
    assert_eq!(chain.chain.len(), 1);
    assert_eq!(chain.chain[0].subject, "CN=Laboratory Intermediate");
    let good = tls("all-good");
    assert_eq!((good.key.as_str(), good.key_bits), ("ECDSA", 256));
    assert_eq!(good.address, Some(format!("127.0.24.1:{}", faces.imaps())));
    assert!(good.offers.is_empty(), "nothing was asked for");
    let old = tls("old-ciphers");
    let offered: Vec<(&str, bool)> = old
        .offers
        .iter()
        .map(|offer| (offer.version.as_str(), offer.refused.is_none()))
        .collect();
    assert_eq!(
        offered,
        [
            ("TLSv1.3", true),
            ("TLSv1.2", true),
            ("TLSv1.1", true),
            ("TLSv1.0", true)
        ]
    );
    assert_eq!(
        old.offers[0].ciphers,
        [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256"
        ]
    );
    Ok(())
}

/// Each address of each MX, with the reason that filter1's have and filter2's have not.
fn of_filter1(lab: &Lab, reason: Option<&str>, line: &str) -> io::Result<()> {
    let result = lab.run(&[])?;
    assert_eq!(result.checks.len(), ADDRESSES.len());
    assert_blamed(
        &result,
        if reason.is_some() { &FILTER1 } else { &[] },
        reason.unwrap_or_default(),
    );
    if reason.is_some() {
        for address in FILTER1 {
            let said = super::lab::line(lab_at(&result, address));
            let same = match line.strip_suffix('…') {
                Some(begin) => said.starts_with(begin),
                None => said == line,
            };
            assert!(same, "{address}: {said}");
        }
    }
    Ok(())
}

#[test]
fn postfix_is_looked_at_address_by_address() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "mx",
        "
steps_run: together
steps:
  - id: mx
    for_each: { mx_of: example.test, addresses: all }
    tls:
      starttls: smtp
      expect:
        valid_for_days: 14
        versions: [TLSv1.3, TLSv1.2]
        not_versions: [TLSv1.1, TLSv1.0]
",
    )?;
    for filter in [Node::Filter1, Node::Filter2] {
        lab.platform.without_old_tls(filter)?;
    }
    of_filter1(&lab, None, "")?;
    for (certificate, reason, line) in [
        (
            Certificate::WrongName,
            "tls-certificate",
            "tls-certificate: the certificate is for other.outside.test, not for mx…",
        ),
        (
            Certificate::Expired,
            "tls-certificate",
            "tls-certificate: the certificate expired on 2021-01-01",
        ),
        (
            Certificate::SelfSigned,
            "tls-certificate",
            "tls-certificate: the certificate is self-signed",
        ),
        (
            Certificate::EndsInDays(5),
            "certificate-expiring",
            "certificate-expiring: the certificate is valid for 5 days only, until …",
        ),
        (
            Certificate::ByIntermediate,
            "tls-certificate",
            "tls-certificate: the certificate its issuer Laboratory Intermediate is not trusted; the server sent its own certificate alone",
        ),
    ] {
        lab.platform
            .present_certificate(Node::Filter1, certificate)?;
        of_filter1(&lab, Some(reason), line)?;
    }
    lab.platform
        .present_certificate(Node::Filter1, Certificate::Valid)?;
    lab.platform.without_starttls(Node::Filter1)?;
    let line = "tls-not-offered: the SMTP server does not offer STARTTLS";
    of_filter1(&lab, Some("tls-not-offered"), line)?;
    lab.platform.treat_normally(Node::Filter1)?;
    let line = "tls-version: TLSv1.1 is offered, with …";
    of_filter1(&lab, Some("tls-version"), line)?;
    lab.platform.with_only_old_tls(Node::Filter1)?;
    let line = "tls-version: the server speaks no TLS 1.2 or newer with AEAD cipher suites (…";
    of_filter1(&lab, Some("tls-version"), line)?;
    assert!(lab.entries().is_empty(), "no mail was sent");
    Ok(())
}
