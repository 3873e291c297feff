//! What is answered: documents, texts and problems (RFC 9457), and the headers that all of them bear.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::time::Duration;

use super::document::Trouble;

/// An answer on its way out.
pub(super) type Reply = Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Each is set unless the web configuration file sets it.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// A body with its media type.
pub(super) fn reply(status: StatusCode, media_type: HeaderValue, body: impl Into<Body>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, media_type);
    reply
}

/// Plain text; a line end is added when it has none.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
    let mut text: String = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    reply(status, TEXT, text)
}

/// A page.
pub(super) fn page(html: String) -> Reply {
    reply(StatusCode::OK, HTML, html)
}

/// A document.
pub(super) fn json(status: StatusCode, document: &impl serde::Serialize) -> Reply {
    written(status, JSON, document)
}

fn written(status: StatusCode, media_type: HeaderValue, document: &impl serde::Serialize) -> Reply {
    match serde_json::to_string(document) {
        Ok(mut text) => {
            text.push('\n');
            reply(status, media_type, text)
        }
        Err(error) => {
            tracing::error!(%error, "a document cannot be written");
            reply(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "the answer cannot be written\n",
            )
        }
    }
}

/// Something that went wrong, in one sentence for the client.
pub(super) fn problem(status: StatusCode, detail: impl Into<String>) -> Reply {
    let trouble = Trouble {
        title: status.canonical_reason().unwrap_or("Problem").to_owned(),
        status: status.as_u16(),
        detail: detail.into(),
    };
    written(status, PROBLEM, &trouble)
}

/// A problem that may be gone later.
pub(super) fn later(status: StatusCode, detail: impl Into<String>, after: Duration) -> Reply {
    let mut reply = problem(status, detail);
    // Half a second is a second: 0 would mean at once.
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    reply.headers_mut().insert(RETRY_AFTER, seconds.into());
    reply
}

/// Who are you?
pub(super) fn login_wanted(detail: impl Into<String>) -> Reply {
    const CHALLENGE: HeaderValue =
        HeaderValue::from_static("Basic realm=\"postrider\", charset=\"UTF-8\"");
    let mut reply = problem(StatusCode::UNAUTHORIZED, detail);
    reply.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    reply
}

/// Adds the headers that every answer bears.
pub(super) fn dress(headers: &mut HeaderMap, configured: &[(HeaderName, HeaderValue)]) {
    for (name, value) in configured {
        headers.insert(name, value.clone());
    }
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
}
