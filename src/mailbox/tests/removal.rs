use super::*;

impl Bench {
    fn remove(&self, wishes: Vec<Wish>) {
        self.interest
            .send_modify(|interest| interest.remove = wishes);
    }

    /// Asks for the removal of messages as they were booked by [`Self::with_ours`].
    fn remove_ours(&self, keys: &[MessageKey]) {
        let booked = |uid| match uid {
            2 => 1,
            4 => 2,
            _ => 3,
        };
        let wishes = keys.iter().map(|key| wish(key.clone(), booked(key.uid)));
        self.remove(wishes.collect());
    }

    /// Delivers three of ours between foreign ones; ours have the UIDs 2, 4 and 5.
    async fn with_ours(server: &Arc<Server>) -> Self {
        let mut bench = Self::ready(server).await;
        for header in [
            FOREIGN.to_owned(),
            tagged(1),
            format!("Subject: Re: probe\r\n\r\n> {}", tagged(1)),
            tagged(2),
            tagged(3),
            FOREIGN.to_owned(),
        ] {
            server.deliver("INBOX", &header);
        }
        for uid in [2, 4, 5] {
            assert_eq!(bench.arrival().await.key.uid, uid);
        }
        bench
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_named_messages_are_removed() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    // Someone else has marked a message for removal and not removed it yet.
    {
        let mut state = server.state();
        let messages = &mut state.folders.get_mut("INBOX").unwrap().messages;
        messages[5].flags.insert("\\Deleted".to_owned());
    }
    let ours = [key("INBOX", 1, 2), key("INBOX", 1, 5)];
    bench.remove_ours(&ours);
    assert_eq!(bench.removed().await, ours);
    assert_eq!(server.uids("INBOX"), [1, 3, 4, 6]);
    assert!(server.commands("EXPUNGE").is_empty());
    assert!(server.commands("CLOSE").is_empty());

    // And the watch goes on.
    bench.await_one();
    server.deliver("INBOX", &tagged(7));
    assert_eq!(bench.arrival().await.key.uid, 7);
    let examined = server.commands("EXAMINE INBOX").len();
    assert_eq!(examined, 1 + 1 + server.commands("SELECT").len());
}

#[tokio::test(start_paused = true)]
async fn another_uidvalidity_folder_or_mailbox_protects_a_message() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    bench.remove_ours(&[key("INBOX", 2, 2), key("Sent", 1, 4), key("Junk", 1, 5)]);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(server.uids("INBOX"), [1, 2, 3, 4, 5, 6]);
    assert!(server.commands("UID STORE").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_carry_the_booked_tag_is_not_removed() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    {
        let mut state = server.state();
        let messages = &mut state.folders.get_mut("INBOX").unwrap().messages;
        // A server that gives the numbers to other messages.
        messages[1].header = format!("{FOREIGN}\r\n\r\n");
        messages[3].header = format!("{}\r\n\r\n", tagged(99));
    }
    // A ledger that has gone mad asks for the whole mailbox.
    let all: Vec<MessageKey> = (1..=6).map(|uid| key("INBOX", 1, uid)).collect();
    bench.remove_ours(&all);
    assert_eq!(bench.removed().await, [key("INBOX", 1, 5)]);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(server.uids("INBOX"), [1, 2, 3, 4, 6]);
    for message in &server.state().folders["INBOX"].messages {
        assert!(!message.flags.contains("\\Deleted"), "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_uidplus_or_write_access_nothing_is_removed() {
    for without in ["UIDPLUS", "write access"] {
        let server = Server::new();
        server.switch(|switches| match without {
            "UIDPLUS" => switches.capabilities = "IMAP4rev1 IDLE",
            _ => switches.read_only = true,
        });
        let mut bench = Bench::with_ours(&server).await;
        bench.remove_ours(&[key("INBOX", 1, 2)]);
        bench.pass(Duration::from_secs(3_600)).await;
        assert_eq!(server.uids("INBOX"), [1, 2, 3, 4, 5, 6], "{without}");
        assert!(server.commands("UID STORE").is_empty(), "{without}");
        assert_eq!(server.commands("SELECT").len(), 1, "{without}");
        for message in &server.state().folders["INBOX"].messages {
            assert!(
                !message.flags.contains("\\Deleted"),
                "{without}: {message:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_gone_already_counts_as_removed() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    server
        .state()
        .folders
        .get_mut("INBOX")
        .unwrap()
        .messages
        .remove(1);
    bench.remove_ours(&[key("INBOX", 1, 2)]);
    assert_eq!(bench.removed().await, [key("INBOX", 1, 2)]);
    assert_eq!(server.uids("INBOX"), [1, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn removing_waits_while_a_fresh_mail_is_awaited() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    let reply = bench.await_one();
    bench.remove_ours(&[key("INBOX", 1, 2)]);
    bench.removed().await;
    assert!(reply.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn shutdown_removes_what_was_asked_for_at_the_last_moment() {
    let server = Server::new();
    let bench = Bench::with_ours(&server).await;
    bench.await_one();
    bench.remove_ours(&[key("INBOX", 1, 2), key("INBOX", 1, 4)]);
    bench.watches.shutdown().await;
    assert_eq!(server.uids("INBOX"), [1, 3, 5, 6]);
    assert_eq!(server.commands("LOGOUT").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_removals_are_done_in_rounds() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    for number in 0..350 {
        server.deliver("INBOX", &tagged(number));
    }
    for _ in 0..350 {
        bench.arrival().await;
    }
    let wishes = (1..=350).map(|uid| wish(key("INBOX", 1, uid), u64::from(uid) - 1));
    let wishes = wishes.collect();
    bench.remove(wishes);
    let began = Instant::now();
    let mut removed = Vec::new();
    while removed.len() < 350 {
        removed.extend(bench.removed().await);
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(server.uids("INBOX"), [0_u32; 0]);
    assert!(server.commands("SELECT").len() <= 5);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_breaks_the_connection_is_not_tried_for_ever() {
    for broken_for_good in [false, true] {
        let server = Server::new();
        let mut bench = Bench::with_ours(&server).await;
        server.switch(|switches| switches.hangs_at = Some("UID STORE"));
        bench.remove_ours(&[key("INBOX", 1, 2)]);
        bench.pass(Duration::from_secs(40)).await;
        if !broken_for_good {
            server.switch(|switches| switches.hangs_at = None);
            assert_eq!(bench.removed().await, [key("INBOX", 1, 2)]);
            continue;
        }
        bench.pass(Duration::from_secs(3_600)).await;
        assert_eq!(server.commands("UID STORE").len(), 4);
        server.deliver("INBOX", &tagged(9));
        assert_eq!(bench.arrival().await.key.uid, 7);
    }
}

/// After a restart nothing is remembered of what was told: all that protects a message is the proof.
#[tokio::test(start_paused = true)]
async fn only_what_proves_to_be_the_booked_mail_is_removed_after_a_restart() {
    let other_key = TagKey::new(&[8; 32]).unwrap();
    let server = Server::new();
    for header in [
        tagged(1),
        // Another mail of ours, as a mailbox has it that was restored from a backup.
        tagged(20),
        // Made by somebody who has read a tag, or by another instance.
        signed(3, &other_key),
        // The header of ours, sent on by somebody else.
        tagged(4).replace("Message-ID: <", "Message-ID: <again-"),
        tagged(5),
    ] {
        server.deliver("INBOX", &header);
    }
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 6,
    };
    let mut bench = Bench::with(&server, vec![position]);
    bench.watches.add("alice", "INBOX");
    bench.watches.ready("alice").await.unwrap();
    let wishes = (1..=5).map(|uid| wish(key("INBOX", 1, uid), u64::from(uid)));
    bench.remove(wishes.collect());
    assert_eq!(
        bench.removed().await,
        [key("INBOX", 1, 1), key("INBOX", 1, 5)]
    );
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(server.uids("INBOX"), [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn mailbox_that_was_set_back_is_told_before_its_messages_are_read_again() {
    let server = Server::new();
    let mut bench = Bench::with_ours(&server).await;
    bench.pass(Duration::from_secs(1)).await;
    server.set_back("INBOX", 4);
    let told = bench.pass(Duration::from_secs(600)).await;
    let set_back = told.iter().position(
        |news| matches!(news, News::SetBack(back) if back.uid_validity == 1 && back.uid_next == 4),
    );
    let read_again = told
        .iter()
        .position(|news| matches!(news, News::Arrived(_)));
    assert!(set_back.is_some() && set_back < read_again, "{told:?}");
    assert_eq!(uids(&told), [2]);
}
