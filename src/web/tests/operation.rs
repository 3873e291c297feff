//! Health, readiness, reload, metrics, the API.

use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use super::*;
use crate::web::NotReady;

fn store_failed() -> NotReady {
    NotReady {
        what: "store".to_owned(),
        why: "/var/lib/postrider is full".to_owned(),
    }
}

#[tokio::test]
async fn row_47_healthy_is_of_the_loop_alone_and_ready_has_reasons() {
    let web = Web::start(Settings::default()).await;
    assert_eq!(web.ask("GET", "/-/ready").await.json()["status"], "ready");
    *web.double.not_ready.lock().unwrap() = vec![store_failed()];
    for method in ["GET", "HEAD"] {
        assert_eq!(web.ask(method, "/-/healthy").await.status, 200);
        assert_eq!(web.ask(method, "/-/ready").await.status, 503);
    }
    let ready = web.ask("GET", "/-/ready").await;
    assert_eq!(
        ready.json(),
        serde_json::json!({
            "status": "not-ready",
            "reasons": [{ "what": "store", "why": "/var/lib/postrider is full" }],
        })
    );
}

#[tokio::test]
async fn strangers_learn_what_is_not_ready_and_not_why() {
    let directory = tempfile::tempdir().unwrap();
    let web = Web::with_users(directory.path()).await;
    *web.double.not_ready.lock().unwrap() = vec![store_failed()];
    let ready = web.ask("GET", "/-/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json()["reasons"],
        serde_json::json!([{ "what": "store" }])
    );
    let login = basic("alice", "open sesame");
    let ready = web
        .send("GET", "/-/ready", &[("Authorization", &login)], "")
        .await;
    assert_eq!(
        ready.json()["reasons"][0]["why"],
        "/var/lib/postrider is full"
    );
}

#[tokio::test]
async fn row_48_reload_is_posted_and_a_refusal_has_the_diagnostics() {
    let web = Web::start(lifecycle()).await;
    let get = web.ask("GET", "/-/reload").await;
    assert_eq!((get.status, get.header("allow")), (405, "POST, PUT"));
    assert_eq!(web.double.acts(), 0);
    for method in ["POST", "PUT"] {
        let answer = web.ask(method, "/-/reload").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, "reloaded a1b2c3 → d4e5f6 in 41 ms\n");
    }
    assert_eq!(web.double.reloads.load(Ordering::SeqCst), 2);
    let json = [("Accept", "application/json")];
    let answer = web.send("POST", "/-/reload", &json, "").await;
    assert_eq!(answer.json()["unchanged"], 18);

    let mistakes = "error[unknown-reference]: no mailbox is called `alcie`\nnot reloaded: still running a1b2c3";
    *web.double.mistakes.lock().unwrap() = Some(mistakes.to_owned());
    let answer = web.ask("POST", "/-/reload").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, format!("{mistakes}\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = web.send("POST", "/-/reload", &json, "").await;
    assert_eq!((answer.status, answer.detail()), (400, mistakes.to_owned()));
}

#[tokio::test]
async fn reload_over_http_is_off_unless_switched_on() {
    let web = Web::start(Settings::default()).await;
    let answer = web.ask("POST", "/-/reload").await;
    assert_eq!(answer.status, 403);
    assert!(answer.detail().contains("--web.enable-lifecycle"));
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_cut_a_reload_in_half() {
    let web = Web::start(lifecycle()).await;
    let double = Arc::clone(&web.double);
    double.go.forget_permits(Semaphore::MAX_PERMITS);
    let address = web.address;
    let mut stream = tokio::task::spawn_blocking(move || TcpStream::connect(address))
        .await
        .unwrap()
        .unwrap();
    stream
        .write_all(format!("POST /-/reload HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .unwrap();
    // The question has come to the daemon when it waits for its permit.
    web.until("the reload waits", async |web| {
        web.ask("GET", "/-/healthy").await.status == 200 && double.waiting.load(Ordering::SeqCst)
    })
    .await;
    drop(stream);
    double.go.add_permits(1);
    web.until("the reload ends", async |web| web.double.acts() == 1)
        .await;
}

#[tokio::test]
async fn metrics_come_as_asked_for() {
    let web = Web::start(Settings::default()).await;
    let text = web.ask("GET", "/metrics").await;
    assert_eq!(
        text.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(text.body, "postrider_build_info 1\n");
    for (accept, content_type) in [
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
        ),
        (
            "application/vnd.google.protobuf;q=0",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (
            "text/plain, */*",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    ] {
        let answer = web.send("GET", "/metrics", &[("Accept", accept)], "").await;
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
    }
}

#[tokio::test]
async fn runs_come_in_pages() {
    let web = Web::start(Settings::default()).await;
    let page = web
        .ask("GET", "/api/v1/runs?limit=2&scenario=mx&before=RUN9")
        .await
        .json();
    let ids: Vec<&str> = page["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        (ids, page["next_before"].as_str()),
        (vec!["RUN4", "RUN3"], Some("RUN3"))
    );
    let query = web.double.run_queries.lock().unwrap()[0].clone();
    assert_eq!(
        (query.scenario.as_deref(), query.before.as_deref()),
        (Some("mx"), Some("RUN9"))
    );
    let last = web.ask("GET", "/api/v1/runs?limit=5").await.json();
    assert_eq!(last["next_before"], serde_json::Value::Null);
}

#[tokio::test]
async fn one_run_is_its_result_document() {
    let web = Web::start(Settings::default()).await;
    let run = web.ask("GET", "/api/v1/runs/RUN1").await;
    assert_eq!(run.json()["run"]["id"], "RUN1");
    let none = web.ask("GET", "/api/v1/runs/RUN2").await;
    assert_eq!(
        (none.status, none.detail()),
        (404, "there is no such run".to_owned())
    );
}

#[tokio::test]
async fn the_ledger_is_filtered() {
    let web = Web::start(Settings::default()).await;
    let path = "/api/v1/ledger?state=lost&run=RUN1&since=2026-11-24T00:00:00Z&limit=7";
    let list = web.ask("GET", path).await.json();
    assert_eq!(list["entries"], serde_json::json!([]));
    let query = web.double.ledger_queries.lock().unwrap()[0].clone();
    assert_eq!((query.limit, query.state.as_deref()), (7, Some("lost")));
    assert_eq!(query.since, Some("2026-11-24T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused() {
    let web = Web::start(Settings::default()).await;
    for (path, part) in [
        ("/api/v1/runs?scenarios=a", "unknown field `scenarios`"),
        ("/api/v1/runs?limit=0", "limit is from 1 to 999"),
        ("/api/v1/runs?limit=1000", "limit is from 1 to 999"),
        ("/api/v1/runs?limit=-1", "invalid digit"),
        ("/api/v1/ledger?since=yesterday", "query is wrong"),
        ("/api/v1/ledger?state=lost&state=held", "duplicate field"),
    ] {
        let answer = web.ask("GET", path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            answer.detail().contains(part),
            "{path}: {}",
            answer.detail()
        );
    }
    let long = format!("/api/v1/runs?scenario={}", "x".repeat(300));
    assert_eq!(web.ask("GET", &long).await.status, 400);
}

#[tokio::test]
async fn a_run_is_started_and_its_place_named() {
    let web = Web::start(Settings::default()).await;
    let answer = web
        .post("/api/v1/runs", "{\"scenario\": \"mx-delivery\"}")
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (202, "/api/v1/runs/01J9Z3")
    );
    assert_eq!(answer.json(), serde_json::json!({ "run": "01J9Z3" }));
    let (_, origin) = web.double.runs_started.lock().unwrap()[0].clone();
    assert_eq!(origin.to_string(), "web 127.0.0.1");
}

#[tokio::test]
async fn an_acceptance_says_what_is_meant_and_who_asks() {
    let web = Web::start(Settings::default()).await;
    let accept = "/api/v1/baselines/accept";
    for (body, status, words) in [
        (
            "{\"subject\": \"192.0.2.1\", \"what\": \"banner\", \"also\": true, \"unchanged_since\": \"2026-11-01T00:00:00Z\"}",
            200,
            "",
        ),
        ("{\"all\": true}", 200, ""),
        (
            "{\"subject\": \"nobody\"}",
            404,
            "nothing that is remembered is meant",
        ),
        (
            "{}",
            400,
            "say what is meant: subject, what, scenario, or all",
        ),
        ("{\"also\": true}", 400, "say what is meant"),
        ("{\"all\": true, \"unchanged_since\": \"now\"}", 400, ""),
        ("{\"what\": \"colour\"}", 400, "unknown variant `colour`"),
        ("{\"subjects\": \"a\"}", 400, "unknown field `subjects`"),
    ] {
        let answer = web.post(accept, body).await;
        assert_eq!(answer.status, status, "{body}");
        if status != 200 {
            assert!(
                answer.detail().contains(words),
                "{body}: {}",
                answer.detail()
            );
        }
    }
    let (asked, origin) = web.double.accepted.lock().unwrap()[0].clone();
    assert_eq!(origin.to_string(), "web 127.0.0.1");
    assert_eq!(
        (asked.what.map(|what| what.name()), asked.also),
        (Some("banner"), true)
    );
    let unchanged_since = asked.unchanged_since.map(|time| time.to_string());
    assert_eq!(unchanged_since.as_deref(), Some("2026-11-01T00:00:00Z"));
    let long = format!("{{\"subject\": \"{}\"}}", "x".repeat(300));
    assert_eq!(web.post(accept, &long).await.status, 400);
    web.double.faulty.store(true, Ordering::SeqCst);
    assert_eq!(web.post(accept, "{\"all\": true}").await.status, 503);
}

#[tokio::test]
async fn a_run_that_cannot_start_says_why() {
    let web = Web::start(Settings::default()).await;
    for (scenario, status, after) in [("busy", 429, "2"), ("late", 503, ""), ("other", 404, "")] {
        let body = format!("{{\"scenario\": \"{scenario}\"}}");
        let answer = web.post("/api/v1/runs", &body).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (status, after),
            "{}",
            answer.detail()
        );
    }
}

#[tokio::test]
async fn a_store_that_fails_is_named_without_internals() {
    let web = Web::start(Settings::default()).await;
    web.double.faulty.store(true, Ordering::SeqCst);
    for path in ["/api/v1/runs", "/api/v1/runs/RUN1", "/api/v1/ledger"] {
        let answer = web.ask("GET", path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(!answer.detail().contains("/var"), "{}", answer.detail());
    }
}

#[tokio::test]
async fn a_fault_in_the_daemon_is_one_answer() {
    let web = Web::start(Settings::default()).await;
    web.double.faulty.store(true, Ordering::SeqCst);
    let answer = web.ask("GET", "/metrics").await;
    assert_eq!(
        (answer.status, answer.detail()),
        (500, "internal error".to_owned())
    );
    web.double.faulty.store(false, Ordering::SeqCst);
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn it_is_served_over_ipv6() {
    let web = Web::start_on("[::1]:0", Settings::default()).await;
    assert_eq!(web.ask("GET", "/-/healthy").await.status, 200);
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn the_client_asks_it() {
    let web = Web::start(lifecycle()).await;
    let client = crate::web::client::Client {
        url: format!("http://{}/", web.address).parse().unwrap(),
        ca_file: None,
        login: None,
        within: PATIENCE,
    };
    let reply = client.ask(hyper::Method::POST, "/-/reload").await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text, "reloaded a1b2c3 → d4e5f6 in 41 ms\n");
    web.stop().await.unwrap();
    let error = client
        .ask(hyper::Method::GET, "/-/healthy")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
