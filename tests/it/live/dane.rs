//! DANE: TLSA records in BIND's signed zones, proven by Unbound, against the certificates of Postfix.

use std::io;
use std::path::Path;

use postrider::result::StatusWord;
use postrider_testkit::live::{
    Certificate, Names, Node, PRIMARY, Platform, Signing, Zone, tlsa_record,
};

use super::lab::of_step;
use super::names_lab::{NamesLab, assert_told};

/// A platform, and zones that promise something of its filters: `filter1` presents its certificate alone, `filter2` the
/// authority's as well.
struct DaneLab {
    platform: Platform,
    lab: NamesLab,
}

impl DaneLab {
    fn start(zones: impl FnOnce(&Platform) -> io::Result<Vec<Zone>>) -> io::Result<Self> {
        let mut platform = Platform::start()?;
        platform.present_certificate(Node::Filter2, Certificate::WithAuthority)?;
        let lab = NamesLab::start(&zones(&platform)?)?;
        Ok(Self { platform, lab })
    }

    fn main(&self) -> String {
        format!(
            "platform: {{ smtp_port: {} }}\nsenders:\n  outside: {{ address: probe@outside.test, helo: probe.outside.test }}\n",
            self.platform.smtp_port()
        )
    }

    fn ports(&self) -> [u16; 3] {
        let names: &Names = &self.lab.names;
        [
            self.platform.smtp_port(),
            names.validating().port(),
            names.resolver().port(),
        ]
    }

    fn check(&self, steps: &str, wanted: &[(&str, &str)]) -> io::Result<()> {
        let result = self.lab.run(&self.main(), steps)?;
        assert_told(&result, &self.ports(), wanted);
        Ok(())
    }
}

/// A domain whose one MX host is `mx` in it, on `filter1` (or 2), with these TLSA records.
fn domain(platform: &Platform, origin: &str, node: Node, records: &[String]) -> Zone {
    let port = platform.smtp_port();
    let address = PRIMARY[node as usize];
    let tlsa: String = records
        .iter()
        .map(|record| format!("_{port}._tcp.mx TLSA {record}\n"))
        .collect();
    Zone::new(origin, &format!("@ MX 10 mx\nmx A {address}\n{tlsa}")).signed()
}

fn every_mx(domains: &[&str], settings: &str) -> String {
    let step = |domain: &&str| {
        format!(
            "  - id: {}\n    for_each: {{ mx_of: {domain} }}\n    tlsa: {settings}\n",
            domain.trim_end_matches(".test")
        )
    };
    domains.iter().map(step).collect()
}

/// A digest of nothing that anyone presents.
fn wrong(numbers: &str, bytes: usize) -> String {
    format!("{numbers} {}", "ab".repeat(bytes))
}

fn of(file: &Path, numbers: [u8; 3]) -> io::Result<String> {
    tlsa_record(file, numbers)
}

#[test]
fn a_certificate_that_some_secure_record_is_for_passes() -> io::Result<()> {
    let lab = DaneLab::start(|platform| {
        let leaf = platform.certificate_file(Node::Filter1);
        let zone =
            |origin: &str, records: &[String]| domain(platform, origin, Node::Filter1, records);
        let key = of(&leaf, [3, 1, 1])?;
        let port = platform.smtp_port();
        let alias = format!(
            "@ MX 10 mx\nmx A {}\n_{port}._tcp.mx CNAME _dane\n_dane TLSA {key}\n",
            PRIMARY[0]
        );
        // What is issued by an authority must be for the host, and the certificate is for this one.
        let authority = of(platform.ca_file(), [2, 0, 1])?;
        let by_name = format!(
            "@ MX 10 mx1\nmx1 A {}\n_{port}._tcp.mx1 TLSA {authority}\n",
            PRIMARY[1]
        );
        Ok(vec![
            zone("key.test", std::slice::from_ref(&key)),
            zone("key512.test", &[of(&leaf, [3, 1, 2])?]),
            zone("key-itself.test", &[of(&leaf, [3, 1, 0])?]),
            zone("whole.test", &[of(&leaf, [3, 0, 1])?]),
            zone("whole-itself.test", &[of(&leaf, [3, 0, 0])?]),
            zone("rollover.test", &[wrong("3 1 1", 32), key.clone()]),
            zone("mixed.test", &[wrong("0 0 1", 32), key.clone()]),
            Zone::new("alias.test", &alias).signed(),
            Zone::new("nsec3.test", &alias).signing(Signing::Nsec3),
            Zone::new("example.test", &by_name).signed(),
        ])
    })?;
    let domains = [
        "key.test",
        "key512.test",
        "key-itself.test",
        "whole.test",
        "whole-itself.test",
        "rollover.test",
        "mixed.test",
        "alias.test",
        "nsec3.test",
        "example.test",
    ];
    let result = lab.lab.run(&lab.main(), &every_mx(&domains, "{}"))?;
    let wanted: Vec<(&str, &str)> = domains
        .iter()
        .map(|domain| (domain.trim_end_matches(".test"), "pass"))
        .collect();
    assert_told(&result, &lab.ports(), &wanted);
    for (step, notes) in [
        ("key", vec!["DANE 3 1 1"]),
        ("whole-itself", vec!["DANE 3 0 0"]),
        ("rollover", vec!["DANE 3 1 1, 1 of 2 records match"]),
        (
            "mixed",
            vec!["1 of 2 TLSA records cannot be used", "DANE 3 1 1"],
        ),
        ("example", vec!["DANE 2 0 1"]),
    ] {
        let check = of_step(&result, step)[0];
        assert_eq!(check.notes, notes, "{step}");
        let evidence = check.evidence.as_ref().unwrap();
        assert_eq!(evidence.tls.as_ref().unwrap().version, "TLSv1.3");
        let proven = |text: &str| evidence.answers.iter().any(|line| line.ends_with(text));
        assert!(proven("MX: NOERROR, secure"), "{:#?}", evidence.answers);
        for phase in ["dns", "connect", "starttls"] {
            assert!(check.phases_seconds.contains_key(phase), "{step} {phase}");
        }
    }
    Ok(())
}

#[test]
fn each_fault_of_dane_is_named() -> io::Result<()> {
    let mut lab = DaneLab::start(|platform| {
        let port = platform.smtp_port();
        let leaf = platform.certificate_file(Node::Filter1);
        let key = of(&leaf, [3, 1, 1])?;
        let good = std::slice::from_ref(&key);
        let zone =
            |origin: &str, records: &[String]| domain(platform, origin, Node::Filter1, records);
        let elsewhere = |target: &str| {
            format!(
                "@ MX 10 mx\nmx A {}\n_{port}._tcp.mx CNAME _dane.{target}.\n",
                PRIMARY[0]
            )
        };
        let records = format!("_dane TLSA {key}\n");
        Ok(vec![
            zone("good.test", good),
            zone("mismatch.test", &[wrong("3 1 1", 32)]),
            zone("two-wrong.test", &[wrong("3 0 2", 64), wrong("2 1 1", 32)]),
            zone("usage0.test", &[wrong("0 0 1", 32)]),
            zone(
                "unusable.test",
                &[wrong("1 1 1", 32), wrong("3 1 9", 32), wrong("3 1 1", 4)],
            ),
            zone("no-tlsa.test", &[]),
            zone("unsigned.test", good).signing(Signing::None),
            zone("expired.test", good).signing(Signing::Expired),
            Zone::new("plain-records.test", &records),
            Zone::new("old-records.test", &records).signing(Signing::Expired),
            Zone::new("tlsa-unsigned.test", &elsewhere("plain-records.test")).signed(),
            Zone::new("tlsa-expired.test", &elsewhere("old-records.test")).signed(),
            // The host is in another zone than the domain.
            Zone::new("host-unsigned.test", "@ MX 10 mx.unsigned.test.").signed(),
            domain(
                platform,
                "authority.test",
                Node::Filter2,
                &[of(platform.ca_file(), [2, 1, 1])?],
            ),
            Zone::new(
                "example.test",
                &format!(
                    "@ MX 10 mx1\nmx1 A {}\n_{port}._tcp.mx1 TLSA {}\n",
                    PRIMARY[1],
                    of(platform.ca_file(), [2, 0, 0])?
                ),
            )
            .signed(),
        ])
    })?;
    let faults = [
        (
            "mismatch",
            "fail dane-mismatch: 127.0.21.1 presents a certificate that no TLSA record of _PORT._tcp.mx.mismatch.test matches: 3 1 1 abababababababab… (found KEY) (validation-failure)",
        ),
        (
            "two-wrong",
            "fail dane-mismatch: 127.0.21.1 presents a certificate that no TLSA record of _PORT._tcp.mx.two-wrong.test matches: 2 1 1 abababababababab… (no such authority in the chain); 3 0 2 abababababababab… (found WHOLE) (validation-failure)",
        ),
        (
            "usage0",
            "fail dane-mismatch: no TLSA record of _PORT._tcp.mx.usage0.test can be used: 0 0 1 abababababababab…: usage 0 (PKIX-TA) is not for SMTP (RFC 7672 §3.1.3) (tlsa-invalid)",
        ),
        (
            "unusable",
            "fail dane-mismatch: no TLSA record of _PORT._tcp.mx.unusable.test can be used: 1 1 1 abababababababab…: usage 1 (PKIX-EE) is not for SMTP (RFC 7672 §3.1.3); 3 1 1 abababab: it holds 4 bytes, and its digest has 32; 3 1 9 abababababababab…: the matching type 9 is not defined (tlsa-invalid)",
        ),
        (
            "no-tlsa",
            "fail dane-mismatch: DANE is required, and there is no TLSA record at _PORT._tcp.mx.no-tlsa.test (dane-required)",
        ),
        (
            "unsigned",
            "fail dane-mismatch: DANE is required, and the MX records of unsigned.test are not signed (insecure) (dane-required)",
        ),
        (
            "tlsa-unsigned",
            "fail dane-mismatch: DANE is required, and _PORT._tcp.mx.tlsa-unsigned.test is not signed (insecure) (dane-required)",
        ),
        (
            "tlsa-expired",
            "fail dns-bogus: _PORT._tcp.mx.tlsa-expired.test TLSA fails validation: the signature of _dane.old-records.test TLSA ended on 2021-02-01 (dnssec-invalid)",
        ),
        (
            "host-unsigned",
            "fail dane-mismatch: DANE is required, and the addresses of mx.unsigned.test are not signed (insecure) (dane-required)",
        ),
        (
            "authority",
            "fail dane-mismatch: 127.0.22.1 presents a certificate that no TLSA record of _PORT._tcp.mx.authority.test matches: 2 1 1 AUTHORITY: that authority is there, and the certificate is not for authority.test or mx.authority.test (certificate-host-mismatch)",
        ),
    ];
    let shown = |record: String| {
        let data = record.rsplit(' ').next().unwrap_or_default();
        format!("{}…", &data[..16])
    };
    let platform = &lab.platform;
    let leaf = platform.certificate_file(Node::Filter1);
    let key = shown(of(&leaf, [3, 1, 1])?);
    let whole = shown(of(&leaf, [3, 0, 2])?);
    let authority = shown(of(platform.ca_file(), [2, 1, 1])?);
    let faults = faults.map(|(step, line)| {
        let line = line
            .replace("KEY", &key)
            .replace("WHOLE", &whole)
            .replace("AUTHORITY", &authority);
        (step, line)
    });
    let mut domains: Vec<String> = faults
        .iter()
        .map(|(step, _)| format!("{step}.test"))
        .collect();
    domains.push("good.test".to_owned());
    domains.push("example.test".to_owned());
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let mut wanted: Vec<(&str, &str)> = faults
        .iter()
        .map(|(step, line)| (*step, line.as_str()))
        .collect();
    wanted.extend([("good", "pass"), ("example", "pass")]);
    // The MX records themselves cannot be had: no target, and the step says why.
    let steps = every_mx(&domains, "{}")
        + "  - id: expired\n    tlsa: { host: mx.expired.test, domain: expired.test }\n";
    wanted.push((
        "expired",
        "fail dns-bogus: expired.test MX fails validation: the signature of expired.test MX ended on 2021-02-01 (dnssec-invalid)",
    ));
    lab.check(&steps, &wanted)?;

    // What is not published is no fault where nobody requires it.
    lab.check(
        &every_mx(
            &["no-tlsa.test", "unsigned.test", "good.test"],
            "{ expect: { dane: if-published } }",
        ),
        &[("no-tlsa", "pass"), ("unsigned", "pass"), ("good", "pass")],
    )?;
    lab.check(
        &every_mx(&["unsigned.test", "good.test"], "{ prefer: { dane: required } }"),
        &[
            (
                "unsigned",
                "degraded dane-mismatch: DANE is required, and the MX records of unsigned.test are not signed (insecure) (dane-required)",
            ),
            ("good", "pass"),
        ],
    )?;

    // The same zones; now the servers are at fault. A key that is vouched for by itself may be as old as it likes.
    lab.platform
        .present_certificate(Node::Filter2, Certificate::Expired)?;
    lab.platform.without_starttls(Node::Filter1)?;
    let expired = "fail dane-mismatch: 127.0.22.1 presents a certificate that no TLSA record of _PORT._tcp.mx1.example.test matches: 2 0 0 CA: that authority is there, and the certificate has expired (certificate-expired)";
    let ca = shown(of(lab.platform.ca_file(), [2, 0, 0])?);
    lab.check(
        &every_mx(&["good.test", "example.test"], "{}"),
        &[
            (
                "good",
                "fail tls-not-offered: the SMTP server does not offer STARTTLS (starttls-not-supported)",
            ),
            ("example", &expired.replace("CA", &ca)),
        ],
    )
}

#[test]
fn a_resolver_that_does_not_validate_proves_no_certificate() -> io::Result<()> {
    let lab = DaneLab::start(|platform| {
        let leaf = platform.certificate_file(Node::Filter1);
        let records = [of(&leaf, [3, 1, 1])?];
        Ok(vec![domain(platform, "good.test", Node::Filter1, &records)])
    })?;
    let resolver = lab.lab.names.resolver();
    let result = lab
        .lab
        .run_with(resolver, &lab.main(), &every_mx(&["good.test"], "{}"))?;
    assert_told(
        &result,
        &lab.ports(),
        &[(
            "good",
            "error dns-unvalidated: 127.0.0.1 port PORT does not validate: good.test MX is proven secure here, and its answer says nothing of it (no AD)",
        )],
    );
    let check = of_step(&result, "good")[0];
    assert_eq!(check.status, StatusWord::Error);
    assert!(!check.phases_seconds.contains_key("connect"));
    Ok(())
}
