use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;

use super::*;

fn blind(told: &[News]) -> Vec<&Failure> {
    told.iter()
        .filter_map(|news| match news {
            News::Blind {
                folder, failure, ..
            } if folder == "INBOX" => Some(failure),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_during_idle_is_made_anew() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.pass(Duration::from_secs(60)).await;
    server.cut();
    server.deliver("INBOX", &tagged(1));
    let told = bench.pass(Duration::from_secs(5)).await;
    let failures = blind(&told);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].reason, Reason::ImapUnavailable);
    assert_eq!(uids(&told), [1]);
    assert!(matches!(told.last(), Some(News::Looked { .. })), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn while_a_mail_is_awaited_the_first_retry_is_fast() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    bench.pass(Duration::from_secs(1)).await;
    server.cut();
    let visible = Instant::now();
    server.deliver("INBOX", &tagged(1));
    let arrival = bench.arrival().await;
    assert!(arrival.seen - visible < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_told_once_and_tried_less_and_less_often() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    server.switch(|switches| switches.accept_connections = false);
    server.cut();
    let before = server.state().connections;
    let told = bench.pass(Duration::from_secs(3_600)).await;
    let failures = blind(&told);
    let reasons: Vec<Reason> = failures.iter().map(|failure| failure.reason).collect();
    assert_eq!(reasons, [Reason::ImapUnavailable, Reason::ConnectRefused]);
    // Two folders, at least 45 s between attempts.
    let attempts = server.state().connections - before;
    assert!((100..=180).contains(&attempts), "{attempts}");

    server.switch(|switches| switches.accept_connections = true);
    bench.looked("INBOX").await;
    bench.watches.ready("alice").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_logins_end_before_the_account_is_locked() {
    let server = Server::new();
    server.switch(|switches| switches.accept_logins = false);
    let mut bench = Bench::with(&server, Vec::new());
    bench.watches.add("alice", "INBOX");
    let failure = bench.watches.ready("alice").await.unwrap_err();
    assert_eq!(
        failure.line(),
        "imap-login: the login was refused: [AUTHENTICATIONFAILED] who are you?"
    );
    let told = bench.pass(Duration::from_secs(290)).await;
    assert!(blind(&told).len() <= 1);
    assert_eq!(server.commands("LOGIN").len(), 3);
    bench.pass(Duration::from_secs(3_600)).await;
    let logins = server.commands("LOGIN").len();
    assert!((10..=15).contains(&logins), "{logins}");

    // The password is read anew each time: whoever mends it need not restart anything.
    server.switch(|switches| switches.accept_logins = true);
    bench.looked("INBOX").await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_is_read_without_a_restart() {
    let server = Server::new();
    let mut bench = Bench::with(&server, Vec::new());
    std::fs::write(bench.password.path(), "old").unwrap();
    bench.watches.add("alice", "INBOX");
    let failure = bench.watches.ready("alice").await.unwrap_err();
    assert_eq!(failure.reason, Reason::ImapLogin);
    std::fs::write(bench.password.path(), "secret").unwrap();
    bench.looked("INBOX").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_password_is_said_and_nothing_is_connected_to() {
    let server = Server::new();
    let bench = Bench::with(&server, Vec::new());
    std::fs::remove_file(bench.password.path()).unwrap();
    bench.watches.add("alice", "INBOX");
    let failure = bench.watches.ready("alice").await.unwrap_err();
    assert_eq!(failure.reason, Reason::SecretMissing);
    assert_eq!(server.state().connections, 0);
    std::fs::write(bench.password.path(), "secret").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_does_not_exist_is_named() {
    let server = Server::new();
    let bench = Bench::with(&server, Vec::new());
    bench.watches.add("alice", "Filtered");
    let failure = bench.watches.ready("alice").await.unwrap_err();
    assert_eq!(failure.reason, Reason::ImapUnavailable);
    assert!(
        failure
            .message
            .contains("the folder `Filtered` cannot be opened"),
        "{failure:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_nobody_watches_is_not_ready() {
    let server = Server::new();
    let bench = Bench::with(&server, Vec::new());
    bench.watches.add("nobody", "INBOX");
    let failure = bench.watches.ready("nobody").await.unwrap_err();
    assert_eq!(failure.reason, Reason::CannotObserve);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    for at in ["LOGIN", "EXAMINE", "NOOP"] {
        let server = Server::new();
        server.switch(|switches| switches.hangs_at = Some(at));
        let mut bench = Bench::with(&server, Vec::new());
        bench.watches.add("alice", "INBOX");
        let _ = bench.watches.ready("alice").await;
        bench.await_one();
        let told = bench.pass(Duration::from_secs(100)).await;
        let failures = blind(&told);
        // Opening the folder is a look: after it, the same failure is a new one.
        assert!((1..=3).contains(&failures.len()), "{at}");
        assert_eq!(failures[0].reason, Reason::ImapUnavailable, "{at}");
        assert!(failures[0].message.contains(at), "{failures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_end_are_cut_off() {
    let begun = b"* 1 FETCH (UID 1 BODY[HEADER]<0> {4294967295}\r\nSubject: ";
    let endless = b"* 1 FETCH (UID 1 BODY[HEADER]<0> {100}\r\nSubject: ";
    let nested = b"* 1 FETCH (UID 1 BODYSTRUCTURE ((((((((((((((((((((((((((((((((((((((((";
    let cases: [(&'static [u8], Reason); 3] = [
        (begun, Reason::ImapProtocol),
        (endless, Reason::ImapUnavailable),
        (nested, Reason::ImapProtocol),
    ];
    for (says, reason) in cases {
        let server = Server::new();
        let mut bench = Bench::ready(&server).await;
        server.switch(|switches| switches.fetch_says = Some(says));
        bench.await_one();
        server.deliver("INBOX", &tagged(1));
        let told = bench.pass(Duration::from_secs(60)).await;
        assert_eq!(blind(&told)[0].reason, reason, "{}", says.escape_ascii());
        server.switch(|switches| switches.fetch_says = None);
        assert_eq!(bench.arrival().await.key.uid, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cuts_every_session_is_not_hammered() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.await_one();
    let before = server.state().connections;
    for _ in 0..600 {
        bench.pass(Duration::from_secs(1)).await;
        server.cut();
    }
    let attempts = server.state().connections - before;
    assert!(attempts < 80, "{attempts}");
}

#[tokio::test(start_paused = true)]
async fn a_new_interest_shortens_the_pause() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    server.switch(|switches| switches.accept_connections = false);
    server.cut();
    bench.pass(Duration::from_secs(1_000)).await;
    server.switch(|switches| switches.accept_connections = true);
    let now = bench.await_one();
    let looked = bench.looked("INBOX").await;
    assert!(looked - now < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn shutdown_says_goodbye() {
    let server = Server::new();
    let bench = Bench::ready(&server).await;
    let began = Instant::now();
    bench.watches.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(server.commands("LOGOUT").len(), 2);
    assert_eq!(server.state().open, 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_though_the_server_does_not_answer() {
    let server = Server::new();
    let mut bench = Bench::ready(&server).await;
    bench.pass(Duration::from_secs(1)).await;
    server.switch(|switches| switches.hangs_at = Some("NOOP"));
    bench.await_one();
    bench.pass(Duration::from_secs(1)).await;
    let began = Instant::now();
    bench.watches.shutdown().await;
    assert!(began.elapsed() <= Duration::from_secs(10));
}

/// What is told to be blind must be told to see again under the same name, or nothing in the mailbox can ever be
/// proven to be absent.
#[tokio::test(start_paused = true)]
async fn a_junk_folder_that_was_blind_before_it_had_a_name_recovers() {
    let server = Server::new();
    {
        let mut state = server.state();
        let junk = state.folders.remove("Junk").unwrap();
        state.folders.insert("Bulk".to_owned(), junk);
        state.switches.accept_connections = false;
    }
    let mut bench = Bench::with(&server, Vec::new());
    bench.watches.add("alice", "INBOX");
    bench
        .until(|news| matches!(news, News::Blind { folder, .. } if folder == "Junk").then_some(()))
        .await;
    server.switch(|switches| switches.accept_connections = true);
    for _ in 0..3 {
        bench.looked("Bulk").await;
        bench.looked("Junk").await;
    }
}
