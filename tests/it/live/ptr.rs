//! Every fault of a reverse name, with BIND and Unbound; and what Postfix calls itself.

use std::fmt::Write as _;
use std::io;

use postrider::result::StatusWord;
use postrider_testkit::live::{Node, Zone};

use super::lab::{Lab, line, of_step};
use super::names_lab::{NamesLab, assert_told};

const NODES: &str = "
platform:
  nodes:
    filter1: { name: filter1.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.2] }
    filter2: { name: filter2.test, primary: [127.0.21.5] }
";

fn zones() -> Vec<Zone> {
    let forward = |name: &str, records: &str| Zone::new(name, records);
    let mut reverse =
        "1 PTR Filter1.test.\n2 PTR out1.test.\n3 CNAME 3.0-7\n3.0-7 PTR out1.test.\n\
         4 PTR out1.test.\n4 PTR second.out1.test.\n5 PTR mx2.test.\n6 PTR gone.out1.test.\n\
         7 PTR out1.test.\n7 PTR gone.out1.test.\n8 PTR v6.out1.test.\n9 PTR mail.broken.test.\n"
            .to_owned();
    for number in 0..100 {
        let _infallible = writeln!(reverse, "100 PTR h{number:02}.out1.test.");
    }
    let out1 = "@ A 127.0.21.2\n@ A 127.0.21.3\n@ A 127.0.21.4\n@ A 127.0.21.7\nsecond A 127.0.21.4\n\
         v6 AAAA ::1\n* A 127.0.21.100\ngone TXT nothing\n";
    vec![
        Zone::new("21.0.127.in-addr.arpa", &reverse),
        Zone::new("22.0.127.in-addr.arpa", "").not_loaded(),
        Zone::new(
            &format!("{}ip6.arpa", "0.".repeat(31)),
            "1 PTR filter1.test.\n",
        ),
        forward("filter1.test", "@ A 127.0.21.1\n@ AAAA ::1\n"),
        forward("mx2.test", "@ A 127.0.21.5\n"),
        forward("out1.test", out1),
        forward("broken.test", "").not_loaded(),
    ]
}

#[test]
fn each_fault_of_a_reverse_name_is_named() -> io::Result<()> {
    // The step, its keys, what it should say.
    let cases = [
        ("ipv4", "of: { address: 127.0.21.1 }", "pass"),
        ("ipv6", "of: { address: \"::1\" }", "pass"),
        ("name", "of: { name: filter1.test }", "pass"),
        ("by-alias", "of: { address: 127.0.21.3 }", "pass"),
        (
            "two-names",
            "of: { address: 127.0.21.4 }, expect: { name: Second.out1.test }",
            "pass",
        ),
        (
            "nodes",
            "of: { nodes: all }, expect: { matches: server-name }",
            "fail ptr-mismatch: 127.0.21.5 (filter2) is mx2.test, not filter2.test, its server name",
        ),
        (
            "other-name",
            "of: { address: 127.0.21.1 }, prefer: { name: mx1.test }",
            "degraded ptr-mismatch: 127.0.21.1 (filter1) is filter1.test, not mx1.test",
        ),
        (
            "none",
            "of: { address: 127.0.21.99 }",
            "fail ptr-mismatch: 127.0.21.99 has no reverse name",
        ),
        (
            "does-not-lead-back",
            "of: { address: 127.0.21.6 }",
            "fail ptr-mismatch: 127.0.21.6 is gone.out1.test, but gone.out1.test has no address of that family",
        ),
        (
            "a-leftover",
            "of: { address: 127.0.21.7 }",
            "degraded ptr-mismatch: 127.0.21.7 is gone.out1.test, but gone.out1.test has no address of that family",
        ),
        (
            "other-family",
            "of: { address: 127.0.21.8 }",
            "fail ptr-mismatch: 127.0.21.8 is v6.out1.test, but v6.out1.test has no address of that family",
        ),
        (
            "broken-forward",
            "of: { address: 127.0.21.9 }",
            "fail dns-servfail: 127.0.21.9 is mail.broken.test: 127.0.31.9 port PORT answered SERVFAIL for mail.broken.test A",
        ),
        (
            "broken-reverse",
            "of: { address: 127.0.22.1 }",
            "fail dns-servfail: the reverse name of 127.0.22.1: 127.0.31.9 port PORT answered SERVFAIL for 1.22.0.127.in-addr.arpa PTR",
        ),
        (
            "hundred",
            "of: { address: 127.0.21.100 }, expect: { name: h99.out1.test }",
            "degraded ptr-mismatch: 127.0.21.100 has 100 reverse names; only 8 are looked at",
        ),
    ];
    let lab = NamesLab::start(&zones())?;
    let steps: String = cases
        .iter()
        .map(|(step, keys, _)| format!("  - id: {step}\n    ptr: {{ {keys} }}\n"))
        .collect();
    let result = lab.run(NODES, &steps)?;
    let wanted: Vec<(&str, &str)> = cases.iter().map(|(step, _, told)| (*step, *told)).collect();
    assert_told(&result, &[lab.names.validating().port()], &wanted);
    for check in &result.checks {
        assert!(check.phases_seconds.contains_key("dns"), "{}", check.step);
        assert!(check.findings.len() <= 1, "{:?}", check.findings);
    }
    Ok(())
}

const BANNERS: &str = "
steps:
  - id: by-the-inventory
    ptr:
      of: { nodes: primary }
      helo: probe.outside.test
      expect: { matches: server-name, banner: server-name }
  - id: each
    for_each: { mx_of: example.test }
    ptr: { expect: { banner: reverse-name } }
";

#[test]
fn a_server_that_calls_itself_otherwise_is_named() -> io::Result<()> {
    let mut lab = Lab::start()?;
    lab.scenario(
        "banners",
        &BANNERS.replace("steps:", "steps_run: together\nsteps:"),
    )?;
    let result = lab.run(&[])?;
    let told = |result: &postrider::result::RunResult| -> Vec<String> {
        let mut told: Vec<String> = ["by-the-inventory", "each"]
            .into_iter()
            .flat_map(|step| of_step(result, step))
            .flat_map(|check| &check.findings)
            .map(|finding| format!("{}: {}", finding.reason, finding.message))
            .collect();
        told.sort();
        told
    };
    // One server, two addresses: at its fallback address it does not call itself by that address's name.
    let of_fallback = |address: &str, node: &str, out: &str| {
        format!(
            "ptr-mismatch: {address} ({node}) greets as {node}.cluster.test, and its reverse name is {out}.cluster.test"
        )
    };
    let usual = [
        of_fallback("127.0.21.2", "filter1", "out1"),
        of_fallback("127.0.22.2", "filter2", "out2"),
    ];
    assert_eq!(told(&result), usual);
    let check = of_step(&result, "by-the-inventory")[0];
    assert_eq!(
        (check.status, line(check).as_str()),
        (StatusWord::Pass, "pass")
    );
    for phase in ["dns", "connect", "banner", "ehlo"] {
        assert!(check.phases_seconds.contains_key(phase), "{phase}");
    }

    lab.platform
        .call_itself(Node::Filter2, "localhost.localdomain")?;
    let result = lab.run(&[])?;
    assert_eq!(
        told(&result),
        [
            "ptr-mismatch: 127.0.21.2 (filter1) greets as filter1.cluster.test, and its reverse name is out1.cluster.test",
            "ptr-mismatch: 127.0.22.1 (filter2) answers EHLO as localhost.localdomain, and its server name is filter2.cluster.test",
            "ptr-mismatch: 127.0.22.1 (filter2) greets as localhost.localdomain, and its reverse name is filter2.cluster.test",
            "ptr-mismatch: 127.0.22.1 (filter2) greets as localhost.localdomain, and its server name is filter2.cluster.test",
            "ptr-mismatch: 127.0.22.2 (filter2) greets as localhost.localdomain, and its reverse name is out2.cluster.test",
        ]
    );

    lab.platform.stop_node(Node::Filter2);
    let result = lab.run(&[])?;
    let port = lab.platform.smtp_port();
    assert_eq!(
        line(of_step(&result, "by-the-inventory")[0]),
        format!(
            "connect-refused: 127.0.22.1 (filter2): 127.0.22.1 port {port} refused the connection"
        )
    );
    Ok(())
}
