//! DNS: each fault of a domain, seen by a step that expands it, and by a step that asks.

use postrider::demo::platform::misbehaviour::{Faults, NameFault};
use postrider::result::{CheckResult, StatusWord};

use crate::support::{Lab, Ran, judge, line, says};

/// A domain `NAME.example.test`.
#[derive(Debug)]
struct Domain {
    name: &'static str,
    /// Lines of the zone file; `{name}` is filled in.
    records: &'static [&'static str],
    /// The owner of the fault: the domain, or a name below it.
    fault: Option<(&'static str, NameFault)>,
    /// The findings of the expansion, one line each.
    found: &'static [&'static str],
    /// Addresses that are probed all the same, and pass.
    probed: &'static [&'static str],
}

const DOMAINS: &[Domain] = &[
    Domain {
        name: "servfail",
        records: &["{name} IN MX 10 mx.one"],
        fault: Some(("", NameFault::ServFail)),
        found: &["dns-servfail: {server} answered SERVFAIL for servfail.example.test MX"],
        probed: &[],
    },
    Domain {
        name: "refused",
        records: &["{name} IN MX 10 mx.one"],
        fault: Some(("", NameFault::Refused)),
        found: &["dns-servfail: {server} answered REFUSED for refused.example.test MX"],
        probed: &[],
    },
    Domain {
        name: "silent",
        records: &["{name} IN MX 10 mx.one"],
        fault: Some(("", NameFault::Silence)),
        found: &["dns-timeout: no answer from {server} for silent.example.test MX within 2…"],
        probed: &[],
    },
    Domain {
        name: "gone",
        records: &[],
        fault: None,
        found: &["dns-nxdomain: gone.example.test does not exist, says {server}"],
        probed: &[],
    },
    Domain {
        name: "half",
        records: &["{name} IN MX 10 mx.one", "{name} IN MX 20 mx.{name}"],
        fault: Some(("mx.", NameFault::NxDomain)),
        found: &[
            "dns-nxdomain: mx.half.example.test (MX of half.example.test): mx.half.example.test does not exist, says {server}",
        ],
        probed: &["127.0.21.1"],
    },
    Domain {
        name: "halfsilent",
        records: &[
            "{name} IN MX 10 mx.one",
            "{name} IN MX 20 mx.{name}",
            "mx.{name} IN A 127.0.21.2",
        ],
        fault: Some(("mx.", NameFault::Silence)),
        found: &[
            "dns-timeout: mx.halfsilent.example.test (MX of halfsilent.example.test): no answer from {server} for …within 2…",
        ],
        probed: &["127.0.21.1"],
    },
    Domain {
        name: "nullmx",
        records: &["{name} IN MX 0 ."],
        fault: None,
        found: &["dns-mismatch: nullmx.example.test publishes a null MX: it accepts no mail"],
        probed: &[],
    },
    Domain {
        name: "implicit",
        records: &["{name} IN A 127.0.21.1"],
        fault: None,
        found: &[],
        probed: &["127.0.21.1"],
    },
    Domain {
        name: "aliased",
        records: &[
            "{name} IN MX 10 alias.{name}",
            "alias.{name} IN CNAME mx.one",
        ],
        fault: None,
        found: &[
            "dns-mismatch: alias.aliased.example.test (MX of aliased.example.test) is an alias of mx.one.example.test; an MX must not be a CNAME",
        ],
        probed: &["127.0.21.1"],
    },
    Domain {
        name: "nowhere",
        records: &[
            "{name} IN MX 10 mx.{name}",
            "mx.{name} IN TXT \"no address\"",
        ],
        fault: None,
        found: &[
            "dns-nxdomain: mx.nowhere.example.test (MX of nowhere.example.test) has no address",
        ],
        probed: &[],
    },
    Domain {
        name: "zero",
        records: &[
            "{name} IN MX 10 mx.{name}",
            "mx.{name} IN A 0.0.0.0",
            "{name} IN MX 20 mx.one",
        ],
        fault: None,
        found: &[
            "dns-mismatch: mx.zero.example.test (MX of zero.example.test) has the address 0.0.0.0, which no host can have",
        ],
        probed: &["127.0.21.1"],
    },
    Domain {
        name: "literal",
        records: &["{name} IN MX 10 127.0.21.1."],
        fault: None,
        found: &[
            "dns-mismatch: 127.0.21.1 (MX of literal.example.test): an address stands where a host name must be",
        ],
        probed: &[],
    },
];

fn server_words(lab: &Lab) -> String {
    let server = lab.platform.dns_addr();
    format!("{} port {}", server.ip(), server.port())
}

#[tokio::test]
async fn each_fault_of_a_domain_is_told_and_what_is_known_is_probed() {
    let mut setup = Lab::setup();
    let mut faults = Faults::default();
    let mut steps = String::new();
    for domain in DOMAINS {
        let Domain {
            name,
            records,
            fault,
            ..
        } = domain;
        for record in *records {
            setup.records.push(record.replace("{name}", name));
        }
        if let Some((below, fault)) = fault {
            faults
                .names
                .insert(format!("{below}{name}.example.test"), *fault);
        }
        steps.push_str(&format!(
            "  - id: {name}
    timeout: 2s
    for_each: {{ mx_of: {name}.example.test }}
    deliver: {{ to_address: \"${{item.address}}\", tls: opportunistic, stop_after: rcpt }}
"
        ));
    }
    let lab = Lab::from_setup(setup.with_faults(faults)).await;
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 1);
    // The look-ups that wait, wait together, and hold up nobody's check for longer than their own limit.
    assert!(ran.result().run.duration_seconds < 5.0, "{}", ran.stdout);
    for domain in DOMAINS {
        let checks = checks(&ran, domain.name);
        let at = || format!("{}: {checks:#?}", domain.name);
        let found: Vec<String> = checks
            .iter()
            .filter(|check| check.target.is_none())
            .flat_map(|check| &check.findings)
            .map(|finding| format!("{}: {}", finding.reason, finding.message))
            .collect();
        assert_eq!(found.len(), domain.found.len(), "{}", at());
        for (found, wanted) in found.iter().zip(domain.found) {
            let wanted = wanted.replace("{server}", &server_words(&lab));
            assert!(says(found, &wanted), "{found}\nis not\n{wanted}");
        }
        let probed: Vec<&str> = checks
            .iter()
            .filter(|check| check.status == StatusWord::Pass)
            .filter_map(|check| Some(check.target.as_ref()?.address.as_str()))
            .collect();
        assert_eq!(probed, domain.probed, "{}", at());
        for check in &checks {
            assert!(
                check
                    .phases_seconds
                    .get("dns")
                    .is_none_or(|spent| *spent < 3.0),
                "{}",
                at()
            );
        }
    }
    let aliased = checks(&ran, "aliased");
    assert_eq!(aliased[0].status, StatusWord::Degraded, "it works");
}

fn checks(ran: &Ran, step: &str) -> Vec<CheckResult> {
    let mut checks = ran.result().checks;
    checks.retain(|check| check.step == step);
    checks
}

#[tokio::test]
async fn a_question_that_is_not_answered_well_is_told() {
    let mut faults = Faults::default();
    let rows = [
        (
            NameFault::ServFail,
            "servfail",
            "dns-servfail: {server} answered SERVFAIL for servfail.example.test A",
        ),
        (
            NameFault::Refused,
            "refused",
            "dns-servfail: {server} answered REFUSED for refused.example.test A",
        ),
        (
            NameFault::NxDomain,
            "gone",
            "dns-nxdomain: gone.example.test does not exist, says {server}",
        ),
        (
            NameFault::Silence,
            "silent",
            "dns-timeout: no answer from {server} for silent.example.test A within 500 ms",
        ),
    ];
    let mut steps = "  - id: good\n    dns: { query: mx1.example.test, type: A, expect: { answers: [127.0.21.1, 127.0.22.1] } }\n".to_owned();
    for (fault, name, _) in rows {
        faults.names.insert(format!("{name}.example.test"), fault);
        steps.push_str(&format!(
            "  - id: {name}\n    dns: {{ query: {name}.example.test, type: A, within: 500ms, expect: {{ answers: [127.0.21.1] }} }}\n"
        ));
    }
    let lab = Lab::with(faults).await;
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(line(&ran.check("good")), "");
    for (_, name, wanted) in rows {
        let check = ran.check(name);
        let wanted = wanted.replace("{server}", &server_words(&lab));
        assert!(says(&line(&check), &wanted), "{}", line(&check));
        assert_eq!(check.status, StatusWord::Fail);
        assert!(check.phases_seconds.contains_key("dns"), "{check:#?}");
        assert!(check.duration_seconds < 2.0, "{check:#?}");
    }
}

#[tokio::test]
async fn a_resolver_that_is_not_there_is_our_own_fault() {
    let mut lab = Lab::start().await;
    lab.resolver = Some("127.0.0.1:1".parse().unwrap());
    let [first, ..] = Lab::addresses();
    let steps = [
        Lab::deliver("mail", first, "stop_after: rcpt"),
        "  - id: records\n    dns: { query: example.test, type: MX, within: 1s }\n".to_owned(),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.code, 3, "nothing could be tested: {}", ran.stdout);
    for step in ["mail", "records"] {
        let check = ran.check(step);
        assert_eq!(check.status, StatusWord::Error);
        let said = line(&check);
        let wanted = "vantage-dns: the resolver 127.0.0.1 port 1 cannot be asked: …";
        assert!(says(&said, wanted), "{said}");
    }
}

#[tokio::test]
async fn what_dns_and_the_inventory_disagree_on_is_told_once() {
    let mut setup = Lab::setup();
    // In DNS, and of no node; the other way round below.
    setup.records.push("mx1 IN A 127.0.29.1".into());
    let mut lab = Lab::from_setup(setup).await;
    lab.nodes = Some(
        "    filter1: { primary: [127.0.21.1, \"::1\", 127.0.21.9], fallback: [127.0.21.2] }
    filter2: { primary: [127.0.22.1], fallback: [127.0.22.2] }
"
        .into(),
    );
    let each = |id, preference| {
        format!(
            "  - id: {id}
    for_each: {{ mx_of: example.test, preference: {preference}, family: ipv4 }}
    deliver: {{ to_address: \"${{item.address}}\", stop_after: rcpt }}
"
        )
    };
    let steps = [each("primary", "lowest"), each("every", "any")].concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    let result = ran.result();
    let told: Vec<&str> = result
        .checks
        .iter()
        .filter(|check| check.target.is_none())
        .flat_map(|check| {
            check
                .findings
                .iter()
                .map(|finding| finding.message.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            "127.0.29.1 (MX 10 mx1.example.test of example.test) is in DNS and belongs to no node of the inventory",
            "127.0.21.9 is a primary address of node filter1 and not behind the most preferred MX of example.test in DNS",
            "127.0.21.9 is a primary address of node filter1 and not behind any MX of example.test in DNS",
        ]
    );
    let unknown: Vec<&CheckResult> = result
        .checks
        .iter()
        .filter(|check| {
            check
                .target
                .as_ref()
                .is_some_and(|target| target.address == "127.0.29.1")
        })
        .collect();
    assert_eq!(unknown.len(), 2, "it is probed all the same");
    for check in unknown {
        assert!(
            line(check).starts_with("connect-refused: 127.0.29.1 port "),
            "{check:#?}"
        );
        assert_eq!(check.target.as_ref().unwrap().node, None);
    }
}

#[tokio::test]
async fn a_route_goes_on_to_the_next_host_when_one_is_broken() {
    let mut setup = Lab::setup();
    setup.records.extend(
        [
            "routed IN MX 10 gone.routed",
            "routed IN MX 20 mx.one",
            "dead IN MX 10 gone.routed",
        ]
        .map(String::from),
    );
    let mut faults = Faults::default();
    faults
        .names
        .insert("gone.routed.example.test".into(), NameFault::NxDomain);
    let lab = Lab::from_setup(setup.with_faults(faults)).await;
    let step = |id, domain| {
        format!(
            "  - id: {id}\n    deliver: {{ route: {{ mx_of: {domain} }}, tls: opportunistic, expect: {{ arrives: {{ within: 10s }} }} }}\n"
        )
    };
    let steps = [
        step("routed", "routed.example.test"),
        step("dead", "dead.example.test"),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    let routed = ran.check("routed");
    assert_eq!(line(&routed), "");
    assert_eq!(routed.notes, ["250", "INBOX"]);
    let dead = ran.check("dead");
    let said = line(&dead);
    assert!(says(&said, "dns-…dead.example.test…"), "{said}");
    assert_eq!(dead.notes, ["not sent"]);
}
