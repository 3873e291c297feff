//! Block lists that BIND serves: one that lists, and one for each way of being no list.

use std::io;

use postrider_testkit::live::Zone;

use super::names_lab::{NamesLab, assert_told};

fn zones() -> Vec<Zone> {
    let disguised = format!("0.0.0.0.0.f.7.f.f.f.f.{}", "0.".repeat(20));
    let disguised = disguised.trim_end_matches('.');
    let listed6 = format!("1.0.0.0.{}8.b.d.0.1.0.0.2", "0.".repeat(20));
    let good = format!(
        "2.0.0.127 A 127.0.0.2\n2.{disguised} A 127.0.0.2\n\
         10.2.0.192 A 127.0.0.2\n10.2.0.192 A 127.0.0.9\n10.2.0.192 TXT \"see https://bl.test/why\"\n\
         {listed6} A 127.0.0.9\n11.2.0.192 A 127.255.255.255\n"
    );
    let list = |label: &str, records: &str| Zone::new(&format!("{label}.test"), records);
    vec![
        list("bl", &good),
        list("bl4", "2.0.0.127 A 127.0.0.2\n"),
        list("gone", "@ TXT \"this list is closed\"\n"),
        list("everything", "* A 127.0.0.2\n"),
        list(
            "rewritten",
            "2.0.0.127 A 127.0.0.2\n1.0.0.127 A 203.0.113.80\n* A 203.0.113.80\n",
        ),
        list("refuses", "* A 127.255.255.254\n"),
        list("silent", "").not_loaded(),
    ]
}

#[test]
fn each_list_says_what_it_says_and_no_more() -> io::Result<()> {
    let address =
        |address: &str, lists: &str| format!("of: {{ address: \"{address}\" }}, lists: [{lists}]");
    let bl = "{ zone: bl.test, meanings: { 127.0.0.2: sends spam } }";
    let of = |label: &str| address("192.0.2.10", &format!("{{ zone: {label}.test }}"));
    let cases = [
        ("not-listed", address("192.0.2.1", bl), "pass"),
        ("not-listed-ipv6", address("2001:db8::9", bl), "pass"),
        (
            "listed",
            address("192.0.2.10", bl),
            "fail dnsbl-listed: 192.0.2.10 is on bl.test: 127.0.0.2 (sends spam), 127.0.0.9; it says: see https://bl.test/why",
        ),
        (
            "listed-ipv6",
            address("2001:db8::1", bl),
            "fail dnsbl-listed: 2001:db8::1 is on bl.test: 127.0.0.9",
        ),
        (
            "listed-and-not-minded",
            address("192.0.2.10", "{ zone: bl.test, when_listed: degrade }"),
            "degraded dnsbl-listed: 192.0.2.10 is on bl.test: 127.0.0.2, 127.0.0.9; it says: see https://bl.test/why",
        ),
        (
            "no-ipv6",
            address("2001:db8::1", "{ zone: bl4.test }"),
            "error cannot-ask: bl4.test cannot be asked: its test entry ::ffff:127.0.0.2 is not listed; `family: ipv4` if it has no IPv6 addresses",
        ),
        (
            "too-often",
            address("192.0.2.11", bl),
            "error cannot-ask: bl.test cannot be asked for 192.0.2.11: it refuses with 127.255.255.255: it is asked too often",
        ),
        (
            "gone",
            of("gone"),
            "error cannot-ask: gone.test cannot be asked: its test entry 127.0.0.2 is not listed",
        ),
        (
            "everything",
            of("everything"),
            "error cannot-ask: everything.test cannot be asked: it lists 127.0.0.1, which no list may: it lists everything",
        ),
        (
            "rewritten",
            of("rewritten"),
            "error cannot-ask: rewritten.test cannot be asked: it answered 203.0.113.80, which is not in 127.0.0.0/8: the answer is rewritten on the way, or the list is gone",
        ),
        (
            "refuses",
            of("refuses"),
            "error cannot-ask: refuses.test cannot be asked: it refuses with 127.255.255.254: it is asked through a public resolver",
        ),
        (
            "silent",
            of("silent"),
            "error cannot-ask: silent.test cannot be asked: 127.0.31.9 port PORT answered SERVFAIL for 2.0.0.127.silent.test A",
        ),
    ];
    let lab = NamesLab::start(&zones())?;
    let steps: String = cases
        .iter()
        .map(|(step, keys, _)| format!("  - id: {step}\n    dnsbl: {{ {keys} }}\n"))
        .collect();
    let result = lab.run("", &steps)?;
    let wanted: Vec<(&str, &str)> = cases.iter().map(|(step, _, told)| (*step, *told)).collect();
    assert_told(&result, &[lab.names.validating().port()], &wanted);
    for check in &result.checks {
        assert!(check.phases_seconds.contains_key("dns"), "{}", check.step);
    }
    Ok(())
}
