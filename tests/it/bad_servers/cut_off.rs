//! A check that is cut off, by a time limit or by a signal, wherever it is: until the last block of the message is
//! begun nothing was sent; after that nobody knows. A server that used up the time is named.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use postrider::demo::platform::misbehaviour::{
    Answer, Connection, Faults, Misbehaviour, Point, StartTls,
};
use postrider::result::StatusWord;
use postrider_probes::post::EntryState::{self, NotSent, Uncertain};

use crate::support::{Lab, Ran, judge, line, says, until};

/// Larger than what the kernel's buffers take while nobody reads.
const LARGE: &str = "tls: none, size: 6MiB";

struct Row {
    step: &'static str,
    server: Misbehaviour,
    line: &'static str,
    state: EntryState,
}

fn row(step: &'static str, point: Point, line: &'static str) -> Row {
    Row {
        step,
        server: Misbehaviour::answer(point, Answer::Silence),
        line,
        state: NotSent,
    }
}

fn rows() -> Vec<Row> {
    vec![
        Row {
            server: Misbehaviour {
                connection: Connection::Filter,
                ..Misbehaviour::default()
            },
            ..row(
                "connect",
                Point::Banner,
                "connect-timeout: no answer on port {port} within 1.5 s (the step's time limit)",
            )
        },
        row(
            "banner",
            Point::Banner,
            "banner-timeout: connected, but no greeting within 1.5 s (the step's time limit; RFC 5321 allows 5 m)",
        ),
        row(
            "ehlo",
            Point::Ehlo,
            "smtp-timeout: no reply to EHLO within 1.5 s (the step's time limit)",
        ),
        row(
            "starttls",
            Point::StartTls,
            "smtp-timeout: no reply to STARTTLS within 1.5 s (the step's time limit)",
        ),
        Row {
            server: Misbehaviour::starttls(StartTls::Stalled),
            ..row(
                "handshake",
                Point::Banner,
                "tls-handshake: no TLS handshake within 1.5 s (the step's time limit)",
            )
        },
        row(
            "mail",
            Point::Mail,
            "smtp-timeout: no reply to MAIL within 1.5 s (the step's time limit; RFC 5321 allows 5 m)",
        ),
        row(
            "rcpt",
            Point::Rcpt,
            "smtp-timeout: no reply to RCPT within 1.5 s (the step's time limit; RFC 5321 allows 5 m)",
        ),
        row(
            "data",
            Point::Data,
            "smtp-timeout: no reply to DATA within 1.5 s (the step's time limit; RFC 5321 allows 2 m)",
        ),
        Row {
            state: Uncertain,
            ..row(
                "dot",
                Point::Dot,
                "smtp-timeout: no reply to the final dot within 1.5 s (the step's time limit; RFC 5321 allows 10 m): nobody knows whether the mail was taken; it is not sent again",
            )
        },
    ]
}

/// Three rows for each platform.
async fn labs() -> Vec<(Lab, Vec<(IpAddr, Row)>)> {
    let mut labs = Vec::new();
    let mut rows = rows().into_iter().peekable();
    while rows.peek().is_some() {
        let laid: Vec<(IpAddr, Row)> = Lab::addresses()
            .into_iter()
            .take(3)
            .zip(rows.by_ref())
            .collect();
        let servers = laid.iter().map(|(at, row)| (*at, row.server.clone()));
        let lab = Lab::with(Faults {
            smtp: servers.collect(),
            ..Faults::default()
        });
        labs.push((lab.await, laid));
    }
    labs
}

async fn state(lab: &Lab, ran: &Ran, step: &str) -> EntryState {
    let evidence = ran.check(step).evidence.unwrap();
    let [id] = evidence.entries.as_slice() else {
        panic!("{step}: one mail, not {:?}", evidence.entries);
    };
    lab.entry(id).await.state()
}

#[tokio::test]
async fn a_server_that_uses_up_the_time_limit_is_named_and_only_a_complete_mail_is_uncertain() {
    let each = labs().await.into_iter().map(|(lab, rows)| async move {
        let steps = rows.iter().map(|(at, row)| {
            Lab::deliver(row.step, *at, "tls: required")
                .replace("    deliver:", "    timeout: 1500ms\n    deliver:")
        });
        let ran = lab.run(&steps.collect::<String>()).end().await;
        judge(&lab, &ran).await;
        for (_, row) in &rows {
            let check = ran.check(row.step);
            let port = lab.platform.smtp_port().to_string();
            assert_eq!(
                line(&check),
                row.line.replace("{port}", &port),
                "{check:#?}"
            );
            assert_eq!(check.status, StatusWord::Fail, "{check:#?}");
            assert_eq!(state(&lab, &ran, row.step).await, row.state, "{}", row.step);
        }
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_signal_leaves_only_a_complete_mail_uncertain() {
    let [rcpt, body, dot, banner] = Lab::addresses();
    let silent = |point| Misbehaviour::answer(point, Answer::Silence);
    // It does not read while it waits.
    let stuck = Misbehaviour::answer(Point::Content, Answer::Late(Duration::from_secs(60)));
    let lab = Lab::with(Faults {
        smtp: BTreeMap::from([
            (rcpt, silent(Point::Rcpt)),
            (body, stuck),
            (dot, silent(Point::Dot).and_deliver()),
            (banner, silent(Point::Banner)),
        ]),
        // So that it is not in the mailbox before anybody has looked at the ledger.
        hold: BTreeMap::from([("filter2".into(), Duration::from_secs(60))]),
        ..Faults::default()
    })
    .await;
    let steps = [
        Lab::deliver("rcpt", rcpt, "tls: required"),
        Lab::deliver("body", body, LARGE),
        Lab::deliver("dot", dot, "tls: required"),
        Lab::deliver("banner", banner, "tls: required"),
    ];
    let running = lab.run(&steps.concat()).start();
    until(|| lab.platform.accepted().pop()).await;
    until(|| (lab.platform.smtp_counters(body).data_commands == 1).then_some(())).await;
    running.signal("INT");
    let ran = running.end().await;
    assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
    for (step, wanted) in [
        ("rcpt", NotSent),
        ("body", NotSent),
        ("dot", Uncertain),
        ("banner", NotSent),
    ] {
        let said = line(&ran.check(step));
        assert!(
            says(&said, "cancelled: the run was cancelled (during …)"),
            "{said}"
        );
        assert_eq!(state(&lab, &ran, step).await, wanted, "{step}");
    }
}

#[tokio::test]
async fn a_mail_that_one_host_refused_for_now_is_not_uncertain_when_the_next_one_is_silent() {
    let [first, second, ..] = Lab::addresses();
    let mut setup = Lab::setup();
    setup.records.push("both IN MX 10 mx.one".into());
    setup.records.push("both IN MX 20 mx.two".into());
    setup.faults.smtp = BTreeMap::from([
        (first, Misbehaviour::reply(Point::Dot, "451 4.3.0 Later")),
        (second, Misbehaviour::answer(Point::Banner, Answer::Silence)),
    ]);
    let lab = Lab::from_setup(setup).await;
    let step = "  - id: route
    timeout: 2s
    deliver: { route: { mx_of: both.example.test }, tls: opportunistic }
";
    let ran = lab.run(step).end().await;
    judge(&lab, &ran).await;
    assert_eq!(lab.platform.smtp_counters(first).data_commands, 1);
    let check = ran.check("route");
    let wanted = "banner-timeout: connected, but no greeting within 2 s (the step's time limit; …)";
    assert!(says(&line(&check), wanted), "{check:#?}");
    assert_eq!(state(&lab, &ran, "route").await, NotSent);
}

#[tokio::test]
async fn a_server_is_not_blamed_for_time_that_was_lost_before_its_turn() {
    let [first, ..] = Lab::addresses();
    let lab = Lab::with_server(Misbehaviour::answer(Point::Banner, Answer::Silence)).await;
    let steps = [
        "  - { id: pause, wait: { for: 2s } }\n".to_owned(),
        Lab::deliver("silent", first, "stop_after: rcpt"),
    ];
    let ran = lab
        .in_order(&steps.concat())
        .args(["run", "lab", "--format", "json", "--timeout", "3s"])
        .end()
        .await;
    judge(&lab, &ran).await;
    let silent = ran.check("silent");
    assert_eq!(silent.status, StatusWord::Error);
    let wanted = "overrun: not finished within the run's time limit of 3 s (during banner); connected, but no greeting for …";
    assert!(says(&line(&silent), wanted), "{silent:#?}");
}

#[tokio::test]
async fn waiting_for_a_connection_is_nobodys_time() {
    let [first, ..] = Lab::addresses();
    let late = Answer::Late(Duration::from_millis(1300));
    let lab = Lab::with_server(Misbehaviour::answer(Point::Rcpt, late)).await;
    let steps = ["a", "b", "c"].map(|id| {
        Lab::deliver(id, first, "expect: { accepted: { within: 60s } }")
            .replace("    deliver:", "    timeout: 2500ms\n    deliver:")
    });
    let ran = lab.run(&steps.concat()).end().await;
    judge(&lab, &ran).await;
    let mut waited = 0;
    for step in ["a", "b", "c"] {
        let check = ran.check(step);
        assert_eq!(check.status, StatusWord::Pass, "{check:#?}");
        let Some(queued) = check.queued_seconds else {
            continue;
        };
        waited += 1;
        assert!(queued > 1.2 && check.duration_seconds > 2.5, "{check:#?}");
        let dialogue = check.phases_seconds["rcpt"];
        assert!(queued + dialogue <= check.duration_seconds, "{check:#?}");
        let shown = lab
            .again()
            .args(["show", &format!("last/{}", check.number)])
            .end()
            .await;
        assert!(shown.stdout.contains("waited "), "{}", shown.stdout);
    }
    assert_eq!(waited, 1, "{}", ran.stdout);
}

#[tokio::test]
async fn a_check_that_never_got_a_connection_has_planned_nothing() {
    let [first, ..] = Lab::addresses();
    let lab = Lab::with_server(Misbehaviour::answer(Point::Banner, Answer::Silence)).await;
    let steps = ["a", "b", "c"].map(|id| Lab::deliver(id, first, "tls: required"));
    let running = lab.run(&steps.concat()).start();
    until(|| (lab.platform.smtp_counters(first).connections == 2).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.signal("INT");
    let ran = running.end().await;
    let mut lines: Vec<String> = ["a", "b", "c"].map(|step| line(&ran.check(step))).into();
    lines.sort();
    let talks = "cancelled: the run was cancelled (during banner)";
    let waits =
        format!("cancelled: the run was cancelled (waiting for a free connection to {first})");
    assert_eq!(lines, [talks, talks, waits.as_str()]);
    for step in ["a", "b", "c"] {
        let check = ran.check(step);
        let entries = check.evidence.map_or(0, |evidence| evidence.entries.len());
        let planned = usize::from(check.phases_seconds.contains_key("connect"));
        assert_eq!(entries, planned, "{step}");
    }
}
