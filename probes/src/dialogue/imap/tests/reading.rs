use std::time::Duration;

use super::super::ImapError;
use super::peer::selected;

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
async fn a_message_with_a_strange_date_is_seen_all_the_same() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID FETCH 8:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
         S: * 1 FETCH (UID 8 RFC822.SIZE 4 BODY[HEADER]<0> \"one\")
         S: * 2 FETCH (UID 9 INTERNALDATE \"yesterday\" BODY[HEADER]<0> \"two\")
         S: P3 OK done
         C: P4 UID FETCH 8:* (UID BODY.PEEK[HEADER])
         S: * 1 FETCH (UID 8 BODY[HEADER] \"one\")
         S: * 2 FETCH (UID 9 BODY[HEADER] \"two\")
         S: P4 OK done",
    )
    .await;
    let arrived = session.headers_from(8, 100).await.expect("an answer");
    let seen: Vec<_> = arrived
        .iter()
        .map(|one| (one.uid, one.size, one.header.as_slice()))
        .collect();
    assert_eq!(seen, [(8, Some(4), b"one".as_slice()), (9, None, b"two")]);
    drop(session);
    peer.done().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_partial_headers_gives_whole_ones() {
    let (peer, mut session) = selected(
        2,
        "C: P3 UID FETCH 9:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
         S: P3 BAD what?
         C: P4 UID FETCH 9:* (UID BODY.PEEK[HEADER])
         S: * 2 FETCH (UID 9 BODY[HEADER] \"two\")
         S: P4 OK done",
    )
    .await;
    assert_eq!(
        session.headers_from(9, 100).await.expect("an answer").len(),
        1
    );
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
