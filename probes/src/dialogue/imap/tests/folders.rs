use super::super::{Access, Folder, ImapError, SpecialUse};
use super::peer::{greeted, told};

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
