//! What the watches are asked for.

use std::time::Duration;

use postrider_probes::post::Draft;
use postrider_probes::post::EntryState::*;
use tokio::time::Instant;

use super::bench::{Bench, header, key, removals};
use crate::ledger::sample::{accepted, draft, id, refused};
use crate::mailbox::news::{Interest, News, Position};

#[tokio::test(start_paused = true)]
async fn interest_follows_the_mails_in_flight() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    assert_eq!(*interest.borrow(), Interest::default());
    let _account = bench.planned(1).await;
    let expected = Interest {
        folders: vec!["INBOX".to_owned()],
        awaited: 1,
        only_copies: false,
        latest: None,
        remove: Vec::new(),
    };
    assert_eq!(*interest.borrow(), expected);

    let replied = Instant::now();
    bench.record(1, accepted(), replied).await;
    assert_eq!(interest.borrow().latest, Some(replied));
    let _other = bench.planned(2).await;
    bench.record(2, refused(), Instant::now()).await;
    assert_eq!(
        (interest.borrow().awaited, interest.borrow().latest),
        (1, Some(replied))
    );

    bench.arrives(1, key("INBOX", 7)).await;
    bench.balance().await;
    // It was seen, but somebody still waits, perhaps for a second copy: nothing is removed.
    let waiting = Interest {
        only_copies: true,
        latest: Some(replied),
        ..expected
    };
    assert_eq!(*interest.borrow(), waiting);
    bench.pipeline.release(id(1)).await;
    assert_eq!(interest.borrow().awaited, 0);
    assert_eq!(
        *bench.pipeline.interest("bob").borrow(),
        Interest::default()
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_awaited_does_not_wait_for_the_disk() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    let mut interest = bench.pipeline.interest("alice");
    let held = bench.database();
    held.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    let replied = Instant::now();
    let recorded = bench.post.record(id(1), accepted(), replied);
    tokio::pin!(recorded);
    tokio::select! {
        done = &mut recorded => panic!("recorded although the store is locked: {done:?}"),
        changed = interest.changed() => changed.expect("the pipeline lives"),
    }
    assert_eq!(interest.borrow().latest, Some(replied));
    held.execute_batch("ROLLBACK").expect("it is let go");
    recorded.await.expect("it is recorded");
}

#[tokio::test(start_paused = true)]
async fn released_mail_is_removed_and_nothing_else() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    let (_one, _two) = (bench.sent(1).await, bench.sent(2).await);
    bench.arrives(1, key("INBOX", 7)).await;
    bench.arrives(1, key("Junk", 3)).await;
    bench.arrives(2, key("INBOX", 8)).await;
    let mut foreign = bench.arrival(1, key("INBOX", 9));
    foreign.header = header(&bench.tag(&draft(1)), "reply@example.net");
    bench.tell(News::Arrived(Box::new(foreign))).await;
    bench.pipeline.release(id(1)).await;
    assert_eq!(removals(&interest), [key("INBOX", 7), key("Junk", 3)]);
    assert_eq!(interest.borrow().folders, ["INBOX", "Junk"]);

    // Also told of a message that nobody asked to remove: no effect.
    let removed = |messages| News::Removed {
        mailbox: "alice".to_owned(),
        messages,
    };
    bench
        .tell(removed(vec![key("INBOX", 7), key("INBOX", 8)]))
        .await;
    bench.balance().await;
    assert_eq!(removals(&interest), [key("Junk", 3)]);
    bench.tell(removed(vec![key("Junk", 3)])).await;
    bench.balance().await;
    assert_eq!(removals(&interest), []);
    let open = bench.store.open_entries().await.expect("they are read");
    let open: Vec<_> = open.iter().map(|(id, _)| *id).collect();
    assert_eq!(open, [id(2)]);
}

#[tokio::test(start_paused = true)]
async fn folder_that_was_numbered_anew_has_nothing_left_to_remove() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    let _account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.pipeline.release(id(1)).await;
    assert_eq!(removals(&interest), [key("INBOX", 7)]);
    bench
        .tell(News::Position(Position {
            mailbox: "alice".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 2,
            uid_next: 1,
        }))
        .await;
    bench.balance().await;
    assert_eq!(*interest.borrow(), Interest::default());
    let position = bench.pipeline.position("alice", "INBOX").await;
    assert_eq!(
        position
            .expect("read")
            .map(|position| position.uid_validity),
        Some(2)
    );
}

#[tokio::test(start_paused = true)]
async fn wish_to_remove_carries_the_proof_of_its_own_mail() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    for n in [1, 2] {
        let _account = bench.sent(n).await;
        let uid = u32::try_from(n).expect("small");
        bench.arrives(n, key("INBOX", uid)).await;
        bench.pipeline.release(id(n)).await;
    }
    for (n, wish) in (1..).zip(&interest.borrow().remove) {
        assert_eq!(wish.proof.entry(), id(n));
        for other in [1, 2] {
            let Draft { message_id, .. } = draft(other);
            let tag = bench.tag(&draft(other));
            let header = header(&tag, &message_id);
            let tag = tag.parse().expect("a tag");
            assert_eq!(wish.proof.holds(&tag, &header), n == other, "{n} {other}");
        }
    }
    assert_eq!(interest.borrow().remove.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn folder_that_was_set_back_keeps_what_came_after_the_backup() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    for (n, uid) in [(1, 7), (2, 8), (3, 9)] {
        let _account = bench.sent(n).await;
        bench.arrives(n, key("INBOX", uid)).await;
    }
    bench.pipeline.release(id(1)).await;
    bench.pipeline.release(id(2)).await;
    assert_eq!(removals(&interest), [key("INBOX", 7), key("INBOX", 8)]);
    bench
        .tell(News::SetBack(Position {
            mailbox: "alice".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 1,
            uid_next: 8,
        }))
        .await;
    bench.balance().await;
    assert_eq!(removals(&interest), [key("INBOX", 7)]);
    // Nor is that asked for later which somebody still waited for.
    bench.pipeline.release(id(3)).await;
    bench.balance().await;
    assert_eq!(removals(&interest), [key("INBOX", 7)]);
    // A new mail under an old number is removed like any other.
    let _account = bench.sent(4).await;
    bench.arrives(4, key("INBOX", 8)).await;
    bench.pipeline.release(id(4)).await;
    assert_eq!(removals(&interest), [key("INBOX", 7), key("INBOX", 8)]);
    let bench = bench.restart(Duration::ZERO).await;
    let interest = bench.pipeline.interest("alice");
    assert_eq!(removals(&interest), [key("INBOX", 7), key("INBOX", 8)]);
}

#[tokio::test(start_paused = true)]
async fn late_copy_of_a_closed_mail_is_counted_and_removed() {
    let bench = Bench::new().await;
    let interest = bench.pipeline.interest("alice");
    let _account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.pipeline.release(id(1)).await;
    bench
        .tell(News::Removed {
            mailbox: "alice".to_owned(),
            messages: vec![key("INBOX", 7)],
        })
        .await;
    bench.balance().await;
    // The entry has left memory by now.
    bench.arrives(1, key("INBOX", 70)).await;
    let balance = bench.balance().await;
    assert_eq!(
        (balance.of(Delivered), balance.extra_copies, balance.foreign),
        (1, 1, 0)
    );
    assert_eq!(removals(&interest), [key("INBOX", 70)]);
    assert_eq!(bench.stored(1).await.copies(), 2);
}
