//! What a target is, and which of them are ours.

use postrider_testkit::net::FakeNet;

use super::modules::{MODULES, Module, split};
use super::named::{Named, Place};

#[test]
fn a_target_is_a_host_with_or_without_a_port() {
    let host = |host: &str, port| Some((host.to_owned(), port));
    for (target, wanted) in [
        ("mx1.example.net:25", host("mx1.example.net", Some(25))),
        ("mx1.example.net", host("mx1.example.net", None)),
        ("192.0.2.1:2525", host("192.0.2.1", Some(2525))),
        ("[2001:db8::1]:25", host("2001:db8::1", Some(25))),
        ("[2001:db8::1]", host("2001:db8::1", None)),
        ("2001:db8::1", host("2001:db8::1", None)),
        ("mx1.example.net:0", None),
        ("mx1.example.net:smtp", None),
        ("mx1.example.net:99999", None),
        ("[2001:db8::1]25", None),
        ("[2001:db8::1", None),
    ] {
        assert_eq!(split(target), wanted, "{target}");
    }
}

#[test]
fn every_module_is_found_by_its_name() {
    for (name, module) in MODULES {
        assert_eq!(Module::named(name), Some(module));
        assert_eq!(module.name(), name);
    }
    assert_eq!(Module::named("http_2xx"), None);
}

/// What is known of a target when the platform's domain is `example.test`, and a mailbox's `foreign.test`.
async fn holds(net: &FakeNet, target: (&str, u16)) -> Result<bool, String> {
    let named = Named::naming(&["example.test"], &["foreign.test"]);
    let place = match target.0.parse() {
        Ok(address) => Place::Address(address, target.1),
        Err(_) => Place::Host(target.0.to_owned(), target.1),
    };
    let module = Module::named("smtp_starttls").expect("there is one");
    let held = named.holds(&place, module, net).await;
    held.map_err(|failure| failure.line())
}

#[tokio::test(start_paused = true)]
async fn mx_hosts_are_named_with_their_domain_and_not_with_a_mailbox() {
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 mx1.example.test"])
        .records("mx1.example.test", "A", &["192.0.2.1"])
        .records("foreign.test", "MX", &["10 mx1.foreign.test"])
        .records("mx1.foreign.test", "A", &["127.0.0.1"]);
    for (target, wanted) in [
        (("mx1.example.test", 25), true),
        (("192.0.2.1", 25), true),
        (("192.0.2.1", 4444), false),
        (("mx1.foreign.test", 25), false),
        (("127.0.0.1", 25), false),
        (("192.0.2.9", 25), false),
    ] {
        assert_eq!(holds(&net, target).await, Ok(wanted), "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_knows_what_is_named_while_dns_fails() {
    let net = FakeNet::new().rcode(None, "example.test", "MX", "SERVFAIL");
    let failed = holds(&net, ("mx1.example.test", 25)).await;
    let line = failed.expect_err("it cannot be known");
    assert!(line.starts_with("dns-servfail: "), "{line}");
    let net = FakeNet::new()
        .records("example.test", "MX", &["10 mx1.example.test"])
        .rcode(None, "mx1.example.test", "A", "SERVFAIL");
    assert!(holds(&net, ("192.0.2.1", 25)).await.is_err());
    let net = FakeNet::new().rcode(None, "example.test", "MX", "NXDOMAIN");
    assert_eq!(holds(&net, ("mx1.example.test", 25)).await, Ok(false));
}
