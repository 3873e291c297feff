//! What comes after the first attempt: bounces, and further attempts.

use std::time::Duration;

use postrider_probes::post::Bounce as Told;
use postrider_probes::post::EntryState::*;
use postrider_wire::message::bounce::{Action, Bounce, Form, RecipientReport};
use tokio::time::Instant;

use super::super::restraint::{MOST_IN_A_ROW, PAUSE};
use super::bench::{Bench, key, patience};
use crate::ledger::sample::{accepted, deferred, draft, id, uncertain};
use crate::mailbox::news::{Interest, MessageKey, News, Returned};

/// A bounce of the `n`th mail that says so, seen now in the sender's mailbox.
fn returned(bench: &Bench, n: u64, uid: u32, action: Action) -> Returned {
    Returned {
        mailbox: "returns".to_owned(),
        key: key("INBOX", uid),
        seen_at: bench.clock.now(),
        bounce: Bounce {
            form: Form::Report,
            reporting_mta: Some("mx1.example.net".to_owned()),
            recipients: vec![RecipientReport {
                action,
                recipient: Some("alice@example.net".to_owned()),
                original_recipient: None,
                status: Some("5.1.1".to_owned()),
                diagnostic: Some("550 5.1.1 no such user".to_owned()),
                remote_mta: Some("store1.example.net".to_owned()),
            }],
            tag: bench.tag(&draft(n)).parse().ok(),
            message_id: Some(draft(n).message_id),
        },
    }
}

async fn bounces(bench: &Bench, returned: Returned) {
    bench.tell(News::Returned(Box::new(returned))).await;
}

fn interest(bench: &Bench) -> Interest {
    bench.pipeline.interest("returns").borrow().clone()
}

fn to_remove(bench: &Bench) -> Vec<MessageKey> {
    let wishes = interest(bench).remove.into_iter();
    wishes.map(|wish| wish.message).collect()
}

const WORDS: &str = "store1.example.net: 550 5.1.1 no such user";

#[tokio::test(start_paused = true)]
async fn bounce_ends_the_wait_and_is_removed_when_nobody_waits() {
    let bench = Bench::new().await;
    let mut account = bench.sent(1).await;
    assert_eq!(interest(&bench).folders, ["INBOX"]);
    assert!(interest(&bench).only_copies);
    bounces(&bench, returned(&bench, 1, 3, Action::Failed)).await;
    let waited = patience(account.wait_for(|account| account.state == Bounced)).await;
    let told = waited.expect("the pipeline lives").bounce.clone();
    assert_eq!(told, Some(Told::Failed(WORDS.to_owned())));
    assert_eq!(to_remove(&bench), []);

    bench.pipeline.release(id(1)).await;
    bench.balance().await;
    assert_eq!(to_remove(&bench), [key("INBOX", 3)]);
    bench
        .tell(News::Removed {
            mailbox: "returns".to_owned(),
            messages: vec![key("INBOX", 3)],
        })
        .await;
    bench.balance().await;
    assert_eq!(interest(&bench), Interest::default());
    let entry = bench.stored(1).await;
    assert_eq!((entry.state(), entry.open()), (Bounced, false));
}

#[tokio::test(start_paused = true)]
async fn delay_is_noted_and_the_mail_still_awaited() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    for _ in 0..2 {
        bounces(&bench, returned(&bench, 1, 3, Action::Delayed)).await;
    }
    bench.balance().await;
    assert_eq!(account.borrow().state, Accepted);
    assert_eq!(
        account.borrow().bounce,
        Some(Told::Delayed(WORDS.to_owned()))
    );
    assert_eq!(bench.stored(1).await.bounces().count(), 1);
    bench.arrives(1, key("INBOX", 7)).await;
    assert_eq!(bench.balance().await.of(Delivered), 1);
}

#[tokio::test(start_paused = true)]
async fn bounce_without_our_proof_decides_nothing_and_is_never_removed() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    let mut unproven = returned(&bench, 1, 1, Action::Failed);
    unproven.bounce.tag = None;
    let mut forged = returned(&bench, 1, 2, Action::Failed);
    if let Some(tag) = &mut forged.bounce.tag {
        tag.mac[0] ^= 1;
    }
    let mut elsewhere = returned(&bench, 1, 3, Action::Failed);
    elsewhere.bounce.tag = None;
    elsewhere.bounce.message_id = Some(format!("{}@elsewhere.example", id(1)));
    let mut unknown = returned(&bench, 1, 4, Action::Failed);
    unknown.bounce.tag = None;
    unknown.bounce.message_id = Some("newsletter@example.org".to_owned());
    for one in [unproven, forged, elsewhere, unknown] {
        bounces(&bench, one).await;
    }
    let balance = bench.balance().await;
    assert_eq!((balance.of(Bounced), balance.of(Accepted)), (0, 1));
    assert_eq!(balance.foreign, 2);
    assert_eq!(account.borrow().bounce, None);
    let entry = bench.stored(1).await;
    let proven: Vec<bool> = entry.bounces().map(|(_, one)| one.is_proven).collect();
    assert_eq!(proven, [false]);
    bench.pipeline.release(id(1)).await;
    bench.balance().await;
    assert_eq!(to_remove(&bench), []);
}

#[tokio::test(start_paused = true)]
async fn bounce_after_the_end_is_booked_as_well() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    bench.pipeline.release(id(1)).await;
    let bench = bench.restart(Duration::from_secs(3 * 24 * 3600)).await;
    // Who watches the mailbox of the recipient must watch that of the sender, too.
    assert_eq!(interest(&bench).folders, ["INBOX"]);
    bounces(&bench, returned(&bench, 1, 9, Action::Failed)).await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Bounced), balance.planned()), (1, 1));
    let verification = bench.store.verify().await.expect("it is read");
    assert_eq!(verification.differences, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn deferred_mail_is_one_entry_over_all_its_attempts() {
    let bench = Bench::new().await;
    let account = bench.planned(1).await;
    assert!(bench.post.retry(id(1)).await.is_err(), "it was not refused");
    bench.record(1, deferred(), Instant::now()).await;
    assert_eq!(account.borrow().state, Deferred);
    tokio::time::advance(Duration::from_secs(60)).await;
    bench.post.retry(id(1)).await.expect("it is committed");
    assert_eq!(account.borrow().state, Deferred);
    assert!(bench.post.retry(id(1)).await.is_err(), "one at a time");
    bench.record(1, deferred(), Instant::now()).await;
    tokio::time::advance(Duration::from_secs(242)).await;
    bench.post.retry(id(1)).await.expect("it is committed");
    let replied = Instant::now();
    bench.record(1, accepted(), replied).await;
    assert_eq!(account.borrow().state, Accepted);

    tokio::time::advance(Duration::from_secs(2)).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.balance().await;
    // The latency counts from the acceptance: the wait before it is told apart.
    assert_eq!(
        account.borrow().arrivals[0].after,
        Some(Duration::from_secs(2))
    );
    let entry = bench.stored(1).await;
    assert_eq!(entry.deferred_for(), Some(Duration::from_secs(302)));
    assert_eq!(entry.tries().count(), 3);
    let balance = bench.balance().await;
    assert_eq!((balance.planned(), balance.of(Delivered)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn mail_that_was_perhaps_taken_is_never_sent_again() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    bench.record(1, deferred(), Instant::now()).await;
    bench.post.retry(id(1)).await.expect("it is committed");
    bench.record(1, uncertain(), Instant::now()).await;
    assert!(bench.post.retry(id(1)).await.is_err());
    assert_eq!(bench.balance().await.of(Uncertain), 1);
}

#[tokio::test(start_paused = true)]
async fn program_that_ends_while_a_mail_is_deferred_leaves_it_deferred() {
    let bench = Bench::new().await;
    for n in [1, 2] {
        let _account = bench.planned(n).await;
        bench.record(n, deferred(), Instant::now()).await;
    }
    // Of this one the next attempt had begun, and nobody knows how far it came.
    bench.post.retry(id(2)).await.expect("it is committed");
    let bench = bench.restart(Duration::from_secs(60)).await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Deferred), balance.of(Uncertain)), (1, 1));
    assert!(!bench.stored(1).await.open());
}

#[tokio::test(start_paused = true)]
async fn attempt_that_was_cut_off_before_the_dot_changes_nothing() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    bench.record(1, deferred(), Instant::now()).await;
    bench.post.retry(id(1)).await.expect("it is committed");
    bench.pipeline.release(id(1)).await;
    assert_eq!(bench.balance().await.of(Deferred), 1);
}

#[tokio::test(start_paused = true)]
async fn after_many_bounces_in_a_row_nothing_is_sent_for_an_hour_restarts_included() {
    let mut bench = Bench::new().await;
    let last = u64::from(MOST_IN_A_ROW);
    for n in 1..=last {
        bench.sent(n).await;
        let uid = u32::try_from(n).expect("a small number");
        bounces(&bench, returned(&bench, n, uid, Action::Failed)).await;
        bench.balance().await;
    }
    for n in [last + 1, last + 2] {
        let refused = bench.post.plan(draft(n)).await.expect_err("it is enough");
        assert!(
            refused.message.starts_with("the last 10 mails from ")
                && refused.message.contains(WORDS),
            "{}",
            refused.message
        );
        assert_eq!(bench.store.entry(id(n)).await.expect("it is read"), None);
        for n in 1..=last {
            bench.pipeline.release(id(n)).await;
        }
        bench = bench.restart(Duration::from_secs(60)).await;
    }
    let bench = bench.restart(PAUSE).await;
    bench.sent(last + 3).await;
    assert!(bench.post.plan(draft(last + 4)).await.is_err());
    bench.arrives(last + 3, key("INBOX", 99)).await;
    bench.balance().await;
    bench.sent(last + 4).await;
}
