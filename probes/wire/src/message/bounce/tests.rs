use super::*;
use crate::message::tag::{EntryId, TagKey};

fn tag() -> Tag {
    let key = TagKey::new(&[7; 32]).unwrap();
    let id = EntryId::from_parts(1_800_000_000_000, 42);
    Tag::sign(&key, id, "probe@outside.test", "bob@example.test")
}

/// The header of the mail that was sent.
fn sent() -> String {
    format!(
        "Received: from probe.outside.test by mx1.example.test; Mon, 21 Sep 2026 14:13:25 +0000\n\
         From: probe@outside.test\nTo: bob@example.test\nSubject: Delivery check\n\
         Message-ID: <1vwk5n000000001a@outside.test>\n{HEADER_NAME}: {}\n",
        tag()
    )
}

/// A report with these fields and this returned part.
fn report(status: &str, returned: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx1.example.test (Mail Delivery System)\n\
         Subject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"A/1\"\n\n\
         This is a MIME-encapsulated message.\n\n--A/1\nContent-Description: Notification\n\
         Content-Type: text/plain; charset=us-ascii\n\nThis is the mail system at host mx1.\n\n\
         --A/1\nContent-Type: message/delivery-status\n\n{status}\n--A/1\n{returned}\n--A/1--\n"
    )
}

const FAILED: &str = "Reporting-MTA: dns; mx1.example.test\nX-Postfix-Queue-ID: 4F2A9\n\
    Arrival-Date: Mon, 21 Sep 2026 14:13:25 +0000\n\nFinal-Recipient: rfc822; bob@example.test\n\
    Original-Recipient: rfc822;bob@example.test\nAction: failed\nStatus: 5.1.1\n\
    Remote-MTA: dns; store1.example.test\nDiagnostic-Code: smtp; 550 5.1.1 <bob@example.test>: Recipient\n    \
    address rejected: User unknown\n";

fn parse(message: &str) -> Bounce {
    let with_lf = Bounce::parse(message.as_bytes());
    let with_crlf = Bounce::parse(message.replace('\n', "\r\n").as_bytes());
    assert_eq!(with_lf, with_crlf, "line ends make no difference");
    with_lf.expect("a bounce")
}

#[test]
fn a_report_is_read() {
    let header_only = format!("Content-Type: text/rfc822-headers\n\n{}", sent());
    let whole = format!("Content-Type: message/rfc822\n\n{}\nThe body.\n", sent());
    for returned in [header_only, whole] {
        let bounce = parse(&report(FAILED, &returned));
        assert_eq!(bounce.form, Form::Report);
        assert_eq!(bounce.reporting_mta.as_deref(), Some("mx1.example.test"));
        assert_eq!(bounce.tag, Some(tag()));
        assert_eq!(
            bounce.message_id.as_deref(),
            Some("1vwk5n000000001a@outside.test")
        );
        let expected = RecipientReport {
            action: Action::Failed,
            recipient: Some("bob@example.test".to_owned()),
            original_recipient: Some("bob@example.test".to_owned()),
            status: Some("5.1.1".to_owned()),
            diagnostic: Some(
                "550 5.1.1 <bob@example.test>: Recipient address rejected: User unknown".to_owned(),
            ),
            remote_mta: Some("store1.example.test".to_owned()),
        };
        assert_eq!(bounce.recipients, [expected]);
    }
}

#[test]
fn the_action_says_what_happened_and_the_status_stands_in_for_it() {
    let table = [
        ("Action: failed\nStatus: 5.0.0", Some(Action::Failed)),
        (
            "Action: Delayed (still trying)\nStatus: 4.4.1",
            Some(Action::Delayed),
        ),
        ("Action: delivered\nStatus: 2.0.0", Some(Action::Delivered)),
        ("Action: relayed\nStatus: 2.0.0", Some(Action::Relayed)),
        ("Action: expanded\nStatus: 2.0.0", Some(Action::Expanded)),
        ("Status: 5.7.1 (refused)", Some(Action::Failed)),
        ("Action: vanished\nStatus: 4.0.0", Some(Action::Delayed)),
        ("Action: vanished", None),
        ("Status: 3.0.0", None),
    ];
    for (fields, expected) in table {
        let status = format!(
            "Reporting-MTA: dns; mx1\n\nFinal-Recipient: rfc822; bob@example.test\n{fields}\n"
        );
        let returned = format!("Content-Type: text/rfc822-headers\n\n{}", sent());
        let found = Bounce::parse(report(&status, &returned).as_bytes());
        let action = found.map(|bounce| bounce.recipients[0].action);
        assert_eq!(action, expected, "{fields}");
    }
}

#[test]
fn each_recipient_has_its_own_report() {
    let status = "Reporting-MTA: dns; mx1\n\nFinal-Recipient: rfc822; bob@example.test\nAction: delayed\n\n\
        Final-Recipient: rfc822; carol@elsewhere.test\nOriginal-Recipient: rfc822; team@example.test\nAction: failed\n";
    let bounce = parse(&report(status, "Content-Type: text/plain\n\nnothing"));
    let action = |recipient| bounce.about(recipient).map(|report| report.action);
    assert_eq!(action("bob@example.test"), Some(Action::Delayed));
    assert_eq!(action("TEAM@example.test"), Some(Action::Failed));
    // Not named: the worst.
    assert_eq!(action("dave@example.test"), Some(Action::Failed));
}

#[test]
fn encoded_parts_are_decoded() {
    let quoted = format!(
        "Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable\n\n{}",
        sent()
            .replace('=', "=3D")
            .replace("Postrider-Tag: v1;", "Postrider-Tag: v1=\n;")
    );
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sent());
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let encoded = format!(
        "Content-Type: message/global-headers\nContent-Transfer-Encoding: base64\n\n{}",
        lines.join("\n")
    );
    for returned in [quoted, encoded] {
        assert_eq!(
            parse(&report(FAILED, &returned)).tag,
            Some(tag()),
            "{returned}"
        );
    }
}

#[test]
fn a_report_in_a_wrapper_is_found() {
    let inner = report(
        FAILED,
        &format!("Content-Type: text/rfc822-headers\n\n{}", sent()),
    );
    let (_, inner) = inner.split_once("Content-Type").unwrap();
    let wrapped = format!(
        "Return-Path: <>\nFrom: Mail Delivery Subsystem <mailer-daemon@example.test>\n\
         Content-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type{inner}\n--outer\n\nfooter\n--outer--\n"
    );
    let bounce = parse(&wrapped);
    assert_eq!((bounce.form, bounce.tag), (Form::Report, Some(tag())));
}

#[test]
fn texts_of_mail_systems_are_read() {
    let head = "Return-Path: <>\nFrom: MAILER-DAEMON@mx1.example.test\nSubject: failure notice\n\n";
    let quoted: String = sent().lines().map(|line| format!("> {line}\n")).collect();
    let table = [
        (
            Form::Qmail,
            format!(
                "{head}Hi. This is the qmail-send program at mx1.example.test.\n\
                 I'm afraid I wasn't able to deliver your message to the following addresses.\n\
                 This is a permanent error; I've given up. Sorry it didn't work out.\n\n\
                 <bob@example.test>:\n192.0.2.7 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n\
                 Giving up on 192.0.2.7.\n\n--- Below this line is a copy of the message.\n\n\
                 Return-Path: <probe@outside.test>\n{}\nThe body: carol@example.test\n",
                sent()
            ),
            Action::Failed,
            (Some("mx1.example.test"), None),
            "192.0.2.7 does not like recipient. Remote host said: 550 5.1.1 no such user Giving up on 192.0.2.7.",
        ),
        (
            Form::Exim,
            format!(
                "{head}This message was created automatically by mail delivery software.\n\n\
                 A message that you sent could not be delivered to one or more of its\n\
                 recipients. This is a permanent error. The following address(es) failed:\n\n  \
                 bob@example.test\n    host store1.example.test [192.0.2.7]\n    \
                 SMTP error from remote mail server after RCPT TO:<bob@example.test>:\n    \
                 550 5.1.1 no such user\n\n------ This is a copy of the message, including all the headers. ------\n\n{}\n",
                sent()
            ),
            Action::Failed,
            (None, Some("store1.example.test")),
            "host store1.example.test [192.0.2.7] SMTP error from remote mail server after RCPT TO:<bob@example.test>: 550 5.1.1 no such user",
        ),
        (
            Form::Exim,
            format!(
                "{head}This message was created automatically by mail delivery software.\n\
                 A message that you sent has not yet been delivered to one or more of its\n\
                 recipients after more than 24 hours on the queue on mx1.example.test.\n\n\
                 The address to which the message has not yet been delivered is:\n\n  \
                 bob@example.test\n    Delay reason: 451 4.3.0 store is away\n\n\
                 No action is required on your part.\n\n------ This is a copy of your message's headers. ------\n{}",
                sent()
            ),
            Action::Delayed,
            (None, None),
            "Delay reason: 451 4.3.0 store is away",
        ),
        (
            Form::Postfix,
            format!(
                "{head}This is the mail system at host mx1.example.test.\n\n\
                 I'm sorry to have to inform you that your message could not\n\
                 be delivered to one or more recipients. It's attached below.\n\n\
                 <bob@example.test>: host store1.example.test[192.0.2.7] said: 550 5.1.1\n    \
                 <bob@example.test>: User unknown (in reply to RCPT TO command)\n\n{quoted}"
            ),
            Action::Failed,
            (Some("mx1.example.test"), Some("store1.example.test")),
            "host store1.example.test[192.0.2.7] said: 550 5.1.1",
        ),
        (
            Form::Exchange,
            format!(
                "{head}Delivery has failed to these recipients or groups:\n\nbob@example.test\n\
                 The email address you entered couldn't be found. 5.1.1\n\n\
                 Diagnostic information for administrators:\n\nGenerating server: mx1.example.test\n\n\
                 Original message headers:\n\n{}",
                sent()
            ),
            Action::Failed,
            (Some("mx1.example.test"), None),
            "The email address you entered couldn't be found. 5.1.1",
        ),
    ];
    for (form, text, action, (by, remote), diagnostic) in table {
        let bounce = parse(&text);
        assert_eq!(bounce.form, form);
        assert_eq!(bounce.tag, Some(tag()), "{form:?}");
        assert_eq!(
            bounce.message_id.as_deref(),
            Some("1vwk5n000000001a@outside.test"),
            "{form:?}"
        );
        assert_eq!(bounce.reporting_mta.as_deref(), by, "{form:?}");
        let report = &bounce.recipients[0];
        assert_eq!(report.action, action, "{form:?}");
        assert_eq!(report.recipient.as_deref(), Some("bob@example.test"));
        assert_eq!(report.remote_mta.as_deref(), remote, "{form:?}");
        let said = report.diagnostic.as_deref().unwrap_or_default();
        assert!(said.starts_with(diagnostic), "{form:?}: {said}");
    }
}

#[test]
fn other_mail_is_no_bounce() {
    let ordinary = "From: probe@outside.test\nSubject: Hello\n\nThis message could not be delivered.\n<bob@example.test>: no\n";
    let vacation = format!(
        "Return-Path: <>\nFrom: bob@example.test\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nI am away. You wrote:\n{}",
        sent()
    );
    let newsletter =
        "From: postmaster@example.test\nSubject: Maintenance\n\nWe are down on Sunday.\n";
    let ours = format!(
        "{}From: MAILER-DAEMON@x\n\nThis is the mail system at host x.\n<bob@example.test>: no\n",
        sent()
    );
    for message in [ordinary, &vacation, newsletter, &ours, "", "\n"] {
        assert_eq!(Bounce::parse(message.as_bytes()), None, "{message}");
    }
}

#[test]
fn tags_that_differ_prove_nothing() {
    let other = tag()
        .to_string()
        .replace("mac=", "mac=0")
        .replace("0\n", "");
    let other = &other[..other.len() - 1];
    let two = format!(
        "Content-Type: text/rfc822-headers\n\n{}{HEADER_NAME}: {other}\n",
        sent()
    );
    let bounce = parse(&report(FAILED, &two));
    assert_eq!(bounce.tag, None);
    let same = format!(
        "Content-Type: text/rfc822-headers\n\n{0}{HEADER_NAME}: {1}\n",
        sent(),
        tag()
    );
    assert_eq!(parse(&report(FAILED, &same)).tag, Some(tag()));
}

#[test]
fn what_a_bounce_says_is_safe_to_show() {
    let status = FAILED.replace("User unknown", "\u{1b}[31mred\u{202e}");
    let bounce = parse(&report(&status, "Content-Type: text/plain\n\nx"));
    let said = bounce.recipients[0].diagnostic.clone().unwrap_or_default();
    assert!(said.ends_with("\\x1b[31mred\\u{202e}"), "{said}");
}

#[test]
fn nothing_in_it_grows_without_limit() {
    let nested = "Content-Type: message/rfc822\n\n".repeat(20_000);
    let multiparts: String = (0..2_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"))
        .collect();
    let many = "Final-Recipient: rfc822; bob@example.test\nAction: failed\n\n".repeat(3_000);
    for status in [nested.as_str(), &multiparts, &many] {
        let found = Bounce::parse(report(status, status).as_bytes());
        let recipients = found.map_or(0, |bounce| bounce.recipients.len());
        assert!(recipients <= MAX_RECIPIENTS);
    }
    let parts = "--A/1\n\nx\n".repeat(10_000);
    assert!(parts::leaves(report(FAILED, &parts).as_bytes()).len() <= 33);
    let addresses = "<bob@example.test>: no\n".repeat(10_000);
    let text = format!("From: MAILER-DAEMON\n\nThis is the mail system at host x.\n{addresses}");
    let bounce = Bounce::parse(text.as_bytes()).expect("a bounce");
    assert_eq!(bounce.recipients.len(), MAX_RECIPIENTS);
}

#[test]
fn status_codes_are_found_in_words() {
    for (text, expected) in [
        ("550 5.1.1 no", Some("5.1.1")),
        ("#5.1.1#", Some("5.1.1")),
        ("(#5.1.1)", Some("5.1.1")),
        ("host 192.0.2.7 said 4.4.1", Some("4.4.1")),
        ("192.0.2 1.2.3 5.1.1.1 5.1234.1 5..1", None),
        ("", None),
    ] {
        assert_eq!(status_in(text).as_deref(), expected, "{text}");
    }
}
