use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Served, scenario};
use crate::support::{Ran, until};

impl Served {
    /// Where the web listens, as the log says.
    pub(super) async fn address(&self) -> String {
        let line = self.says("msg=listening").await;
        let (_, rest) = line.split_once("address=").unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Status and body.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        Self::ask_at(&self.address().await, "", method, path, body).await
    }

    /// The same at this address, with more header lines, each with its end.
    pub(super) async fn ask_at(
        address: &str,
        header: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {header}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    async fn reload_by_command(&self) -> Ran {
        let url = format!("http://{}", self.address().await);
        self.lab.again().args(["reload", "--url", &url]).end().await
    }
}

#[tokio::test]
async fn row_47_daemon_is_healthy_and_ready_while_the_platform_is_down() {
    let file = scenario("often", "schedule: { every: 1s }", "2s");
    let served = Served::unstarted(&file).await;
    for address in crate::support::Lab::addresses() {
        let refuse = postrider::demo::platform::misbehaviour::Misbehaviour::refuse();
        served
            .lab
            .platform
            .set_misbehaviour(address, refuse)
            .await
            .unwrap();
    }
    let mut served = served.again(&[]).await;
    served.says("status=fail reason=connect-refused").await;
    for path in ["/-/healthy", "/-/ready"] {
        for method in ["GET", "HEAD"] {
            let (status, body) = served.ask(method, path, "").await;
            assert_eq!(status, 200, "{method} {path}: {body}");
        }
    }
    let (status, runs) = served.ask("GET", "/api/v1/runs?scenario=often", "").await;
    assert_eq!(status, 200, "{runs}");
    let runs: Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(runs["runs"][0]["origin"], "schedule");
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn row_48_reload_command_prints_the_difference_or_the_mistakes() {
    let good = scenario("one", "", "10s");
    let served = Served::unstarted(&good).await;
    let mut served = served.again(&["--web.enable-lifecycle"]).await;
    let changed = scenario("one", "", "9s");
    served.lab.write("lab.yaml", &changed);
    let ran = served.reload_by_command().await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("reloaded "), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("  ~ scenario  one                       arrives.within 10s → 9s\n"),
        "{}",
        ran.stdout
    );
    served
        .lab
        .write("lab.yaml", &changed.replace("to: alice", "to: alcie"));
    let ran = served.reload_by_command().await;
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("unknown-reference"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not reloaded: still running"),
        "{}",
        ran.stderr
    );
    let (status, body) = served.ask("GET", "/-/ready", "").await;
    assert_eq!(status, 200, "what runs is fine: {body}");
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn ready_says_503_while_the_daemon_drains() {
    let served = Served::unstarted(&scenario("slow", "schedule: { every: 1s }", "60s")).await;
    served
        .lab
        .platform
        .set_hold("filter1", std::time::Duration::from_secs(60));
    let mut served = served.again(&["--shutdown.grace", "5s"]).await;
    until(|| (served.lab.platform.data_commands() == 1).then_some(())).await;
    served.signal("TERM");
    served.says("once more to leave at once").await;
    let (status, body) = served.ask("GET", "/-/ready", "").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("ending"), "{body}");
    let (status, _) = served.ask("GET", "/-/healthy", "").await;
    assert_eq!(status, 200);
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn store_that_cannot_be_written_makes_it_not_ready_until_it_can() {
    let served = Served::unstarted(&scenario("often", "schedule: { every: 1s }", "5s")).await;
    let mut served = served.again(&[]).await;
    served.says("msg=check").await;
    // A writer that never ends is to the daemon what a full disk is: nothing can be committed.
    let path = served.lab.directory().join("state/postrider.db");
    let writer = rusqlite_lock(&path);
    served.says("the store cannot be written").await;
    let (status, body) = served.ask("GET", "/-/ready", "").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("store"), "{body}");
    let sent = served.lab.platform.data_commands();
    drop(writer);
    served.says("the store can be used again").await;
    let (status, body) = served.ask("GET", "/-/ready", "").await;
    assert_eq!(status, 200, "{body}");
    until(|| (served.lab.platform.data_commands() > sent).then_some(())).await;
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0, "{}", served.told());
}

/// Holds SQLite's write lock, until it is dropped.
fn rusqlite_lock(path: &std::path::Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}
