use super::{Served, scenario};
use crate::support::until;

#[tokio::test]
async fn row_48_sighup_takes_a_good_file_at_once_and_tells_the_difference() {
    let mut served = Served::start(&scenario("one", "", "10s")).await;
    served.lab.write(
        "lab.yaml",
        &scenario("one", "schedule: { every: 1s }", "9s"),
    );
    served.signal("HUP");
    let line = served.says("~ scenario").await;
    assert!(line.contains("one"), "{line}");
    assert!(line.contains("arrives.within 10s → 9s"), "{line}");
    served.says("0 unchanged, schedules not disturbed").await;
    served.says("msg=check").await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn row_48_sighup_with_a_bad_file_changes_nothing_and_says_where_the_mistake_is() {
    let good = scenario("often", "schedule: { every: 1s }", "10s");
    let mut served = Served::start(&good).await;
    served.says("msg=check").await;
    served
        .lab
        .write("lab.yaml", &good.replace("to: alice", "to: alcie"));
    served.signal("HUP");
    let line = served.says("error[unknown-reference]").await;
    for part in [
        "level=error",
        "no mailbox is called `alcie`",
        "at=lab.yaml:4:31",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let line = served.says("the configuration is refused").await;
    assert!(line.contains("not reloaded: still running "), "{line}");
    // The old one goes on.
    let before = served.count("msg=check");
    until(|| (served.count("msg=check") >= before + 2).then_some(())).await;
    served.lab.write("lab.yaml", &good);
    served.signal("HUP");
    served.says("nothing has changed: still running").await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn row_50_changed_files_are_found_without_a_signal_when_asked_for() {
    let served = Served::unstarted(&scenario("one", "", "10s")).await;
    let mut served = served
        .again(&["--config.auto-reload-interval", "100ms"])
        .await;
    served.lab.write("lab.yaml", &scenario("two", "", "10s"));
    served.says("+ scenario  two").await;
    served.says("- scenario  one").await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
    assert_eq!(served.count("msg=\"reloaded "), 1, "{}", served.told());
}

#[tokio::test]
async fn mail_of_a_removed_scenario_and_mailbox_is_still_settled() {
    let mut served = Served::unstarted(&scenario("gone", "schedule: { every: 1s }", "60s")).await;
    served
        .lab
        .platform
        .set_hold("filter1", std::time::Duration::from_secs(3));
    served = served.again(&[]).await;
    until(|| served.lab.platform.accepted().first().map(|_| ())).await;
    let main = std::fs::read_to_string(served.lab.directory().join("postrider.yaml")).unwrap();
    let (without, _) = main.split_once("mailboxes:").unwrap();
    served.lab.write("postrider.yaml", without);
    served.lab.write(
        "lab.yaml",
        "version: 1\nname: quiet\nsteps:\n  - id: pause\n    wait: { for: 1s }\n",
    );
    served.signal("HUP");
    served.says("- scenario  gone").await;
    // Its run ends under the plan that it began with.
    let line = served.says("msg=check").await;
    assert!(
        line.contains("scenario=gone") && line.contains("status=pass"),
        "{line}"
    );
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0, "{}", served.told());
}
