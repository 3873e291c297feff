//! Which hosts are tried, in which order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::prepare::Prepared;
use super::settings::{Deliver, Family, Route};
use tokio::time::timeout;

use crate::context::Context;
use crate::dialogue::smtp;
use crate::mx;
use crate::net::connect_failure;
use crate::outcome::{Failure, Mark, SmtpFacts, Status};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::duration;
use crate::target::Target;

/// Time for one DNS lookup of a route.
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);
/// A sender gives up on a route after this many addresses.
const MOST_HOSTS: usize = 20;

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// The MX host; its name is what the certificate must carry.
    pub(super) name: Option<String>,
    pub(super) address: IpAddr,
}

impl Host {
    /// `mx1.example.net [192.0.2.1]`.
    pub(super) fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} [{}]", self.address),
            None => format!("[{}]", self.address),
        }
    }

    /// Waits until one more connection to the host is allowed.
    pub(super) async fn slot(&self, cx: &Context<'_>) -> Slot {
        slot(cx, self.address).await
    }
}

/// The right to one connection, until it is dropped.
pub(super) type Slot = Option<crate::slots::Slot>;

async fn slot(cx: &Context<'_>, address: IpAddr) -> Slot {
    let what = format!("a free connection to {address}");
    cx.queue(&what, cx.around.slots.acquire(address)).await
}

/// The hosts of this delivery; never empty.
pub(super) async fn hosts(settings: &Deliver, cx: &Context<'_>) -> Result<Vec<Host>, Failure> {
    let given_name = settings
        .server_name
        .as_ref()
        .map(|name| cx.fill(name))
        .transpose()?;
    if let Some(template) = &settings.to_address {
        let text = cx.fill(template)?;
        let address = text.parse().map_err(|_| {
            Failure::new(
                Reason::Internal,
                format!("to_address `{text}` is not an IP address"),
            )
        })?;
        let name = given_name.or_else(|| {
            cx.target
                .filter(|target| target.address == address)
                .map(|target| target.mx.clone())
        });
        return Ok(vec![Host { name, address }]);
    }
    if let Some(route) = settings
        .route
        .as_ref()
        .or_else(|| cx.message.route.as_ref().filter(|_| cx.target.is_none()))
    {
        return routed(cx, route).await;
    }
    cx.target
        .map(|target| {
            vec![Host {
                name: given_name.or_else(|| Some(target.mx.clone())),
                address: target.address,
            }]
        })
        .ok_or_else(|| Failure::new(Reason::Internal, "no address and no route is given"))
}

/// RFC 5321 §5.1, with some hosts treated as dead.
async fn routed(cx: &Context<'_>, route: &Route) -> Result<Vec<Host>, Failure> {
    let domain = cx.fill(&route.mx_of)?;
    let dead = route
        .pretend_unreachable
        .iter()
        .map(|name| cx.fill(name))
        .collect::<Result<Vec<_>, _>>()?;
    let set = cx
        .phase(
            Phase::Dns,
            mx::lookup(cx.around.net, &domain, route.family, LOOKUP_WITHIN),
        )
        .await?;
    cx.observe_all(set.seen.clone());
    for finding in &set.findings {
        cx.say(Mark::Unexpected, &finding.line());
    }
    let mut hosts = Vec::new();
    for (host, address) in mx::sender_order(&set, &mut rand::rng()) {
        if dead
            .iter()
            .any(|dead| dead.eq_ignore_ascii_case(&host.name) || dead.parse() == Ok(address))
        {
            cx.say(
                Mark::Info,
                &format!("{} [{address}] is treated as unreachable", host.name),
            );
        } else if !cx.around.net.has_route(address) {
            // Not the platform's fault: a vantage without IPv6 says so once, when the run expands its targets.
            cx.say(
                Mark::Info,
                &format!("no route from here to {} [{address}]", host.name),
            );
        } else if hosts.len() < MOST_HOSTS {
            hosts.push(Host {
                name: Some(host.name.clone()),
                address,
            });
        }
    }
    if hosts.is_empty() {
        // A host without an address for now is another thing than a domain without hosts: its own words say which.
        let mut findings = set.findings.into_iter();
        let why = findings.find(|finding| finding.status > Status::Degraded);
        return Err(why.unwrap_or_else(|| {
            Failure::new(
                Reason::DnsMismatch,
                format!("no MX host of {domain} is left to deliver to"),
            )
        }));
    }
    Ok(hosts)
}

/// Opens a session on a primary address and leaves it, as a sender does that found the primary unwilling.
/// What happens there decides nothing; whether the primary has seen us is noted, because filters ask that.
pub(super) async fn greet_primary(cx: &Context<'_>, prepared: &Prepared<'_>) {
    let Some(target) = cx.target else { return };
    let (host, address) = match primary_of(cx, target).await {
        Ok(Some(primary)) => primary,
        Ok(None) => return cx.say(Mark::Info, "this is a primary itself"),
        Err(why) => {
            cx.note("primary not reached");
            return cx.say(
                Mark::Unexpected,
                &format!("no primary to approach first: {why}"),
            );
        }
    };
    cx.say(
        Mark::Info,
        &format!("first the primary: {host} [{address}]"),
    );
    cx.evidence(|evidence| {
        evidence.smtp = Some(SmtpFacts {
            host: Some(host.clone()),
            address: Some(address),
            ..SmtpFacts::default()
        });
    });
    // Given back before the target's own is waited for: who holds one and waits for another can wait for ever.
    let _slot = slot(cx, address).await;
    let limits = prepared.limits;
    let to = SocketAddr::new(address, prepared.port);
    let connecting = cx.around.net.connect(to, prepared.source);
    let problem = match timeout(limits.connect, connecting).await {
        Ok(Ok(stream)) => {
            let within = limits.banner + limits.command;
            let name = prepared.helo.to_string();
            let visit = smtp::visit(cx, stream, &name, within);
            match timeout(within, visit).await {
                Ok(Ok(())) => return cx.note("after the primary"),
                Ok(Err(failure)) => ("primary unwilling", failure.line()),
                Err(_) => ("primary unwilling", "it did not answer in time".to_owned()),
            }
        }
        Ok(Err(error)) => (
            "primary not reached",
            connect_failure(&error, to, limits.connect).line(),
        ),
        Err(_) => (
            "primary not reached",
            format!("no answer within {}", duration(limits.connect)),
        ),
    };
    let (note, problem) = problem;
    cx.note(note);
    cx.say(Mark::Unexpected, &format!("the primary: {problem}"));
}

/// A most preferred host of the domain that is probed, and an address of it, of the target's family where there is one;
/// `None` when the target is among them.
async fn primary_of(cx: &Context<'_>, target: &Target) -> Result<Option<(String, IpAddr)>, String> {
    let net = cx.around.net;
    let set = mx::lookup(net, &target.domain, Family::Both, LOOKUP_WITHIN).await;
    let set = set.map_err(|failure| failure.line())?;
    let lowest = set.hosts.iter().map(|host| host.preference).min();
    let mut primaries = mx::sender_order(&set, &mut rand::rng());
    primaries.retain(|(host, _)| Some(host.preference) == lowest);
    if primaries
        .iter()
        .any(|(_, address)| *address == target.address)
    {
        return Ok(None);
    }
    primaries.retain(|(_, address)| net.has_route(*address));
    let same_family = |address: IpAddr| address.is_ipv4() == target.address.is_ipv4();
    let chosen = primaries
        .iter()
        .find(|(_, address)| same_family(*address))
        .or(primaries.first());
    let (host, address) =
        chosen.ok_or_else(|| format!("no address of {}'s primary MX is usable", target.domain))?;
    Ok(Some((host.name.clone(), *address)))
}
