//! One address: up to the certificate that it presents.

use std::net::{IpAddr, SocketAddr};

use tokio::time::timeout;

use super::Asked;
use crate::context::Context;
use crate::dialogue::starttls;
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::net::connect_failure;
use crate::outcome::{Failure, Mark};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::duration;
use crate::tls::{self, Unjudged};

/// What an address presented.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(super) time: rustls::pki_types::UnixTime,
}

/// Connects, as a sender who asks for `base` does, and says goodbye. The facts go to the evidence, the first address's first.
pub(super) async fn look(
    cx: &Context<'_>,
    asked: &Asked,
    base: &str,
    to: SocketAddr,
) -> Result<Shown, Failure> {
    let what = format!("a free connection to {}", to.ip());
    let slot = cx.queue(&what, cx.around.slots.acquire(to.ip())).await;
    cx.say(
        Mark::Info,
        &format!("connecting to {base} [{}] port {}", to.ip(), to.port()),
    );
    let shown = session(cx, asked, base, to).await;
    drop(slot);
    if let Err(failure) = &shown {
        cx.say(Mark::Unexpected, &failure.line());
    }
    shown
}

async fn session(
    cx: &Context<'_>,
    asked: &Asked,
    base: &str,
    to: SocketAddr,
) -> Result<Shown, Failure> {
    let stream = connect(cx, asked, to).await?;
    let (stream, phase) = match asked.begin.protocol() {
        None => (stream, Phase::Tls),
        Some(protocol) => {
            let helo = helo(cx, asked, to.ip());
            let before = starttls::before(cx, stream, protocol, &helo, asked.within);
            (before.await.map_err(not_offered)?, Phase::Starttls)
        }
    };
    let handshake = timeout(asked.within, tls::unjudged(stream, base));
    let owed = Awaited::new(Reason::TlsHandshake, "no TLS handshake");
    let shaken = cx.phase(phase, cx.awaiting(owed, handshake)).await;
    let shaken = shaken.map_err(|_| {
        let waited = duration(asked.within);
        Failure::new(
            Reason::TlsHandshake,
            format!("no TLS handshake within {waited}"),
        )
    })?;
    let Unjudged {
        stream,
        mut facts,
        chain,
        time,
    } = shaken.map_err(|problem| problem.into_failure(cx))?;
    cx.say(
        Mark::Info,
        &format!(
            "TLS started: {} {}, certificate for {}",
            facts.version,
            facts.cipher,
            facts.names.join(", ")
        ),
    );
    facts.address = Some(to);
    cx.observe_tls(to, &facts);
    cx.evidence(|evidence| match evidence.tls {
        None => evidence.tls = Some(facts),
        Some(_) => evidence.more_tls.push(facts),
    });
    starttls::leave(cx, stream, asked.begin.protocol()).await;
    Ok(Shown { chain, time })
}

async fn connect(cx: &Context<'_>, asked: &Asked, to: SocketAddr) -> Result<BoxStream, Failure> {
    let missing = format!("no answer on port {}", to.port());
    let connecting = timeout(asked.within, cx.around.net.connect(to, asked.source));
    let owed = Awaited::new(Reason::ConnectTimeout, missing.clone());
    cx.phase(Phase::Connect, cx.awaiting(owed, connecting))
        .await
        .map_err(|_| {
            let waited = duration(asked.within);
            Failure::new(Reason::ConnectTimeout, format!("{missing} within {waited}"))
        })?
        .map_err(|error| connect_failure(&error, to, asked.within))
}

/// With TLSA records published, a sender without STARTTLS does not deliver; the word is RFC 8460's.
fn not_offered(failure: Failure) -> Failure {
    match failure.reason {
        Reason::TlsNotOffered => Failure {
            message: format!("{} (starttls-not-supported)", failure.message),
            ..failure
        },
        _ => failure,
    }
}

/// A client without a name says its address (RFC 5321 §4.1.3).
fn helo(cx: &Context<'_>, asked: &Asked, to: IpAddr) -> String {
    asked.helo.clone().unwrap_or_else(|| {
        let source = asked
            .source
            .filter(|source| source.is_ipv4() == to.is_ipv4());
        match source.or_else(|| cx.around.net.source_towards(to)) {
            Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
            Some(IpAddr::V4(address)) => format!("[{address}]"),
            None => "[127.0.0.1]".to_owned(),
        }
    })
}
