//! Who is let in: the role of the route, the login, the site that a browser acts for.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};

use super::answer::{self, Reply};
use super::login::Login;
use super::routes::{Methods, Role, Route};
use super::site::Site;

/// The connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    /// The other side.
    pub(super) address: IpAddr,
    /// Only this host can reach the listener.
    pub(super) loopback: bool,
}

/// Who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) address: IpAddr,
    /// Who logged in; `None` when no users are configured, or on a route for anyone.
    pub(super) user: Option<String>,
    /// May use the routes that show something of the platform.
    pub(super) may_look: bool,
}

/// Lets a request in or refuses it.
pub(super) async fn admit(
    site: &Site,
    route: &Route,
    connection: Option<Connection>,
    headers: &HeaderMap,
) -> Result<Visitor, Reply> {
    let forbidden = |detail: &str| answer::problem(StatusCode::FORBIDDEN, detail);
    let Some(connection) = connection else {
        return Err(forbidden("the connection is not known"));
    };
    let protection = site.guarded.now();
    let no_users = protection.users.is_empty();
    let is_own = is_own_site(headers, site.external_url.as_ref())
        && (route.methods != Methods::Get || tells_its_site(headers));
    if route.role == Role::Act && !is_own {
        tracing::warn!(route = route.path, address = %connection.address, "refused: asked for by another site");
        return Err(forbidden("requests that another site makes are refused"));
    }
    // A name that another site made point to this host would make its pages ours: on loopback nothing else stands in
    // the way. With users, a browser gives that name no password.
    let local_only = no_users && connection.loopback;
    if local_only && route.role != Role::Anyone && !is_local(headers, site.external_url.as_ref()) {
        return Err(answer::problem(
            StatusCode::MISDIRECTED_REQUEST,
            "this listener answers to localhost and loopback addresses only; behind a proxy, give its address with \
             --web.external-url",
        ));
    }
    if no_users {
        if route.role == Role::Act && !connection.loopback {
            return Err(forbidden(
                "this acts, and no users are configured: list them under basic_auth_users in the file of \
                 --web.config.file, or listen on a loopback address",
            ));
        }
        return Ok(Visitor {
            address: connection.address,
            user: None,
            may_look: true,
        });
    }
    let authorization = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let login = site
        .logins
        .check(&protection.users, connection.address, authorization)
        .await;
    match (login, route.role) {
        (Login::User(user), _) => Ok(Visitor {
            address: connection.address,
            user: Some(user),
            may_look: true,
        }),
        (_, Role::Anyone) => Ok(Visitor {
            address: connection.address,
            user: None,
            may_look: false,
        }),
        (Login::Nobody, _) => Err(answer::login_wanted("this needs a login")),
        (Login::Wrong, _) => Err(answer::login_wanted("user or password is wrong")),
        (Login::TooOften(wait), _) => Err(answer::later(
            StatusCode::TOO_MANY_REQUESTS,
            "too many logins failed from this address",
            wait,
        )),
        (Login::Busy, _) => Err(answer::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many logins are being looked at",
            std::time::Duration::from_secs(1),
        )),
    }
}

/// Whether no other site is behind the request. Browsers say so in one or both of two headers that pages cannot forge;
/// other programs send neither.
fn is_own_site(headers: &HeaderMap, external: Option<&Uri>) -> bool {
    const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let all = |name: HeaderName, good: &dyn Fn(&str) -> bool| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| value.to_str().is_ok_and(good))
    };
    all(FETCH_SITE, &|site| matches!(site, "same-origin" | "none"))
        && all(ORIGIN, &|origin| is_own_origin(origin, headers, external))
}

/// Whether a program that asks with GET says from where, if it is a browser. Over plain HTTP to another host browsers do
/// not, and neither need they name an origin: any page could have them ask, with a password that they remember.
fn tells_its_site(headers: &HeaderMap) -> bool {
    let is_browser = headers
        .get_all(USER_AGENT)
        .iter()
        .any(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    !is_browser || headers.contains_key("sec-fetch-site")
}

fn is_own_origin(origin: &str, headers: &HeaderMap, external: Option<&Uri>) -> bool {
    // `null`, which a sandboxed page sends, is no address.
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some("http" | "https"), Some(authority)) = (origin.scheme_str(), origin.authority())
    else {
        return false;
    };
    let is = |own: &str| own.eq_ignore_ascii_case(authority.as_str());
    host(headers).is_some_and(is)
        || external
            .and_then(Uri::authority)
            .is_some_and(|own| is(own.as_str()))
}

/// Whether the request names this host by an address or a name that nobody else can give out.
fn is_local(headers: &HeaderMap, external: Option<&Uri>) -> bool {
    // Only HTTP/1.0 needs no Host, and no browser speaks it.
    let Some(host) = host(headers) else {
        return headers.get(HOST).is_none();
    };
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || literal
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
        || external
            .and_then(Uri::authority)
            .is_some_and(|own| own.as_str().eq_ignore_ascii_case(host))
}

/// The one `Host` header.
fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let first = hosts.next()?;
    if hosts.next().is_some() {
        return None;
    }
    first.to_str().ok()
}
