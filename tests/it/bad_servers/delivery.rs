//! What becomes of a mail that was accepted, and of mail that is not ours.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider::demo::platform::misbehaviour::{Answer, Delivery, Faults, Misbehaviour, Point};
use postrider::result::StatusWord;
use postrider_probes::phase::Phase;
use postrider_probes::post::EntryState;

use crate::support::{Fault, Lab, Ran, judge, line, run_each, says, until};

fn accepted(step: &'static str, delivery: Delivery) -> Fault {
    Fault {
        deliver: "expect: { arrives: { within: 10s } }",
        until: Phase::Transit,
        state: "delivered",
        data: 1,
        within: 6.0,
        ..Fault::new(step, Misbehaviour::delivery(delivery))
    }
}

#[tokio::test]
async fn mail_that_is_dropped_junked_or_doubled_is_told() {
    run_each(vec![
        Fault {
            deliver: "expect: { arrives: { within: 500ms } }",
            line: "not-delivered: accepted as 4D…, not in INBOX or the junk folder after 500 ms",
            state: "overdue",
            ..accepted("dropped", Delivery::Lost)
        },
        Fault {
            line: "delivered-elsewhere: delivered to Junk, not to INBOX",
            state: "junked",
            ..accepted("junked", Delivery::Junk)
        },
        Fault {
            line: "delivered-twice: 2 copies (in INBOX, INBOX), 1 expected",
            ..accepted("twice", Delivery::Twice)
        },
        Fault {
            deliver: "prefer: { arrives: { within: 500ms } }",
            status: StatusWord::Degraded,
            line: "not-delivered: accepted as 4D…",
            state: "overdue",
            ..accepted("dropped-but-only-preferred", Delivery::Lost)
        },
        Fault {
            deliver: "expect: { arrives: { folder: Junk, within: 10s } }",
            status: StatusWord::Pass,
            ..accepted("junk-is-where-it-belongs", Delivery::Junk)
        },
        Fault {
            // RFC 9051 §5.1: the same folder.
            deliver: "expect: { arrives: { folder: inbox, within: 10s } }",
            status: StatusWord::Pass,
            ..accepted("inbox-in-small-letters", Delivery::Normal)
        },
        Fault {
            deliver: "expect: { arrives: { copies: 2, within: 10s } }",
            status: StatusWord::Pass,
            ..accepted("two-are-expected", Delivery::Twice)
        },
        Fault {
            deliver: "expect: { arrives: { copies: 2, within: 500ms } }",
            line: "not-delivered: 1 of 2 copies within 500 ms",
            ..accepted("one-of-two", Delivery::Normal)
        },
    ])
    .await;
}

#[tokio::test]
async fn mail_that_comes_late_is_late_and_not_lost() {
    let [quick, _, slow, slower] = Lab::addresses();
    let lab = Lab::with(Faults {
        hold: BTreeMap::from([("filter2".into(), Duration::from_millis(1200))]),
        ..Faults::default()
    })
    .await;
    let arrives = |keys: &str| format!("expect: {{ arrives: {{ {keys} }} }}");
    let steps = [
        Lab::deliver("in-time", quick, &arrives("within: 10s")),
        Lab::deliver("late", slow, &arrives("within: 500ms")),
        Lab::deliver("slow", slower, &arrives("within: 10s, warn_after: 500ms")),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.check("in-time").status, StatusWord::Pass);
    let late = ran.check("late");
    let wanted = "delivered-late: visible in INBOX after 1.… s, allowed 500 ms";
    assert!(says(&line(&late), wanted), "{}", line(&late));
    assert_eq!(state(&lab, &ran, "late").await, EntryState::Delivered);
    let slow = ran.check("slow");
    assert_eq!(slow.status, StatusWord::Degraded);
    let wanted = "slow: transit 1.… s, warned after 500 ms…";
    assert!(says(&line(&slow), wanted), "{}", line(&slow));
    assert!(slow.phases_seconds["transit"] >= 1.1);
    assert!(
        lab.platform.mailbox("INBOX").is_empty(),
        "own mail is removed"
    );
}

#[tokio::test]
async fn mail_whose_final_reply_was_lost_is_booked_when_a_later_run_sees_it() {
    let [first, second, ..] = Lab::addresses();
    let silent = Misbehaviour::answer(Point::Dot, Answer::Close).and_deliver();
    let lab = Lab::with(Faults {
        smtp: BTreeMap::from([(first, silent)]),
        hold: BTreeMap::from([("filter1".into(), Duration::from_millis(1000))]),
        ..Faults::default()
    })
    .await;
    let uncertain = lab
        .run(&Lab::deliver("uncertain", first, "tls: required"))
        .end()
        .await;
    judge(&lab, &uncertain).await;
    assert_eq!(
        state(&lab, &uncertain, "uncertain").await,
        EntryState::Uncertain
    );
    until(|| lab.platform.mailbox("INBOX").pop()).await;

    let arrives = "expect: { arrives: { within: 10s } }";
    let later = lab.run(&Lab::deliver("later", second, arrives)).end().await;
    judge(&lab, &later).await;
    assert_eq!(later.check("later").status, StatusWord::Pass);
    assert_eq!(
        state(&lab, &uncertain, "uncertain").await,
        EntryState::Delivered
    );
    assert_eq!(lab.platform.data_commands(), 2, "nothing was sent again");
    assert!(
        lab.platform.mailbox("INBOX").is_empty(),
        "own mail is removed"
    );
}

#[tokio::test]
async fn mail_of_others_that_quotes_our_tag_is_no_arrival_and_stays_as_it_is() {
    let [first, second, ..] = Lab::addresses();
    let lab = Lab::with_server(Misbehaviour::delivery(Delivery::Lost)).await;
    lab.platform
        .put_foreign(b"Subject: was here before\r\n\r\nhello\r\n");
    let arrives = |within| format!("expect: {{ arrives: {{ within: {within} }} }}");
    let running = lab
        .run(&Lab::deliver("lost", first, &arrives("1500ms")))
        .start();
    let sent = until(|| lab.platform.accepted().pop()).await;
    let (tag, id) = (sent.tag.unwrap(), sent.message_id.unwrap());
    let original = String::from_utf8(sent.raw.to_vec()).unwrap();
    let quoted = original.replace("\r\n", "\r\n> ");
    let bob = "From: bob@example.test\r\nTo: alice@example.test\r\n";
    for foreign in [
        // A reply that quotes everything, and one whose subject has our subject, too.
        format!(
            "{bob}Message-ID: <reply@example.test>\r\nIn-Reply-To: <{id}>\r\nReferences: <{id}>\r\n\r\n> {quoted}"
        ),
        // The tag as a header of another message.
        format!("{bob}Message-ID: <copied@example.test>\r\nPostrider-Tag: {tag}\r\n\r\nhello\r\n"),
        // The tag, and our Message-ID in the wrong place.
        format!(
            "{bob}Postrider-Tag: {tag}\r\nMessage-ID: <forged@example.test>\r\nResent-Message-ID: <{id}>\r\n\r\n{original}"
        ),
        // Our mail, forwarded as an attachment.
        format!(
            "{bob}Message-ID: <forward@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n{original}"
        ),
        // Our mail with a tag that nobody with our key has made.
        original.replace("mac=", "mac=0"),
    ] {
        lab.platform.put_foreign(foreign.as_bytes());
    }
    let before = lab.platform.mailbox("INBOX");
    assert_eq!(before.len(), 6);
    let ran = running.end().await;
    judge(&lab, &ran).await;
    let wanted = "not-delivered: accepted as 4D…, not in INBOX or the junk folder after 1.5 s";
    let lost = ran.check("lost");
    assert!(says(&line(&lost), wanted), "{}", line(&lost));
    assert_eq!(state(&lab, &ran, "lost").await, EntryState::Overdue);
    assert_eq!(lab.platform.imap_changes(), [], "nothing was touched");

    // Only the real mail is the real mail: a later run books it, and what is not ours is still there.
    lab.platform.put_foreign(original.as_bytes());
    let later = lab
        .run(&Lab::deliver("later", second, &arrives("10s")))
        .end()
        .await;
    assert_eq!(later.code, 0, "{}", later.stdout);
    assert_eq!(state(&lab, &ran, "lost").await, EntryState::Delivered);
    let after = lab.platform.mailbox("INBOX");
    let same = |one: &Vec<_>| format!("{one:?}");
    assert_eq!(same(&after), same(&before));
}

#[tokio::test]
async fn an_address_never_has_more_than_two_connections() {
    let late = Answer::Late(Duration::from_millis(200));
    let lab = Lab::with_server(Misbehaviour::answer(Point::Rcpt, late)).await;
    let [first, ..] = Lab::addresses();
    let steps: String = ["a", "b", "c", "d", "e"]
        .map(|id| Lab::deliver(id, first, "stop_after: rcpt"))
        .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    assert_eq!(ran.result().counts.pass, 5, "{}", ran.stdout);
    let counters = lab.platform.smtp_counters(first);
    assert_eq!((counters.connections, counters.most_open), (5, 2));
    assert_eq!((counters.data_commands, counters.quits), (0, 5));
}

async fn state(lab: &Lab, ran: &Ran, step: &str) -> EntryState {
    let evidence = ran.check(step).evidence.unwrap();
    let [id] = evidence.entries.as_slice() else {
        panic!("one mail, not {:?}", evidence.entries);
    };
    lab.entry(id).await.state()
}
