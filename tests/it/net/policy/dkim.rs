//! `dkim`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_probes::account::{DkimKey, SecretSource, Sender};
use postrider_probes::kinds::dkim::Dkim;
use postrider_testkit::net::FakeNet;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::{problems, run, run_as, told};

const NAME: &str = "sel._domainkey.example.test";
/// 32 bytes.
const ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// An RSAPublicKey with a modulus of so many bits.
fn rsa(bits: usize) -> String {
    let der = |tag: u8, content: &[u8]| {
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    };
    let mut modulus = vec![0, 0x80];
    modulus.resize(bits / 8 + 1, 0x55);
    let mut inside = der(0x02, &modulus);
    inside.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    STANDARD.encode(der(0x30, &inside))
}

fn settings(more: Value) -> Value {
    let mut settings = json!({ "domain": "example.test", "selector": "sel" });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    settings
}

#[tokio::test]
async fn a_key_is_judged_by_what_receivers_do_with_it() {
    let plain = json!({});
    for (record, more, wanted) in [
        (ED25519.to_owned(), plain.clone(), None),
        (format!("v=DKIM1; p={}", rsa(2048)), plain.clone(), None),
        (
            format!("p={}", rsa(4096)),
            json!({ "expect": { "key_type": "rsa", "bits_at_least": 4096 } }),
            None,
        ),
        (
            ED25519.to_owned(),
            json!({ "expect": { "bits_at_least": 2048 } }),
            None,
        ),
        (
            format!("v=DKIM1; p={}", rsa(1024)),
            plain.clone(),
            Some(
                "degraded dkim-mismatch: the RSA key of NAME has 1024 bits, at least 2048 are wanted",
            ),
        ),
        (
            format!("v=DKIM1; p={}", rsa(1024)),
            json!({ "expect": { "bits_at_least": 1024 } }),
            None,
        ),
        (
            format!("v=DKIM1; p={}", rsa(1024)),
            json!({ "expect": { "bits_at_least": 2048 } }),
            Some("fail dkim-mismatch: the RSA key of NAME has 1024 bits, at least 2048 are wanted"),
        ),
        (
            format!("v=DKIM1; p={}", rsa(512)),
            plain.clone(),
            Some(
                "fail dkim-mismatch: the RSA key of NAME has 512 bits; receivers take none below 1024",
            ),
        ),
        (
            format!("{ED25519}; t=y"),
            plain.clone(),
            Some(
                "degraded dkim-mismatch: the record of NAME has `t=y`: the domain tests DKIM, and receivers treat its mail as unsigned",
            ),
        ),
        (
            format!("{ED25519}; t=y:s"),
            json!({ "expect": { "testing": true } }),
            None,
        ),
        (
            ED25519.to_owned(),
            json!({ "expect": { "testing": true } }),
            Some("fail dkim-mismatch: the record of NAME has no `t=y`"),
        ),
        (
            "v=DKIM1; p=".to_owned(),
            plain.clone(),
            Some("fail dkim-mismatch: key revoked: the record of NAME has an empty `p=`"),
        ),
        (
            ED25519.replace("p=11", "p=1"),
            plain.clone(),
            Some(
                "fail dkim-mismatch: key syntax error: the record of NAME has a `p=` that is not base64: `1qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=`",
            ),
        ),
        (
            ED25519.replace("k=ed25519; ", ""),
            plain.clone(),
            Some(
                "fail dkim-mismatch: key syntax error: the record of NAME has a `p=` that is no RSA key",
            ),
        ),
        (
            "v=DKIM1; k=rsa".to_owned(),
            plain.clone(),
            Some("fail dkim-mismatch: key syntax error: the record of NAME has no `p=`"),
        ),
        (
            format!("{ED25519}; h=sha1"),
            plain.clone(),
            Some(
                "fail dkim-mismatch: inappropriate hash algorithm: the record of NAME has `h=` without sha256, the only one that signers may use",
            ),
        ),
        (
            format!("{ED25519}; s=other"),
            plain.clone(),
            Some(
                "fail dkim-mismatch: the record of NAME has `s=` without `email` or `*`: the key is not for mail",
            ),
        ),
        (
            ED25519.to_owned(),
            json!({ "expect": { "key_type": "rsa" } }),
            Some("fail dkim-mismatch: the key of NAME is ed25519, not rsa"),
        ),
    ] {
        let net = FakeNet::new().records(NAME, "TXT", &[&record]);
        let outcome = run::<Dkim>(&net, settings(more)).await;
        let wanted: Vec<String> = wanted
            .into_iter()
            .map(|text| text.replace("NAME", NAME))
            .collect();
        assert_eq!(told(&outcome), wanted, "{record}");
    }
}

#[tokio::test]
async fn no_key_several_keys_and_no_answer_are_three_things() {
    let unknown = FakeNet::new();
    assert_eq!(
        told(&run::<Dkim>(&unknown, settings(json!({}))).await),
        [format!(
            "fail dkim-mismatch: no key for signature: {NAME} has no TXT record"
        )]
    );
    let two = FakeNet::new().records(NAME, "TXT", &[ED25519, "v=DKIM1; p="]);
    assert_eq!(
        told(&run::<Dkim>(&two, settings(json!({}))).await),
        [format!(
            "fail dkim-mismatch: {NAME} has 2 TXT records, there must be one"
        )]
    );
    let broken = FakeNet::new().rcode(None, NAME, "TXT", "SERVFAIL");
    assert_eq!(
        told(&run::<Dkim>(&broken, settings(json!({}))).await),
        [format!(
            "fail dns-servfail: 127.0.0.1 answered SERVFAIL for {NAME} TXT"
        )]
    );
}

#[tokio::test]
async fn an_alias_leads_to_the_provider_s_key() {
    let net = FakeNet::new().alias(NAME, "sel.provider.test", "TXT", &[ED25519]);
    let outcome = run::<Dkim>(&net, settings(json!({}))).await;
    assert_eq!(told(&outcome), [""; 0]);
    assert_eq!(outcome.notes, ["Ed25519"]);
}

fn sender(directory: &std::path::Path, name: &str, key: &KeyPair) -> Sender {
    let file = directory.join(format!("{name}.pem"));
    std::fs::write(&file, key.serialize_pem()).unwrap();
    Sender {
        name: name.to_owned(),
        address: "probe@example.test".parse().unwrap(),
        helo: "probe.example.test".parse().unwrap(),
        contact: "postmaster@example.test".to_owned(),
        dkim: Some(DkimKey {
            selector: "sel".to_owned(),
            domain: "example.test".to_owned(),
            key: SecretSource::File(file),
        }),
        bounces_to: None,
    }
}

#[tokio::test]
async fn the_record_must_belong_to_the_sender_s_private_key() {
    let directory = tempfile::tempdir().unwrap();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut unsigned = sender(directory.path(), "unsigned", &ed25519);
    unsigned.dkim = None;
    let senders = BTreeMap::from([
        ("ed".to_owned(), sender(directory.path(), "ed", &ed25519)),
        ("rsa".to_owned(), sender(directory.path(), "rsa", &rsa)),
        ("unsigned".to_owned(), unsigned),
    ]);
    let in_ed25519 = format!(
        "v=DKIM1; k=ed25519; p={}",
        STANDARD.encode(ed25519.public_key_raw())
    );
    let in_rsa: String = rsa
        .public_key_pem()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let in_rsa = format!("v=DKIM1; k=rsa; p={in_rsa}");
    for (name, record, wanted) in [
        ("ed", &in_ed25519, None),
        ("rsa", &in_rsa, None),
        (
            "ed",
            &in_rsa,
            Some(
                "fail dkim-mismatch: the key of NAME does not belong to the private key of the sender `ed`",
            ),
        ),
        (
            "unsigned",
            &in_ed25519,
            Some("error secret-missing: the sender `unsigned` has no `dkim` in the main file"),
        ),
    ] {
        let net = FakeNet::new().records(NAME, "TXT", &[record]);
        let outcome = run_as::<Dkim>(&net, json!({ "sender": name }), &senders).await;
        let wanted: Vec<String> = wanted
            .into_iter()
            .map(|text| text.replace("NAME", NAME))
            .collect();
        assert_eq!(told(&outcome), wanted, "{name}");
    }
}

#[test]
fn a_mistake_in_the_settings_is_one_message() {
    for (settings, wanted) in [
        (settings(json!({})), ""),
        (
            json!({ "domain": "example.test" }),
            "`dkim` does not say whose key is meant: write `domain` and `selector`, or name a `sender` that signs",
        ),
        (
            json!({ "sender": "nobody" }),
            "no sender is called `nobody`: no sender is defined at all",
        ),
        (
            settings(json!({ "selector": "a b" })),
            "`a b` is no domain name: it holds something other than visible ASCII characters",
        ),
        (
            settings(json!({ "expect": { "key_type": "dsa" } })),
            "unknown variant `dsa`, expected `rsa` or `ed25519`",
        ),
    ] {
        assert_eq!(problems::<Dkim>(settings), wanted);
    }
}
