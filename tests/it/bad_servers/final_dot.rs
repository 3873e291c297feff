//! Around the final dot, where a mail can be lost or doubled. A mail that may have been taken is never sent again.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

const UNKNOWN: &str = ": nobody knows whether the mail was taken; it is not sent again";

fn unknown(what: &str) -> &'static str {
    Box::leak(format!("{what}{UNKNOWN}").into_boxed_str())
}

#[tokio::test]
async fn refusals_of_the_message_are_final() {
    let refuse = |text| Misbehaviour::reply(Point::Dot, text);
    run_each(vec![
        Fault {
            line: "smtp-4xx: 452 4.3.1 Insufficient system storage (after the final dot)",
            state: "deferred",
            data: 1,
            ..Fault::new("dot-4xx", refuse("452 4.3.1 Insufficient system storage"))
        },
        Fault {
            line: "smtp-5xx: 554 5.7.1 Looks like spam (after the final dot)",
            state: "refused",
            data: 1,
            said: "<~ 554 5.7.1 Looks like spam",
            ..Fault::new("dot-5xx", refuse("554 5.7.1 Looks like spam"))
        },
        Fault {
            // 354 is an invitation and no success.
            line: unknown("smtp-unexpected-reply: 354 Go on (after the final dot)"),
            state: "uncertain",
            data: 1,
            ..Fault::new("dot-3xx", refuse("354 Go on"))
        },
    ])
    .await;
}

#[tokio::test]
async fn a_cut_before_the_final_dot_is_known_to_have_sent_nothing() {
    let cut = |answer| Misbehaviour::answer(Point::Content, answer);
    let row = |step, answer| Fault {
        // A write into a connection that is being cut fails in one way or the other.
        line: "connect-reset: the server …",
        // More than the kernel's buffers take, so that the final dot cannot be written before the cut.
        deliver: "size: 6MiB",
        // Writing and signing six megabytes takes seconds in a build that is not optimised.
        within: 20.0,
        data: 1,
        ..Fault::new(step, cut(answer))
    };
    run_each(vec![
        row("closed", Answer::Close),
        row("reset", Answer::Reset),
    ])
    .await;
}

#[tokio::test]
async fn a_reply_that_never_comes_leaves_the_mail_uncertain_and_sent_once() {
    let dot = |answer| Misbehaviour::answer(Point::Dot, answer);
    let row = |step, answer, line| Fault {
        line,
        state: "uncertain",
        data: 1,
        ..Fault::new(step, dot(answer))
    };
    run_each(vec![
        row(
            "silent",
            Answer::Silence,
            unknown("smtp-timeout: no reply to the final dot within 1 s"),
        ),
        Fault {
            deliver: "timeouts: { final_reply: 300ms }",
            ..row(
                "late",
                Answer::Late(Duration::from_secs(5)),
                unknown("smtp-timeout: no reply to the final dot within 300 ms"),
            )
        },
        row(
            "closed",
            Answer::Close,
            unknown("connect-reset: the server closed the connection (after the final dot)"),
        ),
        row(
            "reset",
            Answer::Reset,
            unknown("connect-reset: the server reset the connection (after the final dot)"),
        ),
        row(
            "truncated",
            Answer::Truncated,
            unknown("connect-reset: the server closed the connection (after the final dot)"),
        ),
        row(
            "garbage",
            Answer::Garbage,
            "smtp-unexpected-reply: not an SMTP reply: …",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_mail_that_turns_up_without_a_final_reply_was_delivered() {
    let row = |step, answer, line| Fault {
        line,
        deliver: "timeouts: { final_reply: 500ms }, expect: { arrives: { within: 10s } }",
        state: "delivered",
        data: 1,
        ..Fault::new(step, Misbehaviour::answer(Point::Dot, answer).and_deliver())
    };
    run_each(vec![
        row(
            "silent",
            Answer::Silence,
            unknown("smtp-timeout: no reply to the final dot within 500 ms"),
        ),
        row(
            "closed",
            Answer::Close,
            unknown("connect-reset: the server closed the connection (after the final dot)"),
        ),
        Fault {
            status: StatusWord::Fail,
            ..row(
                "not-smtp",
                Answer::Garbage,
                "smtp-unexpected-reply: not an SMTP reply: …",
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn an_uncertain_mail_that_does_not_turn_up_stays_uncertain() {
    run_each(vec![Fault {
        line: unknown("connect-reset: the server closed the connection (after the final dot)"),
        deliver: "expect: { arrives: { within: 300ms } }",
        until: Phase::Transit,
        state: "uncertain",
        data: 1,
        within: 6.0,
        ..Fault::new("closed", Misbehaviour::answer(Point::Dot, Answer::Close))
    }])
    .await;
}
