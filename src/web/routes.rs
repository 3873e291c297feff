//! The table of all routes. What is not in it does not exist, and nothing in it can be reached past the guard.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::routing::{MethodFilter, MethodRouter};

use super::answer::{self, Reply};
use super::control::Answer;
use super::guard::{self, Visitor};
use super::site::Site;
use super::{api, operation, probe};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everyone who reaches the listener: it tells nothing of the platform.
    Anyone,
    /// Looking: with a login when users are configured.
    Read,
    /// Acting: with a login, or on a loopback listener when no users are configured; never for another site.
    Act,
}

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Methods {
    /// `GET` and `HEAD`.
    Get,
    /// `POST`.
    Post,
    /// `POST` and `PUT`.
    PostOrPut,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: Methods,
    pub(super) role: Role,
    /// What it is for, in a few words.
    pub(super) about: &'static str,
    pub(super) handler: Handler,
}

/// Answers a call that was let in.
pub(super) type Handler = fn(Arc<Site>, Call) -> Answer<'static, Reply>;

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request<Body>,
    pub(super) visitor: Visitor,
    /// The variable part of the path.
    pub(super) name: Option<String>,
}

macro_rules! route {
    ($methods:ident $path:literal, $role:ident, $handler:path, $about:literal) => {
        Route {
            path: $path,
            methods: Methods::$methods,
            role: Role::$role,
            about: $about,
            handler: |site, call| Box::pin($handler(site, call)),
        }
    };
}

/// Every route.
pub(super) const ROUTES: &[Route] = &[
    route!(Get "/", Read, operation::index, "this page"),
    route!(Get "/-/healthy", Anyone, operation::healthy, "whether the daemon's loop answers"),
    route!(Get "/-/ready", Anyone, operation::ready, "whether it can do its work, and what is in the way"),
    route!(PostOrPut "/-/reload", Act, operation::reload, "read the configuration again"),
    route!(Get "/metrics", Read, operation::metrics, "metrics for Prometheus"),
    // By GET, since Prometheus asks so. It makes connections and logs in, so whoever may not act may not ask for it.
    route!(Get "/probe", Act, probe::probe, "one check now, for Prometheus: target=HOST:PORT, module=, debug=true"),
    route!(Get "/api/v1/runs", Read, api::runs, "stored runs, newest first: limit=, scenario=, before="),
    route!(Post "/api/v1/runs", Act, api::start_run, "start a run: {\"scenario\": NAME}"),
    route!(Get "/api/v1/runs/{id}", Read, api::run, "one run with its checks"),
    route!(Post "/api/v1/baselines/accept", Act, api::accept, "accept what is there now: {\"subject\": S, \"what\": W, \"scenario\": N} or {\"all\": true}; \"also\": true keeps the old value right, too"),
    route!(Get "/api/v1/ledger", Read, api::ledger, "test mails, newest first: limit=, state=, scenario=, run=, since=, until="),
];

impl Methods {
    fn filter(self) -> MethodFilter {
        match self {
            // HEAD is answered as GET, without the body.
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::PostOrPut => MethodFilter::POST.or(MethodFilter::PUT),
        }
    }

    /// As in an `Allow` header.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::PostOrPut => &["POST", "PUT"],
        }
    }
}

/// The router of the table.
pub(super) fn router(site: &Arc<Site>) -> Router {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    let router = paths.into_iter().fold(Router::new(), |router, path| {
        let lines = ROUTES.iter().filter(|route| route.path == path);
        let allowed: Vec<&str> = lines
            .clone()
            .flat_map(|route| route.methods.names())
            .copied()
            .collect();
        let others = MethodRouter::new().fallback(move || async move { not_allowed(&allowed) });
        let methods = lines.fold(others, |methods, route| {
            let site = Arc::clone(site);
            methods.on(
                route.methods.filter(),
                move |path: Result<RawPathParams, RawPathParamsRejection>,
                      request: Request<Body>| {
                    guarded(site, route, path, request)
                },
            )
        });
        let prefix = &site.route_prefix;
        match path {
            // `/mail` is what people write, `/mail/` what the table says.
            "/" if !prefix.is_empty() => router
                .route(prefix, methods.clone())
                .route(&format!("{prefix}/"), methods),
            _ => router.route(&format!("{prefix}{path}"), methods),
        }
    });
    router.fallback(|| async { answer::problem(StatusCode::NOT_FOUND, "there is nothing here") })
}

async fn guarded(
    site: Arc<Site>,
    route: &'static Route,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request<Body>,
) -> Reply {
    let connection = request.extensions().get::<guard::Connection>().copied();
    // A body cannot be shared between threads, so a borrowed request cannot wait.
    let headers = request.headers().clone();
    let visitor = match guard::admit(&site, route, connection, &headers).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal,
    };
    let name = match path.as_ref().map(|path| path.iter().next()) {
        Ok(name) => name.map(|(_, name)| name.to_owned()),
        Err(_) => return answer::problem(StatusCode::BAD_REQUEST, "the path is not UTF-8"),
    };
    let call = Call {
        request,
        visitor,
        name,
    };
    (route.handler)(site, call).await
}

fn not_allowed(allowed: &[&str]) -> Reply {
    let allowed = allowed.join(", ");
    let mut reply = answer::problem(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this is asked by {allowed}"),
    );
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        reply.headers_mut().insert(ALLOW, allowed);
    }
    reply
}
