//! A server that says more than it was asked: nothing of that may pass for the reply to what comes next.

use postrider::demo::platform::misbehaviour::{Delivery, Misbehaviour, Point};
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

fn ahead(step: &'static str, at: Point, replies: &str) -> Fault {
    Fault::new(step, Misbehaviour::reply(at, replies))
}

#[tokio::test]
async fn a_reply_ahead_of_its_command_ends_the_dialogue() {
    run_each(vec![
        Fault {
            line: "smtp-unexpected-reply: 250 mx1.example.test (unasked, before EHLO)",
            until: Phase::Ehlo,
            said: "<- 220 mx1.example.test ESMTP",
            ..ahead(
                "banner",
                Point::Banner,
                "220 mx1.example.test ESMTP\r\n250 mx1.example.test",
            )
        },
        Fault {
            line: "smtp-unexpected-reply: 220 Go on (unasked, before STARTTLS)",
            until: Phase::Starttls,
            ..ahead(
                "ehlo",
                Point::Ehlo,
                "250-mx1.example.test\r\n250 STARTTLS\r\n220 Go on",
            )
        },
        Fault {
            line: "smtp-unexpected-reply: 250 2.1.5 Ok (unasked, before RCPT)",
            until: Phase::Rcpt,
            ..ahead("mail", Point::Mail, "250 2.1.0 Ok\r\n250 2.1.5 Ok")
        },
        Fault {
            line: "smtp-unexpected-reply: 354 Go on\\r\\n250 2.0.0 Queued (unasked, before DATA)",
            ..ahead(
                "rcpt",
                Point::Rcpt,
                "250 2.1.5 Ok\r\n354 Go on\r\n250 2.0.0 Queued",
            )
        },
        Fault {
            // Nothing of the message was written yet, whatever the server claims to have.
            line: "smtp-unexpected-reply: 250 2.0.0 Queued (unasked, before the final dot)",
            data: 1,
            ..ahead("data", Point::Data, "354 Go on\r\n250 2.0.0 Queued")
        },
        Fault {
            line: "smtp-4xx: 421 4.3.2 Shutting down (after RCPT TO)",
            until: Phase::Rcpt,
            state: "deferred",
            ..ahead(
                "farewell",
                Point::Mail,
                "250 2.1.0 Ok\r\n421 4.3.2 Shutting down",
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn of_two_replies_to_the_final_dot_neither_counts() {
    let row = |step, replies, line| Fault {
        line,
        state: "uncertain",
        data: 1,
        ..ahead(step, Point::Dot, replies)
    };
    run_each(vec![
        Fault {
            server: Misbehaviour {
                delivery: Delivery::Lost,
                ..Misbehaviour::reply(Point::Dot, "250 2.0.0 Queued\r\n554 5.7.1 No")
            },
            ..row(
                "taken-and-refused",
                "",
                "smtp-unexpected-reply: 250 2.0.0 Queued, and then 554 5.7.1 No (after the final dot): nobody knows whether the mail was taken; it is not sent again",
            )
        },
        row(
            "refused-and-taken",
            "554 5.7.1 No\r\n250 2.0.0 Queued",
            "smtp-unexpected-reply: 554 5.7.1 No, and then 250 2.0.0 Queued (after the final dot): …",
        ),
        Fault {
            // It goes, and has said before what it had to say.
            state: "refused",
            ..row(
                "refused-and-gone",
                "554 5.7.1 No\r\n421 4.7.0 Bye",
                "smtp-5xx: 554 5.7.1 No (after the final dot)",
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_message_is_the_reply_and_nothing_was_sent() {
    let row = |step, at, replies, line, state| Fault {
        line,
        state,
        data: 1,
        ..ahead(step, at, replies)
    };
    // More than the kernel's buffers take, so that the final dot cannot be written before the server has gone.
    let large = |row| Fault {
        deliver: "size: 6MiB",
        within: 20.0,
        ..row
    };
    run_each(vec![
        large(row(
            "for-good",
            Point::Content,
            "552 5.3.4 Too large",
            "smtp-5xx: 552 5.3.4 Too large (during DATA)",
            "refused",
        )),
        large(row(
            "for-now",
            Point::Content,
            "452 4.3.1 No room",
            "smtp-4xx: 452 4.3.1 No room (during DATA)",
            "deferred",
        )),
    ])
    .await;
    run_each(vec![row(
        "at-once",
        Point::Data,
        "354 Go on\r\n554 5.7.1 Better not",
        "smtp-5xx: 554 5.7.1 Better not (during DATA)",
        "refused",
    )])
    .await;
}
