//! `/probe`: one check at once, as the blackbox exporter makes it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Reply};
use super::api::{self, BadRequest};
use super::control::{ProbeQuery, ProbeRefusal};
use super::routes::Call;
use super::site::Site;

/// How long a scraper waits, as it says.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// And when it does not say it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The answer has to be with the scraper by then.
const ON_THE_WAY: Duration = Duration::from_millis(500);
/// The shortest time in which anything can be found out.
const SHORTEST: Duration = Duration::from_millis(100);
/// Below the limit of a request, which is 30 s.
const LONGEST: Duration = Duration::from_secs(25);
/// The text format that every version of Prometheus reads.
const MEDIA_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    target: Option<String>,
    module: Option<String>,
    debug: Option<bool>,
}

/// `GET /probe`
pub(super) async fn probe(site: Arc<Site>, call: Call) -> Reply {
    // The request's body is not wanted, and cannot be shared between threads.
    let (head, _) = call.request.into_parts();
    probed(&site, head).await.unwrap_or_else(|problem| problem)
}

async fn probed(site: &Site, head: Parts) -> Result<Reply, Reply> {
    let until = Instant::now() + within(&head.headers)?;
    let asked: Asked = api::query(&head.uri)?;
    let given = |what: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| BadRequest(format!("say {what}=")))?;
        api::short(what, value)
    };
    let debug = asked.debug.unwrap_or_default();
    let query = ProbeQuery {
        target: given("target", asked.target)?,
        module: given("module", asked.module)?,
        until,
    };
    let asking = site.probe(move |control| async move { control.probe(query).await });
    // The check keeps to the time by itself; what may last longer is the wait for one's turn.
    let answered = timeout_at(until + ON_THE_WAY / 2, asking).await;
    let too_late = |_| {
        let text = "too many checks are under way for other scrapes";
        answer::problem(StatusCode::SERVICE_UNAVAILABLE, text)
    };
    match answered.map_err(too_late)?? {
        Ok(probed) if debug => Ok(answer::text(
            StatusCode::OK,
            format!(
                "{}\nMetrics that would have been returned:\n{}",
                probed.log, probed.metrics
            ),
        )),
        Ok(probed) => Ok(answer::reply(StatusCode::OK, MEDIA_TYPE, probed.metrics)),
        Err(refused) => {
            let status = match refused.kind {
                ProbeRefusal::Meaningless => StatusCode::BAD_REQUEST,
                ProbeRefusal::NotNamed => StatusCode::FORBIDDEN,
                ProbeRefusal::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            };
            Err(answer::problem(status, refused.reason))
        }
    }
}

/// The time that there is until the answer has to be on its way.
fn within(headers: &HeaderMap) -> Result<Duration, BadRequest> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else {
        return Ok(TIMEOUT - ON_THE_WAY);
    };
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<f64>().ok());
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match time {
        Some(time) => Ok(time.saturating_sub(ON_THE_WAY).clamp(SHORTEST, LONGEST)),
        None => Err(BadRequest(format!(
            "{TIMEOUT_HEADER} is a number of seconds"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_on_its_way_before_the_scraper_gives_up() {
        for (header, seconds) in [
            (None, Some(9.5)),
            (Some("10"), Some(9.5)),
            (Some("2.5"), Some(2.0)),
            (Some("0.3"), Some(0.1)),
            (Some("1e9"), Some(25.0)),
            (Some("-1"), None),
            (Some("soon"), None),
            (Some("NaN"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(TIMEOUT_HEADER, HeaderValue::from_static(value));
            }
            let found = within(&headers).ok().map(|time| time.as_secs_f64());
            assert_eq!(found, seconds, "{header:?}");
        }
    }
}
