//! Health, readiness, reload, metrics and the index.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use postrider_wire::text::visible;

use super::answer::{self, Reply};
use super::control::MetricsFormat;
use super::document::{Readiness, ReadinessReason};
use super::routes::{Call, Methods, ROUTES};
use super::site::Site;

/// So long the daemon's loop may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// `/-/healthy`: of ourselves alone. Were it to depend on the platform, the probe would be restarted in the outage that
/// it is to record.
pub(super) async fn healthy(site: Arc<Site>, _call: Call) -> Reply {
    match tokio::time::timeout(ANSWERS_WITHIN, site.answers()).await {
        Ok(true) => answer::text(StatusCode::OK, "healthy"),
        _ => answer::problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "the daemon's loop does not answer",
        ),
    }
}

/// `/-/ready`
pub(super) async fn ready(site: Arc<Site>, call: Call) -> Reply {
    let asked = site.ask(|control| async move { control.readiness().await });
    let missing = match asked.await {
        Ok(missing) => missing,
        Err(problem) => return problem,
    };
    let (status, word) = if missing.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let may_look = call.visitor.may_look;
    let reasons = missing.into_iter().map(|missing| ReadinessReason {
        what: missing.what,
        // Paths and errors are not for everyone.
        why: may_look.then_some(missing.why),
    });
    let readiness = Readiness {
        status: word.to_owned(),
        reasons: reasons.collect(),
    };
    answer::json(status, &readiness)
}

/// `/-/reload`
pub(super) async fn reload(site: Arc<Site>, call: Call) -> Reply {
    if !site.enable_lifecycle {
        return answer::problem(
            StatusCode::FORBIDDEN,
            "reloading over HTTP is switched off: start with --web.enable-lifecycle, or send SIGHUP",
        );
    }
    tracing::info!(
        user = call.visitor.user.as_deref(),
        address = %call.visitor.address,
        "asked to reload"
    );
    let as_json = accepts(call.request.headers(), "application/json");
    let asked = site.ask(|control| async move { control.reload().await });
    match asked.await {
        Err(problem) => problem,
        Ok(Ok(reloaded)) if as_json => answer::json(StatusCode::OK, &reloaded.json),
        Ok(Ok(reloaded)) => answer::text(StatusCode::OK, reloaded.text),
        Ok(Err(rejected)) if as_json => answer::problem(StatusCode::BAD_REQUEST, rejected.text),
        Ok(Err(rejected)) => answer::text(StatusCode::BAD_REQUEST, rejected.text),
    }
}

/// `/metrics`
pub(super) async fn metrics(site: Arc<Site>, call: Call) -> Reply {
    let accept = call.request.headers().get_all(ACCEPT).into_iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = MetricsFormat::negotiate(Some(&accept.join(",")));
    let asked = site.expose(move |control| async move { control.metrics(format).await });
    match asked.await {
        Ok(metrics) => answer::reply(
            StatusCode::OK,
            HeaderValue::from_static(metrics.content_type),
            metrics.body,
        ),
        Err(problem) => problem,
    }
}

/// `/`
pub(super) async fn index(site: Arc<Site>, _call: Call) -> Reply {
    let asked = site.ask(|control| async move { control.config_error() });
    let refused = match asked.await {
        Ok(refused) => refused,
        Err(problem) => return problem,
    };
    let banner = refused.map_or_else(String::new, |mistakes| {
        format!(
            "<h2>The configuration file was refused; the one before runs</h2>\n<pre>{}</pre>\n",
            escape(&mistakes)
        )
    });
    let rows = rows(&site.route_prefix);
    answer::page(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Postrider</title></head>\n<body>\n\
         <h1>Postrider {}</h1>\n{banner}<table>\n{rows}</table>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    ))
}

/// The routes, as rows of a table.
fn rows(prefix: &str) -> String {
    ROUTES
        .iter()
        .map(|route| {
            let path = escape(&format!("{prefix}{}", route.path));
            let shown = if route.methods == Methods::Get && !path.contains('{') {
                format!("<a href=\"{path}\">{path}</a>")
            } else {
                path
            };
            format!(
                "<tr><td>{}</td><td>{shown}</td><td>{}</td></tr>\n",
                route.methods.names().join(", "),
                escape(route.about)
            )
        })
        .collect()
}

/// Text in HTML; control characters are shown.
fn escape(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(visible).collect();
    let mut escaped = String::with_capacity(text.len());
    for c in lines.join("\n").chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether the client names this media type, and does not say that it never wants it.
fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|media| media.eq_ignore_ascii_case(wanted));
            named && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0"))
        })
}
