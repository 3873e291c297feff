//! The IMAP server in good order.

use rustls::pki_types::ServerName;

use super::*;
use crate::demo::platform::Change;

const FIRST: &[u8] = b"Subject: first\r\nX-Tag: one;\r\n two\r\n\r\nbody one\r\n";
const SECOND: &[u8] = b"Subject: second\r\n\r\nbody two\r\n";

/// INBOX with two messages, selected.
async fn two_messages() -> (Platform, Client<TcpStream>) {
    let platform = platform().await;
    assert_eq!(platform.put_foreign(FIRST), 1);
    assert_eq!(platform.put_foreign(SECOND), 2);
    let client = inbox(&platform).await;
    (platform, client)
}

#[tokio::test]
async fn commands_answer_as_rfc_3501_says() {
    let (platform, mut client) = two_messages().await;
    let validity = platform.change_uid_validity("Junk").unwrap();
    let selected = format!("* OK [UIDVALIDITY {validity}] UIDs valid");
    let cases = [
        ("NOOP", "a OK NOOP completed"),
        ("SELECT nope", "a NO No such folder"),
        ("FETCH 1 FLAGS", "a NO Not here, or no folder is selected"),
        ("SELECT Junk", selected.as_str()),
        ("EXAMINE inbox", "* 2 EXISTS"),
        ("STORE 1 +FLAGS (\\Seen)", "a NO The folder is read-only"),
        ("EXPUNGE", "a NO The folder is read-only"),
        ("SELECT INBOX", "* OK [UIDNEXT 3] Predicted next UID"),
        ("CHECK", "a OK CHECK completed"),
        (
            "STATUS INBOX (MESSAGES UNSEEN)",
            "* STATUS INBOX (MESSAGES 2 UNSEEN 2)",
        ),
        ("LIST \"\" *", "* LIST (\\Noinferiors \\Junk) \"/\" Junk"),
        ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\""),
        ("ID NIL", "* ID NIL"),
        ("UID SEARCH ALL", "* SEARCH 1 2"),
        ("SEARCH UNSEEN SUBJECT SECOND", "* SEARCH 2"),
        ("UID SEARCH HEADER X-Tag \"one; two\"", "* SEARCH 1"),
        ("UID SEARCH HEADER X-Tag \"\"", "* SEARCH 1"),
        ("UID SEARCH UID 2:*", "* SEARCH 2"),
        ("UID SEARCH UID 77:*", "* SEARCH 2"),
        ("UID SEARCH SINCE 1-Jan-2020 NOT BODY two", "* SEARCH 1"),
        ("UID SEARCH OR SUBJECT none BEFORE 1-Jan-2020", "* SEARCH|"),
        (
            "UID FETCH 2 (FLAGS RFC822.SIZE)",
            "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 29)",
        ),
        ("UID FETCH 77:* (UID)", "* 2 FETCH (UID 2)"),
        ("UID FETCH 77 (UID)", "a OK FETCH completed"),
        (
            "FETCH 1 BODY.PEEK[]<5.7>",
            "* 1 FETCH (BODY[]<5> {7}|ct: fir)",
        ),
        (
            "FETCH 1 BODY.PEEK[TEXT]",
            "* 1 FETCH (BODY[TEXT] {10}|body one|)",
        ),
        (
            "FETCH 1 BODY.PEEK[HEADER.FIELDS (x-tag)]",
            "(X-TAG)] {21}|X-Tag: one;| two||)",
        ),
        ("FETCH 1 (ENVELOPE)", "a NO This item is not served here"),
        ("FETCH 2 BODY[TEXT]", "|body two| FLAGS (\\Seen))"),
        (
            "UID STORE 1 +FLAGS.SILENT (\\Deleted)",
            "a OK STORE completed",
        ),
        (
            "UID STORE 2 +FLAGS (\\Deleted $Kept)",
            "* 2 FETCH (FLAGS ($Kept \\Deleted \\Seen) UID 2)",
        ),
        ("UID EXPUNGE 2", "* 2 EXPUNGE|a OK EXPUNGE completed"),
        ("EXPUNGE", "* 1 EXPUNGE|a OK EXPUNGE completed"),
        ("XYZZY", "a BAD Unknown command or syntax error"),
        ("UNSELECT", "a OK UNSELECT completed"),
        ("IDLE", "a BAD No folder is selected"),
        ("LOGOUT", "* BYE Logging out|a OK LOGOUT completed"),
    ];
    for (command, expected) in cases {
        let got = client.command(command).await;
        // The codec repeats field names as they were asked for.
        let got = got.replace("(x-tag)", "(X-TAG)");
        assert!(format!("{got}|").contains(expected), "{command}: {got}");
    }
    assert_eq!(client.line().await, None);
    let change = |command: &str, uid| Change {
        command: command.into(),
        folder: "INBOX".into(),
        uid,
    };
    let expected = [
        change("FETCH", 2),
        change("UID STORE", 1),
        change("UID STORE", 2),
        change("UID EXPUNGE", 2),
        change("EXPUNGE", 1),
    ];
    assert_eq!(platform.imap_changes(), expected);
    let counters = platform.imap_counters();
    assert_eq!(counters.commands.get("UID EXPUNGE"), Some(&1));
    assert_eq!((counters.connections, counters.logins), (1, 1));
}

#[tokio::test]
async fn nothing_is_served_before_login() {
    let platform = platform().await;
    let mut client = imap(&platform).await;
    assert!(
        client
            .command("SELECT INBOX")
            .await
            .starts_with("a BAD Log in first")
    );
    assert!(
        client
            .command("LOGIN alice wrong")
            .await
            .starts_with("a NO ")
    );
    assert_eq!(platform.imap_login_count(), 0);
    let starttls = client.command("CAPABILITY").await;
    assert!(starttls.contains(" STARTTLS "), "{starttls}");
}

#[tokio::test]
async fn login_works_by_literal_and_by_authenticate_plain() {
    let platform = platform().await;
    let password = platform.password().to_owned();
    let mut client = imap(&platform).await;
    client.send("a LOGIN {5}\r\n").await;
    assert!(client.line().await.unwrap().starts_with("+ "));
    client
        .send(&format!("alice {{{}+}}\r\n{password}\r\n", password.len()))
        .await;
    assert!(client.tagged().await.starts_with("a OK "));

    // "\0alice\0correct-horse-battery"
    let response = "AGFsaWNlAGNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==";
    let mut client = imap(&platform).await;
    let done = client
        .command(&format!("AUTHENTICATE PLAIN {response}"))
        .await;
    assert!(done.starts_with("a OK "), "{done}");

    let mut client = imap(&platform).await;
    client.send("a AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+"));
    client.send(&format!("{response}\r\n")).await;
    assert!(client.tagged().await.starts_with("a OK "));
    assert_eq!(platform.imap_login_count(), 3);
}

#[tokio::test]
async fn idle_pushes_new_mail_and_removals_at_once() {
    let (platform, mut client) = two_messages().await;
    platform.put_foreign(b"Subject: before the IDLE\r\n\r\n");
    client.send("a IDLE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+ idling"));
    assert_eq!(client.line().await.as_deref(), Some("* 3 EXISTS"));
    platform.put_foreign(b"Subject: during the IDLE\r\n\r\n");
    assert_eq!(client.line().await.as_deref(), Some("* 4 EXISTS"));
    let mut other = inbox(&platform).await;
    other.command("UID STORE 2 +FLAGS (\\Deleted)").await;
    other.command("EXPUNGE").await;
    assert_eq!(client.line().await.as_deref(), Some("* 2 EXPUNGE"));
    client.send("DONE\r\n").await;
    assert_eq!(client.tagged().await, "a OK IDLE completed");
    assert_eq!(
        client.command("FETCH 2 UID").await,
        "* 2 FETCH (UID 3)|a OK FETCH completed"
    );
}

#[tokio::test]
async fn client_learns_of_changes_before_it_gets_numbers_of_them() {
    let (platform, mut client) = two_messages().await;
    platform.put_foreign(b"x\r\n");
    let got = client.command("UID SEARCH ALL").await;
    assert_eq!(got, "* 3 EXISTS|* SEARCH 1 2 3|a OK SEARCH completed");
    platform.put_foreign(b"x\r\n");
    assert_eq!(
        client.command("NOOP").await,
        "* 4 EXISTS|a OK NOOP completed"
    );
    // A plain SEARCH may not renumber messages, so it answers for what the client knows.
    platform.put_foreign(b"x\r\n");
    assert_eq!(
        client.command("SEARCH ALL").await,
        "* SEARCH 1 2 3 4|a OK SEARCH completed"
    );
}

#[tokio::test]
async fn tls_from_the_start_and_by_starttls() {
    let platform = platform().await;
    let name = || ServerName::try_from("imap.example.test").unwrap();
    let connector = super::tls::connector(&platform);
    let stream = TcpStream::connect(platform.imaps_addr()).await.unwrap();
    let stream = connector.connect(name(), stream).await.unwrap();
    let mut client = Client {
        stream: BufReader::new(stream),
    };
    assert!(client.line().await.unwrap().starts_with("* OK "));
    assert!(!client.command("CAPABILITY").await.contains("STARTTLS"));
    assert!(client.command("STARTTLS").await.starts_with("a BAD "));

    let mut client = imap(&platform).await;
    let begin = client.command("STARTTLS\r\na LOGIN injected x").await;
    assert_eq!(begin, "a OK Begin TLS negotiation now");
    let stream = connector
        .connect(name(), client.stream.into_inner())
        .await
        .unwrap();
    let mut client = Client {
        stream: BufReader::new(stream),
    };
    let capabilities = client.command("CAPABILITY").await;
    assert!(
        capabilities.starts_with("* CAPABILITY"),
        "no second greeting: {capabilities}"
    );
    let password = platform.password();
    assert!(
        client
            .command(&format!("LOGIN alice {password}"))
            .await
            .starts_with("a OK")
    );
    assert_eq!(platform.imap_counters().commands.get("LOGIN"), Some(&1));
}

#[tokio::test]
async fn hostile_lines_are_answered_bad_and_the_session_goes_on() {
    let platform = platform().await;
    let long = "x".repeat(300_000);
    for line in ["", " ", "a", "\u{0}\u{1}", "a LOGIN {99999999}", &long] {
        let mut client = imap(&platform).await;
        client.send(&format!("{line}\r\n")).await;
        let answer = client.line().await.unwrap();
        assert!(answer.contains(" BAD "), "{line:.40}: {answer}");
        let noop = client.command("NOOP").await;
        assert!(noop.ends_with("a OK NOOP completed"), "{line:.40}: {noop}");
    }
    // A literal that the client does not wait with is taken for one, and never comes.
    let mut client = imap(&platform).await;
    client.send("a LOGIN {99999999+}\r\na NOOP\r\n").await;
    assert!(client.is_silent_for(Duration::from_millis(50)).await);
    inbox(&platform).await;
}
