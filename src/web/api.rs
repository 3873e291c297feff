//! `/api/v1/`: runs, the ledger, and what is accepted as it is.

use std::sync::Arc;

use axum::extract::Query;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{self, Reply};
use super::body;
use super::control::{LedgerQuery, MOST_ROWS, Origin, Refusal, Refused, RunQuery, Unavailable};
use super::document::{AcceptRequest, LedgerList, RunList, RunRequest, RunStarted, SCHEMA_VERSION};
use super::routes::Call;
use super::site::Site;

/// Rows of an answer, when nothing is said.
const ROWS: u32 = 100;
/// No name in a query is longer, in bytes.
const LONGEST_NAME: usize = 256;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsAsked {
    limit: Option<u32>,
    scenario: Option<String>,
    before: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerAsked {
    limit: Option<u32>,
    state: Option<String>,
    scenario: Option<String>,
    run: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// `GET /api/v1/runs`
pub(super) async fn runs(site: Arc<Site>, call: Call) -> Reply {
    answered(runs_of(&site, call.request.uri().clone()).await)
}

async fn runs_of(site: &Site, uri: Uri) -> Result<Reply, Reply> {
    let asked: RunsAsked = query(&uri)?;
    let limit = limit(asked.limit)?;
    let query = RunQuery {
        limit: limit + 1,
        scenario: name("scenario", asked.scenario)?,
        before: name("before", asked.before)?,
    };
    let mut runs = site
        .read(move |control| async move { control.runs(query).await })
        .await?
        .map_err(unavailable)?;
    // One more than asked for says that there is another page.
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let list = RunList {
        schema_version: SCHEMA_VERSION.to_owned(),
        next_before: runs.last().filter(|_| more).map(|run| run.id.clone()),
        runs,
    };
    Ok(answer::json(StatusCode::OK, &list))
}

/// `POST /api/v1/runs`
pub(super) async fn start_run(site: Arc<Site>, call: Call) -> Reply {
    answered(start(&site, call).await)
}

async fn start(site: &Site, call: Call) -> Result<Reply, Reply> {
    let Call {
        request, visitor, ..
    } = call;
    let RunRequest { scenario } = body::json(request).await?;
    let scenario = short("scenario", scenario)?;
    let origin = Origin {
        user: visitor.user,
        address: visitor.address,
    };
    // `?` writes line ends as escapes: the name is the client's.
    tracing::info!(%scenario, %origin, "asked for a run");
    let started = site
        .ask(move |control| async move { control.start_run(scenario, origin).await })
        .await?;
    let run = started.map_err(refused)?;
    let place = HeaderValue::try_from(format!("{}/api/v1/runs/{run}", site.route_prefix));
    let mut reply = answer::json(StatusCode::ACCEPTED, &RunStarted { run });
    if let Ok(place) = place {
        reply.headers_mut().insert(LOCATION, place);
    }
    Ok(reply)
}

/// `GET /api/v1/runs/{id}`
pub(super) async fn run(site: Arc<Site>, call: Call) -> Reply {
    answered(run_of(&site, call).await)
}

async fn run_of(site: &Site, call: Call) -> Result<Reply, Reply> {
    let none = || answer::problem(StatusCode::NOT_FOUND, "there is no such run");
    let id = name("the id", call.name)?.ok_or_else(none)?;
    let found = site
        .read(move |control| async move { control.run(id).await })
        .await?
        .map_err(unavailable)?;
    Ok(answer::json(StatusCode::OK, &found.ok_or_else(none)?))
}

/// `POST /api/v1/baselines/accept`
pub(super) async fn accept(site: Arc<Site>, call: Call) -> Reply {
    answered(accept_what(&site, call).await)
}

async fn accept_what(site: &Site, call: Call) -> Result<Reply, Reply> {
    let Call {
        request, visitor, ..
    } = call;
    let asked: AcceptRequest = body::json(request).await?;
    if !asked.selects() {
        let detail = "say what is meant: subject, what, scenario, or all";
        return Err(answer::problem(StatusCode::BAD_REQUEST, detail));
    }
    let asked = AcceptRequest {
        subject: name("subject", asked.subject)?,
        scenario: name("scenario", asked.scenario)?,
        instance: name("instance", asked.instance)?,
        ..asked
    };
    let origin = Origin {
        user: visitor.user,
        address: visitor.address,
    };
    tracing::info!(?asked, %origin, "asked to accept");
    let accepted = site
        .ask(move |control| async move { control.accept(asked, origin).await })
        .await?;
    let accepted = accepted
        .map_err(|Unavailable(detail)| answer::problem(StatusCode::SERVICE_UNAVAILABLE, detail))?;
    if accepted.meant == 0 {
        let detail = "nothing that is remembered is meant";
        return Err(answer::problem(StatusCode::NOT_FOUND, detail));
    }
    Ok(answer::json(StatusCode::OK, &accepted))
}

/// `GET /api/v1/ledger`
pub(super) async fn ledger(site: Arc<Site>, call: Call) -> Reply {
    answered(ledger_of(&site, call.request.uri().clone()).await)
}

async fn ledger_of(site: &Site, uri: Uri) -> Result<Reply, Reply> {
    let asked: LedgerAsked = query(&uri)?;
    let query = LedgerQuery {
        limit: limit(asked.limit)?,
        state: name("state", asked.state)?,
        scenario: name("scenario", asked.scenario)?,
        run: name("run", asked.run)?,
        since: asked.since,
        until: asked.until,
    };
    let entries = site
        .read(move |control| async move { control.ledger(query).await })
        .await?
        .map_err(unavailable)?;
    let list = LedgerList {
        schema_version: SCHEMA_VERSION.to_owned(),
        entries,
    };
    Ok(answer::json(StatusCode::OK, &list))
}

fn answered(result: Result<Reply, Reply>) -> Reply {
    result.unwrap_or_else(|problem| problem)
}

/// What is wrong with a request.
pub(super) struct BadRequest(pub(super) String);

impl From<BadRequest> for Reply {
    fn from(BadRequest(detail): BadRequest) -> Self {
        answer::problem(StatusCode::BAD_REQUEST, detail)
    }
}

/// The query, without anything that is not known: a misspelt filter would otherwise filter nothing.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, BadRequest> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => {
            // The words of the type itself, without those of the extractor around it.
            let source = std::error::Error::source(&error);
            let words = source.map_or_else(|| error.to_string(), ToString::to_string);
            Err(BadRequest(format!("the query is wrong: {words}")))
        }
    }
}

fn limit(asked: Option<u32>) -> Result<u32, BadRequest> {
    let limit = asked.unwrap_or(ROWS);
    if (1..MOST_ROWS).contains(&limit) {
        return Ok(limit);
    }
    Err(BadRequest(format!("limit is from 1 to {}", MOST_ROWS - 1)))
}

/// The name, unless it is longer than any.
pub(super) fn short(what: &str, name: String) -> Result<String, BadRequest> {
    if name.len() <= LONGEST_NAME {
        return Ok(name);
    }
    Err(BadRequest(format!(
        "{what} is longer than {LONGEST_NAME} bytes"
    )))
}

fn name(what: &str, asked: Option<String>) -> Result<Option<String>, BadRequest> {
    asked.map(|name| short(what, name)).transpose()
}

fn unavailable(error: Unavailable) -> Reply {
    tracing::error!(%error, "the store cannot be read for the web");
    answer::problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "the store cannot be read; the log says why",
    )
}

fn refused(refused: Refused) -> Reply {
    let Refused {
        kind,
        reason,
        retry_after,
    } = refused;
    let status = match kind {
        Refusal::UnknownScenario => StatusCode::NOT_FOUND,
        Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refusal::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    };
    match retry_after {
        Some(after) => answer::later(status, reason, after),
        None => answer::problem(status, reason),
    }
}
