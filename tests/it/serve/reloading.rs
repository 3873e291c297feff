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

/// The value of a series without labels.
async fn value(served: &Served, series: &str) -> f64 {
    let (status, text) = served.ask("GET", "/metrics", "").await;
    assert_eq!(status, 200, "{text}");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {series}: {text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn row_49_reload_is_in_the_metrics_and_on_the_page_and_the_same_content_does_nothing() {
    const SUCCESSFUL: &str = "postrider_config_last_reload_successful";
    const AT: &str = "postrider_config_last_reload_success_timestamp_seconds";
    let good = scenario("one", "schedule: { every: 1h }", "10s");
    let mut served = Served::start(&good).await;
    let begun = value(&served, AT).await;
    assert_eq!(value(&served, SUCCESSFUL).await, 1.0);
    let (_, page) = served.ask("GET", "/", "").await;
    assert!(!page.contains("refused"), "{page}");
    let (_, before) = served.ask("GET", "/api/v1/runs", "").await;

    // Refused: the metric, and the mistakes on the page with their place.
    served
        .lab
        .write("lab.yaml", &good.replace("to: alice", "to: alcie"));
    served.signal("HUP");
    served.says("the configuration is refused").await;
    assert_eq!(value(&served, SUCCESSFUL).await, 0.0);
    assert_eq!(value(&served, AT).await, begun);
    let (status, page) = served.ask("GET", "/", "").await;
    assert_eq!(status, 200);
    for part in [
        "The configuration file was refused; the one before runs",
        "error[unknown-reference]",
        "lab.yaml:4:31",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }

    // What runs is written again: nothing is exchanged, and the trouble is over.
    served.lab.write("lab.yaml", &good);
    served.signal("HUP");
    served.says("nothing has changed: still running").await;
    assert_eq!(value(&served, SUCCESSFUL).await, 1.0);
    assert!(value(&served, AT).await > begun);
    let (_, page) = served.ask("GET", "/", "").await;
    assert!(!page.contains("refused"), "{page}");
    assert_eq!(served.count("msg=\"reloaded "), 0, "{}", served.told());
    assert_eq!(served.ask("GET", "/api/v1/runs", "").await.1, before);

    // Another content is taken, and its series are there at once.
    let other = good.replace("name: one", "name: two");
    served.lab.write("lab.yaml", &other);
    served.signal("HUP");
    served.says("+ scenario  two").await;
    assert_eq!(
        value(&served, "postrider_runs_total{scenario=\"two\"}").await,
        0.0
    );
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}
