use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::dialogue::introduction::Introduction;
use crate::inventory::Node;
use crate::kinds::cluster::look::Domain;
use crate::mx::MxHost;
use crate::names::lookback::{Forward, ReverseName, ReverseNames};
use crate::net::Addresses;
use crate::outcome::{Failure, TlsFacts};

const MINUTE: Duration = Duration::from_secs(60);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

fn node(name: &str, primary: &[&str], fallback: &[&str]) -> Node {
    Node {
        name: name.to_owned(),
        server_name: Some(format!("{name}.cluster.test")),
        primary: ips(primary),
        fallback: ips(fallback),
        site: None,
    }
}

fn host(name: &str, preference: u16, addresses: &[&str]) -> MxHost {
    MxHost {
        name: name.to_owned(),
        preference,
        addresses: ips(addresses),
        unusable: Vec::new(),
        cname: None,
        failure: None,
    }
}

fn reverse(address: &str, names: &[&str]) -> ReverseNames {
    ReverseNames {
        address: ip(address),
        names: Ok(names
            .iter()
            .map(|name| ReverseName {
                name: (*name).to_owned(),
                forward: Forward::Confirmed,
            })
            .collect()),
        count: names.len(),
    }
}

fn introduction(address: &str, name: &str) -> (IpAddr, Result<Introduction, Failure>) {
    let tls = TlsFacts {
        names: vec!["mx1.example.test".to_owned()],
        ..TlsFacts::default()
    };
    let heard = Introduction {
        banner: name.to_owned(),
        ehlo: Some(name.to_owned()),
        tls: Some(tls),
    };
    (ip(address), Ok(heard))
}

/// Two nodes in two networks, in good order.
fn good() -> Seen {
    let leads = |addresses: &[&str]| Addresses {
        addresses: ips(addresses),
        ..Addresses::default()
    };
    Seen {
        nodes: vec![
            node("filter1", &["192.0.2.1", "2001:db8:1::1"], &["192.0.2.2"]),
            node("filter2", &["198.51.100.1"], &["198.51.100.2"]),
        ],
        domains: vec![Domain {
            name: "example.test".to_owned(),
            hosts: vec![
                host(
                    "mx1.example.test",
                    10,
                    &["192.0.2.1", "198.51.100.1", "2001:db8:1::1"],
                ),
                host("mx2.example.test", 20, &["192.0.2.2", "198.51.100.2"]),
            ],
            seen: Vec::new(),
            life: BTreeMap::from([
                ("mx1.example.test".to_owned(), MINUTE),
                ("mx2.example.test".to_owned(), MINUTE),
            ]),
        }],
        servers: BTreeMap::from([
            ("filter1".to_owned(), leads(&["192.0.2.1", "2001:db8:1::1"])),
            ("filter2".to_owned(), leads(&["198.51.100.1"])),
        ]),
        reverse: vec![
            reverse("192.0.2.1", &["filter1.cluster.test"]),
            reverse("2001:db8:1::1", &["filter1.cluster.test"]),
            reverse("192.0.2.2", &["out1.cluster.test"]),
            reverse("198.51.100.1", &["filter2.cluster.test"]),
            reverse("198.51.100.2", &["out2.cluster.test"]),
        ],
        introductions: vec![
            introduction("192.0.2.1", "filter1.cluster.test"),
            introduction("198.51.100.1", "filter2.cluster.test"),
        ],
        ttl_at_most: MINUTE,
        failures: Vec::new(),
    }
}

/// `rule status line` of everything that is broken.
fn told(seen: &Seen) -> Vec<String> {
    ALL.iter()
        .flat_map(|(rule, judge)| {
            judge(seen)
                .into_iter()
                .map(|finding| format!("{} {} {}", rule.name(), finding.status, finding.line()))
        })
        .collect()
}

/// One change to good order, and all that is told of it.
#[track_caller]
fn check(change: impl FnOnce(&mut Seen), wanted: &[&str]) {
    let mut seen = good();
    change(&mut seen);
    assert_eq!(told(&seen), wanted);
}

#[test]
fn good_order_breaks_no_rule() {
    check(|_| (), &[]);
}

#[test]
fn one_node_is_too_few() {
    check(
        |seen| {
            seen.nodes.truncate(1);
            for host in &mut seen.domains[0].hosts {
                host.addresses
                    .retain(|address| !ips(&["198.51.100.1", "198.51.100.2"]).contains(address));
            }
        },
        &[
            "two-nodes degraded cluster-layout: the inventory has one node: when it is down, no mail is taken",
        ],
    );
}

#[test]
fn addresses_in_one_network_fall_together() {
    let renumber = |seen: &mut Seen| {
        seen.nodes[1] = node("filter2", &["192.0.2.3"], &["192.0.2.4"]);
        let addresses = |host: &mut MxHost, own: &[&str]| host.addresses = ips(own);
        let hosts = &mut seen.domains[0].hosts;
        addresses(&mut hosts[0], &["192.0.2.1", "192.0.2.3", "2001:db8:1::1"]);
        addresses(&mut hosts[1], &["192.0.2.2", "192.0.2.4"]);
        let server = seen.servers.get_mut("filter2").unwrap();
        server.addresses = ips(&["192.0.2.3"]);
        seen.reverse[3].address = ip("192.0.2.3");
        seen.reverse[4].address = ip("192.0.2.4");
        seen.introductions[1].0 = ip("192.0.2.3");
    };
    check(
        renumber,
        &[
            "other-network degraded cluster-layout: all 4 addresses are in 192.0.2.0/24; about half should be elsewhere",
        ],
    );
    // Sites say more than networks.
    check(
        |seen| {
            renumber(seen);
            seen.nodes[0].site = Some("ams".to_owned());
            seen.nodes[1].site = Some("fra".to_owned());
        },
        &[],
    );
    check(
        |seen| {
            for node in &mut seen.nodes {
                node.site = Some("ams".to_owned());
            }
        },
        &[
            "other-network degraded cluster-layout: all 5 addresses are at site ams; about half should be elsewhere",
        ],
    );
}

#[test]
fn about_half_is_a_third_at_least() {
    for (places, wanted) in [
        (&["a"][..], false),
        (&["a", "b"], false),
        (&["a", "a"], true),
        (&["a", "a", "b"], false),
        (&["a", "a", "a", "b"], true),
        (&["a", "a", "a", "a", "b", "b"], false),
        (&["a", "a", "b", "c"], false),
    ] {
        let places_of = places.iter().map(ToString::to_string);
        assert_eq!(
            layout::lopsided("in", places_of).is_some(),
            wanted,
            "{places:?}"
        );
    }
}

#[test]
fn ipv6_networks_are_48_bits_long() {
    check(
        |seen| {
            seen.nodes[1].primary.push(ip("2001:db8:1:ffff::1"));
            let server = seen.servers.get_mut("filter2").unwrap();
            server.addresses.push(ip("2001:db8:1:ffff::1"));
        },
        &[
            "other-network degraded cluster-layout: all 2 addresses are in 2001:db8:1::/48; about half should be elsewhere",
        ],
    );
}

#[test]
fn each_node_has_both_roles() {
    check(
        |seen| {
            seen.nodes[0].fallback.clear();
            seen.domains[0].hosts[1].addresses.remove(0);
        },
        &["both-roles degraded cluster-layout: node filter1 has no fallback address"],
    );
}

#[test]
fn mx_names_are_not_server_names() {
    check(
        |seen| {
            seen.domains[0].hosts[0].name = "filter1.cluster.test".to_owned();
            seen.domains[0].hosts[1].name = "mx.filter2.cluster.test".to_owned();
        },
        &[
            "mx-names degraded cluster-layout: MX filter1.cluster.test is the server name filter1.cluster.test of node filter1",
            "mx-names degraded cluster-layout: MX mx.filter2.cluster.test is below the server name filter2.cluster.test of node filter2",
            "same-identity degraded cluster-layout: 192.0.2.1 (filter1) has a certificate for mx1.example.test, not for filter1.cluster.test",
            "same-identity degraded cluster-layout: 198.51.100.1 (filter2) has a certificate for mx1.example.test, not for filter1.cluster.test, filter2.cluster.test",
        ],
    );
    // The end of a label is no border.
    check(
        |seen| seen.domains[0].hosts[1].name = "myfilter1.cluster.test".to_owned(),
        &[],
    );
}

#[test]
fn addresses_of_mx_hosts_are_soon_forgotten() {
    check(
        |seen| {
            let life = &mut seen.domains[0].life;
            life.insert("mx2.example.test".to_owned(), Duration::from_secs(3600));
        },
        &[
            "mx-ttl degraded cluster-layout: the addresses of mx2.example.test may be kept for 1h, at most 1m is wanted: so long a dead one is tried",
        ],
    );
}

#[test]
fn one_mx_host_has_no_ipv6() {
    let add = |seen: &mut Seen| {
        seen.nodes[0].fallback.push(ip("2001:db8:2::1"));
        seen.domains[0].hosts[1].addresses.push(ip("2001:db8:2::1"));
    };
    check(
        add,
        &[
            "ipv4-only-mx degraded cluster-layout: every MX host of example.test has IPv6 addresses: senders whose IPv6 is broken have none to turn to",
        ],
    );
    // One whose addresses are not known may be the one.
    check(
        |seen| {
            add(seen);
            let failure = Failure::new(Reason::DnsServfail, "no");
            let mut unknown = host("mx3.example.test", 30, &[]);
            unknown.failure = Some(failure);
            seen.domains[0].hosts.push(unknown);
        },
        &[],
    );
}

#[test]
fn an_mx_elsewhere_passes_no_filter() {
    check(
        |seen| {
            let old = host("old.example.test", 90, &["203.0.113.9"]);
            seen.domains[0].hosts.push(old);
        },
        &[
            "mx-filters-only degraded cluster-layout: MX 90 old.example.test leads to 203.0.113.9, of no node: mail there passes no filter",
        ],
    );
}

#[test]
fn a_server_name_leads_to_its_primary_address_alone() {
    check(
        |seen| {
            let server = seen.servers.get_mut("filter2").unwrap();
            server.addresses = ips(&["198.51.100.2"]);
        },
        &[
            "server-names fail dns-mismatch: the server name filter2.cluster.test of node filter2 does not lead to 198.51.100.1 and leads to 198.51.100.2; it is to lead to its primary address alone",
        ],
    );
    check(
        |seen| {
            let server = seen.servers.get_mut("filter1").unwrap();
            server.addresses = ips(&["192.0.2.1"]);
        },
        &[],
    );
    check(
        |seen| {
            let server = seen.servers.get_mut("filter1").unwrap();
            *server = Addresses {
                failure: Some(Failure::new(Reason::DnsNxdomain, "it does not exist")),
                ..Addresses::default()
            };
        },
        &[
            "server-names fail dns-nxdomain: the server name filter1.cluster.test of node filter1: it does not exist",
        ],
    );
    check(
        |seen| {
            seen.nodes[1].server_name = None;
            seen.servers.remove("filter2");
        },
        &["server-names degraded cluster-layout: node filter2 has no server name in the inventory"],
    );
}

#[test]
fn a_primary_address_has_the_server_name() {
    check(
        |seen| seen.reverse[0] = reverse("192.0.2.1", &["mx1.example.test"]),
        &[
            "primary-names fail ptr-mismatch: 192.0.2.1 (filter1) has the reverse name mx1.example.test; it is to be the server name filter1.cluster.test",
        ],
    );
    check(
        |seen| seen.reverse[3] = reverse("198.51.100.1", &[]),
        &[
            "primary-names fail ptr-mismatch: 198.51.100.1 (filter2) has no reverse name; it is to be filter2.cluster.test",
        ],
    );
    check(
        |seen| {
            seen.reverse[3].names = Err(Failure::new(Reason::DnsServfail, "answered SERVFAIL"));
        },
        &[
            "primary-names fail dns-servfail: the reverse name of 198.51.100.1 (filter2): answered SERVFAIL",
        ],
    );
}

#[test]
fn other_addresses_have_names_of_their_own() {
    for (names, wanted) in [
        (
            &[][..],
            "other-names degraded cluster-layout: 192.0.2.2 (filter1) has no reverse name",
        ),
        (
            &["out.filter2.cluster.test"],
            "other-names degraded cluster-layout: 192.0.2.2 (filter1) has the reverse name out.filter2.cluster.test, below the server name filter2.cluster.test",
        ),
        (
            &["filter1.cluster.test"],
            "other-names degraded cluster-layout: 192.0.2.2 (filter1) has the reverse name filter1.cluster.test, which is the server name",
        ),
        (
            &["out_1.cluster.test"],
            "other-names degraded cluster-layout: 192.0.2.2 (filter1) has the reverse name out_1.cluster.test: no host name has an underscore",
        ),
    ] {
        check(
            |seen| seen.reverse[2] = reverse("192.0.2.2", names),
            &[wanted],
        );
    }
    check(
        |seen| {
            let names = seen.reverse[2].names.as_mut().unwrap();
            names[0].forward = Forward::Missing;
        },
        &[
            "other-names degraded cluster-layout: 192.0.2.2 (filter1) is out1.cluster.test, but out1.cluster.test does not exist",
        ],
    );
}

#[test]
fn a_server_is_who_the_inventory_says() {
    check(
        |seen| {
            let heard = seen.introductions[0].1.as_mut().unwrap();
            heard.banner = "mx1.example.test".to_owned();
            heard.tls.as_mut().unwrap().names = vec!["localhost".to_owned()];
        },
        &[
            "same-identity degraded cluster-layout: 192.0.2.1 (filter1) greets as mx1.example.test, and its server name is filter1.cluster.test",
            "same-identity degraded cluster-layout: 192.0.2.1 (filter1) has a certificate for localhost, not for filter1.cluster.test, mx1.example.test",
        ],
    );
    check(
        |seen| {
            let heard = seen.introductions[1].1.as_mut().unwrap();
            heard.ehlo = Some("localhost".to_owned());
            heard.tls.as_mut().unwrap().names = vec!["*.Cluster.test".to_owned()];
        },
        &[
            "same-identity degraded cluster-layout: 198.51.100.1 (filter2) answers EHLO as localhost, and its server name is filter2.cluster.test",
        ],
    );
    check(
        |seen| seen.introductions[1].1.as_mut().unwrap().tls = None,
        &[
            "same-identity degraded cluster-layout: 198.51.100.1 (filter2) offers no STARTTLS: its certificate cannot be compared",
        ],
    );
    check(
        |seen| {
            let why = "198.51.100.1 port 25 refused the connection";
            seen.introductions[1].1 = Err(Failure::new(Reason::ConnectRefused, why));
        },
        &[
            "same-identity fail connect-refused: 198.51.100.1 (filter2): 198.51.100.1 port 25 refused the connection",
        ],
    );
}
