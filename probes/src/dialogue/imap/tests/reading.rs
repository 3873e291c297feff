use std::time::Duration;

use super::super::{Access, Folder, ImapError, Removed, SpecialUse};
use super::peer::{greeted, selected, told};

#[tokio::test(start_paused = true)]
async fn a_folder_opens_with_its_numbers() {
    let (peer, mut session) = greeted(
        "C: P1 EXAMINE \"Release &- Train\"
         S: * FLAGS (\\Answered \\Seen)
         S: * OK [PERMANENTFLAGS ()] Read-only mailbox.
         S: * 3 EXISTS
         S: * 0 RECENT
         S: * OK [UIDVALIDITY 1700000000] UIDs gültig
         S: * OK [UIDNEXT 9] Predicted next UID
         S: P1 OK [READ-ONLY] opened
         C: P2 SELECT Entw&APw-rfe
         S: P2 NO [NONEXISTENT] no such folder
         C: P3 SELECT INBOX
         S: * 0 EXISTS
         S: P3 OK [READ-WRITE] opened",
    )
    .await;
    let folder = session
        .select("Release & Train", Access::ReadOnly)
        .await
        .expect("a folder");
    assert_eq!(
        (
            folder.uid_validity,
            folder.uid_next,
            folder.exists,
            folder.read_only
        ),
        (1_700_000_000, Some(9), 3, true)
    );
    assert_eq!(
        told(session.select("Entwürfe", Access::ReadWrite).await),
        "SELECT was refused: [NONEXISTENT] no such folder"
    );
    assert!(matches!(
        session.select("inbox", Access::ReadWrite).await,
        Err(ImapError::Malformed {
            what: "a folder without UIDVALIDITY",
            ..
        })
    ));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn headers_below_the_asked_uid_are_dropped() {
    let (peer, mut session) = selected(
        3,
        "C: P3 UID FETCH 10:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
         S: * 3 FETCH (UID 9 INTERNALDATE \"03-Nov-2026 10:00:00 +0100\" RFC822.SIZE 20 BODY[HEADER]<0> {6}
         S: a: b
         S: )
         S: P3 OK done",
    )
    .await;
    assert_eq!(session.headers_from(10, 100).await.expect("an answer"), []);
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn headers_come_in_order_with_their_facts() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID FETCH 8:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
         S: * 2 FETCH (FLAGS (\\Recent) BODY[HEADER]<0> {6}
         S: a: b
         S:  UID 9 RFC822.SIZE 20 INTERNALDATE \" 3-Nov-2026 10:00:00 +0100\")
         S: * 1 FETCH (FLAGS (\\Seen) UID 8)
         S: * 1 FETCH (UID 8 BODY[HEADER] NIL)
         S: * 3 EXISTS
         S: P3 OK done
         C: P4 NOOP
         S: P4 OK done",
    )
    .await;
    let arrived = session.headers_from(8, 100).await.expect("an answer");
    assert_eq!(
        arrived.iter().map(|one| one.uid).collect::<Vec<_>>(),
        [8, 9]
    );
    assert_eq!(arrived[0].header, b"");
    assert_eq!(arrived[1].header, b"a: b\r\n");
    assert_eq!(arrived[1].size, Some(20));
    assert_eq!(
        arrived[1].internal_date,
        "2026-11-03T09:00:00Z".parse().ok()
    );
    // What the fetch heard by the way is not lost.
    assert_eq!(session.noop().await.expect("news").exists, Some(3));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_folder_is_listed_first_and_read_in_part() {
    let (peer, mut session) = selected(
        5000,
        "C: P3 UID SEARCH 1001:* UID 4990:*
         S: * SEARCH 4999 17 4992 4991
         S: P3 OK done
         C: P4 UID FETCH 4991,4992 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
         S: * 1 FETCH (UID 4991 BODY[HEADER]<0> \"\")
         S: * 2 FETCH (UID 4992 BODY[HEADER]<0> \"\")
         S: * 3 FETCH (UID 4993 BODY[HEADER]<0> \"nobody asked\")
         S: P4 OK done",
    )
    .await;
    let arrived = session.headers_from(4990, 2).await.expect("an answer");
    assert_eq!(
        arrived.iter().map(|one| one.uid).collect::<Vec<_>>(),
        [4991, 4992]
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_huge_folder_is_listed_in_windows_from_the_newest_back() {
    let newest = (6001..=10_000)
        .map(|uid: u32| uid.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    let (peer, mut session) = selected(
        9000,
        &format!(
            "C: P3 UID SEARCH 5001:* UID 5999:*
             S: * SEARCH {newest}
             S: P3 OK done
             C: P4 UID SEARCH 1001:5000 UID 5999:*
             S: * SEARCH 6000
             S: P4 OK done
             C: P5 UID FETCH 6000 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
             S: P5 OK done"
        ),
    )
    .await;
    assert_eq!(session.headers_from(5999, 1).await.expect("an answer"), []);
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_read_up_to_the_limit() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID FETCH 5 (UID BODY.PEEK[]<0.4>)
         S: * 1 FETCH (UID 5 BODY[]<0> {6}
         S- abcdef)\\r\\n
         S: P3 OK done
         C: P4 UID FETCH 6 (UID BODY.PEEK[]<0.4>)
         S: P4 OK done
         C: P5 UID FETCH 7 (UID BODY.PEEK[]<0.4>)
         S: * 2 FETCH (UID 7 BODY[]<0> {2}
         S- \\0\\0)\\r\\n
         S: P5 OK done",
    )
    .await;
    assert_eq!(session.message(5, 4).await.expect("a message"), b"abcd");
    assert!(matches!(
        session.message(6, 4).await,
        Err(ImapError::NoSuchMessage { uid: 6 })
    ));
    assert!(matches!(
        session.message(7, 4).await,
        Err(ImapError::Malformed { .. })
    ));
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_search_finds_by_header() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID SEARCH HEADER Postrider-Tag \"id=a b\"
         S: * SEARCH 9 4 4
         S: P3 OK done",
    )
    .await;
    assert_eq!(
        session
            .search_header("Postrider-Tag", "id=a b")
            .await
            .expect("an answer"),
        [4, 9]
    );
    for (name, value) in [
        ("a b", "c"),
        ("", "c"),
        ("a:", "c"),
        ("a", "c\r\nP4 LOGOUT"),
        ("a", "é"),
    ] {
        assert!(
            matches!(
                session.search_header(name, value).await,
                Err(ImapError::BadArgument { .. })
            ),
            "{name} {value}"
        );
    }
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn folders_are_told_with_their_uses() {
    let (peer, mut session) = greeted(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 LIST-EXTENDED SPECIAL-USE
         S: P1 OK done
         C: P2 LIST \"\" \"*\" RETURN (SPECIAL-USE)
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasNoChildren \\Junk) \"/\" \"Werbung\"
         S: * LIST (\\HasNoChildren) \"/\" \"Spam\"
         S: * LIST (\\NonExistent) \"/\" \"Old/Trash\"
         S: * LIST (\\Noselect) \"/\" \"Entw&APw-rfe\"
         S: * LIST () \"/\" \"Release & Train\"
         S: * LIST () \"/\" {5}
         S- (a b)\\r\\n
         S: P2 OK done
         C: P3 EXAMINE \"Release & Train\"
         S: * OK [UIDVALIDITY 1] x
         S: P3 OK done",
    )
    .await;
    let folders = session.folders().await.expect("folders");
    let folder = |name: &str, special_use, selectable| Folder {
        name: name.into(),
        special_use,
        selectable,
    };
    assert_eq!(
        folders,
        [
            folder("INBOX", None, true),
            folder("Werbung", Some(SpecialUse::Junk), true),
            folder("Spam", None, true),
            folder("Old/Trash", Some(SpecialUse::Trash), false),
            folder("Entwürfe", None, false),
            folder("Release & Train", None, true),
            folder("(a b)", None, true),
        ]
    );
    // A server that does not encode gets its own spelling back.
    session
        .select("Release & Train", Access::ReadOnly)
        .await
        .expect("a folder");
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn folders_are_listed_plainly_where_the_server_knows_no_more() {
    for (capabilities, refused) in [("", false), ("LIST-EXTENDED SPECIAL-USE", true)] {
        let refusal = if refused {
            "C: P2 LIST \"\" \"*\" RETURN (SPECIAL-USE)
             S: P2 BAD what?"
        } else {
            ""
        };
        let tag = if refused { "P3" } else { "P2" };
        let (peer, mut session) = greeted(&format!(
            "C: P1 CAPABILITY
             S: * CAPABILITY IMAP4rev1 {capabilities}
             S: P1 OK done
             {refusal}
             C: {tag} LIST \"\" *
             S: * LIST () \".\" INBOX.Junk
             S: {tag} OK done"
        ))
        .await;
        let folders = session.folders().await.expect("folders");
        assert_eq!(folders[0].special_use, Some(SpecialUse::Junk));
        drop(session);
        peer.done().await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_named_messages_are_removed() {
    let uids: Vec<u32> = (1..=81).collect();
    let set = uids[..80]
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let (peer, mut session) = selected(
        100,
        &format!(
            "C: P3 UID STORE {set} +FLAGS.SILENT (\\Deleted)
             S: P3 OK done
             C: P4 UID EXPUNGE {set}
             S: * 1 EXPUNGE
             S: P4 OK done
             C: P5 UID STORE 81 +FLAGS.SILENT (\\Deleted)
             S: P5 NO [NOPERM] not yours
             C: P6 LOGOUT"
        ),
    )
    .await;
    let error = session.remove(&uids).await.expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "UID STORE was refused: [NOPERM] not yours"
    );
    assert!(error.leaves_session_usable());
    session.logout().await;
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn the_largest_uid_never_becomes_the_star() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID STORE 4294967294,4294967295 +FLAGS.SILENT (\\Deleted)
         S: P3 OK done
         C: P4 UID EXPUNGE 4294967294,4294967295
         S: P4 OK done",
    )
    .await;
    let removed = session
        .remove(&[u32::MAX - 1, u32::MAX])
        .await
        .expect("an answer");
    assert_eq!(removed, Removed::Expunged);
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_without_uidplus_or_from_a_read_only_folder() {
    let (peer, mut session) = greeted(
        "C: P1 EXAMINE INBOX
         S: * OK [UIDVALIDITY 1] x
         S: P1 OK done
         C: P2 SELECT INBOX
         S: * OK [UIDVALIDITY 1] x
         S: P2 OK [READ-ONLY] done
         C: P3 SELECT INBOX
         S: * OK [UIDVALIDITY 1] x
         S: P3 OK [READ-WRITE] done
         C: P4 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: P4 OK done",
    )
    .await;
    let refused = |result| matches!(result, Err(ImapError::BadArgument { .. }));
    assert!(refused(session.remove(&[1]).await));
    session
        .select("INBOX", Access::ReadOnly)
        .await
        .expect("a folder");
    assert!(refused(session.remove(&[1]).await));
    session
        .select("INBOX", Access::ReadWrite)
        .await
        .expect("a folder");
    assert!(refused(session.remove(&[1]).await));
    session
        .select("INBOX", Access::ReadWrite)
        .await
        .expect("a folder");
    assert!(refused(session.remove(&[0]).await));
    assert_eq!(
        session.remove(&[1]).await.expect("an answer"),
        Removed::NotSupported
    );
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_arrival_is_when_its_exists_was_read() {
    let (peer, mut session) = selected(
        2,
        "C: P3 NOOP
         wait 2
         S: * 3 EXISTS
         wait 3
         S: * 4 EXISTS
         S: * 1 EXPUNGE
         S: P3 OK done",
    )
    .await;
    let start = tokio::time::Instant::now();
    let changes = session.noop().await.expect("news");
    assert_eq!((changes.exists, changes.expunged), (Some(4), 1));
    assert_eq!(changes.at - start, Duration::from_secs(2));
    drop(session);
    peer.done().await;
}
