//! The policy resource over HTTPS (RFC 8461 §3.3). Redirects are not followed, nothing is cached, everything has a limit.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, LOCATION, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use postrider_wire::policy::mta_sts::MAX_POLICY;
use postrider_wire::text::RemoteText;
use tokio::time::{Instant, timeout_at};

use crate::account::Trust;
use crate::context::Context;
use crate::dialogue::stream::BoxStream;
use crate::net::connect_failure;
use crate::outcome::{Failure, Mark};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::Span;
use crate::tls::{Verify, client};

const PATH: &str = "/.well-known/mta-sts.txt";
/// Header fields of an answer.
const MOST_FIELDS: usize = 100;
/// Bytes of an answer's head.
const LARGEST_HEAD: usize = 32 * 1024;
/// Lines of the policy that are kept as proof.
const MOST_LINES: usize = 40;

/// Where the policy is fetched from.
pub(super) struct Endpoint<'a> {
    /// `mta-sts.example.net`
    pub(super) host: &'a str,
    pub(super) address: SocketAddr,
    pub(super) trust: Trust,
    /// For all of it.
    pub(super) within: Duration,
}

/// A failure to fetch, in the word of RFC 8460 §4.3.
pub(super) fn fetch_error(failure: Failure) -> Failure {
    named("sts-policy-fetch-error", failure)
}

fn named(word: &str, failure: Failure) -> Failure {
    Failure {
        message: format!("{word}: {}", failure.message),
        ..failure
    }
}

/// The body of the policy resource.
pub(super) async fn fetch(cx: &Context<'_>, at: &Endpoint<'_>) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + at.within;
    let stream = connect(cx, at, deadline).await.map_err(fetch_error)?;
    let stream = secure(cx, at, stream, deadline).await?;
    let exchange = cx.phase(Phase::Http, timeout_at(deadline, exchange(cx, at, stream)));
    exchange.await.unwrap_or_else(|_| {
        Err(fetch_error(Failure::new(
            Reason::HttpTimeout,
            format!(
                "{} did not send the whole policy within {}",
                shown(at),
                Span(at.within)
            ),
        )))
    })
}

async fn connect(
    cx: &Context<'_>,
    at: &Endpoint<'_>,
    deadline: Instant,
) -> Result<BoxStream, Failure> {
    let source = cx.around.platform.source_address;
    let opening = timeout_at(deadline, cx.around.net.connect(at.address, source));
    cx.phase(Phase::Connect, opening)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| connect_failure(&error, at.address, at.within))
}

async fn secure(
    cx: &Context<'_>,
    at: &Endpoint<'_>,
    stream: BoxStream,
    deadline: Instant,
) -> Result<BoxStream, Failure> {
    let handshake = client(stream, at.host, &at.trust, Verify::Enforce);
    let shaken = cx.phase(Phase::Tls, timeout_at(deadline, handshake)).await;
    let Ok(shaken) = shaken else {
        return Err(fetch_error(Failure::new(
            Reason::TlsHandshake,
            format!(
                "{} did not end the TLS handshake within {}",
                shown(at),
                Span(at.within)
            ),
        )));
    };
    match shaken {
        Ok((stream, mut facts)) => {
            facts.address = Some(at.address);
            cx.evidence(|evidence| evidence.tls = Some(facts));
            Ok(stream)
        }
        Err(failure) => {
            let failure = failure.into_failure(cx);
            let word = match failure.reason {
                Reason::TlsCertificate => "sts-webpki-invalid",
                _ => "sts-policy-fetch-error",
            };
            Err(named(
                word,
                Failure {
                    message: format!("{} ({})", failure.message, at.address),
                    ..failure
                },
            ))
        }
    }
}

async fn exchange(
    cx: &Context<'_>,
    at: &Endpoint<'_>,
    stream: BoxStream,
) -> Result<Vec<u8>, Failure> {
    let broken = |error: &hyper::Error| {
        let cause = error
            .source()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        let text = format!("{error}{cause}");
        fetch_error(Failure::new(
            Reason::MtaStsMismatch,
            format!(
                "{} broke HTTP: {}",
                shown(at),
                RemoteText::new(text.as_bytes(), RemoteText::LINE)
            ),
        ))
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MOST_FIELDS)
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let host = match at.address.port() {
        443 => at.host.to_owned(),
        port => format!("{}:{port}", at.host),
    };
    let request = Request::get(PATH)
        .header(HOST, &host)
        .header(USER_AGENT, "postrider")
        .header(ACCEPT, "text/plain")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::new(Reason::Internal, error.to_string()))?;
    cx.say(Mark::SentTls, &format!("GET https://{host}{PATH}"));
    let answered = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = answer.status();
        cx.say(Mark::ReceivedTls, &status.to_string());
        check_head(at, status, answer.headers())?;
        let body = Limited::new(answer.into_body(), MAX_POLICY).collect().await;
        let bytes = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return named(
                    "sts-policy-invalid",
                    Failure::new(
                        Reason::MtaStsMismatch,
                        format!(
                            "the policy of {} is larger than {MAX_POLICY} bytes",
                            shown(at)
                        ),
                    ),
                );
            }
            match error.downcast_ref::<hyper::Error>() {
                Some(error) => broken(error),
                None => fetch_error(Failure::new(Reason::MtaStsMismatch, error.to_string())),
            }
        })?;
        Ok(bytes.to_bytes().to_vec())
    };
    // The connection is driven beside the request, and dropped with it.
    let bytes: Vec<u8> = match select(pin!(answered), pin!(connection)).await {
        Either::Left((answer, _)) => answer?,
        Either::Right((_, answered)) => answered.await?,
    };
    for line in String::from_utf8_lossy(&bytes).lines().take(MOST_LINES) {
        let line = RemoteText::new(line.as_bytes(), RemoteText::LINE);
        cx.say(Mark::ReceivedTls, line.as_str());
    }
    Ok(bytes)
}

fn check_head(at: &Endpoint<'_>, status: StatusCode, fields: &HeaderMap) -> Result<(), Failure> {
    let field = |name| {
        fields.get(name).map(|value: &hyper::header::HeaderValue| {
            RemoteText::new(value.as_bytes(), 200).to_string()
        })
    };
    if status.is_redirection() {
        let to = field(LOCATION)
            .map(|to| format!(" to {to}"))
            .unwrap_or_default();
        return Err(fetch_error(Failure::new(
            Reason::HttpStatus,
            format!(
                "{} answered {status}{to}; senders follow no redirect",
                shown(at)
            ),
        )));
    }
    if status != StatusCode::OK {
        return Err(fetch_error(Failure::new(
            Reason::HttpStatus,
            format!("{} answered {status} for {PATH}", shown(at)),
        )));
    }
    let media = field(CONTENT_TYPE);
    let essence = media
        .as_deref()
        .map(|media| media.split(';').next().unwrap_or_default().trim());
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("text/plain") => Ok(()),
        _ => Err(named(
            "sts-policy-invalid",
            Failure::new(
                Reason::MtaStsMismatch,
                format!(
                    "{} sends the policy as {}, not as text/plain",
                    shown(at),
                    essence.unwrap_or("no media type")
                ),
            ),
        )),
    }
}

/// `mta-sts.example.net (192.0.2.1:443)`
fn shown(at: &Endpoint<'_>) -> String {
    format!("{} ({})", at.host, at.address)
}
