//! What DNS says, and what becomes of it, with BIND.

use std::io;

use postrider::result::{RunResult, StatusWord};

use super::lab::{Lab, led_to, line, of_step};

/// `status reason: message @ targets` of a step's checks.
fn told(result: &RunResult, step: &str) -> Vec<String> {
    of_step(result, step)
        .into_iter()
        .map(|check| match &check.target {
            Some(target) => format!(
                "{} {} {} {}",
                target.preference,
                target.mx,
                target.address,
                line(check)
            ),
            None => line(check),
        })
        .collect()
}

#[test]
fn odd_mx_sets_are_expanded_or_explained() -> io::Result<()> {
    let lab = Lab::start()?;
    let cases: &[(&str, &[&str])] = &[
        (
            "null-mx.odd.test",
            &["dns-mismatch: null-mx.odd.test publishes a null MX: it accepts no mail"],
        ),
        (
            "cname-mx.odd.test",
            &[
                "dns-mismatch: alias.odd.test (MX of cname-mx.odd.test) is an alias of mx1.example.test; an MX must not be a CNAME",
                "10 alias.odd.test 127.0.21.1 pass",
                "10 alias.odd.test 127.0.22.1 pass",
            ],
        ),
        (
            "cname-domain.odd.test",
            &[
                "10 mx1.example.test 127.0.21.1 pass",
                "10 mx1.example.test 127.0.22.1 pass",
                "20 mx2.example.test 127.0.21.2 pass",
                "20 mx2.example.test 127.0.22.2 pass",
            ],
        ),
        (
            "implicit-mx.odd.test",
            &["0 implicit-mx.odd.test 127.0.21.1 pass"],
        ),
        (
            "no-mail.odd.test",
            &[
                "dns-nxdomain: no-mail.odd.test (no MX records, so the domain itself) has no address",
            ],
        ),
        (
            "no-such-domain.odd.test",
            &["dns-nxdomain: no-such-domain.odd.test does not exist, says "],
        ),
        (
            "missing-mx.odd.test",
            &[
                "dns-nxdomain: nowhere.odd.test (MX of missing-mx.odd.test): nowhere.odd.test does not exist, says ",
            ],
        ),
        (
            "addressless-mx.odd.test",
            &["dns-nxdomain: no-mail.odd.test (MX of addressless-mx.odd.test) has no address"],
        ),
        (
            "half-mx.odd.test",
            &[
                "dns-nxdomain: nowhere.odd.test (MX of half-mx.odd.test): nowhere.odd.test does not exist, says ",
                "20 mx2.example.test 127.0.21.2 pass",
                "20 mx2.example.test 127.0.22.2 pass",
            ],
        ),
        (
            "shared-mx.odd.test",
            &[
                "10 mx1.example.test 127.0.21.1 pass",
                "10 mx1.example.test 127.0.22.1 pass",
                "20 mx2.example.test 127.0.21.2 pass",
                "20 mx2.example.test 127.0.22.2 pass",
            ],
        ),
        (
            "servfail-mx.odd.test",
            &["dns-servfail: mx.broken.test (MX of servfail-mx.odd.test): "],
        ),
        ("broken.test", &["dns-servfail: "]),
    ];
    let mut steps = String::from("steps_run: together\nsteps:\n");
    for (number, (domain, _)) in cases.iter().enumerate() {
        steps.push_str(&format!(
            "  - id: step{number}
    for_each: {{ mx_of: {domain} }}
    deliver: {{ to_address: \"${{item.address}}\", tls: opportunistic, stop_after: ehlo }}
"
        ));
    }
    lab.scenario("odd", &steps)?;
    let result = lab.run(&[])?;
    let mut wrong = Vec::new();
    for (number, (domain, expected)) in cases.iter().enumerate() {
        let told = told(&result, &format!("step{number}"));
        // A line that ends with a space goes on in the resolver's words.
        let same = told.len() == expected.len()
            && told.iter().zip(*expected).all(|(told, expected)| {
                told == expected || (expected.ends_with(' ') && told.starts_with(expected))
            });
        if !same {
            wrong.push(format!("{domain}: {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lab.entries().is_empty());
    Ok(())
}

#[test]
fn odd_routes_deliver_or_say_why_not() -> io::Result<()> {
    let lab = Lab::start()?;
    // Domain, the line, and the host.
    let cases = [
        ("half-mx.odd.test", "pass", "mx2.example.test ["),
        ("cname-mx.odd.test", "pass", "alias.odd.test ["),
        (
            "implicit-mx.odd.test",
            "pass",
            "implicit-mx.odd.test [127.0.21.1]",
        ),
        ("equal-mx.odd.test", "pass", "mx"),
        (
            "null-mx.odd.test",
            "dns-mismatch: null-mx.odd.test publishes a null MX: it accepts no mail",
            "",
        ),
        (
            "missing-mx.odd.test",
            "dns-nxdomain: nowhere.odd.test (MX of missing-mx.odd.test): nowhere.odd.test does not exist, says ",
            "",
        ),
        (
            "addressless-mx.odd.test",
            "dns-nxdomain: no-mail.odd.test (MX of addressless-mx.odd.test) has no address",
            "",
        ),
        (
            "servfail-mx.odd.test",
            "dns-servfail: mx.broken.test (MX of servfail-mx.odd.test): ",
            "",
        ),
    ];
    let mut steps = String::from("steps_run: together\nsteps:\n");
    for (number, (domain, ..)) in cases.iter().enumerate() {
        steps.push_str(&format!(
            "  - id: step{number}
    deliver: {{ route: {{ mx_of: {domain} }}, expect: {{ arrives: {{ within: 5s }} }} }}
"
        ));
    }
    lab.scenario("odd", &steps)?;
    let result = lab.run(&[])?;
    let mut wrong = Vec::new();
    for (number, (domain, expected, by)) in cases.iter().enumerate() {
        let check = of_step(&result, &format!("step{number}"))[0];
        let (said, host) = (line(check), led_to(check));
        let right = said == *expected || (expected.ends_with(' ') && said.starts_with(expected));
        if !right || !host.starts_with(by) {
            wrong.push(format!("{domain}: {said} ({host})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn records_must_be_exactly_the_expected_ones() -> io::Result<()> {
    let lab = Lab::start()?;
    let hundred: Vec<String> = (1..=100).map(|host| format!("127.0.99.{host}")).collect();
    let hundred = hundred.join(", ");
    let port = lab.platform.dns().port();
    let everyone = format!("ask: every-authoritative-server, port: {port}, ");
    // Query, type, more settings, expectation, the line.
    let cases = [
        (
            "example.test",
            "MX",
            "",
            "answers: [20 mx2.example.test, 10 mx1.example.test]",
            "pass",
        ),
        (
            "example.test",
            "MX",
            everyone.as_str(),
            "answers: [10 mx1.example.test, 20 mx2.example.test]",
            "pass",
        ),
        (
            "example.test",
            "MX",
            "",
            "answers: [10 mx1.example.test]",
            "dns-mismatch: not expected 20 mx2.example.test",
        ),
        (
            "example.test",
            "MX",
            everyone.as_str(),
            "answers: [10 mx1.example.test, 20 mx2.example.test, 30 mx3.example.test]",
            "dns-mismatch: ns1.example.test (127.0.0.1): missing 30 mx3.example.test",
        ),
        (
            "example.test",
            "TXT",
            "",
            "answers: [\"v=spf1 mx -all\"]",
            "pass",
        ),
        (
            "split-text.odd.test",
            "TXT",
            "",
            "answers: [\"first half, second half\"]",
            "pass",
        ),
        (
            "many-addresses.odd.test",
            "A",
            "",
            &format!("answers: [{hundred}]"),
            "pass",
        ),
        (
            "1.22.0.127.in-addr.arpa",
            "PTR",
            "",
            "answers: [filter2.cluster.test]",
            "pass",
        ),
        ("mx2.example.test", "AAAA", "", "answers: []", "pass"),
        ("nothing.beyond.example", "A", "", "rcode: NXDOMAIN", "pass"),
        (
            "nothing.beyond.example",
            "A",
            "",
            "answers: [192.0.2.1]",
            "dns-nxdomain: ",
        ),
        (
            "mx.broken.test",
            "A",
            "",
            "answers: [192.0.2.1]",
            "dns-servfail: ",
        ),
        ("example.test", "SOA", "", "ttl_at_most: 1m", "pass"),
        (
            "example.test",
            "SOA",
            "",
            "ttl_at_most: 59s",
            "dns-mismatch: ",
        ),
    ];
    let mut steps = String::from("steps_run: together\nsteps:\n");
    for (number, (query, kind, more, expect, _)) in cases.iter().enumerate() {
        steps.push_str(&format!(
            "  - id: step{number}
    dns: {{ query: {query}, type: {kind}, {more}expect: {{ {expect} }} }}
"
        ));
    }
    lab.scenario("records", &steps)?;
    let result = lab.run(&[])?;
    let mut wrong = Vec::new();
    for (number, (query, kind, more, _, expected)) in cases.iter().enumerate() {
        let check = of_step(&result, &format!("step{number}"))[0];
        let said = line(check);
        if said != *expected && !(expected.ends_with(' ') && said.starts_with(expected)) {
            wrong.push(format!("{query} {kind} {more}: {said}"));
        }
        assert!(check.phases_seconds.contains_key("dns"));
        if check.status == StatusWord::Pass {
            assert!(!check.evidence.as_ref().unwrap().answers.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn dns_and_inventory_that_disagree_are_a_finding() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario(
        "inventory",
        "
steps:
  - id: each
    for_each: { mx_of: example.test }
    deliver: { to_address: \"${item.address}\", stop_after: ehlo }
",
    )?;
    let main = std::fs::read_to_string(lab.file("postrider.yaml"))?;
    let other = main.replace("fallback: [127.0.22.2]", "fallback: [127.0.22.3]");
    std::fs::write(lab.file("postrider.yaml"), other)?;
    let result = lab.run(&[])?;
    let mut told: Vec<String> = result
        .checks
        .iter()
        .flat_map(|check| &check.findings)
        .map(|finding| format!("{}: {}", finding.reason, finding.message))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "inventory-mismatch: 127.0.22.2 (MX 20 mx2.example.test of example.test) is in DNS and belongs to no node of the inventory",
            "inventory-mismatch: 127.0.22.3 is a fallback address of node filter2 and not behind any MX of example.test in DNS",
        ]
    );
    assert_eq!(result.run.status, StatusWord::Degraded);
    // The address is probed all the same, as a fallback by its preference.
    let check = super::lab::at(&result, std::net::Ipv4Addr::new(127, 0, 22, 2));
    let target = check.target.as_ref().unwrap();
    assert_eq!((&target.node, target.role.as_str()), (&None, "fallback"));
    assert_eq!(check.status, StatusWord::Pass);
    Ok(())
}
