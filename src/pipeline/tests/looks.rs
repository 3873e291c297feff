//! What looks, and their absence, prove.

use std::time::Duration;

use postrider_probes::post::EntryState::*;
use postrider_probes::reason::Reason;
use tokio::time::Instant;

use super::bench::{self, Bench, blind, key, patience};

/// In which the mails of these tests are expected.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_while_nobody_can_look() {
    let bench = Bench::new().await;
    let mut account = bench.sent(1).await;
    bench.looks("INBOX").await;
    bench.tell(blind("INBOX")).await;
    patience(account.wait_for(|account| account.state == Unverifiable))
        .await
        .expect("the pipeline lives");
    let reason = account
        .borrow()
        .blind
        .as_ref()
        .map(|failure| failure.reason);
    assert_eq!(reason, Some(Reason::ImapUnavailable));

    // The mailbox can be read again, and it is not there.
    bench.looks("INBOX").await;
    patience(account.wait_for(|account| account.state == Lost))
        .await
        .expect("the pipeline lives");
    assert_eq!(account.borrow().blind, None);
    // It was only very late.
    bench.arrives(1, key("INBOX", 7)).await;
    assert_eq!(bench.balance().await.corrected, 1);
    assert_eq!(account.borrow().state, Delivered);
}

#[tokio::test(start_paused = true)]
async fn lost_mail_was_looked_for_after_its_deadline() {
    let bench = Bench::new().await;
    let mut account = bench.sent(1).await;
    patience(account.wait_for(|account| account.state == Overdue))
        .await
        .expect("the pipeline lives");
    tokio::time::advance(bench::LOST_AFTER).await;
    bench.looks("INBOX").await;
    bench.balance().await;
    assert_eq!(account.borrow().state, Lost);
}

#[tokio::test(start_paused = true)]
async fn junk_folder_is_part_of_the_look() {
    let bench = Bench::new().await;
    // The watch of the junk folder looked once, long ago.
    bench.looks("Junk").await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let account = bench.sent(1).await;
    tokio::time::advance(WITHIN).await;
    bench.looks("INBOX").await;
    bench.balance().await;
    assert!(!account.borrow().looked);
    bench.looks("Junk").await;
    bench.balance().await;
    assert!(account.borrow().looked);
}

#[tokio::test(start_paused = true)]
async fn junk_folder_that_was_never_read_is_not_waited_for() {
    let bench = Bench::new().await;
    // The server was away; when it came back there turned out to be no junk folder.
    for folder in ["INBOX", "Junk"] {
        bench.tell(blind(folder)).await;
    }
    let account = bench.sent(1).await;
    tokio::time::advance(WITHIN).await;
    bench.looks("INBOX").await;
    bench.balance().await;
    assert!(account.borrow().looked);
    // But that nobody could look there is told, until somebody can.
    assert!(account.borrow().blind_junk.is_some());
    bench.looks("Junk").await;
    bench.balance().await;
    assert_eq!(account.borrow().blind_junk, None);
    // What was proven then stays proven.
    bench.tell(blind("Junk")).await;
    bench.balance().await;
    assert_eq!(account.borrow().blind_junk, None);
}

#[tokio::test(start_paused = true)]
async fn look_that_began_before_the_time_was_over_proves_no_absence() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    bench.looks("INBOX").await;
    bench.balance().await;
    assert!(!account.borrow().looked);
    tokio::time::advance(WITHIN / 2).await;
    let began = Instant::now();
    tokio::time::advance(WITHIN / 2).await;
    bench.looks_from("INBOX", began).await;
    bench.balance().await;
    assert!(!account.borrow().looked);
    bench.looks("INBOX").await;
    bench.balance().await;
    assert!(account.borrow().looked);
}

#[tokio::test(start_paused = true)]
async fn blindness_is_told_and_ends_with_a_look() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    bench.tell(blind("Junk")).await;
    bench.balance().await;
    assert_eq!(account.borrow().blind, None);
    let junk = account.borrow().blind_junk.clone();
    assert_eq!(
        junk.map(|failure| failure.reason),
        Some(Reason::ImapUnavailable)
    );
    bench.looks("Junk").await;
    bench.balance().await;
    assert_eq!(account.borrow().blind_junk, None);
    bench.tell(blind("INBOX")).await;
    bench.balance().await;
    assert!(account.borrow().blind.is_some());
    bench.looks("INBOX").await;
    bench.balance().await;
    assert_eq!(account.borrow().blind, None);
}
