use super::super::{Access, ImapError, Removed};
use super::peer::{greeted, selected};

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
