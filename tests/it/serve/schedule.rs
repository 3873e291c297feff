use postrider::result::StatusWord;

use super::{Served, scenario};
use crate::support::until;

#[tokio::test]
async fn scheduled_scenarios_run_and_each_check_has_its_line() {
    let mut served = Served::start(&scenario("often", "schedule: { every: 1s }", "10s")).await;
    until(|| (served.count("msg=check") >= 3).then_some(())).await;
    let line = served.says("msg=check").await;
    for part in [
        "level=info",
        " run=",
        " scenario=often step=mail ",
        " mx=mx.one.example.test address=127.0.21.1 status=pass duration=",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    served.signal("TERM");
    let ended = served.end().await;
    assert_eq!(ended.code, 0, "{}", served.told());
    let last = served.last_run().unwrap();
    assert_eq!(
        (last.origin.as_str(), last.status),
        ("schedule", StatusWord::Pass)
    );
}

#[tokio::test]
async fn row_60_log_holds_no_secret_and_no_mail() {
    let file = scenario("often", "schedule: { every: 1s }", "10s");
    let served = Served::unstarted(&file).await;
    let log = ["--log.level", "debug", "--log.format", "json"];
    let mut served = served.again(&log).await;
    served.says("\"msg\":\"check\"").await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
    let told = served.told();
    for secret in [
        "correct-horse-battery",
        "Subject",
        "Postrider-Tag",
        "Y29ycmVjdC",
    ] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    for line in told.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            object["time"].is_string() && object["level"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn row_54_start_that_finds_the_run_before_it_in_flight_is_missed_and_told() {
    let mut served = Served::unstarted(&scenario("slow", "schedule: { every: 1s }", "60s")).await;
    for node in ["filter1", "filter2"] {
        served
            .lab
            .platform
            .set_hold(node, std::time::Duration::from_secs(30));
    }
    served = served.again(&["--shutdown.grace", "2s"]).await;
    let line = served.says("a planned start is missed").await;
    for part in ["level=warn", "scenario=slow", "times=1", "why=in-flight"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Never a second run beside it.
    assert_eq!(served.lab.platform.data_commands(), 1);
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}
