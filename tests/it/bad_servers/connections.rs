//! Until the greeting.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Connection, Misbehaviour, Point};
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
