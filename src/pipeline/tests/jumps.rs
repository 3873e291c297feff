//! Somebody sets the wall clock while mails are under way.

use std::time::Duration;

use jiff::SignedDuration;
use postrider_probes::post::EntryState::*;
use tokio::time::advance;

use super::bench::{Bench, key, patience};
use crate::clock::Clock;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: Duration = Duration::from_secs(3600);
const LOST_AFTER: Duration = Duration::from_secs(12 * 3600);

#[tokio::test(start_paused = true)]
async fn jump_of_the_wall_clock_loses_no_mail_and_changes_no_latency() {
    for by in [DAY, -DAY] {
        let bench = Bench::new().await;
        bench.pipeline.set_lost_after(LOST_AFTER).await;
        let arriving = bench.sent(1).await;
        let mut missing = bench.sent(2).await;
        advance(Duration::from_secs(30)).await;
        Clock::jump(by);
        // A look that would prove the loss, were the age that of the wall clock.
        bench.looks("INBOX").await;
        assert_eq!(bench.balance().await.of(Accepted), 2, "{by}");

        advance(Duration::from_secs(10)).await;
        bench.arrives(1, key("INBOX", 7)).await;
        bench.balance().await;
        let after = arriving.borrow().arrivals[0].after;
        assert_eq!(after, Some(Duration::from_secs(40)), "{by}");
        let latency = bench.stored(1).await.latency().expect("it was measured");
        assert_eq!(
            (latency.after, latency.on_wall_clock),
            (Duration::from_secs(40), false)
        );

        // The deadlines stay where they were: overdue after a minute, lost after twelve hours and a look.
        advance(Duration::from_secs(19)).await;
        assert_eq!(bench.balance().await.of(Overdue), 0, "{by}");
        patience(missing.wait_for(|account| account.state == Overdue))
            .await
            .expect("the pipeline lives");
        advance(11 * HOUR).await;
        bench.looks("INBOX").await;
        assert_eq!(bench.balance().await.of(Lost), 0, "{by}");
        advance(HOUR).await;
        bench.looks("INBOX").await;
        assert_eq!(bench.balance().await.of(Lost), 1, "{by}");
    }
}

#[tokio::test(start_paused = true)]
async fn latency_over_a_restart_is_not_negative_when_the_clock_was_set_back() {
    let bench = Bench::new().await;
    let _account = bench.sent(1).await;
    Clock::jump(-DAY);
    let bench = bench.restart(Duration::from_secs(30)).await;
    bench.looks("INBOX").await;
    let balance = bench.balance().await;
    assert_eq!((balance.of(Lost), balance.of(Accepted)), (0, 1));
    bench.arrives(1, key("INBOX", 7)).await;
    assert_eq!(bench.balance().await.of(Delivered), 1);
    let latency = bench.stored(1).await.latency().expect("it was measured");
    assert_eq!(
        (latency.after, latency.on_wall_clock),
        (Duration::ZERO, true)
    );
}
