//! Whoever asks too much, too slowly or not at all hurts nobody else.

use std::sync::atomic::Ordering;

use super::*;

fn bounded(limits: Limits) -> Settings {
    Settings {
        limits,
        ..lifecycle()
    }
}

/// One connection for this network, so that a second one is served only when the first is gone.
fn one_at_a_time() -> Settings {
    bounded(Limits {
        connections: 1,
        ..short()
    })
}

async fn connect(web: &Web) -> TcpStream {
    let address = web.address;
    let connecting = tokio::task::spawn_blocking(move || {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok::<_, std::io::Error>(stream)
    });
    connecting.await.unwrap().unwrap()
}

async fn served_again(web: &Web) {
    web.until("another is served", async |web| {
        let request = format!(
            "GET /-/healthy HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            web.address
        );
        web.raw(request.into_bytes())
            .await
            .is_some_and(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn slow_heads_lose_their_place() {
    let web = Web::start(one_at_a_time()).await;
    let mut stream = connect(&web).await;
    stream
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .unwrap();
    // A byte now and then is not progress.
    let dripping = std::thread::spawn(move || {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    served_again(&web).await;
    tokio::task::spawn_blocking(move || dripping.join().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn idle_connections_lose_their_place() {
    let web = Web::start(one_at_a_time()).await;
    let mut stream = connect(&web).await;
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {}\r\n\r\n", web.address);
    stream.write_all(request.as_bytes()).unwrap();
    let (stream, read) = tokio::task::spawn_blocking(move || {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).unwrap();
        (stream, read)
    })
    .await
    .unwrap();
    assert!(read > 0);
    served_again(&web).await;
    drop(stream);
}

#[tokio::test]
async fn silent_connections_lose_their_place() {
    let web = Web::start(one_at_a_time()).await;
    let stream = connect(&web).await;
    served_again(&web).await;
    drop(stream);
}

#[tokio::test]
async fn clients_that_do_not_read_lose_their_place() {
    let web = Web::start(one_at_a_time()).await;
    *web.double.metrics.lock().unwrap() = "x 1\n".repeat(8 << 20);
    let mut stream = connect(&web).await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", web.address);
    stream.write_all(request.as_bytes()).unwrap();
    served_again(&web).await;
    drop(stream);
}

#[tokio::test]
async fn slow_bodies_end_with_the_request() {
    let web = Web::start(bounded(short())).await;
    let request = format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
         Connection: close\r\n\r\n{{",
        web.address
    );
    let answer = web.raw(request.into_bytes()).await.unwrap();
    assert_eq!(
        (answer.status, answer.detail()),
        (503, "this took too long".to_owned())
    );
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn a_daemon_that_hangs_is_an_answer_in_time_and_others_are_served() {
    let web = Web::start(bounded(short())).await;
    web.double
        .go
        .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let answer = web.ask("POST", "/-/reload").await;
    assert_eq!(answer.status, 503);
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn open_questions_are_limited() {
    let web = Arc::new(Web::start(bounded(short())).await);
    web.double
        .go
        .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let asking: Vec<_> = (0..70)
        .map(|_| {
            let web = Arc::clone(&web);
            tokio::spawn(async move { web.ask("POST", "/-/reload").await.detail() })
        })
        .collect();
    let mut busy = 0;
    for asked in asking {
        busy += usize::from(asked.await.unwrap().contains("busy"));
    }
    assert_eq!(busy, 6);
    // Health needs no question.
    assert_eq!(web.ask("GET", "/-/healthy").await.status, 200);
    web.double.go.add_permits(64);
    web.until("the questions are answered", async |web| {
        web.double.acts() == 64
    })
    .await;
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn what_costs_is_done_in_turn_and_keeps_nobody_else_waiting() {
    let web = Arc::new(Web::start(lifecycle()).await);
    web.double
        .costly
        .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let asking: Vec<_> = [
        "/api/v1/runs",
        "/api/v1/runs/RUN1",
        "/api/v1/ledger",
        "/metrics",
    ]
    .into_iter()
    .cycle()
    .take(80)
    .map(|path| {
        let web = Arc::clone(&web);
        tokio::spawn(async move { web.ask("GET", path).await.status })
    })
    .collect();
    let at_work = |web: &Web| {
        let of = |count: &std::sync::atomic::AtomicU32| count.load(Ordering::SeqCst);
        (of(&web.double.reading), of(&web.double.exposing))
    };
    web.until("the first ones are at work", async |web| {
        at_work(web) == (2, 1)
    })
    .await;
    // More than the questions that may be open wait, and all else is answered.
    for _ in 0..20 {
        assert_eq!(web.ask("GET", "/-/ready").await.status, 200);
        assert_eq!(at_work(&web), (2, 1));
    }
    assert_eq!(web.ask("POST", "/-/reload").await.status, 200);
    web.double.costly.add_permits(1);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let web = Web::start(lifecycle()).await;
    let long = "x".repeat(40 * 1024);
    let many: String = (0..200)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    for head in [format!("X-Long: {long}\r\n"), many] {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\n{head}\r\n",
            web.address
        );
        let answer = web.raw(request.into_bytes()).await;
        assert!(answer.is_none_or(|answer| answer.status == 431));
    }
    let long = format!("/{}", "x".repeat(40 * 1024));
    let request = format!("GET {long} HTTP/1.1\r\nHost: {}\r\n\r\n", web.address);
    let answer = web.raw(request.into_bytes()).await;
    assert!(answer.is_none_or(|answer| (414..=431).contains(&answer.status)));
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let web = Web::start(lifecycle()).await;
    let large = format!("{{\"scenario\": \"{}\"}}", "x".repeat(1 << 20));
    let answer = web.post("/api/v1/runs", &large).await;
    assert_eq!(
        (answer.status, answer.detail()),
        (413, "a body is at most 1048576 bytes".to_owned())
    );
    // A size that was not announced.
    let mut request = format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        web.address
    );
    for _ in 0..20 {
        request.push_str(&format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    }
    let answer = web.raw(request.into_bytes()).await;
    // The answer may be lost with the connection, since we went on writing.
    assert!(answer.is_none_or(|answer| answer.status == 413));
    let name = format!("{{\"scenario\": \"{}\"}}", "x".repeat(300));
    assert_eq!(web.post("/api/v1/runs", &name).await.status, 400);
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn bodies_are_strict() {
    let web = Web::start(lifecycle()).await;
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    for (body, part) in [
        (deep.as_str(), "more than 32 levels"),
        (
            "{\"scenario\": \"mx-delivery\", \"now\": true}",
            "unknown field `now`",
        ),
        ("{}", "missing field `scenario`"),
        ("{\"scenario\": 1}", "invalid type"),
        ("{\"scenario\": \"mx-delivery\"} x", "trailing characters"),
        ("{", "EOF"),
        ("\"\"", "invalid type"),
    ] {
        let answer = web.post("/api/v1/runs", body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            answer.detail().contains(part),
            "{body}: {}",
            answer.detail()
        );
    }
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn what_is_no_http_is_no_trouble() {
    let web = Web::start(lifecycle()).await;
    let mut noise = vec![0_u8; 4096];
    rand::fill(&mut noise[..]);
    for bytes in [
        noise,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"EHLO there\r\n\r\n".to_vec(),
    ] {
        let mut bytes = bytes;
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = web.raw(bytes).await;
        assert!(answer.is_none_or(|answer| answer.status >= 400));
    }
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way_and_not_for_ever() {
    for answered in [true, false] {
        let web = Web::start(bounded(short())).await;
        let (address, double) = (web.address, Arc::clone(&web.double));
        double
            .go
            .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
        let mut stream = connect(&web).await;
        let idle = connect(&web).await;
        stream
            .write_all(format!("POST /-/reload HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
            .unwrap();
        web.until("the reload waits", async |web| {
            web.double.waiting.load(Ordering::SeqCst)
        })
        .await;
        let Web { stop, serving, .. } = web;
        stop.send(()).unwrap();
        if answered {
            double.go.add_permits(1);
        }
        tokio::time::timeout(PATIENCE, serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            let _ = stream.read_to_end(&mut text);
            String::from_utf8(text).unwrap()
        });
        let text = reading.await.unwrap();
        assert_eq!(text.starts_with("HTTP/1.1 200"), answered, "{text}");
        assert!(
            TcpStream::connect(address).is_err(),
            "it does not listen any more"
        );
        drop(idle);
    }
}
