//! The name server.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use super::*;
use crate::demo::platform::misbehaviour::NameFault;

fn resolver(platform: &Platform) -> TokioResolver {
    let addr = platform.dns_addr();
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut one| {
        one.port = addr.port();
        one
    });
    let server = NameServerConfig::new(addr.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.attempts = 0;
    options.timeout = Duration::from_millis(300);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .unwrap()
}

/// The answers as zone file text, sorted; or what was answered instead.
async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Vec<String> {
    match resolver.lookup(format!("{name}."), kind).await {
        Ok(found) => {
            let records = found.answers().iter();
            let mut found: Vec<String> = records.map(|record| record.data.to_string()).collect();
            found.sort();
            found
        }
        Err(error) => vec![describe(&error)],
    }
}

fn describe(error: &hickory_resolver::net::NetError) -> String {
    use hickory_resolver::net::{DnsError, NetError};
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code.to_string(),
        NetError::Dns(DnsError::ResponseCode(code)) => code.to_string(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn zones_hold_what_the_platform_has() {
    let mut setup = setup();
    let long = format!("v=DKIM1; k=rsa; p={}", "A".repeat(400));
    setup.publish_sender_txt("probe._domainkey", &long);
    setup.records.push("extra IN CNAME mx1".into());
    let platform = Platform::start(setup).await.unwrap();
    let resolver = resolver(&platform);
    let cases = [
        (
            "example.test",
            RecordType::MX,
            vec!["10 mx1.example.test.", "20 mx2.example.test."],
        ),
        (
            "mx1.example.test",
            RecordType::A,
            vec!["127.0.21.1", "127.0.22.1"],
        ),
        (
            "mx2.example.test",
            RecordType::A,
            vec!["127.0.21.2", "127.0.22.2"],
        ),
        ("imap.example.test", RecordType::A, vec!["127.0.23.1"]),
        (
            "outside.test",
            RecordType::TXT,
            vec!["v=spf1 ip4:127.0.0.0/8 ip6:::1 -all"],
        ),
        (
            "probe._domainkey.outside.test",
            RecordType::TXT,
            vec![long.as_str()],
        ),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(ask(&resolver, name, kind).await, expected, "{name} {kind}");
    }
    let has_ipv6 = platform
        .addresses()
        .iter()
        .any(|address| address.ip.is_ipv6());
    let ipv6 = ask(&resolver, "mx1.example.test", RecordType::AAAA).await;
    assert_eq!(ipv6 == ["::1"], has_ipv6, "{ipv6:?}");
    let none = ask(&resolver, "mx2.example.test", RecordType::AAAA).await;
    assert_eq!(none, [ResponseCode::NoError.to_string()]);
    assert_eq!(platform.dns_queries().get("example.test MX"), Some(&1));
}

#[tokio::test]
async fn faulty_names_are_answered_as_scripted() {
    let platform = platform().await;
    let resolver = resolver(&platform);
    let cases = [
        (NameFault::ServFail, ResponseCode::ServFail),
        (NameFault::Refused, ResponseCode::Refused),
        (NameFault::NxDomain, ResponseCode::NXDomain),
    ];
    for (fault, code) in cases {
        platform.set_name_fault("MX1.example.test", Some(fault));
        let got = ask(&resolver, "mx1.example.test", RecordType::A).await;
        assert_eq!(got, [code.to_string()], "{fault:?}");
    }
    platform.set_name_fault("mx1.example.test", Some(NameFault::Silence));
    let got = ask(&resolver, "mx1.example.test", RecordType::A).await;
    assert!(got[0].contains("timed out"), "{got:?}");
    platform.set_name_fault("mx1.example.test", None);
    let got = ask(&resolver, "mx1.example.test", RecordType::A).await;
    assert_eq!(got.len(), 2);
}

#[tokio::test]
async fn senseless_record_is_an_error_with_the_zone_in_it() {
    let mut setup = setup();
    setup.records.push("mx1 IN A not-an-address".into());
    let error = Platform::start(setup).await.unwrap_err();
    assert!(
        error.to_string().starts_with("zone example.test: "),
        "{error}"
    );
}
