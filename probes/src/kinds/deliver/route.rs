//! Which hosts are tried, in which order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::prepare::Prepared;
use super::settings::{Deliver, Family, Route};
use crate::context::Context;
use crate::dialogue::smtp;
use crate::mx;
use crate::outcome::{Failure, Mark, SmtpFacts, Status};
use crate::phase::Phase;
use crate::reason::Reason;

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
}

/// The hosts of this delivery; never empty.
pub(super) async fn hosts(
    settings: &Deliver,
    cx: &Context<'_>,
    _: &Prepared<'_>,
) -> Result<Vec<Host>, Failure> {
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
/// What happens there is in the transcript and decides nothing.
pub(super) async fn greet_primary(_: &Deliver, cx: &Context<'_>, prepared: &Prepared<'_>) {
    let Some(target) = cx.target else { return };
    let domain = prepared.account.address.domain().to_owned();
    let family = if target.address.is_ipv4() {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let set = match mx::lookup(cx.around.net, &domain, family, LOOKUP_WITHIN).await {
        Ok(set) => set,
        Err(failure) => {
            return cx.say(
                Mark::Unexpected,
                &format!("no primary to approach first: {}", failure.line()),
            );
        }
    };
    let primary = mx::sender_order(&set, &mut rand::rng()).into_iter().next();
    let Some((host, address)) = primary.filter(|(_, address)| *address != target.address) else {
        return cx.say(Mark::Info, "this is the primary itself");
    };
    cx.note("after the primary");
    cx.say(
        Mark::Info,
        &format!("first the primary: {} [{address}]", host.name),
    );
    cx.evidence(|evidence| {
        evidence.smtp = Some(SmtpFacts {
            host: Some(host.name.clone()),
            address: Some(address),
            ..SmtpFacts::default()
        });
    });
    let to = SocketAddr::new(address, prepared.port);
    let _slot = cx.around.slots.acquire(address).await;
    let limit = prepared.limits.connect + prepared.limits.banner + prepared.limits.command;
    let visit = async {
        let stream = cx
            .around
            .net
            .connect(to, prepared.source)
            .await
            .map_err(|error| error.to_string())?;
        smtp::visit(cx, stream, &prepared.helo.to_string(), limit)
            .await
            .map_err(|failure| failure.line())
    };
    match tokio::time::timeout(limit, visit).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => cx.say(Mark::Unexpected, &format!("the primary: {problem}")),
        Err(_) => cx.say(Mark::Unexpected, "the primary did not answer in time"),
    }
}
