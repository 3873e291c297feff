//! Request bodies: bounded in size and depth.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::answer::{self, Reply};

/// No request body is larger, in bytes.
pub(super) const LARGEST_BODY: usize = 1 << 20;
/// No JSON in it is deeper.
const DEEPEST_JSON: usize = 32;

/// Reads a JSON document.
pub(super) async fn json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Reply> {
    // A form of another site cannot send this type without being asked first, so it is not guessed.
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(answer::problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is to be application/json",
        ));
    }
    let bytes = bytes(request).await?;
    let wrong = |detail: String| answer::problem(StatusCode::BAD_REQUEST, detail);
    if depth(&bytes) > DEEPEST_JSON {
        return Err(wrong(format!(
            "the JSON is nested more than {DEEPEST_JSON} levels deep"
        )));
    }
    // serde's words are about the document alone: a field, a line, a column.
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("the body is wrong: {error}")))
}

async fn bytes(request: Request<Body>) -> Result<axum::body::Bytes, Reply> {
    let too_large = || {
        answer::problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a body is at most {LARGEST_BODY} bytes"),
        )
    };
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(too_large());
    }
    axum::body::to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| {
            let limit = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<LengthLimitError>());
            if limit {
                too_large()
            } else {
                answer::problem(StatusCode::BAD_REQUEST, "the body ended too early")
            }
        })
}

/// How deep lists and maps are nested; brackets in texts do not count.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        match (in_text, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        for (json, levels) in [
            ("1", 0),
            ("[[]]", 2),
            ("[{},{\"a\":[]}]", 3),
            ("\"[[[[\"", 0),
            (r#"["\"[[", []]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(json.as_bytes()), levels, "{json}");
        }
    }
}
