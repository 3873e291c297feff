//! The table of routes: every line has a role that holds, and there is nothing beside it.

use super::*;
use crate::web::routes::{Methods, ROUTES, Role, Route};

/// A path and a body that the route takes.
fn example(route: &Route) -> (String, &'static str) {
    let body = match (route.path, route.methods) {
        ("/api/v1/runs", Methods::Post) => "{\"scenario\": \"mx-delivery\"}",
        ("/api/v1/baselines/accept", Methods::Post) => "{\"subject\": \"192.0.2.1:25\"}",
        _ => "",
    };
    let query = match route.path {
        "/probe" => "?target=mx1.example.net:25&module=smtp_starttls",
        _ => "",
    };
    (route.path.replace("{id}", "RUN1") + query, body)
}

async fn try_route(web: &Web, route: &Route, headers: &[(&str, &str)]) -> u16 {
    let (path, body) = example(route);
    let mut headers = headers.to_vec();
    headers.push(("Content-Type", "application/json"));
    let mut worst = 0;
    for method in route.methods.names() {
        worst = worst.max(web.send(method, &path, &headers, body).await.status);
    }
    worst
}

#[test]
fn nothing_acts_by_looking_and_no_line_stands_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for route in ROUTES {
        assert_eq!(
            // A scraper asks by GET. What it asks for changes nothing here, but it is not for everyone who may look.
            route.role == Role::Act && route.path != "/probe",
            route.methods != Methods::Get,
            "{}",
            route.path
        );
        for method in route.methods.names() {
            assert!(seen.insert((route.path, *method)), "{} twice", route.path);
        }
    }
}

#[tokio::test]
async fn every_route_keeps_to_its_role_when_there_are_users() {
    let directory = tempfile::tempdir().unwrap();
    let web = Web::with_users(directory.path()).await;
    let login = basic("alice", "open sesame");
    for route in ROUTES {
        let stranger = try_route(&web, route, &[]).await;
        let wanted = route.role != Role::Anyone;
        assert_eq!(stranger == 401, wanted, "{} {stranger}", route.path);
        let known = try_route(&web, route, &[("Authorization", &login)]).await;
        assert!((200..300).contains(&known), "{} {known}", route.path);
    }
}

#[tokio::test]
async fn every_route_works_on_loopback_without_users() {
    let web = Web::start(lifecycle()).await;
    for route in ROUTES {
        let status = try_route(&web, route, &[]).await;
        assert!((200..300).contains(&status), "{} {status}", route.path);
    }
}

#[tokio::test]
async fn a_prefix_stands_before_every_route_and_every_link() {
    let web = Web::start(Settings {
        route_prefix: "/mail".to_owned(),
        ..lifecycle()
    })
    .await;
    for route in ROUTES {
        let (path, body) = example(route);
        let method = route.methods.names()[0];
        let json = [("Content-Type", "application/json")];
        let with = web.send(method, &format!("/mail{path}"), &json, body).await;
        assert!((200..300).contains(&with.status), "{path} {with:?}");
        let without = web.send(method, &path, &json, body).await;
        assert_eq!(without.status, 404, "{path}");
    }
    let page = web.ask("GET", "/mail").await;
    assert!(
        page.body.contains("<a href=\"/mail/metrics\">"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("href=\"/metrics"), "{}", page.body);
    let started = web.post("/mail/api/v1/runs", "{\"scenario\": \"mx-delivery\"}");
    let place = started.await.header("location").to_owned();
    assert!(place.starts_with("/mail/api/v1/runs/"), "{place}");
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_the_right_ones_are_named() {
    let web = Web::start(lifecycle()).await;
    for route in ROUTES {
        let (path, _) = example(route);
        let allowed: Vec<&str> = ROUTES
            .iter()
            .filter(|other| other.path == route.path)
            .flat_map(|other| other.methods.names().iter().copied())
            .collect();
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if allowed.contains(&method) {
                continue;
            }
            let answer = web.ask(method, &path).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), allowed.join(", "), "{path}");
        }
    }
    assert_eq!(web.double.acts(), 0);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let web = Web::start(lifecycle()).await;
    for route in ROUTES.iter().filter(|route| route.methods == Methods::Get) {
        let (path, _) = example(route);
        let (get, head) = (web.ask("GET", &path).await, web.ask("HEAD", &path).await);
        assert_eq!(
            (head.status, head.body.as_str()),
            (get.status, ""),
            "{path}"
        );
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_not_there() {
    let web = Web::start(lifecycle()).await;
    for path in [
        "/nothing",
        "/-/quit",
        "/-/healthy/",
        "/api/v1/runs/a/b",
        "//",
        "/%2e%2e/etc",
    ] {
        let answer = web.ask("GET", path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.detail(), "there is nothing here");
    }
    assert_eq!(web.ask("GET", "/api/v1/runs/%ff").await.status, 400);
}

#[tokio::test]
async fn every_answer_bears_the_security_headers() {
    let web = Web::start(lifecycle()).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/-/reload"),
        ("HEAD", "/-/healthy"),
        ("GET", "/api/v1/runs"),
        ("GET", "/metrics"),
    ] {
        let answer = web.ask(method, path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn the_index_names_every_route_and_shows_a_refused_configuration_as_text() {
    let web = Web::start(lifecycle()).await;
    *web.double.mistakes.lock().unwrap() =
        Some("error: <script>alert(1)</script>\n  --> a.yaml\u{1b}[31m".to_owned());
    let page = web.ask("GET", "/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for route in ROUTES {
        assert!(page.body.contains(route.path), "{}", route.path);
    }
    assert!(page.body.contains("error: &lt;script&gt;"), "{}", page.body);
    assert!(page.body.contains("a.yaml\\x1b[31m"), "{}", page.body);
    assert!(!page.body.contains("<script"));
}
