//! MX look-up against a scripted network.

use std::time::Duration;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::mx::{MxSet, lookup};
use postrider_probes::net::AskError;
use postrider_probes::outcome::Finding;
use postrider_testkit::net::FakeNet;

const WITHIN: Duration = Duration::from_secs(5);

async fn found(net: &FakeNet, family: Family) -> MxSet {
    lookup(net, "example.test", family, WITHIN).await.unwrap()
}

async fn failure(net: FakeNet) -> String {
    lookup(&net, "example.test", Family::Both, WITHIN)
        .await
        .unwrap_err()
        .line()
}

/// `10 mx1.test 192.0.2.1 2001:db8::1`
fn hosts(set: &MxSet) -> Vec<String> {
    set.hosts
        .iter()
        .map(|host| {
            let addresses = host.addresses.iter().map(|address| format!(" {address}"));
            format!(
                "{} {}{}",
                host.preference,
                host.name,
                addresses.collect::<String>()
            )
        })
        .collect()
}

fn findings(set: &MxSet) -> Vec<String> {
    set.findings
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect()
}

fn two_hosts() -> FakeNet {
    FakeNet::new()
        .records("example.test", "MX", &["20 mx2.test", "10 mx1.test"])
        .records("mx1.test", "A", &["192.0.2.2", "192.0.2.1", "192.0.2.2"])
        .records("mx1.test", "AAAA", &["2001:db8::1"])
        .records("mx2.test", "A", &["198.51.100.1"])
}

#[tokio::test]
async fn every_address_of_every_host_is_found() {
    let net = two_hosts();
    for (family, wanted) in [
        (
            Family::Both,
            [
                "10 mx1.test 192.0.2.2 192.0.2.1 2001:db8::1",
                "20 mx2.test 198.51.100.1",
            ],
        ),
        (
            Family::Ipv4,
            [
                "10 mx1.test 192.0.2.2 192.0.2.1",
                "20 mx2.test 198.51.100.1",
            ],
        ),
        // That mx2 has no IPv6 address is no fault; some are meant to have none.
        (Family::Ipv6, ["10 mx1.test 2001:db8::1", "20 mx2.test"]),
    ] {
        let set = found(&net, family).await;
        assert_eq!(hosts(&set), wanted);
        assert_eq!(set.findings, [] as [Finding; 0]);
    }
}

#[tokio::test]
async fn one_family_asks_only_for_its_type() {
    let net = two_hosts();
    found(&net, Family::Ipv4).await;
    let types: Vec<String> = net
        .questions()
        .into_iter()
        .map(|(_, asked)| asked.record_type)
        .collect();
    assert_eq!(types, ["MX", "A", "A"]);
}

#[tokio::test]
async fn without_mx_records_the_domain_itself_is_the_host() {
    let net = FakeNet::new().records("example.test", "MX", &[]).records(
        "example.test",
        "A",
        &["192.0.2.1"],
    );
    assert_eq!(
        hosts(&found(&net, Family::Both).await),
        ["0 example.test 192.0.2.1"]
    );
}

#[tokio::test]
async fn with_mx_records_the_domain_itself_is_never_the_host() {
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 mx1.test"])
        .records("example.test", "A", &["192.0.2.1"])
        .records("mx1.test", "TXT", &["no address"]);
    let set = found(&net, Family::Both).await;
    assert_eq!(hosts(&set), ["10 mx1.test"]);
    assert_eq!(
        findings(&set),
        ["fail dns-nxdomain: mx1.test (MX of example.test) has no address"]
    );
}

#[tokio::test]
async fn a_temporary_failure_is_not_the_absence_of_mx_records() {
    let with_address = || FakeNet::new().records("example.test", "A", &["192.0.2.1"]);
    for rcode in ["SERVFAIL", "REFUSED"] {
        assert_eq!(
            failure(with_address().rcode(None, "example.test", "MX", rcode)).await,
            format!("dns-servfail: 127.0.0.1 answered {rcode} for example.test MX")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_a_time_out() {
    let net = FakeNet::new()
        .records("example.test", "A", &["192.0.2.1"])
        .silence(None, "example.test", "MX");
    assert_eq!(
        failure(net).await,
        "dns-timeout: no answer from 127.0.0.1 for example.test MX within 5 s"
    );
}

#[tokio::test]
async fn a_domain_without_mail_says_why() {
    assert_eq!(
        failure(FakeNet::new()).await,
        "dns-nxdomain: example.test does not exist, says 127.0.0.1"
    );
    assert_eq!(
        failure(FakeNet::new().records("example.test", "MX", &["0 ."])).await,
        "dns-mismatch: example.test publishes a null MX: it accepts no mail"
    );
    let error = AskError::Unreachable {
        server: "127.0.0.53".to_owned(),
        problem: "Connection refused".to_owned(),
    };
    assert_eq!(
        failure(FakeNet::new().ask_error(None, "example.test", "MX", error)).await,
        "vantage-dns: the resolver 127.0.0.53 cannot be asked: Connection refused"
    );
    assert_eq!(
        failure(FakeNet::new().ask_error(None, "example.test", "MX", AskError::NoResolver)).await,
        "vantage-dns: no resolver is configured: set `resolver:` or provide a resolv.conf"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_resolved_does_not_stop_the_others() {
    let net = two_hosts()
        .records(
            "example.test",
            "MX",
            &["10 mx1.test", "20 mx2.test", "30 gone.test", "40 mx4.test"],
        )
        .rcode(None, "mx1.test", "AAAA", "SERVFAIL")
        .silence(None, "mx4.test", "A");
    let set = found(&net, Family::Both).await;
    assert_eq!(
        hosts(&set),
        [
            "10 mx1.test 192.0.2.2 192.0.2.1",
            "20 mx2.test 198.51.100.1",
            "30 gone.test",
            "40 mx4.test"
        ]
    );
    assert_eq!(
        findings(&set),
        [
            "fail dns-servfail: mx1.test (MX of example.test): 127.0.0.1 answered SERVFAIL for mx1.test AAAA",
            "fail dns-nxdomain: gone.test (MX of example.test): gone.test does not exist, says 127.0.0.1",
            "fail dns-timeout: mx4.test (MX of example.test): no answer from 127.0.0.1 for mx4.test A within 5 s",
        ]
    );
    assert!(set.hosts[0].failure.is_some());
    assert!(set.hosts[1].failure.is_none());
}

#[tokio::test]
async fn an_alias_is_reported_and_followed() {
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 mx1.test"])
        .alias("mx1.test", "host.test", "A", &["192.0.2.1"])
        .alias("mx1.test", "host.test", "AAAA", &[]);
    let set = found(&net, Family::Both).await;
    assert_eq!(hosts(&set), ["10 mx1.test 192.0.2.1"]);
    assert_eq!(set.hosts[0].cname.as_deref(), Some("host.test"));
    assert_eq!(
        findings(&set),
        [
            "degraded dns-mismatch: mx1.test (MX of example.test) is an alias of host.test; an MX must not be a CNAME"
        ]
    );
}

#[tokio::test]
async fn an_address_as_mx_is_reported_and_not_asked_for() {
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 192.0.2.1", "20 mx2.test"])
        .records("mx2.test", "A", &["192.0.2.2"]);
    let set = found(&net, Family::Both).await;
    assert_eq!(hosts(&set), ["10 192.0.2.1", "20 mx2.test 192.0.2.2"]);
    assert_eq!(
        findings(&set),
        [
            "fail dns-mismatch: 192.0.2.1 (MX of example.test): an address stands where a host name must be"
        ]
    );
    assert!(
        net.questions()
            .iter()
            .all(|(_, asked)| asked.name != "192.0.2.1")
    );
}

#[tokio::test]
async fn an_address_that_no_host_can_have_is_reported_and_left_out() {
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 mx1.test", "20 mx2.test"])
        .records("mx1.test", "A", &["0.0.0.0", "192.0.2.1", "224.0.0.1"])
        .records("mx2.test", "A", &["255.255.255.255"])
        .records("mx2.test", "AAAA", &["::", "::ffff:127.0.0.1"]);
    let set = found(&net, Family::Both).await;
    assert_eq!(hosts(&set), ["10 mx1.test 192.0.2.1", "20 mx2.test"]);
    let addresses: Vec<String> = findings(&set)
        .iter()
        .filter_map(|line| line.split_once("has the address "))
        .map(|(_, rest)| rest.to_owned())
        .collect();
    let wanted = [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:127.0.0.1",
    ]
    .map(|address| format!("{address}, which no host can have"));
    assert_eq!(addresses, wanted);
}

#[tokio::test]
async fn a_huge_mx_set_is_cut() {
    let names: Vec<String> = (100..170)
        .map(|number| format!("{number} mx{number}.test"))
        .collect();
    let names: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    let mut net = FakeNet::new().records("example.test", "MX", &names);
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    for number in 100..170 {
        net = net.records(&format!("mx{number}.test"), "A", &addresses);
    }
    let set = found(&net, Family::Ipv4).await;
    assert_eq!(set.hosts.len(), 50);
    assert_eq!(set.hosts[49].name, "mx149.test");
    let total: usize = set.hosts.iter().map(|host| host.addresses.len()).sum();
    assert_eq!(total, 100);
    let findings = findings(&set);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("70 MX records; only the 50 most preferred"));
    assert!(findings[1].contains("150 MX addresses; only the first 100"));
}
