//! What a target is.

use super::modules::{MODULES, Module, split};

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
