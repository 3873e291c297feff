//! The laboratory itself, looked at with `dig`.

use super::*;

/// The status, the flags and the answers that `dig` shows.
fn dig(server: SocketAddr, question: &[&str]) -> (String, String, Vec<String>) {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+time=5", "+tries=1"])
        .args(["+noall", "+comments", "+answer"])
        .args(question)
        .output()
        .expect("tests/run installs dig");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |mark: &str| {
        let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
        rest.split([',', ';'])
            .next()
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    let mut answers: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .map(|line| {
            line.split_whitespace()
                .skip(3)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    answers.sort();
    (after("status: "), after("flags: "), answers)
}

/// `STATUS` of the validating resolver, with ` ad` when it has proven the answer.
fn verdict(names: &Names, name: &str, record_type: &str) -> String {
    let (status, flags, _) = dig(names.validating(), &[name, record_type]);
    match flags.split(' ').any(|flag| flag == "ad") {
        true => format!("{status} ad"),
        false => status,
    }
}

const RECORDS: &str = "@ MX 10 mx1\nmx1 A 127.0.21.1\n@ TXT \"v=spf1 mx -all\"\n";

fn zone(origin: &str, signing: Signing) -> Zone {
    Zone::new(origin, RECORDS).signing(signing)
}

#[test]
fn what_is_signed_well_is_secure_and_what_is_not_is_bogus() -> io::Result<()> {
    let names = Names::start(&[
        zone("good.test", Signing::Good),
        zone("nsec3.test", Signing::Nsec3),
        zone("unsigned.test", Signing::None),
        zone("expired.test", Signing::Expired),
        zone("wrong-ds.test", Signing::WrongDs),
        zone("no-rrsig.test", Signing::MissingSignatures),
        zone("changed.test", Signing::ChangedTexts),
        Zone::new("below.good.test", "@ A 127.0.21.1").signed(),
        Zone::new("21.0.127.in-addr.arpa", "1 PTR mx1.good.test.").signed(),
        Zone::new(
            &format!("{}ip6.arpa", "0.".repeat(31)),
            "1 PTR mx1.good.test.",
        )
        .signed(),
        Zone::new("gone.test", "").not_loaded(),
    ])?;
    for (name, record_type, expected) in [
        ("good.test", "MX", "NOERROR ad"),
        ("nothing.good.test", "MX", "NXDOMAIN ad"),
        ("nsec3.test", "MX", "NOERROR ad"),
        ("nothing.nsec3.test", "MX", "NXDOMAIN ad"),
        ("below.good.test", "A", "NOERROR ad"),
        ("unsigned.test", "MX", "NOERROR"),
        ("expired.test", "MX", "SERVFAIL"),
        ("wrong-ds.test", "MX", "SERVFAIL"),
        ("no-rrsig.test", "MX", "SERVFAIL"),
        ("changed.test", "TXT", "SERVFAIL"),
        ("changed.test", "MX", "NOERROR ad"),
        ("1.21.0.127.in-addr.arpa", "PTR", "NOERROR ad"),
        ("nothing.anywhere", "A", "NXDOMAIN ad"),
        ("gone.test", "MX", "SERVFAIL"),
    ] {
        assert_eq!(verdict(&names, name, record_type), expected, "{name}");
    }
    let loopback6 = format!("1.{}ip6.arpa", "0.".repeat(31));
    assert_eq!(verdict(&names, &loopback6, "PTR"), "NOERROR ad");
    // Who does not validate passes the wrong on, and vouches for nothing.
    for name in [
        "good.test",
        "expired.test",
        "wrong-ds.test",
        "unsigned.test",
    ] {
        let (status, flags, answers) = dig(names.resolver(), &[name, "MX"]);
        assert_eq!((status.as_str(), flags.as_str()), ("NOERROR", "qr rd ra"));
        assert_eq!(answers, [format!("MX 10 mx1.{name}.")]);
    }
    Ok(())
}

#[test]
fn the_second_server_may_differ_and_the_third_knows_nothing() -> io::Result<()> {
    let mut names = Names::start(&[
        Zone::new("same.test", RECORDS).also_on_second(),
        Zone::new("differs.test", RECORDS)
            .serial(7)
            .signed()
            .on_second(6, "@ MX 10 old")
            .also_on_lame(),
    ])?;
    let ask = |names: &Names, number: usize, name: &str, record_type: &str| {
        dig(names.authoritative(number), &["+norec", name, record_type])
    };
    let all = [
        "NS ns1.names.test.",
        "NS ns2.names.test.",
        "NS ns3.names.test.",
    ];
    assert_eq!(ask(&names, 1, "differs.test", "NS").2, all);
    assert_eq!(
        ask(&names, 2, "differs.test", "MX").2,
        ["MX 10 old.differs.test."]
    );
    assert!(ask(&names, 2, "differs.test", "SOA").2[0].contains(" 6 3600"));
    assert!(ask(&names, 1, "differs.test", "SOA").2[0].contains(" 7 3600"));
    assert_eq!(ask(&names, 3, "differs.test", "MX").0, "REFUSED");
    assert_eq!(
        ask(&names, 2, "same.test", "MX").2,
        ask(&names, 1, "same.test", "MX").2
    );
    assert_eq!(ask(&names, 3, "same.test", "MX").0, "REFUSED");

    names.replace(&[Zone::new("same.test", "@ MX 20 new")])?;
    let (_, _, answers) = dig(names.validating(), &["same.test", "MX"]);
    assert_eq!(answers, ["MX 20 new.same.test."]);
    assert_eq!(dig(names.resolver(), &["differs.test", "MX"]).0, "NXDOMAIN");
    Ok(())
}
