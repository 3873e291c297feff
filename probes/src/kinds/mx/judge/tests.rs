use super::*;

fn answer(rcode: &str, records: &[(u16, &str)]) -> Answer {
    Answer {
        rcode: rcode.to_owned(),
        records: records
            .iter()
            .map(|(preference, host)| Record {
                name: "example.test".to_owned(),
                record_type: "MX".to_owned(),
                ttl: 3600,
                data: RecordData::Mx {
                    preference: *preference,
                    host: (*host).to_owned(),
                },
            })
            .collect(),
        authoritative: true,
        server: ([192, 0, 2, 53], 53).into(),
        took: Duration::ZERO,
    }
}

fn hosts(hosts: &[&str]) -> Vec<(Wanted, bool)> {
    vec![(
        Wanted {
            hosts: Some(hosts.iter().map(ToString::to_string).collect()),
            ttl_at_most: None,
        },
        false,
    )]
}

fn lives(seconds: u64, is_preference: bool) -> Vec<(Wanted, bool)> {
    let wanted = Wanted {
        hosts: None,
        ttl_at_most: Some(Duration::from_secs(seconds)),
    };
    vec![(wanted, is_preference)]
}

/// `status line` of each finding.
fn told(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect();
    lines.join(", ")
}

#[test]
fn an_answer_is_judged_by_set_and_life_time() {
    let two: &[(u16, &str)] = &[(20, "mx2.test"), (10, "mx1.test")];
    for (rules, rcode, records, wanted) in [
        (vec![], "NOERROR", two, ""),
        (hosts(&["10 mx1.test", "20 mx2.test"]), "NOERROR", two, ""),
        (
            hosts(&["10 mx1.test", "30 mx2.test"]),
            "NOERROR",
            two,
            "fail dns-mismatch: missing 30 mx2.test; not expected 20 mx2.test",
        ),
        (
            vec![],
            "NOERROR",
            &[],
            "fail dns-nxdomain: example.test has no MX record: senders try the domain's own address",
        ),
        (hosts(&[]), "NOERROR", &[], ""),
        (hosts(&[]), "NXDOMAIN", &[], ""),
        (
            hosts(&["10 mx1.test"]),
            "NOERROR",
            &[],
            "fail dns-mismatch: missing 10 mx1.test",
        ),
        (
            hosts(&["10 mx1.test"]),
            "NXDOMAIN",
            &[],
            "fail dns-nxdomain: example.test does not exist, says 192.0.2.53",
        ),
        (
            hosts(&[]),
            "SERVFAIL",
            &[],
            "fail dns-servfail: 192.0.2.53 answered SERVFAIL for example.test MX",
        ),
        (lives(3600, false), "NOERROR", two, ""),
        (
            lives(60, false),
            "NOERROR",
            two,
            "fail dns-mismatch: the MX records may be kept for 1h, at most 1m is wanted",
        ),
        (
            lives(60, true),
            "NOERROR",
            two,
            "degraded dns-mismatch: the MX records may be kept for 1h, at most 1m is wanted",
        ),
    ] {
        let found = of_answer(&rules, "example.test", &answer(rcode, records));
        assert_eq!(told(&found), wanted, "{rules:?} {rcode} {records:?}");
    }
}

#[test]
fn a_null_mx_is_right_only_alone_and_expected() {
    let null = "fail dns-mismatch: example.test publishes a null MX: it accepts no mail";
    let beside = "fail dns-mismatch: example.test publishes a null MX beside other MX records";
    for (rules, records, wanted) in [
        (vec![], &[(0, ".")][..], null.to_owned()),
        (hosts(&["0 ."]), &[(0, ".")][..], String::new()),
        (
            hosts(&["10 mx1.test"]),
            &[(0, ".")][..],
            format!("fail dns-mismatch: missing 10 mx1.test; not expected 0 ., {null}"),
        ),
        (
            hosts(&["10 ."]),
            &[(10, ".")][..],
            "degraded dns-mismatch: the null MX of example.test is `10 .`; its preference is to be 0"
                .to_owned(),
        ),
        (vec![], &[(0, "."), (10, "mx1.test")][..], beside.to_owned()),
        (
            hosts(&["0 .", "10 mx1.test"]),
            &[(0, "."), (10, "mx1.test")][..],
            beside.to_owned(),
        ),
        // Preference 0 alone is an ordinary one.
        (vec![], &[(0, "mx1.test")][..], String::new()),
    ] {
        let found = of_answer(&rules, "example.test", &answer("NOERROR", records));
        assert_eq!(told(&found), wanted, "{rules:?} {records:?}");
    }
}

fn host(addresses: &[&str]) -> MxHost {
    MxHost {
        name: "mx1.test".to_owned(),
        preference: 10,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        unusable: Vec::new(),
        cname: None,
        failure: None,
    }
}

#[test]
fn a_host_must_be_one_that_mail_can_reach() {
    let good = "198.41.0.4";
    let alias = MxHost {
        cname: Some("www.test".to_owned()),
        ..host(&[good])
    };
    let nobody = MxHost {
        unusable: vec!["0.0.0.0".parse().unwrap()],
        ..host(&[])
    };
    let broken = MxHost {
        failure: Some(Failure::new(Reason::DnsServfail, "SERVFAIL for mx1.test A")),
        ..host(&[])
    };
    for (host, allow_private, wanted) in [
        (host(&[good, "2001:500:2::c"]), false, ""),
        (
            host(&[]),
            false,
            "fail dns-nxdomain: mx1.test (MX of example.test) has no address",
        ),
        (
            host(&["10.1.2.3", good, "::1"]),
            false,
            "fail dns-mismatch: mx1.test (MX of example.test) has the address 10.1.2.3 (private), ::1 (loopback), which the world cannot reach",
        ),
        (host(&["10.1.2.3", "::1"]), true, ""),
        (
            alias,
            true,
            "fail dns-mismatch: mx1.test (MX of example.test) is an alias of www.test; an MX must not be a CNAME",
        ),
        // What is no host's address is none in a laboratory either.
        (
            nobody,
            true,
            "fail dns-mismatch: mx1.test (MX of example.test) has the address 0.0.0.0, which no host can have",
        ),
        (
            broken,
            false,
            "fail dns-servfail: mx1.test (MX of example.test): SERVFAIL for mx1.test A",
        ),
    ] {
        let found = of_hosts(
            "example.test",
            std::slice::from_ref(&host),
            1,
            allow_private,
        );
        assert_eq!(told(&found), wanted, "{host:?}");
    }
}

#[test]
fn hosts_that_are_not_looked_at_are_told() {
    let found = of_hosts("example.test", &[], 1000, false);
    assert_eq!(
        told(&found),
        "degraded dns-mismatch: example.test has 1000 MX records; only the 50 most preferred are looked at"
    );
}
