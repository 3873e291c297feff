//! `/probe`: what reaches the daemon, and what its refusals become.

use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn a_question_reaches_the_daemon_with_its_deadline() {
    let web = Web::start(Settings::default()).await;
    let path = "/probe?target=mx1.example.net:25&module=smtp_starttls";
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "5")];
    let before = Instant::now();
    let answer = web.send("GET", path, &header, "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "probe_success 1\n")
    );
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let asked = web.double.probe_queries.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].target, "mx1.example.net:25");
    assert_eq!(asked[0].module, "smtp_starttls");
    let within = asked[0].until - before;
    assert!(
        (Duration::from_millis(4500)..Duration::from_secs(5)).contains(&within),
        "{within:?}"
    );
    let debug = web.ask("GET", &format!("{path}&debug=true")).await;
    assert_eq!(
        debug.body,
        "<-  220 mx1\nMetrics that would have been returned:\nprobe_success 1\n"
    );
}

#[tokio::test]
async fn a_refusal_has_its_status_and_its_sentence() {
    let web = Web::start(Settings::default()).await;
    for (target, status, words) in [
        ("nonsense", 400, "that is no target"),
        ("elsewhere", 403, "that is not ours"),
        ("ending", 503, "the program is ending"),
    ] {
        let path = format!("/probe?module=dns_mx&target={target}");
        let answer = web.ask("GET", &path).await;
        assert_eq!((answer.status, answer.detail()), (status, words.to_owned()));
    }
    let long = format!("/probe?module=dns_mx&target={}", "x".repeat(257));
    assert_eq!(web.ask("GET", &long).await.status, 400);
    let asked = web.double.probe_queries.lock().unwrap().len();
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn whoever_may_not_act_may_not_ask() {
    let web = Web::start_on("0.0.0.0:0", Settings::default()).await;
    let path = "/probe?target=mx1.example.net:25&module=smtp_starttls";
    let local = format!("127.0.0.1:{}", web.address.port());
    let web = Web {
        address: local.parse().unwrap(),
        ..web
    };
    let answer = web.ask("GET", path).await;
    assert_eq!(answer.status, 403);
    assert!(answer.detail().contains("no users are configured"));
    assert!(web.double.probe_queries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn more_than_eight_wait_for_their_turn_and_are_told_when_it_does_not_come() {
    let web = Web::start(Settings::default()).await;
    web.double
        .costly
        .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let path = "/probe?target=mx1.example.net:25&module=smtp_starttls";
    let asking = (0..8).map(|_| web.ask("GET", path));
    let ninth = async {
        web.until("eight are under way", async |web| {
            web.double
                .exposing
                .load(std::sync::atomic::Ordering::SeqCst)
                == 8
        })
        .await;
        let header = [("X-Prometheus-Scrape-Timeout-Seconds", "1")];
        let answer = web.send("GET", path, &header, "").await;
        web.double.costly.add_permits(8);
        answer
    };
    let (eight, ninth) = tokio::join!(futures_util::future::join_all(asking), ninth);
    assert!(eight.iter().all(|answer| answer.status == 200), "{eight:?}");
    assert_eq!(ninth.status, 503);
    assert_eq!(
        ninth.detail(),
        "too many checks are under way for other scrapes"
    );
}
