//! Replies without end, and replies that come a byte at a time. The platform sends up to 64 MiB; `judge` limits the
//! memory of the program to as much, itself included.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Misbehaviour, Point};
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

#[tokio::test]
async fn replies_without_end_are_cut_off() {
    let row = |step, point, answer, line| Fault {
        line,
        ..Fault::new(step, Misbehaviour::answer(point, answer))
    };
    run_each(vec![
        Fault {
            until: Phase::Banner,
            ..row(
                "banner-line",
                Point::Banner,
                Answer::OversizedLine,
                "smtp-unexpected-reply: …",
            )
        },
        Fault {
            until: Phase::Ehlo,
            ..row(
                "ehlo-lines",
                Point::Ehlo,
                Answer::EndlessLines,
                "smtp-unexpected-reply: …",
            )
        },
        Fault {
            until: Phase::Rcpt,
            ..row(
                "rcpt-lines",
                Point::Rcpt,
                Answer::EndlessLines,
                "smtp-unexpected-reply: …",
            )
        },
        Fault {
            state: "uncertain",
            data: 1,
            ..row(
                "dot-lines",
                Point::Dot,
                Answer::EndlessLines,
                "smtp-unexpected-reply: …",
            )
        },
        Fault {
            state: "uncertain",
            data: 1,
            ..row(
                "dot-line",
                Point::Dot,
                Answer::OversizedLine,
                "smtp-unexpected-reply: …",
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_extend_a_deadline() {
    let trickle = |millis| Misbehaviour {
        trickle: Some(Duration::from_millis(millis)),
        ..Misbehaviour::default()
    };
    run_each(vec![
        Fault {
            line: "banner-timeout: connected, but no greeting within 1 s",
            until: Phase::Banner,
            ..Fault::new("banner", trickle(200))
        },
        Fault {
            // The greeting has some 30 bytes and the reply to EHLO more than 100.
            line: "smtp-timeout: no reply to EHLO within 300 ms",
            until: Phase::Ehlo,
            deliver: "timeouts: { command: 300ms }",
            ..Fault::new("ehlo", trickle(10))
        },
    ])
    .await;
}
