//! Answers that no honest server gives: everything stays bounded, and the words stay safe.

use postrider_probes::kinds::dkim::Dkim;
use postrider_probes::kinds::dmarc::Dmarc;
use postrider_probes::kinds::spf::Spf;
use postrider_probes::kinds::tls_rpt::TlsRpt;
use postrider_probes::outcome::Outcome;
use postrider_testkit::net::FakeNet;
use serde_json::json;

use super::{run, told};

fn assert_safe(outcome: &Outcome) {
    let said = told(outcome);
    let lines = said
        .iter()
        .chain(&outcome.notes)
        .chain(&outcome.evidence.answers);
    for line in lines {
        assert!(
            line.chars().count() < 700,
            "{} characters",
            line.chars().count()
        );
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line}"
        );
    }
    assert!(said.len() <= 60 && outcome.evidence.answers.len() <= 100);
}

fn spf() -> serde_json::Value {
    json!({ "address": "192.0.2.1", "helo": "h.example.test", "sender": "a@example.test" })
}

#[tokio::test]
async fn texts_as_long_as_dns_carries_them_are_refused_in_few_words() {
    let long =
        |version: &str, piece: &str| format!("{version}{}", piece.repeat(60_000 / piece.len()));
    for piece in [
        "x",
        "a ",
        "ip4:192.0.2.1 ",
        ";",
        "a=b;",
        ",mailto:a@b.test",
        "\u{202e}",
        "\u{1b}[2J",
    ] {
        let net = FakeNet::new()
            .records("example.test", "TXT", &[&long("v=spf1 ", piece)])
            .records(
                "s._domainkey.example.test",
                "TXT",
                &[&long("v=DKIM1; p=", piece)],
            )
            .records(
                "_dmarc.example.test",
                "TXT",
                &[&long("v=DMARC1; p=none; rua=", piece)],
            )
            .records(
                "_smtp._tls.example.test",
                "TXT",
                &[&long("v=TLSRPTv1; rua=", piece)],
            );
        let domain = json!({ "domain": "example.test" });
        let outcomes = [
            run::<Spf>(&net, spf()).await,
            run::<Dkim>(&net, json!({ "domain": "example.test", "selector": "s" })).await,
            run::<Dmarc>(&net, domain.clone()).await,
            run::<TlsRpt>(&net, domain).await,
        ];
        for outcome in &outcomes {
            assert_safe(outcome);
            let told = told(outcome);
            assert!(
                told[0].contains("is longer than 16384 characters"),
                "{piece}: {told:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_thousand_records_cost_no_more_questions_than_the_limits() {
    let mail: Vec<String> = (0..1000)
        .map(|n| format!("{n} mx{n}.example.test"))
        .collect();
    let names: Vec<String> = (0..100).map(|n| format!("p{n}.example.test")).collect();
    let texts: Vec<String> = (0..1000).map(|n| format!("v=spf1 a:a{n}.test")).collect();
    let with = |net: FakeNet, name: &str, kind: &str, data: &[String]| {
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        net.records(name, kind, &data)
    };
    for (record, asked) in [("v=spf1 mx -all", 12), ("v=spf1 ptr ptr ptr -all", 34)] {
        let net = FakeNet::new().records("example.test", "TXT", &[record]);
        let net = with(net, "example.test", "MX", &mail);
        let net = with(net, "1.2.0.192.in-addr.arpa", "PTR", &names);
        let outcome = run::<Spf>(&net, spf()).await;
        assert_safe(&outcome);
        assert_eq!(
            net.questions().len(),
            asked,
            "{record}: {:?}",
            told(&outcome)
        );
    }
    let net = with(FakeNet::new(), "example.test", "TXT", &texts);
    let outcome = run::<Spf>(&net, spf()).await;
    assert_safe(&outcome);
    assert_eq!(
        told(&outcome),
        [
            "fail spf-mismatch: permerror (expected pass): example.test has 1000 SPF records, there must be one"
        ]
    );
}

#[tokio::test]
async fn names_that_are_each_other_s_alias_are_no_record() {
    let net = FakeNet::new()
        .alias("example.test", "example.test", "TXT", &[])
        .alias("_dmarc.example.test", "_dmarc.example.test", "TXT", &[]);
    let wanted = "fail spf-mismatch: none (expected pass): example.test has no SPF record";
    assert_eq!(told(&run::<Spf>(&net, spf()).await), [wanted]);
    let outcome = run::<Dmarc>(&net, json!({ "domain": "example.test" })).await;
    assert_safe(&outcome);
    assert_eq!(outcome.findings.len(), 1);
}
