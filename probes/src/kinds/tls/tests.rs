//! Judgements as tables.

use super::judge::{Wanted, judge, matches};
use crate::outcome::{ChainLink, TlsFacts, TlsOffer};

fn at(day: &str) -> jiff::Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

/// A good certificate that ends on 2026-12-01.
fn good() -> TlsFacts {
    TlsFacts {
        host: "mx1.example.net".to_owned(),
        version: "TLSv1.3".to_owned(),
        names: vec![
            "mx1.example.net".to_owned(),
            "*.mail.example.net".to_owned(),
        ],
        issuer: "C=US, O=Let's Encrypt, CN=E7".to_owned(),
        not_after: Some(at("2026-12-01")),
        fingerprint: "ab".repeat(32),
        key: "ECDSA".to_owned(),
        key_bits: 256,
        signature: "ecdsa-with-SHA384".to_owned(),
        chain: vec![ChainLink {
            subject: "CN=E7".to_owned(),
            issuer: "CN=Root".to_owned(),
            not_after: Some(at("2027-03-12")),
        }],
        ..TlsFacts::default()
    }
}

fn offer(version: &str, ciphers: &[&str]) -> TlsOffer {
    TlsOffer {
        version: version.to_owned(),
        ciphers: ciphers.iter().map(ToString::to_string).collect(),
        all_ciphers: matches!(version, "TLSv1.3" | "TLSv1.2"),
        refused: ciphers
            .is_empty()
            .then(|| "alert protocol_version".to_owned()),
    }
}

/// Status and line of everything that does not hold on 2026-11-21.
fn told(wanted: &Wanted, facts: &TlsFacts) -> Vec<String> {
    judge(wanted, facts, at("2026-11-21"))
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_that_holds_says_nothing() {
    let mut facts = good();
    facts.offers = vec![
        offer("TLSv1.3", &["TLS_AES_256_GCM_SHA384"]),
        offer("TLSv1.2", &["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]),
        offer("TLSv1.1", &[]),
    ];
    let wanted = Wanted {
        valid_for_days: Some(10),
        names: texts(&["MX1.example.net.", "imap.mail.example.net"]),
        issuer: Some("let's encrypt".to_owned()),
        fingerprint: Some("ab".repeat(32)),
        key_types: Some(vec!["RSA", "ECDSA"]),
        rsa_bits: Some(4096),
        signatures: Some(texts(&["ecdsa-with-SHA384"])),
        versions: texts(&["TLSv1.3", "TLSv1.2"]),
        not_versions: texts(&["TLSv1.1"]),
        ciphers: texts(&["TLS_ECDHE_*_GCM_*"]),
        not_ciphers: texts(&["*_CBC_*", "TLS_RSA_*"]),
        ..Wanted::default()
    };
    assert_eq!(told(&wanted, &facts), [""; 0]);
}

#[test]
fn a_rule_that_does_not_hold_says_what_was_found_and_what_was_wanted() {
    let rule = Wanted::default;
    let pin = "cd".repeat(32);
    for (wanted, line) in [
        (
            Wanted { valid_for_days: Some(14), ..rule() },
            "fail certificate-expiring: the certificate is valid for 10 days only, until 2026-12-01, 14 days expected".to_owned(),
        ),
        (
            Wanted { names: texts(&["imap.example.net", "a.b.mail.example.net", "mail.example.net"]), ..rule() },
            "fail tls-certificate: the certificate is for mx1.example.net, *.mail.example.net, not for imap.example.net, a.b.mail.example.net, mail.example.net".to_owned(),
        ),
        (
            Wanted { issuer: Some("DigiCert".to_owned()), ..rule() },
            "fail tls-certificate: the certificate is issued by C=US, O=Let's Encrypt, CN=E7, not by DigiCert".to_owned(),
        ),
        (
            Wanted { fingerprint: Some(pin.clone()), ..rule() },
            format!("fail tls-certificate: the certificate has the SHA-256 fingerprint {}, not {pin}", "ab".repeat(32)),
        ),
        (
            Wanted { key_types: Some(vec!["RSA", "Ed25519"]), ..rule() },
            "fail tls-certificate: the certificate has a key of type ECDSA, not RSA or Ed25519".to_owned(),
        ),
        (
            Wanted { signatures: Some(texts(&["ecdsa-with-SHA256"])), ..rule() },
            "fail tls-certificate: the certificate is signed with ecdsa-with-SHA384, not with ecdsa-with-SHA256".to_owned(),
        ),
    ] {
        assert_eq!(told(&wanted, &good()), [line]);
    }
}

#[test]
fn a_fault_is_named_once_and_the_end_of_the_chain_with_it() {
    let with = |fault: &str, chain: &[(&str, &str)]| {
        let links = chain.iter().map(|(subject, issuer)| ChainLink {
            subject: subject.to_string(),
            issuer: issuer.to_string(),
            not_after: None,
        });
        TlsFacts {
            fault: Some(fault.to_owned()),
            chain: links.collect(),
            ..good()
        }
    };
    let untrusted = "its issuer E7 is not trusted";
    for (facts, line) in [
        (with("is self-signed", &[]), "is self-signed"),
        (
            with(untrusted, &[]),
            "its issuer E7 is not trusted; the server sent its own certificate alone",
        ),
        (
            with(untrusted, &[("CN=E7", "CN=Root"), ("CN=Root", "CN=Root")]),
            "its issuer E7 is not trusted; the chain that the server sent ends at CN=Root",
        ),
        (
            with(untrusted, &[("CN=E7", "CN=Root")]),
            "its issuer E7 is not trusted; the chain that the server sent is incomplete: it ends at CN=E7, issued by CN=Root",
        ),
    ] {
        let line = format!("fail tls-certificate: the certificate {line}");
        assert_eq!(told(&Wanted::default(), &facts), [line]);
        let any = Wanted {
            any_certificate: true,
            ..Wanted::default()
        };
        assert_eq!(told(&any, &facts), [""; 0]);
        let insecure = TlsFacts {
            insecure: true,
            ..facts
        };
        assert_eq!(told(&Wanted::default(), &insecure), [""; 0]);
    }
}

#[test]
fn the_end_is_told_in_days_and_of_each_certificate() {
    let wanted = Wanted {
        valid_for_days: Some(200),
        ..Wanted::default()
    };
    let ends = |end: &str, fault: Option<&str>| TlsFacts {
        not_after: Some(end.parse().unwrap()),
        fault: fault.map(str::to_owned),
        chain: Vec::new(),
        ..good()
    };
    let soon = "fail certificate-expiring: the certificate";
    for (facts, lines) in [
        (
            good(),
            vec![
                format!("{soon} is valid for 10 days only, until 2026-12-01, 200 days expected"),
                format!(
                    "{soon} of its issuer CN=E7 is valid for 111 days only, until 2027-03-12, 200 days expected"
                ),
            ],
        ),
        (
            ends("2026-11-22T23:59:59Z", None),
            vec![format!(
                "{soon} is valid for 1 day only, until 2026-11-22, 200 days expected"
            )],
        ),
        (
            ends("2026-11-21T02:30:00Z", None),
            vec![format!(
                "{soon} is valid for 2 h 30 m only, until 2026-11-21, 200 days expected"
            )],
        ),
        // Pinned or insecure: nobody else says that it is over.
        (
            ends("2021-01-01T00:00:00Z", None),
            vec![format!("{soon} expired on 2021-01-01, 200 days expected")],
        ),
        (
            ends("2021-01-01T00:00:00Z", Some("expired on 2021-01-01")),
            vec!["fail tls-certificate: the certificate expired on 2021-01-01".to_owned()],
        ),
    ] {
        assert_eq!(told(&wanted, &facts), lines);
    }
}

#[test]
fn an_rsa_key_has_a_length_and_other_keys_have_none() {
    let wanted = Wanted {
        rsa_bits: Some(3072),
        ..Wanted::default()
    };
    let mut facts = good();
    assert_eq!(told(&wanted, &facts), [""; 0]);
    (facts.key, facts.key_bits) = ("RSA".to_owned(), 2048);
    assert_eq!(
        told(&wanted, &facts),
        [
            "fail tls-certificate: the certificate has an RSA key of 2048 bits, at least 3072 expected"
        ]
    );
}

#[test]
fn a_common_name_covers_no_name() {
    let facts = TlsFacts {
        common_name_only: true,
        ..good()
    };
    let wanted = Wanted {
        names: texts(&["mx1.example.net"]),
        ..Wanted::default()
    };
    assert_eq!(told(&wanted, &facts).len(), 1);
}

#[test]
fn versions_and_ciphers_are_offered_or_refused() {
    let mut facts = good();
    facts.offers = vec![
        offer("TLSv1.3", &[]),
        offer(
            "TLSv1.2",
            &[
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_RSA_WITH_AES_128_CBC_SHA",
            ],
        ),
        offer("TLSv1.1", &[]),
        offer("TLSv1.0", &["TLS_RSA_WITH_AES_128_CBC_SHA"]),
    ];
    let rule = Wanted::default;
    for (wanted, line) in [
        (
            Wanted {
                versions: texts(&["TLSv1.3"]),
                ..rule()
            },
            "TLSv1.3 is not offered: alert protocol_version",
        ),
        (
            Wanted {
                not_versions: texts(&["TLSv1.1", "TLSv1.0"]),
                ..rule()
            },
            "TLSv1.0 is offered, with TLS_RSA_WITH_AES_128_CBC_SHA",
        ),
        (
            Wanted {
                ciphers: texts(&["*_GCM_*", "*_CHACHA20_*"]),
                ..rule()
            },
            "no cipher suite *_CHACHA20_* is offered",
        ),
        // TLS 1.0 was asked for its first choice alone; that it is offered is another rule.
        (
            Wanted {
                not_ciphers: texts(&["TLS_RSA_*"]),
                ..rule()
            },
            "TLSv1.2 is offered with TLS_RSA_WITH_AES_128_CBC_SHA",
        ),
    ] {
        assert_eq!(told(&wanted, &facts), [format!("fail tls-version: {line}")]);
    }
    // Half a list of suites shows that one is there, and not that one is missing.
    for offer in &mut facts.offers {
        offer.all_ciphers = false;
    }
    let wanted = Wanted {
        ciphers: texts(&["*_CHACHA20_*"]),
        not_ciphers: texts(&["TLS_RSA_*"]),
        ..rule()
    };
    let line = "fail tls-version: TLSv1.2 is offered with TLS_RSA_WITH_AES_128_CBC_SHA";
    assert_eq!(told(&wanted, &facts), [line]);
    // Of what was not asked nothing is said.
    facts.offers.truncate(1);
    let wanted = Wanted {
        ciphers: texts(&["*_CHACHA20_*"]),
        not_versions: texts(&["TLSv1.0"]),
        ..rule()
    };
    assert_eq!(told(&wanted, &facts), [""; 0]);
}

#[test]
fn without_a_certificate_only_the_offers_are_judged() {
    let facts = TlsFacts {
        offers: vec![offer("TLSv1.0", &["TLS_RSA_WITH_AES_128_CBC_SHA"])],
        ..TlsFacts::default()
    };
    let wanted = Wanted {
        names: texts(&["mx1.example.net"]),
        valid_for_days: Some(14),
        not_versions: texts(&["TLSv1.0"]),
        ..Wanted::default()
    };
    assert_eq!(
        told(&wanted, &facts),
        ["fail tls-version: TLSv1.0 is offered, with TLS_RSA_WITH_AES_128_CBC_SHA"]
    );
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, name, wanted) in [
        ("TLS_RSA_*", "TLS_RSA_WITH_NULL_MD5", true),
        ("TLS_RSA_*", "TLS_ECDHE_RSA_WITH_NULL_SHA", false),
        ("*_CBC_*", "TLS_RSA_WITH_AES_128_CBC_SHA", true),
        ("*_CBC_*", "TLS_AES_128_GCM_SHA256", false),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
    ] {
        assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
    }
}
