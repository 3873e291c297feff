//! The mail itself, as it lies in the store.

use std::collections::BTreeSet;
use std::io;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use postrider_testkit::live::{BOB, StoredMail};

use super::lab::Lab;

const KEPT: &str = "
steps:
  - id: natural
    for_each: { mx_of: example.test }
    deliver:
      to: unread
      to_address: ${item.address}
      subject: Delivery check ${run.id}
  - id: sized
    deliver:
      to: unread
      route: { mx_of: example.test }
      size: 64KiB
";

/// The message without what the servers put above it, with the line ends that it was sent with.
fn as_sent(mail: &StoredMail) -> String {
    let start = mail.raw.find("DKIM-Signature:").expect("it is signed");
    mail.raw[start..].replace('\n', "\r\n")
}

#[test]
fn mail_is_valid_unique_signed_and_says_what_it_is() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario("kept", KEPT)?;
    let ended = lab.postrider(&["run", "--format", "jsonl", "--repeat", "2"])?;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for entry in lab.entries() {
        lab.platform.await_delivery(&entry.message_id())?;
    }
    let mails = lab.platform.list_mailbox(BOB)?;
    assert_eq!(mails.len(), 10);
    let mut ids = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    for mail in &mails {
        ids.insert(mail.header("message-id"));
        bodies.insert(mail.raw.split_once("\n\n").unwrap().1.to_owned());
        headers_are_right(mail);
        lines_are_right(mail);
    }
    assert_eq!((ids.len(), bodies.len()), (10, 10));
    let recorded: BTreeSet<_> = lab
        .entries()
        .iter()
        .map(|entry| Some(entry.message_id()))
        .collect();
    assert_eq!(ids, recorded);
    let runs: BTreeSet<_> = mails
        .iter()
        .map(|mail| mail.header("postrider-run"))
        .collect();
    let told: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is a document"))
        .collect();
    let reported: BTreeSet<_> = told
        .iter()
        .filter(|line| line["event"] == "run")
        .map(|line| line["data"]["run"]["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!((runs.len(), &runs), (2, &reported));
    let checks = told.iter().filter(|line| line["event"] == "check").count();
    assert_eq!((checks, told.len()), (10, 12));
    sizes_are_exact(&lab, &mails);
    signatures_are_good(&lab, &mails)
}

fn headers_are_right(mail: &StoredMail) {
    for (name, value) in [
        ("return-path", "<probe@outside.test>"),
        ("delivered-to", BOB),
        ("from", "probe@outside.test"),
        ("to", BOB),
        ("auto-submitted", "auto-generated"),
        ("mime-version", "1.0"),
    ] {
        assert_eq!(mail.headers(name), [value], "{name}");
    }
    for name in [
        "subject",
        "date",
        "message-id",
        "content-type",
        "content-transfer-encoding",
        "postrider-tag",
        "postrider-run",
        "x-auto-response-suppress",
    ] {
        assert_eq!(mail.headers(name).len(), 1, "{name}");
    }
    let suppressed = mail.header("x-auto-response-suppress").unwrap();
    // `All` would hide delivery reports, too.
    assert!(
        suppressed.split(", ").all(|kind| kind != "All"),
        "{suppressed}"
    );
    let id = mail.header("message-id").unwrap();
    let id = id
        .strip_prefix('<')
        .and_then(|id| id.strip_suffix("@outside.test>"));
    let id = id.unwrap().to_uppercase();
    let tag = mail.header("postrider-tag").unwrap();
    assert!(tag.starts_with(&format!("v1; id={id}; mac=")), "{tag}");
    let subject = mail.header("subject").unwrap();
    assert!(subject.ends_with(&format!(" [{id}]")), "{subject}");
    assert!(mail.raw.contains("\nThis is an automatic test"));
    assert!(mail.raw.contains("postmaster@outside.test"));
    for name in [
        "bcc",
        "list-id",
        "list-unsubscribe",
        "precedence",
        "reply-to",
    ] {
        assert_eq!(mail.headers(name), [""; 0], "{name}");
    }
}

fn lines_are_right(mail: &StoredMail) {
    let sent = as_sent(mail);
    assert!(sent.is_ascii() && !sent.contains('\0') && sent.ends_with("\r\n"));
    assert_eq!(sent.matches('\r').count(), sent.matches("\r\n").count());
    for line in sent.lines() {
        // The first line of a signature cannot be folded by whoever makes it.
        let limit = match line.starts_with("DKIM-Signature: ") {
            true => 998,
            false => 78,
        };
        assert!(line.len() <= limit, "{line}");
    }
    let (head, _) = sent.split_once("\r\n\r\n").unwrap();
    for line in head.lines().filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, _) = line.split_once(": ").expect("a header field");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':'),
            "{line}"
        );
    }
}

fn sizes_are_exact(lab: &Lab, mails: &[StoredMail]) {
    let sizes = mails.iter().map(|mail| as_sent(mail).len());
    let (large, small): (Vec<usize>, Vec<usize>) = sizes.partition(|size| *size > 16 * 1024);
    assert_eq!(large, [64 * 1024; 2]);
    assert_eq!(small.len(), 8);
    // The same was announced to the server.
    let shown = lab.postrider(&["show", "last/5", "--transcript"]).unwrap();
    assert!(
        shown
            .stdout
            .contains("~> MAIL FROM:<probe@outside.test> SIZE=65536"),
        "{shown:?}"
    );
}

/// Checked by another implementation's verifier, with the key that the zone publishes.
fn signatures_are_good(lab: &Lab, mails: &[StoredMail]) -> io::Result<()> {
    let dns = lab.platform.dns();
    let mut connection = ConnectionConfig::udp();
    connection.port = dns.port();
    let server = NameServerConfig::new(dns.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let resolver =
            MessageAuthenticator::new(config, ResolverOpts::default()).map_err(io::Error::other)?;
        for mail in mails {
            let sent = as_sent(mail);
            let message = AuthenticatedMessage::parse(sent.as_bytes())
                .ok_or_else(|| io::Error::other("not a message"))?;
            let signatures = resolver.verify_dkim(&message).await;
            assert_eq!(signatures.len(), 1);
            assert_eq!(signatures[0].result(), &DkimResult::Pass, "{sent}");
            // One changed letter, and it is not good any more: the test can fail.
            let forged = sent.replace("This is an automatic", "This is no automatic");
            let message = AuthenticatedMessage::parse(forged.as_bytes())
                .ok_or_else(|| io::Error::other("not a message"))?;
            let signatures = resolver.verify_dkim(&message).await;
            assert_ne!(signatures[0].result(), &DkimResult::Pass);
        }
        Ok(())
    })
}
