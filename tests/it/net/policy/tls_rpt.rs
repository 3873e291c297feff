//! `tls_rpt`.

use postrider_probes::kinds::tls_rpt::TlsRpt;
use postrider_testkit::net::FakeNet;
use serde_json::json;

use super::{problems, run, told};

const NAME: &str = "_smtp._tls.example.test";

#[tokio::test]
async fn one_record_with_addresses_that_can_be_used() {
    let good = "v=TLSRPTv1; rua=mailto:tls@example.test,https://reports.test/v1";
    for (texts, expect, wanted) in [
        (vec![good], json!({}), vec![]),
        (
            vec!["something else", good],
            json!({ "reports_to": ["https://reports.test/v1", "mailto:tls@example.test"] }),
            vec![],
        ),
        (
            vec![good],
            json!({ "reports_to": ["mailto:other@example.test"] }),
            vec![
                "no reports go to mailto:other@example.test",
                "reports go to https://reports.test/v1, which is not expected",
                "reports go to mailto:tls@example.test, which is not expected",
            ],
        ),
        (
            vec![],
            json!({}),
            vec!["_smtp._tls.example.test has no TLS-RPT record"],
        ),
        (
            vec![good, good],
            json!({}),
            vec!["_smtp._tls.example.test has 2 TLS-RPT records, and senders then use none"],
        ),
        (
            vec!["v=TLSRPTv1 rua=mailto:tls@example.test"],
            json!({}),
            vec![
                "_smtp._tls.example.test has the text `v=TLSRPTv1 rua=mailto:tls@example.test`, which does not begin with `v=TLSRPTv1;`",
            ],
        ),
        (
            vec!["v=TLSRPTv1; rua="],
            json!({}),
            vec![
                "the record of _smtp._tls.example.test has `rua=` where `` has no scheme: write `mailto:` before an address",
            ],
        ),
        (
            vec!["v=TLSRPTv1; ruf=mailto:tls@example.test"],
            json!({}),
            vec!["the record of _smtp._tls.example.test has no `rua=`"],
        ),
        (
            vec!["v=TLSRPTv1; rua=http://reports.test/"],
            json!({}),
            vec![
                "the record of _smtp._tls.example.test has `rua=` where `http://reports.test/` is neither `mailto:` nor `https:`",
            ],
        ),
    ] {
        let net = FakeNet::new().records(NAME, "TXT", &texts);
        let outcome =
            run::<TlsRpt>(&net, json!({ "domain": "example.test", "expect": expect })).await;
        let wanted: Vec<String> = wanted
            .iter()
            .map(|text| format!("fail tls-rpt-mismatch: {text}"))
            .collect();
        assert_eq!(told(&outcome), wanted, "{texts:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_is_not_a_missing_record() {
    let net = FakeNet::new().rcode(None, NAME, "TXT", "REFUSED");
    assert_eq!(
        told(&run::<TlsRpt>(&net, json!({ "domain": "example.test" })).await),
        ["fail dns-servfail: 127.0.0.1 answered REFUSED for _smtp._tls.example.test TXT"]
    );
    assert_eq!(
        problems::<TlsRpt>(
            json!({ "domain": "example.test", "expect": { "reports_to": ["ftp://x"] } })
        ),
        "`ftp://x` is neither `mailto:` nor `https:`: write it as `mailto:tls-reports@example.net`"
    );
}
