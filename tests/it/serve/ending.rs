use std::time::Duration;

use postrider_probes::post::EntryState;

use super::{Served, scenario};
use crate::support::until;

const NIGHTLY: &str = "schedule: { every: 1s }";

/// A daemon whose only mail is under way and stays there for so long.
async fn with_mail_under_way(hold: Duration) -> (Served, String) {
    let served = Served::unstarted(&scenario("slow", NIGHTLY, "60s")).await;
    served.lab.platform.set_hold("filter1", hold);
    let served = served.again(&["--shutdown.grace", "2s"]).await;
    until(|| (served.lab.platform.data_commands() == 1).then_some(())).await;
    until(|| served.lab.platform.accepted().first().map(|_| ())).await;
    let run = until(|| served.last_run()).await;
    (served, run.id)
}

#[tokio::test]
async fn row_51_sigterm_keeps_the_mail_under_way_and_the_next_start_awaits_it() {
    let (mut served, run) = with_mail_under_way(Duration::from_secs(6)).await;
    // The final reply has been booked when the check awaits the arrival.
    served.says("planned start is missed").await;
    served.signal("TERM");
    let ended = served.end().await;
    assert_eq!(ended.code, 0, "{}", served.told());
    assert!(ended.took < Duration::from_secs(20));
    let last = served.says("msg=ended").await;
    assert!(last.contains("mails_under_way=1"), "{last}");
    let check = &served.run(&run).checks[0];
    assert_eq!(check.reason.as_deref(), Some("cancelled"), "{check:?}");
    let entry = check.evidence.as_ref().unwrap().entries[0].clone();
    assert_eq!(served.lab.entry(&entry).await.state(), EntryState::Accepted);

    // No run of its own: what is found is what the daemon before it has left.
    served.lab.write("lab.yaml", &scenario("slow", "", "60s"));
    let mut served = served.again(&[]).await;
    let inbox = || served.lab.platform.mailbox("INBOX");
    until(|| (!served.lab.platform.deliveries().is_empty()).then_some(())).await;
    // It is booked as delivered, and then removed.
    until(|| inbox().is_empty().then_some(())).await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0, "{}", served.told());
    assert_eq!(
        served.lab.entry(&entry).await.state(),
        EntryState::Delivered
    );
    assert_eq!(
        served.lab.platform.data_commands(),
        1,
        "nothing was sent twice"
    );
}

#[tokio::test]
async fn second_signal_ends_at_once() {
    let served = Served::unstarted(&scenario("slow", NIGHTLY, "60s")).await;
    served
        .lab
        .platform
        .set_hold("filter1", Duration::from_secs(60));
    let mut served = served.again(&["--shutdown.grace", "50s"]).await;
    until(|| (served.lab.platform.data_commands() == 1).then_some(())).await;
    served.signal("TERM");
    served.says("once more to leave at once").await;
    let asked = tokio::time::Instant::now();
    served.signal("TERM");
    assert_eq!(served.end().await.code, 143);
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn idle_daemon_ends_at_once_and_with_0() {
    for signal in ["TERM", "INT"] {
        let mut served = Served::start(&scenario("never", "", "10s")).await;
        let asked = tokio::time::Instant::now();
        served.signal(signal);
        assert_eq!(served.end().await.code, 0, "{}", served.told());
        assert!(asked.elapsed() < Duration::from_secs(5));
    }
}
