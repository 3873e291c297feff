//! Every rule of the cluster's layout, broken by one zone, one line of the inventory or one setting of a server.

use std::io;

use postrider::result::{CheckResult, RunResult};
use postrider_testkit::live::{Certificate, Node, Zone};

use super::lab::{Lab, of_step};
use super::names_lab::NamesLab;

/// The inventory in good order.
const GOOD: &str = "
platform:
  domains: [good.test]
  nodes:
    filter1: { name: filter1.cluster.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.2] }
    filter2: { name: filter2.cluster.test, primary: [127.0.22.1], fallback: [127.0.22.2] }
";

const MX: &str = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 127.0.21.1\nmx1 A 127.0.22.1\nmx1 AAAA ::1\n\
     mx2 A 127.0.21.2\nmx2 A 127.0.22.2\n";

fn zones() -> Vec<Zone> {
    let mx = |label: &str, change: &dyn Fn(&str) -> String| {
        Zone::new(&format!("{label}.test"), &change(MX))
    };
    let plus = |more: &'static str| move |text: &str| format!("{text}{more}\n");
    let cluster = "filter1 A 127.0.21.1\nfilter1 AAAA ::1\nfilter2 A 127.0.22.1\n\
         mx.filter2 A 127.0.22.2\nout1 A 127.0.21.2\nout2 A 127.0.22.2\n\
         moved A 127.0.22.9\nelsewhere A 127.0.21.11\nelsewhere A 127.0.21.1\nbelow.filter1 A 127.0.21.12\n\
         under_score A 127.0.21.13\nfilter3 A 127.0.21.3\nbare A 127.0.21.15\nout5 A 127.0.21.5\n";
    vec![
        mx("good", &str::to_owned),
        mx("long", &|text| text.replace("mx2 A", "mx2 3600 A")),
        mx("all-ipv6", &|text| {
            text.replace("mx2 A 127.0.22.2", "mx2 A 127.0.22.2\nmx2 AAAA ::1")
        }),
        mx("foreign", &plus("@ MX 90 old\nold A 127.0.99.9")),
        mx("server", &plus("@ MX 30 filter2.cluster.test.")),
        mx("below", &plus("@ MX 30 mx.filter2.cluster.test.")),
        mx("dangling", &plus("@ MX 30 nothing")),
        Zone::new("broken.test", "").not_loaded(),
        Zone::new("cluster.test", cluster),
        Zone::new(
            "21.0.127.in-addr.arpa",
            "1 PTR filter1.cluster.test.\n2 PTR out1.cluster.test.\n3 PTR filter3.cluster.test.\n\
             5 PTR out5.cluster.test.\n11 PTR filter1.cluster.test.\n\
             12 PTR below.filter1.cluster.test.\n13 PTR under_score.cluster.test.\n",
        ),
        Zone::new(
            "22.0.127.in-addr.arpa",
            "1 PTR filter2.cluster.test.\n2 PTR out2.cluster.test.\n",
        ),
        Zone::new("24.0.127.in-addr.arpa", "").not_loaded(),
        Zone::new(
            &format!("{}ip6.arpa", "0.".repeat(31)),
            "1 PTR filter1.cluster.test.\n",
        ),
    ]
}

/// `status reason: message` of each finding of a check; nothing when it passes.
fn told(check: &CheckResult, ports: &[u16]) -> Vec<String> {
    check
        .findings
        .iter()
        .map(|finding| {
            let status = format!("{:?}", finding.status).to_lowercase();
            let line = format!("{status} {}: {}", finding.reason, finding.message);
            ports
                .iter()
                .fold(line, |line, port| line.replace(&port.to_string(), "PORT"))
        })
        .collect()
}

#[test]
fn each_zone_that_breaks_a_rule_is_named_by_that_rule_alone() -> io::Result<()> {
    let layout = |text: &str| format!("degraded cluster-layout: {text}");
    let cases = [
        ("good", vec![]),
        (
            "long",
            vec![layout(
                "mx-ttl: the addresses of mx2.long.test may be kept for 1h, at most 1m is wanted: so long a dead one is tried",
            )],
        ),
        (
            "all-ipv6",
            vec![layout(
                "ipv4-only-mx: every MX host of all-ipv6.test has IPv6 addresses: senders whose IPv6 is broken have none to turn to",
            )],
        ),
        (
            "foreign",
            vec![layout(
                "mx-filters-only: MX 90 old.foreign.test leads to 127.0.99.9, of no node: mail there passes no filter",
            )],
        ),
        (
            "server",
            vec![layout(
                "mx-names: MX filter2.cluster.test is the server name filter2.cluster.test of node filter2",
            )],
        ),
        (
            "below",
            vec![layout(
                "mx-names: MX mx.filter2.cluster.test is below the server name filter2.cluster.test of node filter2",
            )],
        ),
        (
            "dangling",
            vec!["fail dns-nxdomain: nothing.dangling.test (MX of dangling.test): nothing.dangling.test does not exist, says 127.0.31.9 port PORT".to_owned()],
        ),
        (
            "broken",
            vec!["fail dns-servfail: 127.0.31.9 port PORT answered SERVFAIL for broken.test MX".to_owned()],
        ),
    ];
    let lab = NamesLab::start(&zones())?;
    let steps: String = cases
        .iter()
        .map(|(step, _)| {
            format!(
                "  - id: {step}\n    cluster: {{ domain: {step}.test, port: {} }}\n",
                lab.names.port()
            )
        })
        .collect();
    let result = lab.run(GOOD, &steps)?;
    let ports = [lab.names.validating().port()];
    for (step, wanted) in &cases {
        assert_eq!(told(of_step(&result, step)[0], &ports), *wanted, "{step}");
    }
    Ok(())
}

#[test]
fn each_node_that_breaks_a_rule_is_named_by_that_rule_alone() -> io::Result<()> {
    let lab = NamesLab::start(&zones())?;
    let filter1 = "filter1: { name: filter1.cluster.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.2] }";
    let filter2 =
        "filter2: { name: filter2.cluster.test, primary: [127.0.22.1], fallback: [127.0.22.2] }";
    let layout = |text: &str| format!("degraded cluster-layout: {text}");
    // Instead of filter1, instead of filter2; what is told. MX rules are not the subject where nodes are missing.
    let cases = [
        (
            filter1,
            "",
            vec![layout(
                "two-nodes: the inventory has one node: when it is down, no mail is taken",
            )],
        ),
        (
            filter1,
            "filter3: { name: filter3.cluster.test, primary: [127.0.21.3], fallback: [127.0.21.5] }",
            vec![layout(
                "other-network: all 4 addresses are in 127.0.21.0/24; about half should be elsewhere",
            )],
        ),
        (
            filter1,
            "filter2: { name: filter2.cluster.test, primary: [127.0.22.1] }",
            vec![layout("both-roles: node filter2 has no fallback address")],
        ),
        (
            filter1,
            "filter2: { primary: [127.0.22.1], fallback: [127.0.22.2] }",
            vec![layout(
                "server-names: node filter2 has no server name in the inventory",
            )],
        ),
        (
            filter1,
            "filter2: { name: moved.cluster.test, primary: [127.0.22.1], fallback: [127.0.22.2] }",
            vec![
                "fail dns-mismatch: server-names: the server name moved.cluster.test of node filter2 does not lead to 127.0.22.1 and leads to 127.0.22.9; it is to lead to its primary address alone".to_owned(),
                "fail ptr-mismatch: primary-names: 127.0.22.1 (filter2) has the reverse name filter2.cluster.test; it is to be the server name moved.cluster.test".to_owned(),
            ],
        ),
        (
            "filter1: { name: elsewhere.cluster.test, primary: [127.0.21.11, 127.0.21.1], fallback: [127.0.21.2] }",
            filter2,
            vec![
                "fail ptr-mismatch: primary-names: 127.0.21.11 (filter1) has the reverse name filter1.cluster.test; it is to be the server name elsewhere.cluster.test".to_owned(),
                "fail ptr-mismatch: primary-names: 127.0.21.1 (filter1) has the reverse name filter1.cluster.test; it is to be the server name elsewhere.cluster.test".to_owned(),
                layout("server-names: the server name elsewhere.cluster.test of node filter1 leads to more than one IPv4 address; one of them is to be the primary"),
            ],
        ),
        (
            "filter1: { name: bare.cluster.test, primary: [127.0.21.15], fallback: [127.0.21.2] }",
            filter2,
            vec!["fail ptr-mismatch: primary-names: 127.0.21.15 (filter1) has no reverse name; it is to be bare.cluster.test".to_owned()],
        ),
        (
            filter1,
            "filter2: { name: filter2.cluster.test, primary: [127.0.22.1], fallback: [127.0.24.1] }",
            vec!["fail dns-servfail: other-names: the reverse name of 127.0.24.1 (filter2): 127.0.31.9 port PORT answered SERVFAIL for 1.24.0.127.in-addr.arpa PTR".to_owned()],
        ),
        (
            "filter1: { name: filter1.cluster.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.12] }",
            filter2,
            vec![layout(
                "other-names: 127.0.21.12 (filter1) has the reverse name below.filter1.cluster.test, below the server name filter1.cluster.test",
            )],
        ),
        (
            "filter1: { name: filter1.cluster.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.13] }",
            filter2,
            vec![layout(
                "other-names: 127.0.21.13 (filter1) has the reverse name under_score.cluster.test: no host name has an underscore",
            )],
        ),
        (
            "filter1: { name: filter1.cluster.test, primary: [127.0.21.1, \"::1\"], fallback: [127.0.21.98] }",
            filter2,
            vec![layout("other-names: 127.0.21.98 (filter1) has no reverse name")],
        ),
    ];
    let step = format!(
        "  - id: nodes\n    cluster: {{ domain: good.test, port: {}, except: [mx-filters-only] }}\n",
        lab.names.port()
    );
    let ports = [lab.names.validating().port()];
    for (first, second, wanted) in cases {
        let main = format!("platform:\n  nodes:\n    {first}\n    {second}\n");
        let result = lab.run(&main, &step)?;
        assert_eq!(told(&result.checks[0], &ports), wanted, "{first} {second}");
    }
    Ok(())
}

#[test]
fn servers_that_are_not_who_the_inventory_says_are_named() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let port = lab.platform.dns().port();
    lab.scenario(
        "layout",
        &format!(
            "
steps:
  - id: layout
    cluster:
      port: {port}
      greeting: {{ helo: probe.outside.test }}
"
        ),
    )?;
    let told = |result: &RunResult| told(of_step(result, "layout")[0], &[]);
    let result = lab.run(&[])?;
    assert_eq!(told(&result), [""; 0]);
    for phase in ["dns", "connect", "banner", "ehlo", "starttls"] {
        assert!(
            result.checks[0].phases_seconds.contains_key(phase),
            "{phase}"
        );
    }

    lab.platform
        .call_itself(Node::Filter1, "mx1.example.test")?;
    lab.platform
        .present_certificate(Node::Filter2, Certificate::WrongName)?;
    let wrong = |text: &str| format!("degraded cluster-layout: same-identity: {text}");
    assert_eq!(
        told(&lab.run(&[])?),
        [
            wrong(
                "127.0.21.1 (filter1) greets as mx1.example.test, and its server name is filter1.cluster.test"
            ),
            wrong(
                "127.0.21.1 (filter1) answers EHLO as mx1.example.test, and its server name is filter1.cluster.test"
            ),
            wrong(
                "127.0.22.1 (filter2) has a certificate for other.outside.test, not for filter2.cluster.test, mx1.example.test"
            ),
        ]
    );

    lab.platform.treat_normally(Node::Filter1)?;
    lab.platform.stop_node(Node::Filter2);
    let smtp = lab.platform.smtp_port();
    assert_eq!(
        told(&lab.run(&[])?),
        [format!(
            "fail connect-refused: same-identity: 127.0.22.1 (filter2): 127.0.22.1 port {smtp} refused the connection"
        )]
    );
    Ok(())
}
