//! The platform itself, tested with the plainest client and with `dig`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

fn mail(message_id: &str) -> Vec<u8> {
    format!(
        "From: {SENDER}\nTo: {ALICE}\nSubject: hello\nDate: Sat, 01 Nov 2025 12:00:00 +0000\n\
         Message-ID: {message_id}\n\nHello.\n.A line with a dot.\n"
    )
    .into_bytes()
}

fn primary(platform: &Platform, node: Node) -> SocketAddr {
    (PRIMARY[node as usize], platform.smtp_port()).into()
}

/// What `dig +short` says, sorted.
fn dig(platform: &Platform, name: &str, kind: &str) -> Vec<String> {
    let port = platform.dns().port().to_string();
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &port, "+short", "+time=5", "+tries=1"])
        .args(["-q", name, "-t", kind])
        .stdin(Stdio::null())
        .output()
        .expect("tests/run installs dig");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_address_delivers_into_the_mailbox() -> io::Result<()> {
    let platform = Platform::start_with(Options { ipv6: true })?;
    let addresses = platform.mx_addresses();
    assert_eq!(addresses.len(), 5);
    let mut expected = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let id = format!("<{index}@outside.test>");
        send_plain(*address, SENDER, ALICE, &mail(&id))?;
        let delivery = platform.await_delivery(&id)?;
        assert_eq!(
            (delivery.user.as_str(), delivery.folder.as_str()),
            (ALICE, "INBOX")
        );
        expected.push(id);
    }
    let stored = platform.list_mailbox(ALICE)?;
    let mut ids: Vec<_> = stored
        .iter()
        .filter_map(|mail| mail.header("message-id"))
        .collect();
    ids.sort();
    assert_eq!(ids, expected);
    assert!(stored[0].raw.ends_with("\n.A line with a dot.\n"));
    // Every hop is in the trace, the last one first.
    let trace = stored[0].headers("received");
    let by: Vec<_> = trace
        .iter()
        .filter_map(|hop| hop.split(" by ").nth(1))
        .collect();
    assert_eq!(by.len(), 3, "{trace:#?}");
    assert!(by[0].starts_with("imap.example.test "), "{by:?}");
    assert!(by[1].starts_with("store.cluster.test "), "{by:?}");
    assert!(by[2].starts_with("filter"), "{by:?}");
    Ok(())
}

#[test]
fn names_resolve_as_the_tests_need_them() -> io::Result<()> {
    let platform = Platform::start_with(Options { ipv6: true })?;
    let cases: &[(&str, &str, &[&str])] = &[
        (
            DOMAIN,
            "MX",
            &["10 mx1.example.test.", "20 mx2.example.test."],
        ),
        ("mx1.example.test", "A", &["127.0.21.1", "127.0.22.1"]),
        ("mx1.example.test", "AAAA", &["::1"]),
        ("mx2.example.test", "A", &["127.0.21.2", "127.0.22.2"]),
        ("mx2.example.test", "AAAA", &[]),
        ("1.22.0.127.in-addr.arpa", "PTR", &["filter2.cluster.test."]),
        ("null-mx.odd.test", "MX", &["0 ."]),
        ("cname-mx.odd.test", "MX", &["10 alias.odd.test."]),
        ("implicit-mx.odd.test", "MX", &[]),
        ("implicit-mx.odd.test", "A", &["127.0.21.1"]),
        ("missing-mx.odd.test", "MX", &["10 nowhere.odd.test."]),
        ("nowhere.odd.test", "A", &[]),
        ("mx.broken.test", "A", &[]),
        (
            "split-text.odd.test",
            "TXT",
            &["\"first half, \" \"second half\""],
        ),
        ("nothing.beyond.example", "A", &[]),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(dig(&platform, name, kind), *expected, "{name} {kind}");
    }
    assert_eq!(dig(&platform, "many-addresses.odd.test", "A").len(), 100);
    let key = dig(&platform, "lab._domainkey.outside.test", "TXT").concat();
    // 32 bytes in base64.
    let (_, base64) = key.split_once("p=").unwrap_or_default();
    assert_eq!(base64.trim_end_matches('"').len(), 44, "{key}");
    Ok(())
}

#[test]
fn held_mail_waits_until_it_is_released() -> io::Result<()> {
    let mut platform = Platform::start()?;
    platform.hold_mail(Node::Filter2)?;
    send_plain(
        primary(&platform, Node::Filter2),
        SENDER,
        ALICE,
        &mail("<held@outside.test>"),
    )?;
    send_plain(
        primary(&platform, Node::Filter1),
        SENDER,
        ALICE,
        &mail("<free@outside.test>"),
    )?;
    platform.await_delivery("<free@outside.test>")?;
    let deferred = wait_until(Duration::from_secs(10), || {
        platform
            .smtp_log(Node::Filter2)
            .contains("status=deferred")
            .then_some(())
    });
    assert!(deferred.is_some());
    assert_eq!(platform.delivered_message_ids(), ["<free@outside.test>"]);
    platform.release_mail(Node::Filter2)?;
    platform.await_delivery("<held@outside.test>")?;
    Ok(())
}

#[test]
fn node_refuses_at_the_stage_it_is_told() -> io::Result<()> {
    let mut platform = Platform::start()?;
    let cases = [
        (Stage::Connect, "554 5.7.1 not you", "554 5.7.1 "),
        (Stage::Ehlo, "501 5.5.2 not that name", "501 5.5.2 "),
        (Stage::Mail, "451 4.1.8 not now", "451 4.1.8 "),
        (Stage::Rcpt, "450 4.2.0 try later", "450 4.2.0 "),
        (Stage::Data, "451 4.3.0 no room", "451 4.3.0 "),
        (Stage::EndOfData, "550 5.7.1 no spam here", "550 5.7.1 "),
    ];
    for (stage, reply, start) in cases {
        platform.refuse(Node::Filter1, stage, reply)?;
        let sent = send_plain(
            primary(&platform, Node::Filter1),
            SENDER,
            ALICE,
            &mail("<no@outside.test>"),
        );
        let refusal = sent.expect_err("refused").to_string();
        assert!(refusal.starts_with(start), "{stage:?}: {refusal}");
        let words = reply.splitn(3, ' ').last().unwrap_or_default();
        assert!(refusal.ends_with(words), "{stage:?}: {refusal}");
        let seen = wait_until(Duration::from_secs(5), || {
            let log = platform.smtp_log(Node::Filter1);
            log.contains(counted(stage)).then_some(())
        });
        assert!(seen.is_some(), "{stage:?}");
    }
    platform.treat_normally(Node::Filter1)?;
    send_plain(
        primary(&platform, Node::Filter1),
        SENDER,
        ALICE,
        &mail("<yes@outside.test>"),
    )?;
    platform.await_delivery("<yes@outside.test>")?;
    assert_eq!(platform.delivered_message_ids(), ["<yes@outside.test>"]);
    Ok(())
}

/// Postfix's own count of the commands in the dialogue that was refused there.
const fn counted(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "quit=1 commands=1",
        Stage::Ehlo => "ehlo=0/1 quit=1 commands=1/2",
        Stage::Mail => "ehlo=1 mail=0/1 quit=1 commands=2/3",
        Stage::Rcpt => "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
        Stage::Data => "ehlo=1 mail=1 rcpt=1 data=0/1 quit=1 commands=4/5",
        Stage::EndOfData => "mail=1 rcpt=1 data=0/1 quit=1",
    }
}

#[test]
fn stopped_node_refuses_connections_and_comes_back() -> io::Result<()> {
    let mut platform = Platform::start()?;
    let address = primary(&platform, Node::Filter1);
    platform.stop_node(Node::Filter1);
    let refused = send_plain(address, SENDER, ALICE, &mail("<gone@outside.test>"));
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(io::ErrorKind::ConnectionRefused)
    );
    send_plain(
        primary(&platform, Node::Filter2),
        SENDER,
        ALICE,
        &mail("<other@outside.test>"),
    )?;
    platform.start_node(Node::Filter1)?;
    send_plain(address, SENDER, ALICE, &mail("<back@outside.test>"))?;
    platform.await_delivery("<other@outside.test>")?;
    platform.await_delivery("<back@outside.test>")?;
    Ok(())
}

#[test]
fn mail_waits_on_the_filter_while_the_store_is_down() -> io::Result<()> {
    let mut platform = Platform::start()?;
    platform.stop_node(Node::Store);
    send_plain(
        primary(&platform, Node::Filter1),
        SENDER,
        ALICE,
        &mail("<late@outside.test>"),
    )?;
    platform.start_node(Node::Store)?;
    platform.await_delivery("<late@outside.test>")?;
    Ok(())
}

#[test]
fn mail_goes_to_junk_to_others_and_nowhere() -> io::Result<()> {
    let mut platform = Platform::start()?;
    platform.junk_mail(Node::Filter1)?;
    send_plain(
        primary(&platform, Node::Filter1),
        SENDER,
        ALICE,
        &mail("<junk@outside.test>"),
    )?;
    assert_eq!(
        platform.await_delivery("<junk@outside.test>")?.folder,
        "Junk"
    );
    platform.inject_foreign_mail(BOB, b"Subject: not yours\n\nA stranger's words.\n")?;
    let bobs = platform.list_mailbox(BOB)?;
    assert_eq!(bobs.len(), 1);
    assert_eq!(bobs[0].header("subject").as_deref(), Some("not yours"));
    assert_eq!(bobs[0].flags(), "");
    let unknown = send_plain(
        primary(&platform, Node::Filter2),
        SENDER,
        "nobody@example.test",
        &mail("<nobody@outside.test>"),
    );
    let refusal = unknown.expect_err("no such mailbox").to_string();
    assert!(refusal.starts_with("550 5.1.1 "), "{refusal}");
    let elsewhere = send_plain(
        primary(&platform, Node::Filter2),
        SENDER,
        "someone@elsewhere.test",
        &mail("<relay@outside.test>"),
    );
    let refusal = elsewhere.expect_err("no open relay").to_string();
    assert!(refusal.starts_with("554 5.7.1 "), "{refusal}");
    Ok(())
}

#[test]
fn servers_of_a_test_that_died_are_stopped_and_removed() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let guard = Guard::start(directory.path())?;
    let start = |name| {
        Daemon::start(
            name,
            Command::new("/bin/sleep").arg("600"),
            process::Group::Given,
            &directory.path().join("output"),
            &guard,
        )
    };
    let (stopped, mut left) = (start("stopped")?, start("left")?);
    stopped.stop(&guard);
    guard.fall_silent();
    let ended = wait_until(Duration::from_secs(10), || left.has_ended().then_some(()));
    assert!(ended.is_some());
    let removed = wait_until(Duration::from_secs(10), || {
        (!directory.path().exists()).then_some(())
    });
    assert!(removed.is_some());
    Ok(())
}

/// What `openssl` says about the certificate that a server shows after STARTTLS.
fn verification(platform: &Platform, server: SocketAddr, protocol: &str, name: &str) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-brief", "-starttls", protocol])
        .args(["-connect", &server.to_string(), "-verify_hostname", name])
        .args(["-verify_return_error", "-CAfile"])
        .arg(platform.ca_file())
        .stdin(Stdio::null())
        .output()
        .expect("dovecot-core depends on openssl");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn filter_shows_the_certificate_that_was_chosen() -> io::Result<()> {
    let mut platform = Platform::start()?;
    let good = "Verification: OK";
    let filter2 = primary(&platform, Node::Filter2);
    for name in [
        "mx1.example.test",
        "mx2.example.test",
        "filter2.cluster.test",
    ] {
        let said = verification(&platform, filter2, "smtp", name);
        assert!(said.contains(good), "{name}: {said}");
    }
    let filter1 = primary(&platform, Node::Filter1);
    for (certificate, expected) in [
        (Certificate::WrongName, "hostname mismatch"),
        (Certificate::Expired, "certificate has expired"),
        (Certificate::SelfSigned, "self-signed certificate"),
        (Certificate::Valid, good),
    ] {
        platform.present_certificate(Node::Filter1, certificate)?;
        let said = verification(&platform, filter1, "smtp", "mx1.example.test");
        assert!(said.contains(expected), "{certificate:?}: {said}");
    }
    platform.without_starttls(Node::Filter1)?;
    let said = verification(&platform, filter1, "smtp", "mx1.example.test");
    assert!(said.to_lowercase().contains("starttls"), "{said}");
    let said = verification(&platform, platform.imap(), "imap", IMAP_NAME);
    assert!(said.contains(good), "{said}");
    Ok(())
}

#[test]
fn mailbox_is_open_to_imap_clients() -> io::Result<()> {
    let platform = Platform::start()?;
    let stream = TcpStream::connect(platform.imap())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut until = |mark: &str| -> io::Result<Vec<String>> {
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            seen.push(line?);
            if seen.last().is_some_and(|line| line.contains(mark)) {
                return Ok(seen);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    let say = |command: String| (&stream).write_all(format!("{command}\r\n").as_bytes());
    until("* OK")?;
    say(format!("1 LOGIN {ALICE} \"{PASSWORD}\""))?;
    let login = until("1 OK")?.concat();
    for capability in ["IDLE", "UIDPLUS", "SPECIAL-USE"] {
        assert!(login.contains(capability), "{login}");
    }
    say("2 LIST (SPECIAL-USE) \"\" *".to_owned())?;
    let folders = until("2 OK")?.concat();
    assert!(folders.contains("\\Junk) \".\" Junk"), "{folders}");
    say("3 SELECT INBOX".to_owned())?;
    until("3 OK")?;
    say("4 IDLE".to_owned())?;
    until("+ ")?;
    let id = "<pushed@outside.test>";
    send_plain(primary(&platform, Node::Filter1), SENDER, ALICE, &mail(id))?;
    until("* 1 EXISTS")?;
    say("DONE".to_owned())?;
    until("4 OK")?;
    say("5 STORE 1 +FLAGS (\\Deleted)".to_owned())?;
    until("5 OK")?;
    assert_eq!(platform.list_mailbox(ALICE)?[0].flags(), "T");
    say("6 EXPUNGE".to_owned())?;
    until("6 OK")?;
    assert_eq!(platform.list_mailbox(ALICE)?, []);
    let expunged = format!("expunge: box=INBOX, uid=1, msgid={id}");
    let logged = wait_until(Duration::from_secs(5), || {
        platform.imap_log().contains(&expunged).then_some(())
    });
    assert!(logged.is_some());
    Ok(())
}
