//! Every fault of an MX set, each in a zone of its own, with BIND, NSD and Unbound.

use std::io;

use postrider_testkit::live::Zone;

use super::names_lab::{NamesLab, assert_told};

const GOOD: &str = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 127.0.21.1\nmx2 A 127.0.21.2\n";

/// A step's id, which is also the first label of its domain; more keys; what it should say.
type Case = (&'static str, &'static str, &'static str);

const EXPECT: &str =
    "allow_private: true, expect: { hosts: [20 mx2.SAME, 10 mx1.SAME], ttl_at_most: 1m }";
const ANY: &str = "allow_private: true";

const CASES: &[Case] = &[
    ("good", EXPECT, "pass"),
    ("signed", EXPECT, "pass"),
    (
        "behind",
        EXPECT,
        "degraded dns-disagreement: the serial numbers of behind.test differ: ns2.names.test (127.0.31.2) has 6; ns1.names.test (127.0.0.1) has 7",
    ),
    (
        "differs",
        EXPECT,
        "fail dns-disagreement: the name servers differ: ns1.names.test (127.0.0.1) has 10 mx1.differs.test, 20 mx2.differs.test; ns2.names.test (127.0.31.2) has 10 mx1.differs.test, 30 old.differs.test",
    ),
    (
        "lame",
        EXPECT,
        "fail dns-lame: ns3.names.test (127.0.31.3): not authoritative for lame.test (lame): it answered REFUSED",
    ),
    (
        "more",
        "allow_private: true, expect: { hosts: [10 mx1.SAME] }",
        "fail dns-mismatch: ns1.names.test (127.0.0.1): not expected 20 mx2.more.test",
    ),
    (
        "less",
        "allow_private: true, prefer: { hosts: [10 mx1.SAME, 20 mx2.SAME, 30 mx3.SAME] }",
        "degraded dns-mismatch: ns1.names.test (127.0.0.1): missing 30 mx3.less.test",
    ),
    (
        "long",
        EXPECT,
        "fail dns-mismatch: ns1.names.test (127.0.0.1): the MX records may be kept for 1h, at most 1m is wanted",
    ),
    (
        "none",
        ANY,
        "fail dns-nxdomain: ns1.names.test (127.0.0.1): none.test has no MX record: senders try the domain's own address",
    ),
    (
        "takes-none",
        ANY,
        "fail dns-mismatch: ns1.names.test (127.0.0.1): takes-none.test publishes a null MX: it accepts no mail",
    ),
    ("null-wanted", "expect: { hosts: [\"0 .\"] }", "pass"),
    (
        "null-beside",
        ANY,
        "fail dns-mismatch: ns1.names.test (127.0.0.1): null-beside.test publishes a null MX beside other MX records",
    ),
    (
        "alias",
        ANY,
        "fail dns-mismatch: www.alias.test (MX of alias.test) is an alias of mx1.good.test; an MX must not be a CNAME",
    ),
    (
        "literal",
        ANY,
        "fail dns-mismatch: 127.0.21.1 (MX of literal.test): an address stands where a host name must be",
    ),
    (
        "loopback",
        "expect: { hosts: [10 mx1.SAME] }",
        "fail dns-mismatch: mx1.loopback.test (MX of loopback.test) has the address 127.0.21.1 (loopback), which the world cannot reach",
    ),
    (
        "private",
        "expect: { hosts: [10 mx1.SAME] }",
        "fail dns-mismatch: mx1.private.test (MX of private.test) has the address 10.1.2.3 (private), fd00::1 (private), which the world cannot reach",
    ),
    (
        "dangling",
        ANY,
        "fail dns-nxdomain: mx1.dangling.test (MX of dangling.test): mx1.dangling.test does not exist, says 127.0.31.9 port PORT",
    ),
    (
        "addressless",
        ANY,
        "fail dns-nxdomain: mx1.addressless.test (MX of addressless.test) has no address",
    ),
    (
        "broken-host",
        ANY,
        "fail dns-servfail: mx.broken.test (MX of broken-host.test): 127.0.31.9 port PORT answered SERVFAIL for mx.broken.test A",
    ),
    (
        "broken",
        ANY,
        "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for broken.test MX",
    ),
    (
        "nowhere",
        ANY,
        "fail dns-nxdomain: nowhere.test does not exist, says 127.0.31.9 port PORT",
    ),
    (
        "circle",
        ANY,
        "fail dns-servfail: a.circle.test (MX of circle.test): 127.0.31.9 port PORT answered SERVFAIL for a.circle.test A",
    ),
];

fn zones() -> Vec<Zone> {
    let zone = |label: &str, records: &str| Zone::new(&format!("{label}.test"), records);
    let host = |label: &str, host: &str| zone(label, &format!("@ MX 10 {host}\n"));
    vec![
        zone("good", GOOD),
        zone("signed", GOOD).signed().also_on_second(),
        zone("behind", GOOD).serial(7).on_second(6, GOOD),
        zone("differs", GOOD).on_second(1, "@ MX 10 mx1\n@ MX 30 old\n"),
        zone("lame", GOOD).also_on_second().also_on_lame(),
        zone("more", GOOD),
        zone("less", GOOD),
        zone("long", &GOOD.replace("@ MX", "@ 3600 MX")),
        zone("none", "@ A 127.0.21.1\n"),
        zone("takes-none", "@ MX 0 .\n"),
        zone("null-wanted", "@ MX 0 .\n"),
        zone("null-beside", "@ MX 0 .\n@ MX 10 mx1.good.test.\n"),
        zone("alias", "@ MX 10 www\nwww CNAME mx1.good.test.\n"),
        host("literal", "127.0.21.1."),
        zone("loopback", "@ MX 10 mx1\nmx1 A 127.0.21.1\n"),
        zone("private", "@ MX 10 mx1\nmx1 A 10.1.2.3\nmx1 AAAA fd00::1\n"),
        host("dangling", "mx1"),
        zone("addressless", "@ MX 10 mx1\nmx1 TXT nothing\n"),
        host("broken-host", "mx.broken.test."),
        zone("broken", "").not_loaded(),
        zone("circle", "@ MX 10 a\na CNAME b\nb CNAME a\n"),
    ]
}

#[test]
fn each_fault_of_an_mx_set_is_named_and_no_other_set_is_blamed() -> io::Result<()> {
    let lab = NamesLab::start(&zones())?;
    let steps: String = CASES
        .iter()
        .map(|(step, keys, _)| {
            let domain = format!("{step}.test");
            let keys = keys.replace("SAME", &domain);
            format!(
                "  - id: {step}\n    mx: {{ domain: {domain}, port: {}, {keys} }}\n",
                lab.names.port()
            )
        })
        .collect();
    let result = lab.run("", &steps)?;
    let wanted: Vec<(&str, &str)> = CASES.iter().map(|(step, _, told)| (*step, *told)).collect();
    let ports = [lab.names.validating().port(), lab.names.port()];
    assert_told(&result, &ports, &wanted);
    for check in &result.checks {
        assert!(check.phases_seconds.contains_key("dns"), "{}", check.step);
        // One fault is one finding.
        assert!(check.findings.len() <= 1, "{:?}", check.findings);
    }
    Ok(())
}
