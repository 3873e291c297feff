use postrider_probes::mx::MxHost;
use postrider_probes::setting::{Spanned, Template};

use super::*;

fn host(name: &str, preference: u16, addresses: &[&str]) -> MxHost {
    MxHost {
        name: name.to_owned(),
        preference,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        unusable: Vec::new(),
        cname: None,
        failure: None,
    }
}

/// Two MX names for the fallback addresses, one of them also listed as primary, as real clusters have it.
fn set() -> MxSet {
    MxSet {
        hosts: vec![
            host(
                "mx1.test",
                10,
                &["192.0.2.20", "192.0.2.10", "2001:db8::10"],
            ),
            host("mx2.test", 20, &["198.51.100.10", "192.0.2.10"]),
            host("mx3.test", 30, &["198.51.100.10", "2001:db8:2::20"]),
        ],
        ..MxSet::default()
    }
}

fn node(name: &str, primary: &[&str], fallback: &[&str]) -> Node {
    let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Node {
        name: name.to_owned(),
        server_name: None,
        primary: parsed(primary),
        fallback: parsed(fallback),
        site: None,
    }
}

fn inventory() -> Inventory {
    Inventory {
        domains: vec!["example.test".to_owned()],
        update_window: None,
        nodes: vec![
            node(
                "filter1",
                &["192.0.2.10", "2001:db8::10"],
                &["198.51.100.10"],
            ),
            node("filter2", &["192.0.2.20"], &["2001:db8:2::20"]),
        ],
    }
}

fn for_each(preference: Preference, family: Family, distinct: bool) -> ForEach {
    let mx_of: Template = "example.test".parse().unwrap();
    ForEach {
        mx_of: Spanned::unplaced(mx_of),
        preference,
        family,
        distinct,
    }
}

fn expanded(
    for_each: &ForEach,
    set: MxSet,
    inventory: &Inventory,
    selection: &Selection,
) -> Expansion {
    expansion(
        for_each,
        "example.test",
        set,
        inventory,
        &|_| true,
        selection,
    )
}

fn shown(expansion: &Expansion) -> Vec<String> {
    let targets = expansion.targets.iter().map(|target| {
        format!(
            "{} {} {} {} {}",
            target.preference,
            target.mx,
            target.address,
            target.role.name(),
            target.node.as_deref().unwrap_or("-")
        )
    });
    targets
        .chain(expansion.findings.iter().map(Finding::line))
        .collect()
}

#[test]
fn a_step_takes_its_preference_and_its_family_in_a_stable_order() {
    for (preference, family, distinct, wanted) in [
        (
            Preference::Lowest,
            Family::Both,
            true,
            vec![
                "10 mx1.test 192.0.2.10 primary filter1",
                "10 mx1.test 192.0.2.20 primary filter2",
                "10 mx1.test 2001:db8::10 primary filter1",
            ],
        ),
        (
            Preference::NotLowest,
            Family::Ipv4,
            true,
            vec![
                // Known as a primary address: the inventory labels it so wherever it turns up.
                "20 mx2.test 192.0.2.10 primary filter1",
                "20 mx2.test 198.51.100.10 fallback filter1",
            ],
        ),
        (
            Preference::NotLowest,
            Family::Ipv4,
            false,
            vec![
                "20 mx2.test 192.0.2.10 primary filter1",
                "20 mx2.test 198.51.100.10 fallback filter1",
                "30 mx3.test 198.51.100.10 fallback filter1",
            ],
        ),
        (
            Preference::Any,
            Family::Ipv6,
            true,
            vec![
                "10 mx1.test 2001:db8::10 primary filter1",
                "30 mx3.test 2001:db8:2::20 fallback filter2",
            ],
        ),
    ] {
        let for_each = for_each(preference, family, distinct);
        let expansion = expanded(&for_each, set(), &inventory(), &Selection::default());
        assert_eq!(
            shown(&expansion),
            wanted,
            "{preference:?} {family:?} {distinct}"
        );
    }
}

#[test]
fn without_an_inventory_the_preference_gives_the_role() {
    let for_each = for_each(Preference::Any, Family::Ipv4, true);
    let expansion = expanded(
        &for_each,
        set(),
        &Inventory::default(),
        &Selection::default(),
    );
    assert_eq!(
        shown(&expansion),
        [
            "10 mx1.test 192.0.2.10 primary -",
            "10 mx1.test 192.0.2.20 primary -",
            "20 mx2.test 198.51.100.10 fallback -",
        ]
    );
}

#[test]
fn an_address_that_only_one_side_knows_is_a_finding() {
    let mut inventory = inventory();
    inventory.nodes[1].primary = vec!["192.0.2.21".parse().unwrap()];
    let any = for_each(Preference::Any, Family::Ipv4, true);
    let expansion = expanded(&any, set(), &inventory, &Selection::default());
    let lines: Vec<String> = expansion.findings.iter().map(Finding::line).collect();
    assert_eq!(
        lines,
        [
            "inventory-mismatch: 192.0.2.20 (MX 10 mx1.test of example.test) is in DNS and belongs to no node of the inventory",
            "inventory-mismatch: 192.0.2.21 is a primary address of node filter2 and not behind any MX of example.test in DNS",
        ]
    );
    assert_eq!(
        expansion.targets.len(),
        3,
        "the targets are probed all the same"
    );

    // A step about the fallback addresses says nothing about the primary ones.
    let fallback = for_each(Preference::NotLowest, Family::Ipv4, true);
    let expansion = expanded(&fallback, set(), &inventory, &Selection::default());
    assert_eq!(expansion.findings, []);
}

#[test]
fn an_address_behind_the_wrong_preference_is_a_finding() {
    let swapped = MxSet {
        hosts: vec![
            host("mx1.test", 10, &["192.0.2.10", "2001:db8::10"]),
            host(
                "mx2.test",
                20,
                &["192.0.2.20", "198.51.100.10", "2001:db8:2::20"],
            ),
        ],
        ..MxSet::default()
    };
    let lowest = for_each(Preference::Lowest, Family::Both, true);
    let expansion = expanded(&lowest, swapped, &inventory(), &Selection::default());
    let lines: Vec<String> = expansion.findings.iter().map(Finding::line).collect();
    assert_eq!(
        lines,
        [
            "inventory-mismatch: 192.0.2.20 is a primary address of node filter2 and not behind the most preferred MX of example.test in DNS"
        ]
    );
}

#[test]
fn another_domain_is_not_compared_with_the_inventory() {
    let mut inventory = inventory();
    inventory.domains = vec!["other.test".to_owned()];
    inventory.nodes.truncate(1);
    let any = for_each(Preference::Any, Family::Both, true);
    assert_eq!(
        expanded(&any, set(), &inventory, &Selection::default()).findings,
        []
    );
}

#[test]
fn a_vantage_without_ipv6_says_so_once_and_goes_on() {
    let any = for_each(Preference::Any, Family::Both, true);
    let v4_only = |address: IpAddr| address.is_ipv4();
    let expand = |selection: &Selection| {
        expansion(
            &any,
            "example.test",
            set(),
            &inventory(),
            &v4_only,
            selection,
        )
    };
    let expansion = expand(&Selection::default());
    assert!(
        expansion
            .targets
            .iter()
            .all(|target| target.address.is_ipv4())
    );
    let lines: Vec<String> = expansion.findings.iter().map(Finding::line).collect();
    assert_eq!(
        lines,
        ["vantage-no-ipv6: no IPv6 route from here: IPv6 addresses of example.test are not tested"]
    );

    // Who wants IPv4 only does not hear of it.
    let ipv4 = Selection {
        family: Family::Ipv4,
        ..Selection::default()
    };
    assert_eq!(expand(&ipv4).findings, []);
}

#[test]
fn ipv6_addresses_with_a_route_are_kept_beside_those_without() {
    let any = for_each(Preference::Any, Family::Ipv6, true);
    let has_route = |address: IpAddr| address == "2001:db8::10".parse::<IpAddr>().unwrap();
    let expansion = expansion(
        &any,
        "example.test",
        set(),
        &inventory(),
        &has_route,
        &Selection::default(),
    );
    assert_eq!(expansion.targets.len(), 1);
    assert_eq!(expansion.findings.len(), 1);
}

#[test]
fn narrowing_leaves_only_what_was_asked_for() {
    let mut set = set();
    let failure = Failure::new(Reason::DnsServfail, "127.0.0.1 answered SERVFAIL");
    set.hosts[0].failure = Some(failure.clone());
    set.findings = vec![failure];
    let any = for_each(Preference::Any, Family::Both, true);
    let narrowed = |mx: &[&str], addresses: &[&str], family| {
        let selection = Selection {
            mx: mx.iter().map(ToString::to_string).collect(),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            family,
            ..Selection::default()
        };
        shown(&expanded(&any, set.clone(), &inventory(), &selection))
    };
    assert_eq!(
        narrowed(&["MX2.test."], &[], Family::Both),
        ["20 mx2.test 198.51.100.10 fallback filter1"]
    );
    assert_eq!(
        narrowed(&["mx1.test"], &[], Family::Ipv6),
        [
            "10 mx1.test 2001:db8::10 primary filter1",
            "dns-servfail: mx1.test: 127.0.0.1 answered SERVFAIL",
        ]
    );
    assert_eq!(
        narrowed(&[], &["192.0.2.20"], Family::Both),
        ["10 mx1.test 192.0.2.20 primary filter2"]
    );
    assert_eq!(narrowed(&["mx9.test"], &[], Family::Both), [""; 0]);
}

#[test]
fn a_step_without_anything_to_probe_is_a_finding() {
    let single = || MxSet {
        hosts: vec![host("mx1.test", 10, &["192.0.2.10"])],
        ..MxSet::default()
    };
    for (preference, family, line) in [
        (
            Preference::NotLowest,
            Family::Both,
            "dns-mismatch: example.test has no fallback MX: there is nothing to probe",
        ),
        (
            Preference::Any,
            Family::Ipv6,
            "dns-mismatch: no MX host of example.test has an IPv6 address",
        ),
    ] {
        let for_each = for_each(preference, family, true);
        let expansion = expanded(
            &for_each,
            single(),
            &Inventory::default(),
            &Selection::default(),
        );
        assert_eq!(shown(&expansion), [line]);
    }
}
