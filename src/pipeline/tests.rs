mod aftermath;
mod baselines;
mod bench;
mod faults;
mod interest;
mod jumps;
mod looks;
mod restart;
mod runs;
mod witness;

use std::time::Duration;

use postrider_probes::post::EntryState::*;
use postrider_probes::reason::Reason;
use tokio::time::Instant;

use super::*;
use crate::ledger::sample::{accepted, draft, id, refused, uncertain};
use crate::mailbox::news::{MessageKey, News};
use bench::{Bench, header, key, patience};

const RECEIVED: &str = "Received: from mx1.example.net by store1.example.net with ESMTP; Mon, 21 Sep 2026 14:13:27 +0000\r\n\
     Received: from probe.example by mx1.example.net with ESMTPS; Mon, 21 Sep 2026 14:13:25 +0000\r\n\
     Authentication-Results: mx1.example.net;\r\n\tspf=pass smtp.mailfrom=sender.example\r\n";

#[tokio::test(start_paused = true)]
async fn latency_runs_from_the_final_reply_to_the_sighting() {
    let bench = Bench::new().await;
    let mut account = bench.planned(1).await;
    assert_eq!(account.borrow().state, Planned);

    tokio::time::advance(Duration::from_secs(5)).await;
    let replied = Instant::now();
    tokio::time::advance(Duration::from_millis(40)).await;
    bench.record(1, accepted(), replied).await;
    assert_eq!(account.borrow().state, Accepted);

    tokio::time::advance(Duration::from_millis(1460)).await;
    let mut arrival = bench.arrival(1, key("INBOX", 7));
    arrival.header = [RECEIVED.as_bytes(), &arrival.header].concat();
    arrival.pushed = Some(Instant::now() - Duration::from_millis(200));
    bench.tell(News::Arrived(Box::new(arrival))).await;
    let delivered = patience(account.wait_for(|account| account.state == Delivered)).await;
    let delivered = delivered.expect("the pipeline lives").clone();

    let [seen] = delivered.arrivals.as_slice() else {
        panic!("one arrival, not {:?}", delivered.arrivals);
    };
    assert_eq!(seen.after, Some(Duration::from_millis(1500)));
    assert_eq!(seen.pushed_after, Some(Duration::from_millis(1300)));
    assert_eq!(
        (seen.mailbox.as_str(), seen.folder.as_str(), seen.uid),
        ("alice", "INBOX", 7)
    );
    let hops: Vec<_> = seen
        .hops
        .iter()
        .map(|hop| (hop.by.as_str(), hop.seconds))
        .collect();
    assert_eq!(
        hops,
        [("mx1.example.net", None), ("store1.example.net", Some(2.0))]
    );
    // Our clock showed 14:13:25 when the final reply was read: 5 s after the beginning.
    assert_eq!(seen.skew_seconds, Some(0.0));
    assert_eq!(
        seen.authentication_results,
        ["mx1.example.net; spf=pass smtp.mailfrom=sender.example"]
    );
    let entry = bench.stored(1).await;
    let latency = entry.latency().expect("it was measured");
    assert_eq!(
        (latency.after, latency.on_wall_clock),
        (Duration::from_millis(1500), false)
    );
}

#[tokio::test(start_paused = true)]
async fn arrival_before_the_reply_was_recorded_is_timed_all_the_same() {
    let bench = Bench::new().await;
    let mut account = bench.planned(1).await;
    let replied = Instant::now();
    tokio::time::advance(Duration::from_millis(30)).await;
    bench.arrives(1, key("INBOX", 7)).await;
    let early = patience(account.wait_for(|account| account.state == Delivered)).await;
    let after = early.expect("the pipeline lives").arrivals[0].after;
    assert_eq!(after, None);

    tokio::time::advance(Duration::from_millis(500)).await;
    bench.record(1, accepted(), replied).await;
    let timed = account.borrow_and_update().arrivals[0].clone();
    assert_eq!(timed.after, Some(Duration::from_millis(30)));
    let stored = bench.stored(1).await;
    assert_eq!(stored.latency().map(|latency| latency.after), timed.after);
    assert_eq!(stored.copies(), 1);
}

#[tokio::test(start_paused = true)]
async fn sighting_before_the_reply_was_read_takes_no_time() {
    let bench = Bench::new().await;
    let account = bench.planned(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    tokio::time::advance(Duration::from_millis(30)).await;
    bench.record(1, accepted(), Instant::now()).await;
    let after = account.borrow().arrivals[0].after;
    assert_eq!(after, Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn copy_that_is_seen_again_under_another_uidvalidity_is_the_same_copy() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let renumbered = |uid| MessageKey {
        uid_validity: 2,
        ..key("INBOX", uid)
    };
    bench.arrives(1, renumbered(3)).await;
    bench.balance().await;
    let uids = || -> Vec<u32> { account.borrow().arrivals.iter().map(|a| a.uid).collect() };
    assert_eq!(uids(), [7]);
    // A second copy under the new numbers is one.
    bench.arrives(1, renumbered(4)).await;
    bench.balance().await;
    assert_eq!(uids(), [3, 4]);
    assert_eq!(bench.stored(1).await.copies(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_copy_is_counted_once() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    for copy in [
        key("INBOX", 7),
        key("INBOX", 7),
        key("INBOX", 8),
        key("Junk", 1),
    ] {
        bench.arrives(1, copy).await;
    }
    let balance = bench.balance().await;
    assert_eq!((balance.of(Delivered), balance.extra_copies), (1, 2));
    let seen: Vec<u32> = account
        .borrow()
        .arrivals
        .iter()
        .map(|seen| seen.uid)
        .collect();
    assert_eq!(seen, [7, 8, 1]);
}

#[tokio::test(start_paused = true)]
async fn junk_is_not_delivered() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    bench.arrives(1, key("Junk", 1)).await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Junked), balance.of(Delivered)), (1, 0));
    assert_eq!(account.borrow().state, Junked);
}

#[tokio::test(start_paused = true)]
async fn only_a_proven_tag_is_an_arrival() {
    let bench = Bench::new().await;
    let account = bench.sent(1).await;
    let tag = bench.tag(&draft(1));
    let message_id = draft(1).message_id;
    let mut elsewhere = draft(1);
    elsewhere.recipient = "bob@example.net".to_owned();
    let mut stranger = draft(1);
    stranger.id = id(99);
    let mut forged = tag.clone();
    forged.replace_range(
        forged.len() - 1..,
        if tag.ends_with('0') { "1" } else { "0" },
    );

    let table = [
        ("forged", header(&forged, &message_id)),
        (
            "for another recipient",
            header(&bench.tag(&elsewhere), &message_id),
        ),
        (
            "of an entry that is not ours",
            header(&bench.tag(&stranger), &message_id),
        ),
        ("quoted in a reply", header(&tag, "reply@example.net")),
        (
            "without Message-ID",
            format!("Postrider-Tag: {tag}\r\n\r\n").into_bytes(),
        ),
        (
            "twice",
            header(&format!("{tag}\r\nPostrider-Tag: {tag}"), &message_id),
        ),
        (
            "in the body",
            format!("Subject: x\r\n\r\nPostrider-Tag: {tag}\r\nMessage-ID: <{message_id}>\r\n")
                .into_bytes(),
        ),
        ("unreadable", header("v1; id=", &message_id)),
    ];
    for (count, (what, header)) in (1..).zip(table) {
        let mut arrival = bench.arrival(1, key("INBOX", count));
        arrival.header = header;
        bench.tell(News::Arrived(Box::new(arrival))).await;
        let balance = bench.balance().await;
        assert_eq!(
            (balance.foreign, balance.of(Delivered)),
            (u64::from(count), 0),
            "{what}"
        );
    }
    assert_eq!(account.borrow().arrivals, []);
    bench.arrives(1, key("INBOX", 100)).await;
    assert_eq!(bench.balance().await.of(Delivered), 1);
}

#[tokio::test(start_paused = true)]
async fn evidence_beats_what_the_server_said() {
    for attempt in [refused(), uncertain()] {
        let bench = Bench::new().await;
        let account = bench.planned(1).await;
        bench.record(1, attempt, Instant::now()).await;
        bench.arrives(1, key("INBOX", 7)).await;
        bench.balance().await;
        assert_eq!(account.borrow().state, Delivered);
        assert_eq!(account.borrow().arrivals[0].after, None);
    }
}

#[tokio::test(start_paused = true)]
async fn overdue_mail_that_turns_up_is_corrected_once() {
    let bench = Bench::new().await;
    let mut listener = bench.pipeline.listen();
    let mut account = bench.sent(1).await;
    patience(account.wait_for(|account| account.state == Overdue))
        .await
        .expect("the pipeline lives");
    for uid in [7, 8] {
        bench.arrives(1, key("INBOX", uid)).await;
    }
    let balance = bench.balance().await;
    assert_eq!(
        (
            balance.of(Delivered),
            balance.of(Overdue),
            balance.corrected
        ),
        (1, 0, 1)
    );
    let told = listener.try_recv().expect("it was told");
    let Told::Corrected(correction) = told else {
        panic!("{told:?}");
    };
    let Correction {
        entry,
        before,
        after,
        run,
        scenario,
        step,
        route,
        mailbox,
        arrived_after,
    } = Arc::unwrap_or_clone(correction);
    assert_eq!((entry, before, after), (id(1), Overdue, Delivered));
    assert_eq!([run, scenario, step], ["01RUN", "flow", "primary"]);
    assert_eq!((route, mailbox.as_str()), (draft(1).route, "alice"));
    assert_eq!(arrived_after, Some(draft(1).within));
    let told = listener.try_recv().expect("the second copy was told, too");
    assert!(
        matches!(told, Told::Duplicated { entry } if entry == id(1)),
        "{told:?}"
    );
    assert!(listener.try_recv().is_err());
    assert!(bench.stored(1).await.overdue().is_some());
}

#[tokio::test(start_paused = true)]
async fn check_that_ends_without_an_outcome_leaves_an_uncertain_mail_only_when_it_was_complete() {
    let bench = Bench::new().await;
    let _cut_off = bench.planned(2).await;
    bench.pipeline.release(id(2)).await;
    assert_eq!(bench.balance().await.of(NotSent), 1);
    assert_eq!(bench.stored(2).await.state(), NotSent);

    let account = bench.planned(1).await;
    bench.post.completing(id(1));
    bench.pipeline.release(id(1)).await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Planned), balance.of(Uncertain)), (0, 1));
    assert_eq!(account.borrow().state, Uncertain);
    // The outcome comes after all.
    bench.record(1, accepted(), Instant::now()).await;
    assert_eq!(bench.balance().await.of(Accepted), 1);
}

#[tokio::test(start_paused = true)]
async fn same_id_is_planned_only_once() {
    let bench = Bench::new().await;
    let _account = bench.planned(1).await;
    let again = bench.post.plan(draft(1)).await.expect_err("it is refused");
    assert_eq!(again.reason, Reason::Internal);
    let unknown = bench.post.record(id(5), accepted(), Instant::now()).await;
    assert_eq!(
        unknown.map_err(|failure| failure.reason),
        Err(Reason::Internal)
    );
    assert_eq!(bench.balance().await.planned(), 1);
}

#[tokio::test(start_paused = true)]
async fn ids_are_new_and_tags_verify() {
    let bench = Bench::new().await;
    let ids: std::collections::HashSet<_> = (0..1000).map(|_| bench.post.new_id()).collect();
    assert_eq!(ids.len(), 1000);
    let tag: postrider_wire::message::tag::Tag = bench.tag(&draft(1)).parse().expect("a tag");
    let key = &bench.store.identity().key;
    assert!(tag.verify(key, &draft(1).sender, &draft(1).recipient));
    assert_eq!(tag.id, id(1));
}
