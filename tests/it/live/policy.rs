//! What a domain says of its mail (SPF, DKIM, DMARC, MTA-STS, TLS-RPT), in BIND's zones: the good record, and each fault as
//! one zone's record or one policy host.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_testkit::live::Zone;
use rcgen::{KeyPair, PKCS_ED25519};
use tokio::net::TcpListener;

use super::names_lab::{NamesLab, assert_told};
use crate::support::policy_host::{Authority, Host, converse, head, ok};

/// A step, what stands under its verb, and what it says.
type Case = (&'static str, String, &'static str);

fn steps(verb: &str, cases: &[Case]) -> String {
    let step =
        |(step, settings, _): &Case| format!("  - id: {step}\n    {verb}: {{ {settings} }}\n");
    cases.iter().map(step).collect()
}

fn wanted(cases: &[Case]) -> Vec<(&str, &str)> {
    cases.iter().map(|(step, _, told)| (*step, *told)).collect()
}

/// Runs all steps at once, so that each fault is seen beside the others and by nobody else.
fn check(lab: &NamesLab, main: &str, verb: &str, cases: &[Case]) -> io::Result<()> {
    let result = lab.run(main, &steps(verb, cases))?;
    assert_told(&result, &[lab.names.validating().port()], &wanted(cases));
    for check in &result.checks {
        assert!(check.phases_seconds.contains_key("dns"), "{}", check.step);
    }
    Ok(())
}

#[test]
fn spf_is_evaluated_and_each_fault_of_a_zone_is_named() -> io::Result<()> {
    let many: String = (1..=11)
        .map(|n| format!("include:s{n}.spf.test "))
        .collect();
    let nothing: String = (1..=11)
        .map(|n| format!("s{n} TXT \"v=spf1 ?all\"\n"))
        .collect();
    let records = format!(
        "@ TXT \"v=spf1 mx include:other.spf.test -all\"\n\
         @ MX 10 mx\nmx A 127.0.21.1\nmx AAAA 2001:db8::1\n\
         other TXT \"v=spf1 ip4:127.0.22.0/24 ?all\"\n\
         soft TXT \"v=spf1 a ~all\"\nsoft A 127.0.21.9\n\
         split TXT \"v=spf1 ip4:127.0.\" \"21.1 -all\"\n\
         two TXT \"v=spf1 -all\"\ntwo TXT \"v=spf1 mx -all\"\n\
         typo TXT \"v=spf1 ipv4:127.0.21.1 -all\"\n\
         many TXT \"v=spf1 {many}-all\"\n{nothing}\
         voids TXT \"v=spf1 a:n1.spf.test a:n2.spf.test a:n3.spf.test -all\"\n\
         gone TXT \"v=spf1 include:gone.test -all\"\n\
         reverse TXT \"v=spf1 ptr:spf.test -all\"\n\
         alias CNAME split\n"
    );
    let lab = NamesLab::start(&[
        Zone::new("spf.test", &records),
        Zone::new(
            "21.0.127.in-addr.arpa",
            "1 PTR mx.spf.test.\n2 PTR mx.spf.test.\n",
        ),
        Zone::new("gone.test", "").not_loaded(),
    ])?;
    let of = |domain: &str, address: &str, rest: &str| {
        format!("address: \"{address}\", helo: out.helo.test, sender: \"bob@{domain}\"{rest}")
    };
    check(
        &lab,
        "",
        "spf",
        &[
            (
                "mx",
                of("spf.test", "127.0.21.1", ", prefer: { lookups_at_most: 1 }"),
                "pass",
            ),
            ("mx6", of("spf.test", "2001:db8::1", ""), "pass"),
            ("include", of("spf.test", "127.0.22.7", ""), "pass"),
            ("cname", of("alias.spf.test", "127.0.21.1", ""), "pass"),
            ("ptr", of("reverse.spf.test", "127.0.21.1", ""), "pass"),
            (
                "helo",
                "address: 127.0.21.1, helo: split.spf.test".to_owned(),
                "pass",
            ),
            (
                "stranger",
                of("spf.test", "127.0.9.9", ""),
                "fail spf-mismatch: fail (expected pass): `-all` of spf.test",
            ),
            (
                "forged-ptr",
                of("reverse.spf.test", "127.0.21.2", ""),
                "fail spf-mismatch: fail (expected pass): `-all` of reverse.spf.test",
            ),
            (
                "soft",
                of("soft.spf.test", "127.0.21.1", ", prefer: { result: pass }"),
                "degraded spf-mismatch: softfail (expected pass): `~all` of soft.spf.test",
            ),
            (
                "none",
                of("mx.spf.test", "127.0.21.1", ""),
                "fail spf-mismatch: none (expected pass): mx.spf.test has no SPF record",
            ),
            (
                "two",
                of("two.spf.test", "127.0.21.1", ""),
                "fail spf-mismatch: permerror (expected pass): two.spf.test has 2 SPF records, there must be one",
            ),
            (
                "typo",
                of("typo.spf.test", "127.0.21.1", ""),
                "fail spf-mismatch: permerror (expected pass): the record of typo.spf.test has `ipv4:127.0.21.1`, which is no mechanism",
            ),
            (
                "lookups",
                of("many.spf.test", "127.0.21.1", ""),
                "fail spf-mismatch: permerror (expected pass): more than 10 terms ask DNS: `include:s11.spf.test` of many.spf.test would be one more",
            ),
            (
                "voids",
                of("voids.spf.test", "127.0.21.1", ""),
                "fail spf-mismatch: permerror (expected pass): more than 2 terms find nothing in DNS (void lookups): `a:n3.spf.test` of voids.spf.test is one more",
            ),
            (
                "servfail",
                of("gone.spf.test", "127.0.21.1", ""),
                "fail dns-servfail: temperror (expected pass): 127.0.31.9 port PORT answered SERVFAIL for gone.test TXT",
            ),
        ],
    )
}

#[test]
fn dkim_keys_are_judged_and_each_fault_of_a_record_is_named() -> io::Result<()> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
    let other = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
    let record = |key: &KeyPair| {
        format!(
            "v=DKIM1; k=ed25519; p={}",
            STANDARD.encode(key.public_key_raw())
        )
    };
    let (good, stranger) = (record(&key), record(&other));
    // SubjectPublicKeyInfo of an RSA key with 1024 bits.
    let rsa = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
    let records = format!(
        "good._domainkey TXT \"{good}\"\n\
         stranger._domainkey TXT \"{stranger}\"\n\
         weak._domainkey TXT \"v=DKIM1; k=rsa; p={}\" \"{}\"\n\
         test._domainkey TXT \"{good}; t=y\"\n\
         revoked._domainkey TXT \"v=DKIM1; p=\"\n\
         cut._domainkey TXT \"v=DKIM1; k=rsa; p={}\"\n\
         sha1._domainkey TXT \"{good}; h=sha1\"\n\
         two._domainkey TXT \"{good}\"\ntwo._domainkey TXT \"v=DKIM1; p=\"\n\
         away._domainkey CNAME gone.gone.test.\n",
        &rsa[..100],
        &rsa[100..],
        &rsa[..100],
    );
    let lab = NamesLab::start(&[
        Zone::new("dkim.test", &records),
        Zone::new("gone.test", "").not_loaded(),
    ])?;
    let pem = lab.names.directory().join("dkim.pem");
    std::fs::write(&pem, key.serialize_pem())?;
    let main = format!(
        "senders:\n  outside: {{ address: probe@dkim.test, helo: probe.dkim.test, dkim: {{ selector: good, key_file: {} }} }}\n",
        pem.display()
    );
    let of = |selector: &str, rest: &str| format!("domain: dkim.test, selector: {selector}{rest}");
    check(
        &lab,
        &main,
        "dkim",
        &[
            (
                "good",
                of("good", ", expect: { key_type: ed25519, testing: false }"),
                "pass",
            ),
            ("own", "sender: outside".to_owned(), "pass"),
            (
                "not-own",
                "sender: outside, selector: stranger".to_owned(),
                "fail dkim-mismatch: the key of stranger._domainkey.dkim.test does not belong to the private key of the sender `outside`",
            ),
            (
                "weak",
                of("weak", ""),
                "degraded dkim-mismatch: the RSA key of weak._domainkey.dkim.test has 1024 bits, at least 2048 are wanted",
            ),
            (
                "testing",
                of("test", ", expect: { testing: false }"),
                "fail dkim-mismatch: the record of test._domainkey.dkim.test has `t=y`: the domain tests DKIM, and receivers treat its mail as unsigned",
            ),
            (
                "revoked",
                of("revoked", ""),
                "fail dkim-mismatch: key revoked: the record of revoked._domainkey.dkim.test has an empty `p=`",
            ),
            (
                "cut",
                of("cut", ""),
                "fail dkim-mismatch: key syntax error: the record of cut._domainkey.dkim.test has a `p=` that is no RSA key",
            ),
            (
                "sha1",
                of("sha1", ""),
                "fail dkim-mismatch: inappropriate hash algorithm: the record of sha1._domainkey.dkim.test has `h=` without sha256, the only one that signers may use",
            ),
            (
                "two",
                of("two", ""),
                "fail dkim-mismatch: two._domainkey.dkim.test has 2 TXT records, there must be one",
            ),
            (
                "missing",
                of("old", ""),
                "fail dkim-mismatch: no key for signature: old._domainkey.dkim.test has no TXT record",
            ),
            (
                "servfail",
                of("away", ""),
                "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for away._domainkey.dkim.test TXT",
            ),
        ],
    )
}

#[test]
fn dmarc_policies_are_found_and_each_fault_of_a_record_is_named() -> io::Result<()> {
    let records = "_dmarc TXT \"v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@dmarc.test\"\n\
        _dmarc.two TXT \"v=DMARC1; p=none\"\n_dmarc.two TXT \"v=DMARC1; p=reject\"\n\
        _dmarc.typo TXT \"v=DMARC1; p=rejected; rua=mailto:dmarc@dmarc.test\"\n\
        _dmarc.nosep TXT \"v=DMARC1: p=none\"\n\
        _dmarc.weak TXT \"v=DMARC1; p=none; pct=10\"\n\
        _dmarc.willing TXT \"v=DMARC1; p=none; rua=mailto:x@reports.willing.test\"\n\
        _dmarc.stranger TXT \"v=DMARC1; p=none; rua=mailto:x@stranger.test\"\n\
        _dmarc.away TXT \"v=DMARC1; p=none; rua=mailto:x@gone.test\"\n";
    let alone = "_dmarc.above TXT \"nothing\"\n";
    let lab = NamesLab::start(&[
        // The walk ends at the last label.
        Zone::new("test", ""),
        Zone::new("dmarc.test", records),
        Zone::new("alone.test", alone),
        Zone::new(
            "willing.test",
            "*._report._dmarc.reports TXT \"v=DMARC1\"\n",
        ),
        Zone::new("stranger.test", "@ A 127.0.21.1\n"),
        Zone::new("gone.test", "").not_loaded(),
    ])?;
    let of = |domain: &str, rest: &str| format!("domain: {domain}{rest}");
    check(
        &lab,
        "",
        "dmarc",
        &[
            (
                "good",
                of(
                    "dmarc.test",
                    ", expect: { policy: reject, reports_to: [\"mailto:dmarc@dmarc.test\"] }",
                ),
                "pass",
            ),
            (
                "below",
                of(
                    "a.b.dmarc.test",
                    ", expect: { policy: quarantine, found_at: dmarc.test }",
                ),
                "pass",
            ),
            ("willing", of("willing.dmarc.test", ""), "pass"),
            (
                "stranger",
                of("stranger.dmarc.test", ""),
                "fail dmarc-mismatch: reports go to stranger.test, which does not say that it takes them: stranger.dmarc.test._report._dmarc.stranger.test has no TXT record `v=DMARC1`",
            ),
            (
                "two",
                of("two.dmarc.test", ""),
                "fail dmarc-mismatch: none: _dmarc.two.dmarc.test has 2 DMARC records, and receivers then use no one",
            ),
            (
                "typo",
                of("typo.dmarc.test", ""),
                "fail dmarc-mismatch: the record of _dmarc.typo.dmarc.test has `p=rejected`, which means nothing",
            ),
            (
                "version",
                of(
                    "nosep.dmarc.test",
                    ", expect: { found_at: nosep.dmarc.test }",
                ),
                "fail dmarc-mismatch: the record of _dmarc.dmarc.test counts, not that of _dmarc.nosep.dmarc.test",
            ),
            (
                "weak",
                of("weak.dmarc.test", ", prefer: { percent_at_least: 100 }"),
                "degraded dmarc-mismatch: the policy is asked for 10 of 100 mails, at least 100 are wanted",
            ),
            (
                "none",
                of("alone.test", ""),
                "fail dmarc-mismatch: none: neither _dmarc.alone.test nor a name above it has a DMARC record",
            ),
            (
                "consent-unknown",
                of("away.dmarc.test", ""),
                "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for away.dmarc.test._report._dmarc.gone.test TXT",
            ),
            (
                "servfail",
                of("gone.test", ""),
                "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for _dmarc.gone.test TXT",
            ),
        ],
    )
}

#[test]
fn tls_rpt_records_are_read_and_each_fault_is_named() -> io::Result<()> {
    let records = "_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls@rpt.test,https://reports.rpt.test/v1\"\n\
        _smtp._tls.two TXT \"v=TLSRPTv1; rua=mailto:a@rpt.test\"\n_smtp._tls.two TXT \"v=TLSRPTv1; rua=mailto:b@rpt.test\"\n\
        _smtp._tls.http TXT \"v=TLSRPTv1; rua=http://rpt.test/\"\n\
        _smtp._tls.empty TXT \"v=TLSRPTv1;\"\n";
    let lab = NamesLab::start(&[
        Zone::new("rpt.test", records),
        Zone::new("gone.test", "").not_loaded(),
    ])?;
    let of = |domain: &str, rest: &str| format!("domain: {domain}{rest}");
    check(
        &lab,
        "",
        "tls_rpt",
        &[
            (
                "good",
                of(
                    "rpt.test",
                    ", expect: { reports_to: [\"mailto:tls@rpt.test\", \"https://reports.rpt.test/v1\"] }",
                ),
                "pass",
            ),
            (
                "none",
                of("www.rpt.test", ""),
                "fail tls-rpt-mismatch: _smtp._tls.www.rpt.test has no TLS-RPT record",
            ),
            (
                "two",
                of("two.rpt.test", ""),
                "fail tls-rpt-mismatch: _smtp._tls.two.rpt.test has 2 TLS-RPT records, and senders then use none",
            ),
            (
                "http",
                of("http.rpt.test", ""),
                "fail tls-rpt-mismatch: the record of _smtp._tls.http.rpt.test has `rua=` where `http://rpt.test/` is neither `mailto:` nor `https:`",
            ),
            (
                "empty",
                of("empty.rpt.test", ""),
                "fail tls-rpt-mismatch: the record of _smtp._tls.empty.rpt.test has no `rua=`",
            ),
            (
                "servfail",
                of("gone.test", ""),
                "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for _smtp._tls.gone.test TXT",
            ),
        ],
    )
}

/// A domain of the policy host's test, and what its host is like.
struct Served {
    label: &'static str,
    host: Host,
    told: &'static str,
}

/// Listens for ever, one task for each connection.
async fn serve(authority: &Authority, host: Host) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let acceptor = authority.acceptor(&host);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(acceptor.clone(), host.clone(), stream));
        }
    });
    Ok(address)
}

fn served(authority_of: &str) -> Vec<Served> {
    let policy = |mx: &str, mode: &str| {
        ok(&format!(
            "version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n"
        ))
    };
    let host =
        |label: &str, answer: String| Host::new(&format!("mta-sts.{label}.{authority_of}"), answer);
    let all = policy("*.sts.test", "enforce");
    let one = |label: &'static str, answer: String, told: &'static str| Served {
        label,
        host: host(label, answer),
        told,
    };
    let mut served = vec![
        one("good", all.clone(), "pass"),
        one(
            "uncovered",
            policy("mx9.sts.test", "enforce"),
            "fail mta-sts-mismatch: validation-failure: the policy does not cover mx1.sts.test (MX 10 of uncovered.sts.test), only mx9.sts.test",
        ),
        one(
            "testing",
            policy("mx9.sts.test", "testing"),
            "degraded mta-sts-mismatch: validation-failure: the policy does not cover mx1.sts.test (MX 10 of testing.sts.test), only mx9.sts.test",
        ),
        one(
            "mode",
            policy("*.sts.test", "enforced"),
            "fail mta-sts-mismatch: sts-policy-invalid: the policy of mta-sts.mode.sts.test has the mode `enforced`; there are `enforce`, `testing` and `none`",
        ),
        one(
            "redirect",
            head("302 Found", "Location: https://sts.test/\r\n"),
            "fail http-status: sts-policy-fetch-error: mta-sts.redirect.sts.test (127.0.0.1:PORT) answered 302 Found to https://sts.test/; senders follow no redirect",
        ),
        one(
            "missing",
            head("404 Not Found", ""),
            "fail http-status: sts-policy-fetch-error: mta-sts.missing.sts.test (127.0.0.1:PORT) answered 404 Not Found for /.well-known/mta-sts.txt",
        ),
        one(
            "large",
            ok(&"#".repeat(70_000)),
            "fail mta-sts-mismatch: sts-policy-invalid: the policy of mta-sts.large.sts.test (127.0.0.1:PORT) is larger than 65536 bytes",
        ),
        one(
            "html",
            all.replace("text/plain", "text/html"),
            "fail mta-sts-mismatch: sts-policy-invalid: mta-sts.html.sts.test (127.0.0.1:PORT) sends the policy as text/html, not as text/plain",
        ),
        one(
            "slow",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: ST".to_owned(),
            "fail http-timeout: sts-policy-fetch-error: mta-sts.slow.sts.test (127.0.0.1:PORT) did not send the whole policy within 3 s",
        ),
        one(
            "expired",
            all.clone(),
            "fail tls-certificate: sts-webpki-invalid: the certificate of mta-sts.expired.sts.test expired on 2021-01-01 (127.0.0.1:PORT)",
        ),
        one(
            "name",
            all,
            "fail tls-certificate: sts-webpki-invalid: the certificate of mta-sts.name.sts.test is for www.sts.test, not for mta-sts.name.sts.test (127.0.0.1:PORT)",
        ),
    ];
    for one in &mut served {
        one.host.closes = one.label != "slow";
        one.host.expired = one.label == "expired";
        if one.label == "name" {
            one.host.name = "www.sts.test".to_owned();
        }
    }
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mta_sts_policies_are_fetched_and_each_fault_is_named() -> io::Result<()> {
    let authority = Authority::new();
    let hosts = served("sts.test");
    let mut records = String::from(
        "mx1 A 127.0.21.1\n\
         _mta-sts.two TXT \"v=STSv1; id=1\"\n_mta-sts.two TXT \"v=STSv1; id=2\"\n\
         _mta-sts.id TXT \"v=STSv1; id=2026-11-21\"\n\
         _mta-sts.homeless TXT \"v=STSv1; id=1\"\n\
         _mta-sts.closed TXT \"v=STSv1; id=1\"\nmta-sts.closed A 127.0.0.1\n",
    );
    let mut cases: Vec<(&str, String, &str)> = vec![
        (
            "none",
            "domain: sts.test".to_owned(),
            "fail mta-sts-mismatch: no-policy-found: _mta-sts.sts.test has no MTA-STS record, so no sender looks for a policy",
        ),
        (
            "two",
            "domain: two.sts.test".to_owned(),
            "fail mta-sts-mismatch: no-policy-found: _mta-sts.two.sts.test has 2 MTA-STS records, and senders then use none",
        ),
        (
            "id",
            "domain: id.sts.test".to_owned(),
            "fail mta-sts-mismatch: the record of _mta-sts.id.sts.test has the id `2026-11-21`; it must be 1 to 32 letters and digits",
        ),
        (
            "homeless",
            "domain: homeless.sts.test".to_owned(),
            "fail dns-nxdomain: sts-policy-fetch-error: mta-sts.homeless.sts.test does not exist, says 127.0.31.9 port PORT",
        ),
        (
            "closed",
            "domain: closed.sts.test, port: 1".to_owned(),
            "fail connect-refused: sts-policy-fetch-error: 127.0.0.1 port 1 refused the connection",
        ),
        (
            "servfail",
            "domain: gone.test".to_owned(),
            "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for _mta-sts.gone.test TXT",
        ),
    ];
    let mut ports = Vec::new();
    for Served { label, host, told } in hosts {
        let address = serve(&authority, host).await?;
        ports.push(address.port());
        records += &format!(
            "_mta-sts.{label} TXT \"v=STSv1; id=2026\"\nmta-sts.{label} A 127.0.0.1\n{label} MX 10 mx1\n"
        );
        let settings = format!(
            "domain: {label}.sts.test, port: {}, fetch_within: 3s, trust: {{ ca_file: {} }}",
            address.port(),
            authority.file.path().display()
        );
        cases.push((label, settings, told));
    }
    let asked = tokio::task::spawn_blocking(move || {
        let lab = NamesLab::start(&[
            Zone::new("sts.test", &records),
            Zone::new("gone.test", "").not_loaded(),
        ])?;
        ports.push(lab.names.validating().port());
        let result = lab.run("", &steps("mta_sts", &cases))?;
        assert_told(&result, &ports, &wanted(&cases));
        let good = result.checks.iter().find(|check| check.step == "good");
        let phases: Vec<&str> = good
            .iter()
            .flat_map(|check| check.phases_seconds.keys().map(String::as_str))
            .collect();
        for phase in ["dns", "connect", "tls", "http"] {
            assert!(phases.contains(&phase), "{phases:?}");
        }
        Ok::<_, io::Error>(())
    });
    asked.await.map_err(io::Error::other)?
}
