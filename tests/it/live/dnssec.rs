//! What DNSSEC proves, with BIND's signed zones, Unbound, and resolvers that do not validate or lie.

use std::io;
use std::net::SocketAddr;

use postrider_testkit::live::{Liar, Lie, Signing, Zone};

use super::names_lab::{NamesLab, assert_told};

const RECORDS: &str = "@ MX 10 mx1\nmx1 A 127.0.21.1\n@ TXT \"v=spf1 mx -all\"\n";

fn zones() -> Vec<Zone> {
    let zone = |origin: &str, signing| Zone::new(origin, RECORDS).signing(signing);
    // Two strings of 255 characters and more of them: nothing that fits into a datagram.
    let long = format!("\"{}\" ", "x".repeat(255)).repeat(20);
    let aliases = format!(
        "good CNAME mx1.good.test.\nnothing CNAME nothing.good.test.\nunsigned CNAME mx1.unsigned.test.\n\
         expired CNAME mx1.expired.test.\n*.wild A 127.0.21.2\nlong TXT {long}\n"
    );
    vec![
        zone("good.test", Signing::Good),
        zone("nsec3.test", Signing::Nsec3),
        zone("unsigned.test", Signing::None),
        zone("expired.test", Signing::Expired),
        zone("wrong-ds.test", Signing::WrongDs),
        zone("no-rrsig.test", Signing::MissingSignatures),
        zone("changed.test", Signing::ChangedTexts),
        Zone::new("alias.test", &aliases).signed(),
        Zone::new("21.0.127.in-addr.arpa", "1 PTR mx1.good.test.").signed(),
        Zone::new(
            &format!("{}ip6.arpa", "0.".repeat(31)),
            "1 PTR mx1.good.test.",
        )
        .signed(),
        Zone::new("gone.test", "").not_loaded(),
    ]
}

/// A step that expects something of a name, and what it should say.
struct Case {
    step: &'static str,
    query: String,
    record_type: &'static str,
    expect: &'static str,
    told: &'static str,
}

fn case(
    step: &'static str,
    query: &str,
    record_type: &'static str,
    expect: &'static str,
    told: &'static str,
) -> Case {
    Case {
        step,
        query: query.to_owned(),
        record_type,
        expect,
        told,
    }
}

fn steps(cases: &[Case], resolver: Option<SocketAddr>) -> String {
    let resolver =
        resolver.map_or_else(String::new, |address| format!("resolver: \"{address}\", "));
    let step = |case: &Case| {
        format!(
            "  - id: {}\n    dns: {{ query: {}, type: {}, {resolver}{} }}\n",
            case.step, case.query, case.record_type, case.expect
        )
    };
    cases.iter().map(step).collect()
}

fn check(lab: &NamesLab, resolver: SocketAddr, cases: &[Case]) -> io::Result<()> {
    let result = lab.run("", &steps(cases, Some(resolver)))?;
    let wanted: Vec<(&str, &str)> = cases.iter().map(|case| (case.step, case.told)).collect();
    assert_told(&result, &[resolver.port()], &wanted);
    for check in &result.checks {
        assert!(check.phases_seconds.contains_key("dns"), "{}", check.step);
    }
    Ok(())
}

const SECURE: &str = "expect: { dnssec: secure }";
const INSECURE: &str = "expect: { dnssec: insecure }";
const NOTHING_SECURE: &str = "expect: { answers: [], dnssec: secure }";

#[test]
fn each_fault_of_a_signed_zone_is_named_and_no_other_zone_is_blamed() -> io::Result<()> {
    let lab = NamesLab::start(&zones())?;
    let loopback6 = format!("1.{}ip6.arpa", "0.".repeat(31));
    let cases = [
        case(
            "good",
            "good.test",
            "MX",
            "expect: { answers: [10 mx1.good.test], dnssec: secure }",
            "pass",
        ),
        case(
            "good-nothing",
            "nothing.good.test",
            "A",
            NOTHING_SECURE,
            "pass",
        ),
        case(
            "good-no-aaaa",
            "mx1.good.test",
            "AAAA",
            NOTHING_SECURE,
            "pass",
        ),
        case("nsec3", "nsec3.test", "MX", SECURE, "pass"),
        case(
            "nsec3-nothing",
            "nothing.nsec3.test",
            "A",
            NOTHING_SECURE,
            "pass",
        ),
        case(
            "reverse-v4",
            "1.21.0.127.in-addr.arpa",
            "PTR",
            SECURE,
            "pass",
        ),
        case("reverse-v6", &loopback6, "PTR", SECURE, "pass"),
        case("alias", "good.alias.test", "A", SECURE, "pass"),
        case(
            "alias-to-nothing",
            "nothing.alias.test",
            "A",
            NOTHING_SECURE,
            "pass",
        ),
        case("wildcard", "any.wild.alias.test", "A", SECURE, "pass"),
        case("over-tcp", "long.alias.test", "TXT", SECURE, "pass"),
        case("unsigned", "unsigned.test", "MX", INSECURE, "pass"),
        case(
            "unsigned-alias",
            "unsigned.alias.test",
            "A",
            INSECURE,
            "pass",
        ),
        case(
            "secure-expected",
            "unsigned.test",
            "MX",
            SECURE,
            "fail dns-mismatch: unsigned.test MX is insecure: its zone is proven to be unsigned (expected secure)",
        ),
        case(
            "secure-preferred",
            "unsigned.test",
            "MX",
            "prefer: { dnssec: secure }",
            "degraded dns-mismatch: unsigned.test MX is insecure: its zone is proven to be unsigned (expected secure)",
        ),
        case(
            "insecure-expected",
            "good.test",
            "MX",
            INSECURE,
            "fail dns-mismatch: good.test MX is secure (expected insecure)",
        ),
        case(
            "expired",
            "expired.test",
            "MX",
            SECURE,
            "fail dns-bogus: expired.test MX fails validation: the signature of expired.test MX ended on 2021-02-01",
        ),
        case(
            "expired-nothing",
            "nothing.expired.test",
            "A",
            NOTHING_SECURE,
            "fail dns-bogus: nothing.expired.test A fails validation: the signature of the proof that there is no nothing.expired.test A ended on 2021-02-01",
        ),
        case(
            "expired-alias",
            "expired.alias.test",
            "A",
            SECURE,
            "fail dns-bogus: expired.alias.test A fails validation: the signature of mx1.expired.test A ended on 2021-02-01",
        ),
        case(
            "expired-not-insecure",
            "expired.test",
            "MX",
            INSECURE,
            "fail dns-bogus: expired.test MX fails validation: the signature of expired.test MX ended on 2021-02-01",
        ),
        case(
            "wrong-ds",
            "wrong-ds.test",
            "MX",
            SECURE,
            "fail dns-bogus: wrong-ds.test MX fails validation: wrong-ds.test DNSKEY is not signed by a key that the zone above vouches for (DS)",
        ),
        case(
            "no-rrsig",
            "no-rrsig.test",
            "MX",
            SECURE,
            "fail dns-bogus: no-rrsig.test MX fails validation: no-rrsig.test MX has no signature (RRSIG), and its zone must be signed",
        ),
        case(
            "changed",
            "changed.test",
            "TXT",
            SECURE,
            "fail dns-bogus: changed.test TXT fails validation: the signature of changed.test TXT by changed.test does not fit",
        ),
        case("changed-mx", "changed.test", "MX", SECURE, "pass"),
        case(
            "gone",
            "gone.test",
            "MX",
            SECURE,
            "fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for gone.test MX",
        ),
    ];
    check(&lab, lab.names.validating(), &cases)
}

#[test]
fn a_resolver_that_does_not_validate_makes_every_proof_an_error() -> io::Result<()> {
    let lab = NamesLab::start(&zones())?;
    let cases = [
        case(
            "good",
            "good.test",
            "MX",
            SECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT does not validate: good.test MX is proven secure here, and its answer says nothing of it (no AD)",
        ),
        case(
            "unsigned",
            "unsigned.test",
            "MX",
            INSECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT does not validate: not even for the root's own SOA it says that it has (no AD)",
        ),
        case(
            "expired",
            "expired.test",
            "MX",
            SECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT does not validate: it hands out expired.test MX, which fails validation here: the signature of expired.test MX ended on 2021-02-01",
        ),
        // Who asks for no proof gets none, and no complaint.
        case(
            "no-proof",
            "good.test",
            "MX",
            "expect: { answers: [10 mx1.good.test] }",
            "pass",
        ),
    ];
    check(&lab, lab.names.resolver(), &cases)?;
    // A server of its own zones does not validate them.
    let authoritative = [case(
        "good",
        "good.test",
        "MX",
        SECURE,
        "error dns-unvalidated: 127.0.0.1 port PORT is authoritative for good.test MX and validates nothing of its own: ask another resolver",
    )];
    check(&lab, lab.names.authoritative(1), &authoritative)
}

#[test]
fn a_resolver_that_lies_is_found_by_what_the_signatures_say() -> io::Result<()> {
    let lab = NamesLab::start(&zones())?;
    let vouches = Liar::start(lab.names.resolver(), Lie::Vouches)?;
    let cases = [
        case(
            "unsigned",
            "unsigned.test",
            "MX",
            INSECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT lies: it calls unsigned.test MX validated (AD), and the zone is proven to be unsigned",
        ),
        case(
            "changed",
            "changed.test",
            "TXT",
            SECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT lies: it calls changed.test TXT validated (AD), and it fails validation here: the signature of changed.test TXT by changed.test does not fit",
        ),
    ];
    check(&lab, vouches.address(), &cases)?;

    // The truth to who asks for it unchecked does not help: what everybody is told is proven.
    let forges = Liar::start(lab.names.validating(), Lie::Forges)?;
    let cases = [
        case(
            "forged",
            "mx1.good.test",
            "A",
            SECURE,
            "error dns-unvalidated: 127.0.0.1 port PORT lies: it calls mx1.good.test A validated (AD), and it fails validation here: the signature of mx1.good.test A by good.test does not fit",
        ),
        case("not-forged", "good.test", "MX", SECURE, "pass"),
    ];
    check(&lab, forges.address(), &cases)?;

    let both = Liar::start(lab.names.validating(), Lie::StripsAndVouches)?;
    let cases = [case(
        "good",
        "good.test",
        "MX",
        SECURE,
        "error dns-unvalidated: 127.0.0.1 port PORT lies: it calls good.test MX validated (AD), and it fails validation here: good.test MX has no signature (RRSIG), and its zone must be signed",
    )];
    check(&lab, both.address(), &cases)?;

    let strips = Liar::start(lab.names.resolver(), Lie::Strips)?;
    let cases = [case(
        "good",
        "good.test",
        "MX",
        SECURE,
        "error dns-unvalidated: 127.0.0.1 port PORT does not validate: it hands out good.test MX, which fails validation here: good.test MX has no signature (RRSIG), and its zone must be signed",
    )];
    check(&lab, strips.address(), &cases)
}
