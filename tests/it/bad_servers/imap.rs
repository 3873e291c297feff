//! The observer: an IMAP server that cannot be read makes a delivery unknown, never lost.

use std::time::Duration;

use postrider::demo::platform::misbehaviour::{
    CertificateKind, FetchFault, Greeting, Idle, ImapMisbehaviour,
};
use postrider::result::StatusWord;

use crate::support::{Lab, Mailbox, Ran, judge, line, says, until};

/// A server whose mailbox cannot be read.
#[derive(Debug, Default)]
struct Blind {
    name: &'static str,
    imap: ImapMisbehaviour,
    mailbox: Mailbox,
    /// The reason line of the `imap` check; the delivery's says the same after `cannot-observe`.
    line: &'static str,
    /// The reason line after `cannot-observe` where it is another one.
    observed: Option<&'static str>,
    /// It is our own fault.
    ours: bool,
    /// Most logins that may be tried.
    logins: u64,
}

/// Runs a delivery, an `imap` check and one that needs no mailbox.
async fn blind(row: Blind) {
    let mut lab = Lab::with_imap(row.imap.clone()).await;
    lab.mailbox = row.mailbox.clone();
    lab.platform
        .put_foreign(b"Subject: not ours\r\n\r\nhello\r\n");
    let [first, second, ..] = Lab::addresses();
    let steps = [
        Lab::deliver("mail", first, "expect: { arrives: { within: 500ms } }"),
        Lab::deliver("smtp", second, "stop_after: rcpt"),
        "  - id: mailbox\n    imap: { in: alice, command_timeout: 1s }\n".to_owned(),
    ]
    .concat();
    let ran = lab.run(&steps).end().await;
    judge(&lab, &ran).await;
    let name = row.name;

    let smtp = ran.check("smtp");
    assert_eq!(line(&smtp), "", "{name}: it has nothing to do with IMAP");
    assert!(smtp.duration_seconds < 2.0, "{name}");
    let started = |check: &postrider::result::CheckResult| -> jiff::Timestamp {
        check.started_at.parse().unwrap()
    };
    let began: jiff::Timestamp = ran.result().run.started_at.parse().unwrap();
    let waited = started(&smtp).duration_since(began);
    assert!(waited.as_secs() < 2, "{name}: held up for {waited:#}");

    let mailbox = ran.check("mailbox");
    let mail = ran.check("mail");
    let said = line(&mailbox);
    assert!(says(&said, row.line), "{name}: {said}");
    let status = match row.ours {
        true => StatusWord::Error,
        false => StatusWord::Fail,
    };
    assert_eq!(mailbox.status, status, "{name}");
    assert!(mailbox.duration_seconds < 6.0, "{name}: {mailbox:#?}");
    let wanted = match row.observed {
        Some(line) => line.to_owned(),
        None => format!(
            "cannot-observe: the mailbox could not be read: {}",
            row.line
        ),
    };
    assert!(says(&line(&mail), &wanted), "{name}: {}", line(&mail));
    assert_eq!(mail.status, StatusWord::Error, "{name}");
    assert_eq!(ran.code, if row.ours { 3 } else { 1 }, "{name}");
    assert_eq!(lab.platform.data_commands(), 1, "{name}");
    let tried = attempts(&lab);
    assert!(tried <= row.logins, "{name}: {tried} logins");
    // The mail may well be there: it stays in the books.
    let id = &mail.evidence.as_ref().unwrap().entries[0];
    let state = lab.entry(id).await.state().name();
    assert!(matches!(state, "accepted" | "overdue"), "{name}: {state}");
}

fn attempts(lab: &Lab) -> u64 {
    let commands = lab.platform.imap_counters().commands;
    let of = |name: &str| commands.get(name).copied().unwrap_or_default();
    of("LOGIN") + of("AUTHENTICATE")
}

async fn all_blind(rows: Vec<Blind>) {
    futures_util::future::join_all(rows.into_iter().map(blind)).await;
}

#[tokio::test]
async fn refusals_make_a_delivery_unknown() {
    let greeting = |greeting| ImapMisbehaviour {
        greeting,
        ..ImapMisbehaviour::default()
    };
    all_blind(vec![
        Blind {
            name: "login refused",
            imap: ImapMisbehaviour {
                refuse_login: true,
                ..ImapMisbehaviour::default()
            },
            line: "imap-login: …Authentication failed…",
            // Three for the watches, then the guard closes, and one for the check.
            logins: 4,
            ..Blind::default()
        },
        Blind {
            name: "bye",
            imap: greeting(Greeting::Bye),
            line: "imap-unavailable: the server greets with BYE: not now",
            ..Blind::default()
        },
        Blind {
            name: "certificate",
            imap: ImapMisbehaviour {
                certificate: CertificateKind::OtherName("imap-old.example.test".into()),
                ..ImapMisbehaviour::default()
            },
            line: "tls-certificate: the certificate of imap.example.test is for imap-old.example.test, not for imap.example.test",
            ..Blind::default()
        },
        Blind {
            // No password leaves in the clear where the server says that it must not.
            name: "login disabled",
            imap: ImapMisbehaviour {
                login_disabled_in_clear: true,
                ..ImapMisbehaviour::default()
            },
            mailbox: Mailbox {
                tls: "none",
                ..Mailbox::default()
            },
            line: "imap-login: …",
            ..Blind::default()
        },
        Blind {
            name: "nobody listens",
            mailbox: Mailbox {
                port: Some(1),
                ..Mailbox::default()
            },
            line: "connect-refused: 127.0.23.1 port 1 refused the connection",
            ..Blind::default()
        },
    ])
    .await;
}

#[tokio::test]
async fn secrets_that_are_wrong_missing_or_unreadable_are_never_a_pass() {
    all_blind(vec![
        Blind {
            name: "wrong",
            mailbox: Mailbox {
                password: Some("wrong"),
                ..Mailbox::default()
            },
            line: "imap-login: …Authentication failed…",
            logins: 4,
            ..Blind::default()
        },
        Blind {
            name: "missing",
            mailbox: Mailbox {
                password: None,
                ..Mailbox::default()
            },
            line: "secret-missing: …alice_password does not exist",
            ours: true,
            ..Blind::default()
        },
        Blind {
            name: "empty",
            mailbox: Mailbox {
                password: Some(""),
                ..Mailbox::default()
            },
            line: "secret-missing: …alice_password is empty",
            ours: true,
            ..Blind::default()
        },
        Blind {
            name: "unreadable",
            mailbox: Mailbox {
                password: Some("a directory"),
                ..Mailbox::default()
            },
            line: "secret-unreadable: …alice_password: Is a directory…",
            ours: true,
            ..Blind::default()
        },
    ])
    .await;
}

#[tokio::test]
async fn literals_without_end_are_refused() {
    let fetch = |fetch| ImapMisbehaviour {
        fetch,
        ..ImapMisbehaviour::default()
    };
    all_blind(vec![
        Blind {
            name: "4 GiB announced",
            imap: fetch(FetchFault::HugeLiteral),
            line: "imap-protocol: …a literal of 4294967295 bytes is announced…",
            logins: 20,
            ..Blind::default()
        },
        Blind {
            name: "endless",
            imap: fetch(FetchFault::EndlessLiteral),
            line: "imap-protocol: …a literal of 4294967295 bytes is announced…",
            logins: 20,
            ..Blind::default()
        },
    ])
    .await;
}

#[tokio::test]
async fn silence_makes_a_delivery_unknown_and_holds_up_nothing_else() {
    let hang = |command: &str| ImapMisbehaviour {
        hang_at: Some(command.into()),
        ..ImapMisbehaviour::default()
    };
    let unlooked = Some("cannot-observe: no look into the mailbox ended in time");
    all_blind(vec![
        Blind {
            name: "no greeting",
            imap: ImapMisbehaviour {
                greeting: Greeting::Silence,
                ..ImapMisbehaviour::default()
            },
            line: "imap-unavailable: …within the time limit",
            observed: unlooked,
            ..Blind::default()
        },
        Blind {
            name: "no answer to the login",
            imap: hang("LOGIN"),
            line: "imap-unavailable: …within the time limit",
            observed: unlooked,
            logins: 4,
            ..Blind::default()
        },
    ])
    .await;
}

#[tokio::test]
async fn mail_that_nobody_waits_for_does_not_wait_for_the_mailbox_and_is_booked_later() {
    let lab = Lab::with_imap(ImapMisbehaviour {
        greeting: Greeting::Silence,
        ..ImapMisbehaviour::default()
    })
    .await;
    let [first, ..] = Lab::addresses();
    let ran = lab
        .run(&Lab::deliver("sent", first, "tls: required"))
        .end()
        .await;
    let sent = ran.check("sent");
    assert_eq!(sent.status, StatusWord::Pass, "{sent:#?}");
    let took = ran.result().run.duration_seconds;
    assert!(took < 10.0, "{took} s");
    let [entry] = sent.evidence.unwrap().entries.try_into().unwrap();
    assert_eq!(lab.entry(&entry).await.state().name(), "accepted");

    lab.platform
        .set_imap_misbehaviour(ImapMisbehaviour::default())
        .unwrap();
    let keys = "expect: { arrives: { within: 10s } }";
    let ran = lab.run(&Lab::deliver("awaited", first, keys)).end().await;
    assert_eq!(ran.check("awaited").status, StatusWord::Pass);
    assert_eq!(lab.entry(&entry).await.state().name(), "delivered");
}

#[tokio::test]
async fn a_server_that_freezes_while_a_mail_is_awaited_proves_nothing() {
    tokio::join!(frozen_at("NOOP"), frozen_at("UID FETCH"));
}

async fn frozen_at(command: &str) {
    let [first, second, ..] = Lab::addresses();
    let lab = Lab::start().await;
    lab.platform.set_hold("filter1", Duration::from_millis(300));
    let steps = [
        Lab::deliver("mail", first, "expect: { arrives: { within: 700ms } }"),
        Lab::deliver("smtp", second, "stop_after: rcpt"),
    ]
    .concat();
    let running = lab.run(&steps).start();
    until(|| lab.platform.accepted().pop()).await;
    lab.platform
        .set_imap_misbehaviour(ImapMisbehaviour {
            hang_at: Some(command.into()),
            ..ImapMisbehaviour::default()
        })
        .unwrap();
    let ran = running.end().await;
    judge(&lab, &ran).await;
    assert_eq!(
        line(&ran.check("mail")),
        "cannot-observe: no look into the mailbox ended in time",
        "{command}"
    );
    assert_eq!(ran.code, 3, "{command}");
    assert_eq!(lab.platform.mailbox("INBOX").len(), 1, "it was delivered");
}

/// A server that can be read, with more or less trouble.
async fn seen(imap: ImapMisbehaviour) -> (Lab, Ran) {
    let [first, ..] = Lab::addresses();
    let lab = Lab::with_imap(imap).await;
    lab.platform
        .put_foreign(b"Subject: not ours\r\n\r\nhello\r\n");
    lab.platform.set_hold("filter1", Duration::from_millis(700));
    let step = Lab::deliver("mail", first, "expect: { arrives: { within: 10s } }");
    let ran = lab.run(&step).end().await;
    judge(&lab, &ran).await;
    let said = line(&ran.check("mail"));
    assert_eq!(said, "", "{:?}", lab.platform.imap_counters());
    (lab, ran)
}

#[tokio::test]
async fn servers_without_idle_or_with_a_bad_one_are_read_all_the_same() {
    let idle = |idle| ImapMisbehaviour {
        idle,
        ..ImapMisbehaviour::default()
    };
    let all = [Idle::NotOffered, Idle::Refused, Idle::Mute].map(|kind| seen(idle(kind)));
    for (lab, ran) in futures_util::future::join_all(all).await {
        assert_eq!(
            lab.platform.mailbox("INBOX").len(),
            1,
            "own mail is removed"
        );
        let transit = ran.check("mail").phases_seconds["transit"];
        assert!((0.69..2.0).contains(&transit), "{transit}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_is_made_again() {
    let (lab, _) = seen(ImapMisbehaviour {
        close_after: Some(Duration::from_millis(300)),
        ..ImapMisbehaviour::default()
    })
    .await;
    assert!(lab.platform.imap_login_count() > 2);
    // A connection may be too short for the removal: then it is made up for.
    lab.platform
        .set_imap_misbehaviour(ImapMisbehaviour::default())
        .unwrap();
    let ran = lab
        .again()
        .args(["run", "lab", "--format", "json"])
        .end()
        .await;
    judge(&lab, &ran).await;
    assert_eq!(
        lab.platform.mailbox("INBOX").len(),
        1,
        "own mail is removed"
    );
}

#[tokio::test]
async fn a_server_that_goes_during_idle_is_found_again_before_mail_is_sent() {
    let [first, ..] = Lab::addresses();
    let lab = Lab::with_imap(ImapMisbehaviour {
        close_in_idle_after: Some(Duration::from_millis(200)),
        ..ImapMisbehaviour::default()
    })
    .await;
    let deliver = Lab::deliver("mail", first, "expect: { arrives: { within: 10s } }");
    let steps = format!("  - id: pause\n    wait: {{ for: 1s }}\n{deliver}");
    let ran = lab
        .in_order(&steps)
        .args(["run", "lab", "--format", "json"])
        .end()
        .await;
    judge(&lab, &ran).await;
    assert_eq!(line(&ran.check("mail")), "");
    let counters = lab.platform.imap_counters();
    assert!(counters.commands["IDLE"] > 0, "{counters:?}");
    assert!(counters.logins > 2, "{counters:?}");
}

#[tokio::test]
async fn a_change_of_uidvalidity_loses_no_mail_and_touches_nobody_elses() {
    let [first, ..] = Lab::addresses();
    for before in [true, false] {
        let lab = Lab::start().await;
        let foreign: Vec<&[u8]> = vec![
            b"Subject: one\r\n\r\nhello\r\n",
            b"Subject: two\r\n\r\nhello\r\n",
            b"Subject: three\r\n\r\nhello\r\n",
        ];
        for mail in &foreign {
            lab.platform.put_foreign(mail);
        }
        // A mail that went away leaves a gap: the numbers are others after the change.
        lab.platform.set_hold("filter1", Duration::from_millis(500));
        let keys = "expect: { arrives: { within: 10s, watch_copies_for: 1s } }";
        let running = lab.run(&Lab::deliver("mail", first, keys)).start();
        let is_time = || match before {
            true => !lab.platform.accepted().is_empty(),
            false => lab.platform.mailbox("INBOX").len() == 4,
        };
        until(|| is_time().then_some(())).await;
        lab.platform.change_uid_validity("INBOX").unwrap();
        let ran = running.end().await;
        judge(&lab, &ran).await;
        assert_eq!(line(&ran.check("mail")), "", "changed before: {before}");
        let left: Vec<Vec<u8>> = lab
            .platform
            .mailbox("INBOX")
            .iter()
            .map(|mail| mail.raw.to_vec())
            .collect();
        assert_eq!(left, foreign, "changed before: {before}");
    }
}
