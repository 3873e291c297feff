//! Manners in the mailbox: other people's mail is not touched, own mail is cleared away.

use std::io;
use std::time::Duration;

use postrider::result::RunResult;
use postrider_testkit::live::{ALICE, BOB, StoredMail, wait_until};

use super::lab::{EVERY_ADDRESS, Lab, line};

/// A mail without the part of its file's name that a mere look may change: Dovecot moves it from `new` to `cur`.
fn untouched(mails: Vec<StoredMail>) -> Vec<(String, String, String, String)> {
    mails
        .into_iter()
        .map(|mail| {
            let name = mail.file_name.split(':').next().unwrap_or_default();
            let flags = mail.flags().to_owned();
            (mail.folder, name.to_owned(), flags, mail.raw)
        })
        .collect()
}

#[test]
fn mailbox_is_afterwards_as_it_was_before() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario("every-address", EVERY_ADDRESS)?;
    let junk = "alice+Junk@example.test";
    for (recipient, mail) in [
        (ALICE, "Subject: not ours\n\nA stranger's words.\n"),
        (
            ALICE,
            "Subject: Delivery check [1QF7W1BZEDBW650M]\n\nThat is how we call ours.\n",
        ),
        (
            ALICE,
            "Subject: forged\nPostrider-Tag: v1; id=1QF7W1BZEDBW650M; mac=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\nForged.\n",
        ),
        (ALICE, "Subject: broken tag\nPostrider-Tag: \n\n\n"),
        (junk, "Subject: win a million\n\nReal junk.\n"),
    ] {
        lab.platform
            .inject_foreign_mail(recipient, mail.as_bytes())?;
    }
    let before = untouched(lab.platform.list_mailbox(ALICE)?);
    assert_eq!(before.len(), 5);
    for _ in 0..2 {
        let ended = lab.postrider(&["run"])?;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let after = untouched(lab.platform.list_mailbox(ALICE)?);
        assert_eq!(after, before);
    }
    assert_eq!(lab.states(), ["delivered"; 8]);
    // The store's own account of what was removed: ours, and no other.
    let log = lab.platform.imap_log();
    let expunged: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once(" expunge: ")?.1.split_once("msgid="))
        .map(|(_, id)| id.split(',').next().unwrap_or(id))
        .collect();
    assert_eq!(expunged.len(), 8, "{expunged:?}");
    for entry in lab.entries() {
        assert!(
            expunged.contains(&entry.message_id().as_str()),
            "{expunged:?}"
        );
    }
    Ok(())
}

/// The tag is genuine and was sent, but the mail that bears it in alice's mailbox is somebody else's.
#[test]
fn quoted_tag_is_not_an_arrival() -> io::Result<()> {
    let lab = Lab::start()?;
    lab.scenario(
        "astray",
        "
steps:
  - id: astray
    deliver:
      route: { mx_of: example.test }
      envelope_to: bob@example.test
      expect: { arrives: { within: 3s } }
",
    )?;
    let running = lab.spawn(&["run", "--format", "json"])?;
    let arrived = || lab.platform.list_mailbox(BOB).ok()?.pop();
    let genuine = wait_until(Duration::from_secs(15), arrived).expect("bob gets it");
    let tag = genuine.header("postrider-tag").unwrap();
    let id = genuine.header("message-id").unwrap();
    for quote in [
        format!(
            "Subject: Fwd\nMessage-ID: <fwd@outside.test>\nPostrider-Tag: {tag}\n\nForwarded.\n"
        ),
        format!(
            "Subject: Re\nMessage-ID: <re@outside.test>\nIn-Reply-To: {id}\n\n> Postrider-Tag: {tag}\n> Message-ID: {id}\n"
        ),
        format!(
            "Subject: twice\nMessage-ID: {id}\nMessage-ID: <x@outside.test>\nPostrider-Tag: {tag}\n\nTwo identities.\n"
        ),
    ] {
        lab.platform.inject_foreign_mail(ALICE, quote.as_bytes())?;
    }
    let before = untouched(lab.platform.list_mailbox(ALICE)?);
    let ended = running.finish()?;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let result: RunResult = serde_json::from_str(&ended.stdout)?;
    assert!(
        line(&result.checks[0]).starts_with("not-delivered: accepted as "),
        "{}",
        line(&result.checks[0])
    );
    assert_eq!(untouched(lab.platform.list_mailbox(ALICE)?), before);
    assert_eq!(
        lab.platform.list_mailbox(BOB)?.len(),
        1,
        "bob's is not ours to remove"
    );
    assert_eq!(lab.states(), ["overdue"]);
    Ok(())
}
