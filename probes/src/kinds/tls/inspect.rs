//! One address: the session that shows the certificate, then what else is offered.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::endpoints::Endpoint;
use super::{Enumerate, Starttls, Tls, offers};
use crate::account::Trust;
use crate::context::Context;
use crate::dialogue::starttls::{self, Protocol};
use crate::dialogue::stream::BoxStream;
use crate::kinds::deliver::TrustSettings;
use crate::limit::Awaited;
use crate::net::connect_failure;
use crate::outcome::{Failure, Finding, Mark, TlsFacts};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::duration;
use crate::tls::{self, Verify};

/// What holds for every address.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) protocol: Option<Protocol>,
    pub(super) trust: Trust,
    pub(super) source: Option<IpAddr>,
    pub(super) within: Duration,
    pub(super) enumerate: Enumerate,
    helo: Option<String>,
}

/// What an address showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whatever kept us from seeing more.
    pub(super) findings: Vec<Finding>,
    /// What was shown, if anything was.
    pub(super) facts: Option<TlsFacts>,
}

impl Asked {
    pub(super) fn new(tls: &Tls, cx: &Context<'_>) -> Result<Self, Failure> {
        let platform = cx.around.platform;
        let of_sender = || cx.around.senders.values().next().map(|sender| &sender.helo);
        let helo = tls.helo.as_ref().map(|helo| &helo.value.0);
        Ok(Self {
            protocol: tls.starttls.map(Starttls::protocol),
            trust: tls
                .trust
                .as_ref()
                .map_or_else(|| platform.trust.clone(), TrustSettings::trust),
            source: tls
                .source_address
                .map(|address| address.0)
                .or(platform.source_address),
            within: tls.within(),
            enumerate: tls.enumerated(),
            helo: helo.or_else(of_sender).map(ToString::to_string),
        })
    }

    /// A client without a name says its address (RFC 5321 §4.1.3).
    fn helo(&self, cx: &Context<'_>, to: IpAddr) -> String {
        self.helo.clone().unwrap_or_else(|| {
            let source = self
                .source
                .filter(|source| source.is_ipv4() == to.is_ipv4());
            match source.or_else(|| cx.around.net.source_towards(to)) {
                Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
                Some(IpAddr::V4(address)) => format!("[{address}]"),
                None => "[127.0.0.1]".to_owned(),
            }
        })
    }

    /// A connection on which the handshake comes next.
    pub(super) async fn connect(
        &self,
        cx: &Context<'_>,
        endpoint: &Endpoint,
    ) -> Result<BoxStream, Failure> {
        let to = endpoint.address;
        let missing = format!("no answer on port {}", to.port());
        let connecting = timeout(self.within, cx.around.net.connect(to, self.source));
        let owed = Awaited::new(Reason::ConnectTimeout, missing.clone());
        let stream = cx
            .phase(Phase::Connect, cx.awaiting(owed, connecting))
            .await
            .map_err(|_| {
                let waited = duration(self.within);
                Failure::new(Reason::ConnectTimeout, format!("{missing} within {waited}"))
            })?
            .map_err(|error| connect_failure(&error, to, self.within))?;
        match self.protocol {
            None => Ok(stream),
            Some(protocol) => {
                let helo = self.helo(cx, to.ip());
                starttls::before(cx, stream, protocol, &helo, self.within).await
            }
        }
    }
}

/// Waits until one more connection to the address is allowed. It is used for one connection after the other.
pub(super) async fn slot(cx: &Context<'_>, endpoint: &Endpoint) -> Option<crate::slots::Slot> {
    let address = endpoint.address.ip();
    let what = format!("a free connection to {address}");
    cx.queue(&what, cx.around.slots.acquire(address)).await
}

/// Looks at everything that is asked for; the caller holds the slot.
pub(super) async fn look(cx: &Context<'_>, asked: &Asked, endpoint: &Endpoint) -> Seen {
    let mut seen = Seen::default();
    cx.say(
        Mark::Info,
        &format!(
            "connecting to {} [{}] port {}",
            endpoint.name,
            endpoint.address.ip(),
            endpoint.address.port()
        ),
    );
    match session(cx, asked, endpoint).await {
        Ok(facts) => seen.facts = Some(facts),
        Err((failure, facts)) => {
            // Without TLS there is nothing to be enumerated; without a common version there is.
            let goes_on = facts.is_some() || failure.reason == Reason::TlsVersion;
            seen.findings.push(failure);
            seen.facts = facts;
            if !goes_on {
                return seen;
            }
        }
    }
    if asked.enumerate > Enumerate::Nothing {
        let spoken = seen.facts.as_ref().map(|facts| facts.version.as_str());
        let spoken = spoken.unwrap_or_default();
        let (offers, failure) = offers::enumerate(cx, asked, endpoint, spoken).await;
        let facts = seen.facts.get_or_insert_with(|| TlsFacts {
            host: endpoint.name.clone(),
            insecure: asked.trust.insecure,
            ..TlsFacts::default()
        });
        facts.offers = offers;
        seen.findings.extend(failure);
    }
    if let Some(facts) = &mut seen.facts {
        facts.address = Some(endpoint.address);
    }
    seen
}

/// One whole session, with goodbye. Its certificate may be bad: that is judged afterwards.
async fn session(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
) -> Result<TlsFacts, (Failure, Option<TlsFacts>)> {
    let stream = asked
        .connect(cx, endpoint)
        .await
        .map_err(|failure| (failure, None))?;
    let phase = match asked.protocol {
        Some(_) => Phase::Starttls,
        None => Phase::Tls,
    };
    let handshake = tls::client(stream, &endpoint.name, &asked.trust, Verify::Record);
    let owed = Awaited::new(Reason::TlsHandshake, "no TLS handshake");
    let handshake = cx.awaiting(owed, timeout(asked.within, handshake));
    let (stream, facts) = cx
        .phase(phase, handshake)
        .await
        .map_err(|_| {
            let waited = duration(asked.within);
            let failure = format!("no TLS handshake within {waited}");
            (Failure::new(Reason::TlsHandshake, failure), None)
        })?
        .map_err(|failed| (failed.failure, failed.facts.map(|facts| *facts)))?;
    cx.say(
        Mark::Info,
        &format!(
            "TLS started: {} {}, certificate for {}",
            facts.version,
            facts.cipher,
            facts.names.join(", ")
        ),
    );
    starttls::leave(cx, stream, asked.protocol).await;
    Ok(facts)
}
