//! `dmarc`.

use postrider_probes::kinds::dmarc::Dmarc;
use postrider_testkit::net::FakeNet;
use serde_json::{Value, json};

use super::{problems, run, told};

fn net(record: &str) -> FakeNet {
    FakeNet::new().records("_dmarc.example.test", "TXT", &[record])
}

fn settings(more: Value) -> Value {
    let mut settings = json!({ "domain": "example.test" });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    settings
}

#[tokio::test]
async fn a_record_is_judged_tag_by_tag() {
    let whole = json!({
        "policy": "reject", "subdomain_policy": "quarantine", "percent_at_least": 100,
        "dkim_alignment": "strict", "spf_alignment": "relaxed", "found_at": "example.test",
        "reports_to": ["mailto:dmarc@EXAMPLE.test"],
    });
    let good = "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:dmarc@example.test";
    for (record, expect, wanted) in [
        (good, whole.clone(), vec![]),
        ("v=DMARC1; p=none", json!({}), vec![]),
        (
            "v=DMARC1; p=none; pct=20; aspf=s",
            whole,
            vec![
                "the policy is none, not reject",
                "the policy for the domains below is none, not quarantine",
                "the policy is asked for 20 of 100 mails, at least 100 are wanted",
                "the DKIM alignment is relaxed, not strict",
                "the SPF alignment is strict, not relaxed",
                "no reports go to mailto:dmarc@example.test",
            ],
        ),
        (
            "v=DMARC1; p=none; rua=mailto:old@example.test",
            json!({ "reports_to": [] }),
            vec!["reports go to mailto:old@example.test, which is not expected"],
        ),
        (
            "v=DMARC1; p=rejected; pct=101; rua=dmarc@example.test",
            json!({ "policy": "reject" }),
            vec![
                "the record of _dmarc.example.test has `p=rejected`, which means nothing",
                "the record of _dmarc.example.test has `pct=101`, which means nothing",
                "the record of _dmarc.example.test has `rua=` where `dmarc@example.test` has no scheme: write `mailto:` before an address",
                "the policy is missing, not reject",
            ],
        ),
    ] {
        let outcome = run::<Dmarc>(&net(record), settings(json!({ "expect": expect }))).await;
        let wanted: Vec<String> = wanted
            .iter()
            .map(|text| format!("fail dmarc-mismatch: {text}"))
            .collect();
        assert_eq!(told(&outcome), wanted, "{record}");
    }
    let outcome = run::<Dmarc>(
        &net("v=DMARC1; p=none"),
        settings(json!({ "prefer": { "policy": "reject" } })),
    )
    .await;
    assert_eq!(
        told(&outcome),
        ["degraded dmarc-mismatch: the policy is none, not reject"]
    );
}

#[tokio::test]
async fn no_record_and_several_records_are_both_none_and_a_broken_server_is_neither() {
    for (net, wanted) in [
        (
            FakeNet::new(),
            "fail dmarc-mismatch: none: neither _dmarc.example.test nor a name above it has a DMARC record",
        ),
        (
            FakeNet::new().records(
                "_dmarc.example.test",
                "TXT",
                &["v=DMARC1; p=none", "v=DMARC1; p=reject"],
            ),
            "fail dmarc-mismatch: none: _dmarc.example.test has 2 DMARC records, and receivers then use no one",
        ),
        (
            net("v=DMARC1 p=reject"),
            "fail dmarc-mismatch: none: _dmarc.example.test has the text `v=DMARC1 p=reject`, which does not begin with `v=DMARC1;`",
        ),
        (
            net("v=DMARC1; p=none; p=reject"),
            "fail dmarc-mismatch: permerror: the record of _dmarc.example.test has the tag `p` twice",
        ),
        (
            FakeNet::new().rcode(None, "_dmarc.example.test", "TXT", "SERVFAIL"),
            "fail dns-servfail: 127.0.0.1 answered SERVFAIL for _dmarc.example.test TXT",
        ),
    ] {
        assert_eq!(
            told(&run::<Dmarc>(&net, settings(json!({}))).await),
            [wanted]
        );
    }
}

#[tokio::test]
async fn a_domain_without_a_record_has_the_policy_of_the_one_above() {
    let net = net("v=DMARC1; p=reject; sp=none").records(
        "_dmarc.test",
        "TXT",
        &["v=DMARC1; p=reject; psd=y"],
    );
    let below = json!({ "domain": "a.b.Example.test", "expect": { "policy": "none", "found_at": "example.test" } });
    let outcome = run::<Dmarc>(&net, below).await;
    assert_eq!(told(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["none", "by example.test"]);
    let names: Vec<String> = net
        .questions()
        .into_iter()
        .map(|(_, question)| question.name)
        .collect();
    assert_eq!(
        names,
        [
            "_dmarc.a.b.example.test",
            "_dmarc.b.example.test",
            "_dmarc.example.test",
            "_dmarc.test"
        ]
    );

    let wrong = json!({ "domain": "b.example.test", "expect": { "found_at": "b.example.test" } });
    assert_eq!(
        told(&run::<Dmarc>(&net, wrong).await),
        [
            "fail dmarc-mismatch: the record of _dmarc.example.test counts, not that of _dmarc.b.example.test"
        ]
    );
}

#[tokio::test]
async fn of_the_records_above_a_domain_the_organisation_s_counts() {
    const PLAIN: &str = "v=DMARC1; p=none";
    const SUFFIX: &str = "v=DMARC1; p=none; psd=y";
    const OWN: &str = "v=DMARC1; p=none; psd=n";
    const BROKEN: &str = "v=DMARC1; p=none; p=none";
    let broken =
        "fail dmarc-mismatch: permerror: the record of _dmarc.shop.city.test has the tag `p` twice";
    for (above, wanted) in [
        // The fewest labels.
        (
            &[("shop.city.test", PLAIN), ("city.test", PLAIN)][..],
            "by city.test",
        ),
        (
            &[("b.shop.city.test", PLAIN), ("test", PLAIN)][..],
            "by test",
        ),
        // The organisation says that it is one.
        (
            &[("shop.city.test", OWN), ("city.test", PLAIN)][..],
            "by shop.city.test",
        ),
        (
            &[("b.shop.city.test", PLAIN), ("shop.city.test", OWN)][..],
            "by shop.city.test",
        ),
        // Just below a public suffix, whatever is above that.
        (
            &[
                ("b.shop.city.test", PLAIN),
                ("shop.city.test", PLAIN),
                ("city.test", SUFFIX),
                ("test", PLAIN),
            ][..],
            "by shop.city.test",
        ),
        // A public suffix speaks when nothing of the organisation does.
        (
            &[("city.test", SUFFIX), ("test", SUFFIX)][..],
            "by city.test",
        ),
        (
            &[("b.shop.city.test", PLAIN), ("city.test", SUFFIX)][..],
            "by city.test",
        ),
        // A broken record above is passed over, but not for the suffix's.
        (
            &[("shop.city.test", BROKEN), ("city.test", PLAIN)][..],
            "by city.test",
        ),
        (
            &[("shop.city.test", BROKEN), ("city.test", SUFFIX)][..],
            broken,
        ),
        (&[("shop.city.test", BROKEN)][..], broken),
        // The domain's own record, whatever it says.
        (
            &[("a.b.shop.city.test", SUFFIX), ("shop.city.test", OWN)][..],
            "own",
        ),
    ] {
        let mut net = FakeNet::new();
        for (name, record) in above {
            net = net.records(&format!("_dmarc.{name}"), "TXT", &[record]);
        }
        let outcome = run::<Dmarc>(&net, json!({ "domain": "a.b.shop.city.test" })).await;
        let said = told(&outcome).into_iter().next();
        let said = said.or_else(|| outcome.notes.get(1).cloned());
        assert_eq!(said.as_deref().unwrap_or("own"), wanted, "{above:?}");
    }
}

#[tokio::test]
async fn reports_to_strangers_need_their_consent() {
    let record = "v=DMARC1; p=none; rua=mailto:a@example.test,mailto:b@in.example.test,mailto:c@willing.org,mailto:d@stranger.org; ruf=mailto:e@broken.org";
    let net = net(record)
        .records(
            "example.test._report._dmarc.willing.org",
            "TXT",
            &["v=DMARC1"],
        )
        .records(
            "example.test._report._dmarc.stranger.org",
            "TXT",
            &["something"],
        )
        .rcode(
            None,
            "example.test._report._dmarc.broken.org",
            "TXT",
            "SERVFAIL",
        );
    assert_eq!(
        told(&run::<Dmarc>(&net, settings(json!({}))).await),
        [
            "fail dns-servfail: 127.0.0.1 answered SERVFAIL for example.test._report._dmarc.broken.org TXT",
            "fail dmarc-mismatch: reports go to stranger.org, which does not say that it takes them: example.test._report._dmarc.stranger.org has no TXT record `v=DMARC1`",
        ]
    );
    // Two names below one that has a policy are one organisation.
    let siblings = FakeNet::new()
        .records(
            "_dmarc.mail.example.test",
            "TXT",
            &["v=DMARC1; p=none; rua=mailto:a@in.example.test"],
        )
        .records("_dmarc.example.test", "TXT", &["v=DMARC1; p=none"]);
    assert_eq!(
        told(&run::<Dmarc>(&siblings, json!({ "domain": "mail.example.test" })).await),
        [""; 0]
    );
}

#[tokio::test]
async fn strangers_beyond_the_limit_are_not_passed_in_silence() {
    for (strangers, wanted) in [
        (10, &[][..]),
        (
            11,
            &[
                "degraded dmarc-mismatch: reports go to 11 other domains; only the first 10 are looked at",
            ][..],
        ),
    ] {
        let uris: Vec<String> = (10..10 + strangers)
            .map(|number| format!("mailto:a@willing{number}.org"))
            .collect();
        let mut net = net(&format!("v=DMARC1; p=none; rua={}", uris.join(",")));
        for number in 10..20 {
            let consent = format!("example.test._report._dmarc.willing{number}.org");
            net = net.records(&consent, "TXT", &["v=DMARC1"]);
        }
        assert_eq!(told(&run::<Dmarc>(&net, settings(json!({}))).await), wanted);
        assert_eq!(net.questions().len(), 11);
    }
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (settings(json!({})), ""),
        (
            json!({ "domain": "a..b" }),
            "`a..b` is no domain name: each part between dots has 1 to 63 characters",
        ),
        (
            settings(json!({ "expect": { "reports_to": ["dmarc@example.test"] } })),
            "`dmarc@example.test` has no scheme: write `mailto:` before an address: write it as `mailto:dmarc@example.net`",
        ),
        (
            settings(json!({ "expect": { "policy": "block" } })),
            "unknown variant `block`, expected one of `none`, `quarantine`, `reject`",
        ),
    ] {
        assert_eq!(problems::<Dmarc>(settings), wanted);
    }
}
