//! Who may do what.

use super::*;

#[tokio::test]
async fn row_59_acting_needs_a_login_and_refuses_other_sites() {
    let directory = tempfile::tempdir().unwrap();
    let web = Web::with_users(directory.path()).await;
    let run = "{\"scenario\": \"mx-delivery\"}";
    let answer = web.post("/api/v1/runs", run).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer
            .header("www-authenticate")
            .starts_with("Basic realm=")
    );
    let wrong = web
        .send(
            "POST",
            "/-/reload",
            &[("Authorization", &basic("alice", "guess"))],
            "",
        )
        .await;
    assert_eq!(
        (wrong.status, wrong.detail()),
        (401, "user or password is wrong".to_owned())
    );
    assert_eq!(web.double.acts(), 0);

    let login = basic("alice", "open sesame");
    let own = format!("http://{}", web.address);
    let port = web.address.port();
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site".to_owned()),
        ("Sec-Fetch-Site", "same-site".to_owned()),
        ("Origin", "https://evil.example".to_owned()),
        ("Origin", "null".to_owned()),
        ("Origin", format!("http://127.0.0.1:{}", port ^ 1)),
        ("Origin", format!("ftp://127.0.0.1:{port}")),
        ("Origin", String::new()),
    ] {
        let headers = [("Authorization", login.as_str()), (name, value.as_str())];
        let answer = web.send("POST", "/-/reload", &headers, "").await;
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert!(answer.detail().contains("another site"), "{name}: {value}");
        let headers = [headers[0], headers[1], ("Content-Type", "application/json")];
        assert_eq!(
            web.send("POST", "/api/v1/runs", &headers, run).await.status,
            403
        );
    }
    assert_eq!(web.double.acts(), 0);
    for headers in [
        vec![("Sec-Fetch-Site", "same-origin"), ("Origin", own.as_str())],
        vec![("Sec-Fetch-Site", "none")],
        vec![],
    ] {
        let mut headers = headers;
        headers.push(("Authorization", &login));
        assert_eq!(
            web.send("POST", "/-/reload", &headers, "").await.status,
            200
        );
    }
    assert_eq!(web.double.acts(), 3);
}

#[tokio::test]
async fn row_59_read_routes_never_change_state() {
    let web = Web::start(lifecycle()).await;
    for route in crate::web::routes::ROUTES {
        for method in ["GET", "HEAD"] {
            web.ask(method, &route.path.replace("{id}", "RUN1")).await;
        }
    }
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn a_form_of_another_site_cannot_start_a_run() {
    // What a browser sends without asking first, and without the newer headers.
    let web = Web::start(lifecycle()).await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("Content-Type", media_type)];
        let answer = web
            .send(
                "POST",
                "/api/v1/runs",
                &headers,
                "{\"scenario\": \"mx-delivery\"}",
            )
            .await;
        assert_eq!(answer.status, 415, "{media_type}");
    }
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn acting_without_users_is_refused_where_others_can_reach_the_listener() {
    let web = Web::start_on("0.0.0.0:0", lifecycle()).await;
    let web = Web {
        address: ([127, 0, 0, 1], web.address.port()).into(),
        ..web
    };
    for path in ["/-/reload", "/api/v1/runs"] {
        let answer = web.post(path, "{\"scenario\": \"mx-delivery\"}").await;
        assert_eq!(answer.status, 403);
        assert!(
            answer.detail().contains("basic_auth_users"),
            "{}",
            answer.detail()
        );
    }
    assert_eq!(web.double.acts(), 0);
    assert_eq!(web.ask("GET", "/metrics").await.status, 200);
}

#[tokio::test]
async fn a_name_made_to_point_here_gets_nothing() {
    let web = Web::start(Settings {
        external_url: Some("https://probe.example.org/".parse().unwrap()),
        ..lifecycle()
    })
    .await;
    for (host, status) in [
        ("rebound.evil.example:9825", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1", 421),
        ("a b", 421),
        ("localhost:9825", 200),
        ("LOCALHOST", 200),
        ("[::1]:9825", 200),
        ("127.1.2.3", 200),
        ("probe.example.org", 200),
    ] {
        let answer = web.send("GET", "/metrics", &[("Host", host)], "").await;
        assert_eq!(answer.status, status, "{host}");
        let answer = web.send("POST", "/-/reload", &[("Host", host)], "").await;
        assert_eq!(answer.status, status, "{host}");
        // An orchestrator asks by whatever name it likes.
        let answer = web.send("GET", "/-/healthy", &[("Host", host)], "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    assert_eq!(web.double.acts(), 5);
    let headers = [
        ("Host", "probe.example.org"),
        ("Origin", "https://probe.example.org"),
    ];
    assert_eq!(
        web.send("POST", "/-/reload", &headers, "").await.status,
        200
    );
}
