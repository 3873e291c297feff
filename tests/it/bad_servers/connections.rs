//! Until the greeting.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Connection, Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;

use crate::support::{Fault, run_each};

#[tokio::test]
async fn connections_that_are_refused_filtered_or_reset() {
    let connection = |connection| Misbehaviour {
        connection,
        ..Misbehaviour::default()
    };
    run_each(vec![
        Fault {
            line: "connect-refused: {address} port {port} refused the connection",
            until: Phase::Connect,
            ..Fault::new("refused", connection(Connection::Refuse))
        },
        Fault {
            line: "connect-timeout: no answer on port {port} within 1 s",
            until: Phase::Connect,
            ..Fault::new("filtered", connection(Connection::Filter))
        },
        Fault {
            line: "connect-reset: the server reset the connection before the greeting",
            until: Phase::Banner,
            ..Fault::new("reset", connection(Connection::Reset))
        },
    ])
    .await;
}

#[tokio::test]
async fn greetings_that_are_missing_slow_or_a_refusal() {
    let banner = |answer| Misbehaviour::answer(Point::Banner, answer);
    let reply = |text| Misbehaviour::reply(Point::Banner, text);
    run_each(vec![
        Fault {
            line: "banner-timeout: connected, but no greeting within 1 s",
            until: Phase::Banner,
            ..Fault::new("silent", banner(Answer::Silence))
        },
        Fault {
            line: "banner-timeout: connected, but no greeting within 300 ms",
            until: Phase::Banner,
            deliver: "tls: required, timeouts: { banner: 300ms }",
            within: 2.0,
            ..Fault::new("too-slow", banner(Answer::Late(Duration::from_secs(5))))
        },
        Fault {
            line: "greeting-rejected: 554 5.3.2 No service for you (as greeting)",
            until: Phase::Banner,
            said: "<- 554 5.3.2 No service for you",
            ..Fault::new("refusal", reply("554 5.3.2 No service for you"))
        },
        Fault {
            line: "greeting-rejected: 421 4.3.2 Try again later (as greeting)",
            until: Phase::Banner,
            said: "<- 421 4.3.2",
            ..Fault::new("not-now", reply("421 4.3.2 Try again later"))
        },
        Fault {
            line: "connect-reset: the server closed the connection before the greeting",
            until: Phase::Banner,
            ..Fault::new("closed", banner(Answer::Close))
        },
        Fault {
            line: "smtp-unexpected-reply: not an SMTP reply: …",
            until: Phase::Banner,
            ..Fault::new("garbage", banner(Answer::Garbage))
        },
    ])
    .await;
}

#[tokio::test]
async fn a_refusal_of_the_session_can_be_what_is_expected() {
    let refusing = || Misbehaviour::reply(Point::Banner, "554 5.3.2 Not here");
    let row = |step, server, deliver, until, line| Fault {
        deliver,
        status: match line {
            "" => StatusWord::Pass,
            _ => StatusWord::Fail,
        },
        until,
        line,
        state: "",
        ..Fault::new(step, server)
    };
    run_each(vec![
        row(
            "greeting",
            refusing(),
            "stop_after: banner, expect: { reply: 554, enhanced_status: 5.3.2 }",
            Phase::Banner,
            "",
        ),
        row(
            "ehlo",
            Misbehaviour::reply(Point::Ehlo, "550 5.7.1 Who are you"),
            "stop_after: ehlo, expect: { reply: 5xx }",
            Phase::Ehlo,
            "",
        ),
        row(
            "not-expected",
            refusing(),
            "stop_after: banner",
            Phase::Banner,
            "greeting-rejected: 554 5.3.2 Not here (as greeting)",
        ),
        row(
            "another-one-expected",
            refusing(),
            "stop_after: banner, expect: { reply: 421 }",
            Phase::Banner,
            "smtp-5xx: 554 5.3.2 Not here (as greeting), expected 421",
        ),
        row(
            "too-early",
            // That a recipient is refused is not shown by a server that talks to nobody.
            refusing(),
            "stop_after: rcpt, expect: { reply: 5xx }",
            Phase::Banner,
            "greeting-rejected: 554 5.3.2 Not here (as greeting)",
        ),
        row(
            "welcome",
            Misbehaviour::default(),
            "stop_after: banner, expect: { reply: 554 }",
            Phase::Banner,
            "wrongly-accepted: 220 … (as greeting), expected 554",
        ),
    ])
    .await;
}
