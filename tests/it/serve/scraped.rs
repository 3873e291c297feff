//! A real Prometheus scrapes the real daemon.

use std::net::SocketAddr;
use std::time::Duration;

use postrider::demo::platform::topology::FILTER1_PRIMARY;
use postrider_testkit::live::{Prometheus, promtool_check_metrics, wait_until};
use serde_json::Value;

use super::Served;
use crate::support::{Lab, until};

/// Three checks that run only when they are asked for.
fn scenario() -> String {
    let mail = Lab::deliver(
        "mail",
        FILTER1_PRIMARY,
        "expect: { arrives: { within: 10s } }",
    );
    format!(
        "version: 1
name: asked
message: {{ from: outside, to: alice }}
steps:
{mail}  - id: names
    dns: {{ query: one.example.test, type: MX, expect: {{ answers: ['10 mx.one.example.test'] }} }}
  - id: pause
    wait: {{ for: 1s }}
"
    )
}

/// The values of an instant query once there are any.
fn answered(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    let found = wait_until(Duration::from_secs(20), || {
        let answer: Value = serde_json::from_str(&prometheus.query(query).ok()?).ok()?;
        let result = answer["data"]["result"].as_array()?.clone();
        (!result.is_empty()).then_some(result)
    });
    found.unwrap_or_else(|| panic!("nothing for {query}; {:?}", prometheus.targets()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // The platform lives on this thread.
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn row_61_and_62_prometheus_scrapes_the_daemon_and_finds_every_check() {
    let mut served = Served::start(&scenario()).await;
    let address: SocketAddr = served.address().await.parse().unwrap();

    // Before anything has run.
    let prometheus = blocking(move || {
        let prometheus = Prometheus::start(address, &["native-histograms"]).unwrap();
        answered(&prometheus, "up == 1");
        let checks = answered(
            &prometheus,
            "count by (step) (postrider_check_success == 0)",
        );
        let mut steps: Vec<String> = checks
            .iter()
            .map(|check| check["metric"]["step"].as_str().unwrap().to_owned())
            .collect();
        steps.sort();
        assert_eq!(steps, ["mail", "names", "pause"]);
        // From the first scrape on: there are as many samples of each as there were scrapes.
        let all = "count_over_time(postrider_check_success[10m]) \
                   == on (instance) group_left () count_over_time(up[10m])";
        assert_eq!(answered(&prometheus, all).len(), 3);
        prometheus
    })
    .await;

    let (status, body) = served
        .ask("POST", "/api/v1/runs", "{\"scenario\": \"asked\"}")
        .await;
    assert_eq!(status, 202, "{body}");
    until(|| (served.count("status=pass") >= 3).then_some(())).await;
    blocking(move || {
        answered(&prometheus, "count(postrider_check_success == 1) == 3");
        // A query by the bare name finds only native histograms.
        let count = answered(
            &prometheus,
            "histogram_count(postrider_delivery_duration_seconds)",
        );
        assert_eq!(count[0]["value"][1], "1", "{count:?}");
        assert_eq!(
            answered(&prometheus, "postrider_runs_total")[0]["value"][1],
            "1"
        );
    })
    .await;

    let (_, text) = served.ask("GET", "/metrics", "").await;
    assert!(
        text.contains("postrider_delivery_duration_seconds_bucket"),
        "{text}"
    );
    let directory = served.lab.directory().to_owned();
    let said = blocking(move || promtool_check_metrics(text.as_bytes(), &directory).unwrap()).await;
    assert!(said.status.success(), "{said:?}");
    assert_eq!((said.stdout.len(), said.stderr.len()), (0, 0), "{said:?}");
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0, "{}", served.told());
}
