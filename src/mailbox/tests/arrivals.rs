use super::*;

#[tokio::test(start_paused = true)]
async fn an_awaited_mail_is_seen_within_the_stated_error() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    // Latencies from 10 ms to two hours, each by itself.
    for (number, millis) in (1..).zip([10, 90, 400, 900, 5_000, 60_000, 600_000, 7_200_000]) {
        let latency = Duration::from_millis(millis);
        let reply = bench.await_one();
        let waited = bench.pass(latency).await;
        assert_eq!(uids(&waited), [0_u32; 0]);
        let visible = Instant::now();
        let uid = server.deliver("INBOX", &tagged(number));
        let arrival = bench.arrival().await;
        assert_eq!(arrival.key, key("INBOX", 1, uid));
        let error = arrival.seen - visible;
        let allowed = Duration::from_millis(6).max((visible - reply).mul_f64(0.02));
        assert!(error <= allowed, "{error:?} after {latency:?}");
        bench.await_nothing();
        bench.looked("INBOX").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_arrival_says_all_that_the_ledger_needs() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    server.deliver("INBOX", &tagged(1));
    let arrival = bench.arrival().await;
    assert_eq!(arrival.mailbox, "alice");
    assert!(!arrival.junk);
    assert_eq!(arrival.pushed, None);
    assert_eq!(
        arrival.internal_date,
        Some("2026-11-21T10:00:00Z".parse().unwrap())
    );
    assert!(
        arrival
            .header
            .starts_with(b"Subject: probe 1\r\nPostrider-Tag: v1;")
    );
    let position = bench
        .until(|news| match news {
            News::Position(position) => Some(position),
            _ => None,
        })
        .await;
    assert_eq!((position.uid_validity, position.uid_next), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn idle_announces_what_nobody_awaits() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.pass(Duration::from_secs(60)).await;
    let visible = Instant::now();
    server.deliver("INBOX", &tagged(1));
    let arrival = bench.arrival().await;
    // The server gathers for half a second.
    assert_eq!(arrival.seen - visible, Duration::from_millis(500));
    assert_eq!(arrival.pushed, Some(arrival.seen));
}

#[tokio::test(start_paused = true)]
async fn idle_is_begun_anew_every_five_minutes() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    let told = bench.pass(Duration::from_secs(3_600)).await;
    assert!((22..=30).contains(&server.commands("IDLE").len()));
    let looked = told
        .iter()
        .filter(|news| matches!(news, News::Looked { .. }))
        .count();
    assert!((22..=30).contains(&looked), "{looked}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_idle_is_polled() {
    for without in ["not announced", "refused"] {
        let server = Server::new();
        server.switch(|switches| match without {
            "refused" => switches.refuse_idle = true,
            _ => switches.capabilities = "IMAP4rev1 UIDPLUS",
        });
        let mut bench = Bench::ready(&server).await;
        bench.pass(Duration::from_secs(600)).await;
        let visible = Instant::now();
        server.deliver("INBOX", &tagged(1));
        let arrival = bench.arrival().await;
        assert_eq!(arrival.pushed, None);
        assert!(
            arrival.seen - visible <= Duration::from_secs(60),
            "{without}"
        );
        assert!(server.commands("IDLE").len() <= 2, "{without}");
        assert!(server.commands("NOOP").len() <= 40, "{without}");
    }
}

#[tokio::test(start_paused = true)]
async fn mail_in_the_junk_folder_is_junk() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    let reply = bench.await_one();
    bench.pass(Duration::from_millis(300)).await;
    server.deliver("Junk", &tagged(1));
    let arrival = bench.arrival().await;
    assert_eq!(arrival.key, key("Junk", 1, 1));
    assert!(arrival.junk);
    assert!(arrival.seen - reply < Duration::from_millis(325));
}

#[tokio::test(start_paused = true)]
async fn a_junk_folder_that_is_made_for_the_first_junk_mail_is_found() {
    let server = Server::new();
    server.state().folders.remove("Junk");
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    bench.pass(Duration::from_secs(5)).await;
    server.make_folder("Spam", "\\HasNoChildren");
    server.deliver("Spam", &tagged(1));
    let visible = Instant::now();
    let arrival = bench.arrival().await;
    assert_eq!(arrival.key, key("Spam", 1, 1));
    assert!(arrival.junk);
    assert!(arrival.seen - visible < Duration::from_millis(500));
    // Under its name, and under the one that it went by while nobody knew it.
    bench.looked("Spam").await;
    bench.looked("Junk").await;
}

#[tokio::test(start_paused = true)]
async fn a_junk_folder_that_is_expected_too_has_one_watch() {
    let server = Server::new();
    let mut bench = Bench::with(&server, Vec::new());
    bench.watches.add("alice", "Junk");
    bench.watches.add("alice", "Junk");
    bench.watches.add("alice", "inbox");
    bench.watches.ready("alice").await.unwrap();
    bench.await_one();
    server.deliver("Junk", &tagged(1));
    server.deliver("INBOX", &tagged(2));
    let told = bench.pass(Duration::from_secs(3)).await;
    let mut arrived: Vec<(String, bool)> = told
        .into_iter()
        .filter_map(|news| match news {
            News::Arrived(arrival) => Some((arrival.key.folder, arrival.junk)),
            _ => None,
        })
        .collect();
    arrived.sort();
    assert_eq!(
        arrived,
        [("INBOX".to_owned(), false), ("Junk".to_owned(), true)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_is_not_told() {
    let server = Server::new();
    for number in 1..=3 {
        server.deliver("INBOX", &tagged(number));
    }
    let mut bench = Bench::ready(&server).await;
    server.deliver("INBOX", &tagged(4));
    assert_eq!(bench.arrival().await.key.uid, 4);
}

/// The mailbox could not be opened when the mail was sent, so there is no position to go on from.
#[tokio::test(start_paused = true)]
async fn what_is_expected_may_be_there_before_the_first_look() {
    let server = Server::new();
    server.deliver("INBOX", FOREIGN);
    let uid = server.deliver("INBOX", &tagged(1));
    let mut bench = Bench::with(&server, Vec::new());
    bench
        .interest
        .send_modify(|interest| interest.folders = vec!["INBOX".to_owned()]);
    bench.watches.add("alice", "INBOX");
    assert_eq!(bench.arrival().await.key, key("INBOX", 1, uid));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_uidnext_is_read_all_the_same() {
    let server = Server::new();
    server.switch(|switches| switches.says_uid_next = false);
    server.deliver("INBOX", &tagged(1));
    let mut bench = Bench::ready(&server).await;
    server.deliver("INBOX", &tagged(2));
    assert_eq!(bench.arrival().await.key.uid, 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let server = Server::new();
    for number in 1..=5 {
        server.deliver("INBOX", &tagged(number));
    }
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 4,
    };
    let mut bench = Bench::with(&server, vec![position]);
    bench.watches.add("alice", "INBOX");
    assert_eq!(bench.arrival().await.key.uid, 4);
    assert_eq!(bench.arrival().await.key.uid, 5);
}

#[tokio::test(start_paused = true)]
async fn a_new_uidvalidity_has_the_whole_folder_read_again() {
    let server = Server::new();
    for number in 1..=300 {
        server.deliver(
            "INBOX",
            if number % 100 == 0 {
                "Subject: x"
            } else {
                FOREIGN
            },
        );
    }
    server.deliver("INBOX", &tagged(1));
    let mut bench = Bench::ready(&server).await;
    server.renumber("INBOX");
    server.cut();
    let arrival = bench.arrival().await;
    assert_eq!(arrival.key, key("INBOX", 2, 301));
    server.deliver("INBOX", &tagged(2));
    assert_eq!(bench.arrival().await.key, key("INBOX", 2, 302));
}

#[tokio::test(start_paused = true)]
async fn a_position_beyond_uidnext_has_the_folder_read_again() {
    let server = Server::new();
    server.deliver("INBOX", &tagged(1));
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 900,
    };
    let mut bench = Bench::with(&server, vec![position]);
    bench.watches.add("alice", "INBOX");
    assert_eq!(bench.arrival().await.key.uid, 1);
}

#[tokio::test(start_paused = true)]
async fn in_a_huge_folder_only_tagged_messages_and_the_newest_are_read() {
    let server = Server::new();
    server.deliver("INBOX", &tagged(1));
    for _ in 0..6_000 {
        server.deliver("INBOX", FOREIGN);
    }
    server.deliver("INBOX", &tagged(2));
    let position = Position {
        mailbox: "alice".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid_next: 1,
    };
    let mut bench = Bench::with(&server, vec![position]);
    bench.watches.add("alice", "INBOX");
    assert_eq!(bench.arrival().await.key.uid, 1);
    assert_eq!(bench.arrival().await.key.uid, 6_002);
    assert_eq!(server.commands("UID SEARCH HEADER Postrider-Tag").len(), 1);
    let fetched: usize = server
        .commands("UID FETCH")
        .iter()
        .map(|(_, command)| command.matches(',').count() + 1)
        .sum();
    assert!(fetched <= 2_200, "{fetched}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_new_messages_at_once_are_all_read_in_pages() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    for number in 1..=1_000 {
        server.deliver("INBOX", &tagged(number));
    }
    let visible = Instant::now();
    for uid in 1..=1_000 {
        let arrival = bench.arrival().await;
        assert_eq!(arrival.key.uid, uid);
        assert!(arrival.seen - visible <= Duration::from_millis(6));
    }
    let longest = server
        .commands("UID FETCH")
        .iter()
        .map(|(_, command)| command.len())
        .max();
    assert!(longest < Some(1_000));
}

#[tokio::test(start_paused = true)]
async fn mail_without_a_tag_of_its_own_is_no_arrival() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    let tag = tagged(1);
    for header in [
        FOREIGN.to_owned(),
        // A quotation lies behind the end of the header block.
        format!("Subject: Re: probe\r\n\r\n> {tag}"),
        format!("Subject: Re: probe\r\n\r\n{tag}"),
        format!("X-Original: x\r\n {}", tag.replace("\r\n", "\r\n ")),
        "Postrider-Tag: v1; id=nonsense".to_owned(),
        format!("{tag}\r\n{tag}"),
    ] {
        server.deliver("INBOX", &header);
    }
    let uid = server.deliver("INBOX", &tagged(2));
    assert_eq!(bench.arrival().await.key.uid, uid);
}

#[tokio::test(start_paused = true)]
async fn looking_changes_nothing_in_the_mailbox() {
    let server = Server::new();
    let before = server.deliver("INBOX", FOREIGN);
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    server.deliver("INBOX", &tagged(1));
    bench.arrival().await;
    bench.pass(Duration::from_secs(5)).await;
    bench.watches.shutdown().await;
    let state = server.state();
    for message in &state.folders["INBOX"].messages {
        assert_eq!(message.flags.len(), 1, "{message:?}");
        assert!(message.flags.contains("\\Recent"));
    }
    assert_eq!(state.folders["INBOX"].messages[0].uid, before);
    let changing = ["SELECT", "UID STORE", "EXPUNGE", "CLOSE", "UID EXPUNGE"];
    for (_, command) in &state.log {
        assert!(
            !changing.iter().any(|c| command.starts_with(c)),
            "{command}"
        );
        assert!(
            !command.contains("FETCH") || command.contains("PEEK"),
            "{command}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn any_number_of_mails_costs_one_connection_for_each_folder() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    for number in 1..=50 {
        bench.await_one();
        server.deliver("INBOX", &tagged(number));
        bench.arrival().await;
    }
    assert_eq!(server.state().connections, 2);
}

/// A pipeline that answers every news with another interest must not drive the watch.
#[tokio::test(start_paused = true)]
async fn news_about_looks_does_not_cause_looks() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    let reply = bench.await_one();
    let end = reply + Duration::from_secs(60);
    let mut heard = 0;
    while let Ok(Some(_)) = tokio::time::timeout_at(end, bench.news.recv()).await {
        heard += 1;
        bench.interest.send_modify(|interest| interest.awaited += 1);
    }
    let looks = server.commands("NOOP").len();
    assert!(looks < 1_500, "{looks}");
    assert!(heard < 900, "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_earlier_runs_left_something_in_is_watched_too() {
    let server = Server::new();
    server.make_folder("Filtered", "");
    let mut bench = Bench::with(&server, Vec::new());
    bench.interest.send_modify(|interest| {
        interest.folders = vec!["Filtered".to_owned(), "inbox".to_owned(), "Gone".to_owned()];
    });
    bench.watches.add("alice", "INBOX");
    // What is only left over keeps nothing from being sent.
    bench.watches.ready("alice").await.unwrap();
    bench.looked("Filtered").await;
    server.deliver("Filtered", &tagged(1));
    assert_eq!(bench.arrival().await.key, key("Filtered", 1, 1));
    bench.watches.shutdown().await;
    assert_eq!(server.state().open, 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_watches_ends_them() {
    let server = Server::new();
    let bench = Bench::ready(&server).await;
    drop(bench.watches);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.state().open, 0);
}
