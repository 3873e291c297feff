//! From EHLO to DATA.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

#[tokio::test]
async fn refusals_at_each_command_quote_the_server() {
    let refuse = Misbehaviour::reply;
    run_each(vec![
        Fault {
            line: "greeting-rejected: 550 5.7.1 Who are you (after EHLO)",
            until: Phase::Ehlo,
            said: "<- 550 5.7.1",
            ..Fault::new("ehlo-5xx", refuse(Point::Ehlo, "550 5.7.1 Who are you"))
        },
        Fault {
            line: "greeting-rejected: 451 4.3.0 Later (after EHLO)",
            until: Phase::Ehlo,
            ..Fault::new("ehlo-4xx", refuse(Point::Ehlo, "451 4.3.0 Later"))
        },
        Fault {
            line: "smtp-4xx: 451 4.7.1 Greylisted (after MAIL FROM)",
            until: Phase::Mail,
            state: "deferred",
            said: "<~ 451 4.7.1 Greylisted",
            ..Fault::new("mail-4xx", refuse(Point::Mail, "451 4.7.1 Greylisted"))
        },
        Fault {
            line: "smtp-5xx: 553 5.1.8 Bad sender (after MAIL FROM)",
            until: Phase::Mail,
            state: "refused",
            ..Fault::new("mail-5xx", refuse(Point::Mail, "553 5.1.8 Bad sender"))
        },
        Fault {
            line: "smtp-4xx: 450 4.2.1 Mailbox busy (after RCPT TO)",
            until: Phase::Rcpt,
            state: "deferred",
            ..Fault::new("rcpt-4xx", refuse(Point::Rcpt, "450 4.2.1 Mailbox busy"))
        },
        Fault {
            line: "smtp-5xx: 550 5.7.1 Relay access denied (after RCPT TO)",
            until: Phase::Rcpt,
            state: "refused",
            said: "<~ 550 5.7.1 Relay access denied",
            ..Fault::new(
                "rcpt-5xx",
                refuse(Point::Rcpt, "550 5.7.1 Relay access denied"),
            )
        },
        Fault {
            line: "smtp-4xx: 451 4.3.1 No room (after DATA)",
            state: "deferred",
            data: 1,
            ..Fault::new("data-4xx", refuse(Point::Data, "451 4.3.1 No room"))
        },
        Fault {
            line: "smtp-5xx: 554 5.5.1 No valid recipients (after DATA)",
            state: "refused",
            data: 1,
            ..Fault::new(
                "data-5xx",
                refuse(Point::Data, "554 5.5.1 No valid recipients"),
            )
        },
        Fault {
            // Nothing was sent, so this is no success, whatever the digit says.
            line: "smtp-unexpected-reply: 250 2.0.0 Fine (after DATA)",
            data: 1,
            ..Fault::new("data-2xx", refuse(Point::Data, "250 2.0.0 Fine"))
        },
    ])
    .await;
}

#[tokio::test]
async fn ehlo_that_is_unknown_falls_back_to_helo_and_then_there_is_no_tls() {
    let no_ehlo = || Misbehaviour::reply(Point::Ehlo, "502 5.5.1 Not implemented");
    let mut neither = no_ehlo();
    neither
        .answers
        .push((Point::Helo, Answer::Reply("504 5.5.1 Nor that".into())));
    run_each(vec![
        Fault {
            line: "tls-not-offered: TLS is required and the server does not offer STARTTLS",
            until: Phase::Ehlo,
            said: "-> HELO probe.outside.test",
            ..Fault::new("tls-required", no_ehlo())
        },
        Fault {
            deliver: "tls: opportunistic, expect: { arrives: { within: 10s } }",
            status: StatusWord::Pass,
            until: Phase::Transit,
            state: "delivered",
            data: 1,
            ..Fault::new("tls-optional", no_ehlo())
        },
        Fault {
            line: "greeting-rejected: 504 5.5.1 Nor that (after EHLO)",
            until: Phase::Ehlo,
            ..Fault::new("neither", neither)
        },
    ])
    .await;
}

#[tokio::test]
async fn silence_and_a_cut_at_each_command() {
    let at = |point, answer| Misbehaviour::answer(point, answer);
    run_each(vec![
        Fault {
            line: "smtp-timeout: no reply to EHLO within 1 s",
            until: Phase::Ehlo,
            ..Fault::new("ehlo-silent", at(Point::Ehlo, Answer::Silence))
        },
        Fault {
            line: "smtp-timeout: no reply to MAIL within 1 s",
            until: Phase::Mail,
            ..Fault::new("mail-silent", at(Point::Mail, Answer::Silence))
        },
        Fault {
            line: "smtp-timeout: no reply to RCPT within 300 ms",
            until: Phase::Rcpt,
            deliver: "tls: required, timeouts: { command: 300ms }",
            ..Fault::new(
                "rcpt-late",
                at(Point::Rcpt, Answer::Late(Duration::from_secs(5))),
            )
        },
        Fault {
            line: "connect-reset: the server closed the connection (after MAIL)",
            until: Phase::Mail,
            ..Fault::new("mail-closed", at(Point::Mail, Answer::Close))
        },
        Fault {
            line: "connect-reset: the server reset the connection (after RCPT)",
            until: Phase::Rcpt,
            ..Fault::new("rcpt-reset", at(Point::Rcpt, Answer::Reset))
        },
        Fault {
            // Half a line is no reply.
            line: "connect-reset: the server closed the connection (after DATA)",
            data: 1,
            ..Fault::new("data-truncated", at(Point::Data, Answer::Truncated))
        },
    ])
    .await;
}

#[tokio::test]
async fn banner_that_is_slow_but_in_time_is_waited_for() {
    let slow = Misbehaviour::answer(Point::Banner, Answer::Late(Duration::from_millis(400)));
    run_each(vec![
        Fault {
            status: StatusWord::Pass,
            deliver: "tls: required, expect: { arrives: { within: 10s } }, timeouts: { banner: 10s }",
            until: Phase::Transit,
            state: "delivered",
            data: 1,
            ..Fault::new("in-time", slow.clone())
        },
        Fault {
            status: StatusWord::Degraded,
            line: "slow: accepted after …",
            deliver: "expect: { accepted: { warn_after: 300ms }, arrives: { within: 10s } }, timeouts: { banner: 10s }",
            until: Phase::Transit,
            state: "delivered",
            data: 1,
            ..Fault::new("warned-of", slow)
        },
    ])
    .await;
}
