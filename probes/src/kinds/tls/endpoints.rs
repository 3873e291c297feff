//! Where to look: a name and its addresses, one address, or a target.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Starttls, Tls, filled};
use crate::context::Context;
use crate::net::addresses;
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;

/// For the name's addresses.
pub(super) const DNS_WITHIN: Duration = Duration::from_secs(10);
/// More addresses of one name are not looked at.
pub(super) const MOST_ADDRESSES: u32 = 8;
const SMTP_PORT: u16 = 25;

/// One place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// What the certificate must be for: a host name, or the address.
    pub(super) name: String,
}

/// Where to look, never empty, and what is to be told when these are not all.
pub(super) async fn of(
    tls: &Tls,
    cx: &Context<'_>,
) -> Result<(Vec<Endpoint>, Option<Finding>), Failure> {
    let port = port(tls, cx)?;
    let host = filled(cx, tls.host.as_deref())?;
    let given_name = filled(cx, tls.server_name.as_deref())?;
    let endpoint = |address: IpAddr, name: Option<&String>| Endpoint {
        address: SocketAddr::new(address, port),
        name: given_name
            .as_ref()
            .or(name)
            .map_or_else(|| address.to_string(), Clone::clone),
    };
    if let Some(text) = filled(cx, tls.to_address.as_deref())? {
        let address = text.parse().map_err(|_| {
            let text = format!("to_address `{}` is not an IP address", text.escape_debug());
            Failure::new(Reason::Internal, text)
        })?;
        let of_target = cx
            .target
            .filter(|target| target.address == address)
            .map(|target| &target.mx);
        return Ok((vec![endpoint(address, host.as_ref().or(of_target))], None));
    }
    let Some(host) = host else {
        let target = cx.target.ok_or_else(|| {
            Failure::new(Reason::Internal, "neither a host nor a target is given")
        })?;
        return Ok((vec![endpoint(target.address, Some(&target.mx))], None));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok((vec![endpoint(address, None)], None));
    }
    let lookup = addresses(cx.around.net, None, &host, tls.family, DNS_WITHIN);
    let found = cx.phase(Phase::Dns, lookup).await;
    if found.addresses.is_empty() {
        return Err(found.failure.unwrap_or_else(|| {
            Failure::new(Reason::DnsNxdomain, format!("{host} has no address"))
        }));
    }
    if let Some(failure) = found.failure {
        cx.find(failure);
    }
    let most = usize::try_from(MOST_ADDRESSES).unwrap_or(usize::MAX);
    let count = found.addresses.len();
    let too_many = (count > most).then(|| {
        let text = format!("{host} has {count} addresses; only the first {most} are looked at");
        Finding::new(Reason::DnsMismatch, text).as_preference()
    });
    let endpoints = found.addresses.into_iter().take(most);
    let endpoints = endpoints.map(|address| endpoint(address, Some(&host)));
    Ok((endpoints.collect(), too_many))
}

fn port(tls: &Tls, cx: &Context<'_>) -> Result<u16, Failure> {
    let of_platform = match tls.starttls {
        Some(Starttls::Smtp) => Some(cx.around.platform.smtp_port.unwrap_or(SMTP_PORT)),
        _ => None,
    };
    tls.given_port()
        .or(of_platform)
        .ok_or_else(|| Failure::new(Reason::Internal, "no port is given"))
}
