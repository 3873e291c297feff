//! STARTTLS and the handshake.

use postrider::demo::platform::misbehaviour::{Answer, Misbehaviour, Point, StartTls};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

#[tokio::test]
async fn starttls_that_is_not_offered_refused_garbage_or_stalled() {
    let starttls = Misbehaviour::starttls;
    let refused = || Misbehaviour::reply(Point::StartTls, "454 4.7.0 TLS not available");
    run_each(vec![
        Fault {
            line: "tls-not-offered: TLS is required and the server does not offer STARTTLS",
            until: Phase::Ehlo,
            ..Fault::new("not-offered", starttls(StartTls::NotOffered))
        },
        Fault {
            deliver: "tls: opportunistic, expect: { arrives: { within: 10s } }",
            status: StatusWord::Pass,
            until: Phase::Transit,
            state: "delivered",
            data: 1,
            ..Fault::new("not-offered-and-not-needed", starttls(StartTls::NotOffered))
        },
        Fault {
            line: "tls-handshake: the server's bytes are not TLS: …",
            until: Phase::Starttls,
            ..Fault::new("garbage", starttls(StartTls::Garbage))
        },
        Fault {
            line: "tls-handshake: no TLS handshake within 1 s",
            until: Phase::Starttls,
            ..Fault::new("stalled", starttls(StartTls::Stalled))
        },
        Fault {
            line: "tls-handshake: 454 4.7.0 TLS not available (after STARTTLS)",
            until: Phase::Starttls,
            said: "<- 454 4.7.0 TLS not available",
            ..Fault::new("refused", refused())
        },
        Fault {
            deliver: "tls: opportunistic, expect: { arrives: { within: 10s } }",
            status: StatusWord::Degraded,
            line: "tls-handshake: 454 4.7.0 TLS not available (after STARTTLS); the mail goes in the clear",
            until: Phase::Transit,
            state: "delivered",
            data: 1,
            said: "-> MAIL FROM:",
            ..Fault::new("refused-and-not-needed", refused())
        },
        Fault {
            line: "smtp-timeout: no reply to STARTTLS within 1 s",
            until: Phase::Starttls,
            ..Fault::new(
                "silent",
                Misbehaviour::answer(Point::StartTls, Answer::Silence),
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn plain_text_injected_before_the_handshake_is_discarded_and_flagged() {
    let injected = || Misbehaviour::starttls(StartTls::InjectedPlaintext);
    let flagged = |step, deliver| Fault {
        line: "tls-injection: 49 bytes of plain text follow the STARTTLS reply: 250-injected.example.test…",
        deliver,
        until: Phase::Starttls,
        said: "*** 49 bytes of plain text before the handshake",
        ..Fault::new(step, injected())
    };
    run_each(vec![
        flagged("required", "tls: required"),
        flagged("verified", "tls: required-and-verified"),
        flagged("opportunistic", "tls: opportunistic"),
    ])
    .await;
}
