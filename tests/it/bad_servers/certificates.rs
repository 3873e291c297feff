//! Certificates, under each policy.

use postrider::demo::platform::misbehaviour::{CertificateKind, Misbehaviour};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;

use crate::support::{Fault, Lab, judge, line, run_each};

/// The mail goes on: test mail holds no secret, and the fault is told.
fn told(step: &'static str, kind: CertificateKind, line: &'static str) -> Fault {
    Fault {
        deliver: "tls: required, expect: { certificate: { matches: mx-name }, arrives: { within: 10s } }",
        line,
        until: Phase::Transit,
        state: "delivered",
        data: 1,
        said: "*** certificate: ",
        ..Fault::new(step, Misbehaviour::certificate(kind))
    }
}

/// Nothing is sent over it.
fn enforced(step: &'static str, kind: CertificateKind, line: &'static str) -> Fault {
    Fault {
        deliver: "tls: required-and-verified",
        line,
        until: Phase::Starttls,
        ..Fault::new(step, Misbehaviour::certificate(kind))
    }
}

fn other_name() -> CertificateKind {
    CertificateKind::OtherName("mx-old.example.test".into())
}

#[tokio::test]
async fn a_bad_certificate_is_told_when_it_is_expected_to_be_good() {
    run_each(vec![
        told(
            "other-name",
            other_name(),
            "tls-certificate: the certificate is for mx-old.example.test, not for mx2.example.test",
        ),
        told(
            "expired",
            CertificateKind::Expired,
            "tls-certificate: the certificate expired on …",
        ),
        told(
            "self-signed",
            CertificateKind::SelfSigned,
            "tls-certificate: the certificate is self-signed",
        ),
        Fault {
            deliver: "expect: { certificate: { valid_for: 14d }, arrives: { within: 10s } }",
            said: "",
            ..told(
                "ends-soon",
                CertificateKind::ExpiresInDays(3),
                "tls-certificate: the certificate is valid for …",
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn a_bad_certificate_ends_a_verified_dialogue_before_anything_is_sent() {
    run_each(vec![
        enforced(
            "other-name",
            other_name(),
            "tls-certificate: the certificate of mx2.example.test is for mx-old.example.test, not for mx2.example.test",
        ),
        enforced(
            "expired",
            CertificateKind::Expired,
            "tls-certificate: the certificate of mx1.example.test expired on …",
        ),
        enforced(
            "self-signed",
            CertificateKind::SelfSigned,
            "tls-certificate: the certificate of mx2.example.test is self-signed",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_bad_certificate_does_not_keep_an_opportunistic_sender_from_sending() {
    let sent = |step, kind| Fault {
        deliver: "tls: opportunistic, expect: { arrives: { within: 10s } }",
        status: StatusWord::Pass,
        ..told(step, kind, "")
    };
    run_each(vec![
        sent("other-name", other_name()),
        sent("expired", CertificateKind::Expired),
        sent("self-signed", CertificateKind::SelfSigned),
    ])
    .await;
}

#[tokio::test]
async fn another_trust_than_the_platforms_is_heeded() {
    const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let pinned: &'static str = Box::leak(
        format!("tls: required-and-verified, trust: {{ pin: \"{NOBODY}\" }}").into_boxed_str(),
    );
    run_each(vec![
        Fault {
            deliver: pinned,
            ..enforced(
                "another-pin",
                CertificateKind::Valid,
                "tls-certificate: the certificate of mx2.example.test has the SHA-256 fingerprint …",
            )
        },
        Fault {
            // The system's authorities do not know the laboratory's.
            deliver: "tls: required-and-verified, trust: {}",
            ..enforced(
                "no-authority",
                CertificateKind::Valid,
                "tls-certificate: the certificate of mx1.example.test its issuer …",
            )
        },
        Fault {
            deliver: "tls: required-and-verified, trust: { insecure: true }, expect: { arrives: { within: 10s } }",
            status: StatusWord::Pass,
            ..told("insecure", CertificateKind::SelfSigned, "")
        },
    ])
    .await;
}

#[tokio::test]
async fn the_right_pin_is_enough_and_insecure_is_said_in_every_result() {
    let lab = Lab::with_server(Misbehaviour::certificate(CertificateKind::SelfSigned)).await;
    let [first, second, ..] = Lab::addresses();
    let step = |id, address, trust: &str| {
        let keys = format!("tls: required-and-verified, trust: {{ {trust} }}, stop_after: rcpt");
        Lab::deliver(id, address, &keys)
    };
    let steps = [
        step("ca", second, "ca_file: ca.pem"),
        step("insecure", first, "insecure: true"),
        step("untrusted", first, "ca_file: ca.pem"),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(line(&ran.check("ca")), "");
    let untrusted = ran.check("untrusted");
    assert_eq!(
        line(&untrusted),
        "tls-certificate: the certificate of mx1.example.test is self-signed"
    );
    let insecure = ran.check("insecure");
    assert_eq!(line(&insecure), "");
    assert!(
        insecure
            .notes
            .contains(&"insecure: certificate not checked".to_owned()),
        "{insecure:#?}"
    );
    let tls = insecure.evidence.unwrap().tls.unwrap();
    assert!(tls.insecure);

    let pin = format!("pin: \"{}\"", tls.fingerprint);
    let ran = lab.run(&step("pinned", first, &pin)).end().await;
    judge(&lab, &ran).await;
    let pinned = ran.check("pinned");
    assert_eq!(
        (line(&pinned), pinned.notes),
        (String::new(), vec!["250".to_owned()])
    );
}
