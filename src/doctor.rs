//! Whether this vantage is fit to judge a mail platform: routes, reverse names, resolver, canaries, clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use postrider_probes::canary::Proof;
use postrider_probes::kinds::deliver::Family;
use postrider_probes::names::{self, special_purpose};
use postrider_probes::net::{Net, Question, RecordData, addresses, lookup};
use postrider_probes::outcome::Status;
use postrider_probes::reason::Reason;

use crate::config::plan::Plan;
use crate::vantage::Health;

/// How long one question may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Only looked up in the routing table; nothing is sent to them (RFC 5737, RFC 3849).
const SOMEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
/// Reverse names of one address that are looked at.
const MOST_NAMES: usize = 10;

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What: `port 25`, `ptr`, …
    pub subject: &'static str,
    /// `Error` makes the vantage unfit; `Degraded` limits what it can tell; `Skip` was not examined.
    pub status: Status,
    /// The stable code, when there is one.
    pub reason: Option<Reason>,
    /// What was found, one line.
    pub text: String,
}

impl Sign {
    fn new(subject: &'static str, status: Status, text: impl Into<String>) -> Self {
        Self {
            subject,
            status,
            reason: None,
            text: text.into(),
        }
    }

    /// A sign that makes the vantage unfit.
    #[must_use]
    pub fn unfit(subject: &'static str, reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason: Some(reason),
            ..Self::new(subject, Status::Error, text)
        }
    }

    /// A good sign.
    #[must_use]
    pub fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, Status::Pass, text)
    }

    /// A sign of a limit.
    #[must_use]
    pub fn limit(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, Status::Degraded, text)
    }
}

/// Examines everything that needs the network. Sends no mail.
pub async fn examine(plan: &Plan, net: &dyn Net, health: &Health) -> Vec<Sign> {
    let mut signs = vec![resolver(plan, net).await];
    for to in SOMEWHERE {
        let source = net.source_towards(to);
        signs.push(route(to, source));
        if let Some(source) = source {
            signs.extend(reverse_name(plan, net, source).await);
        }
    }
    signs.extend(canaries(health));
    signs
}

async fn resolver(plan: &Plan, net: &dyn Net) -> Sign {
    let subject = "dns";
    let Some(domain) = plan.inventory.domains.first() else {
        return Sign::new(
            subject,
            Status::Skip,
            "not examined: `platform.domains` is empty",
        );
    };
    match lookup(net, None, Question::new(domain, "MX", WITHIN)).await {
        Ok(answer) => Sign::good(
            subject,
            format!(
                "{} answers for {domain} in {}",
                answer.server.ip(),
                postrider_probes::span::duration(answer.took)
            ),
        ),
        Err(failure) => Sign::unfit(subject, Reason::VantageDns, failure.line()),
    }
}

fn route(to: IpAddr, source: Option<IpAddr>) -> Sign {
    match (to, source) {
        (IpAddr::V4(_), Some(source)) => Sign::good("ipv4", format!("packets leave from {source}")),
        (IpAddr::V6(_), Some(source)) => Sign::good("ipv6", format!("packets leave from {source}")),
        (IpAddr::V4(_), None) => Sign::unfit(
            "ipv4",
            Reason::VantageOffline,
            "no route: IPv4 addresses cannot be tested",
        ),
        (IpAddr::V6(_), None) => Sign::limit(
            "ipv6",
            "no route: IPv6 addresses will be `vantage-no-ipv6`, not tested",
        ),
    }
}

/// A filter looks at the reverse name of whoever connects, and compares it with what EHLO said (RFC 1912 §2.1).
async fn reverse_name(plan: &Plan, net: &dyn Net, source: IpAddr) -> Vec<Sign> {
    let subject = "ptr";
    if special_purpose(source).is_some() {
        return vec![Sign::limit(
            subject,
            format!(
                "{source} is not public: look at the reverse name of the address that the world sees"
            ),
        )];
    }
    let question = Question::new(names::reverse_name(source), "PTR", WITHIN);
    let names: Vec<String> = match lookup(net, None, question).await {
        Ok(answer) => answer
            .records
            .iter()
            .filter_map(|record| match &record.data {
                RecordData::Name(name) if record.record_type == "PTR" => Some(name.clone()),
                _ => None,
            })
            .take(MOST_NAMES)
            .collect(),
        Err(failure) if failure.reason == Reason::DnsNxdomain => Vec::new(),
        Err(failure) => {
            let text = format!(
                "the reverse name of {source} cannot be looked up: {}",
                failure.line()
            );
            return vec![Sign::limit(subject, text)];
        }
    };
    if names.is_empty() {
        return vec![Sign::limit(
            subject,
            format!("{source} has no reverse name: many filters refuse it or score it as spam"),
        )];
    }
    let mut signs = Vec::new();
    for name in &names {
        let forward = addresses(net, None, name, family(source), WITHIN).await;
        signs.push(match forward.addresses.contains(&source) {
            true => Sign::good(
                subject,
                format!("{source} is {name}, and {name} is {source}"),
            ),
            false => Sign::limit(
                subject,
                format!("{source} is {name}, but {name} is not {source}: the name proves nothing"),
            ),
        });
    }
    for sender in plan.senders.values() {
        let helo = sender.helo.to_string();
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&helo)) {
            signs.push(Sign::limit(
                "ehlo",
                format!(
                    "sender {} says EHLO {helo}, and {source} is {}",
                    sender.name,
                    names.join(", ")
                ),
            ));
        }
    }
    signs
}

fn canaries(health: &Health) -> Vec<Sign> {
    let mut signs = Vec::new();
    for look in &health.looks {
        let subject = subject(look.proof);
        signs.push(match &look.failure {
            None => Sign::good(
                subject,
                format!(
                    "{}: {} ({})",
                    look.name,
                    look.saw,
                    postrider_probes::span::duration(look.took)
                ),
            ),
            Some(failure) => Sign {
                reason: Some(failure.reason),
                ..Sign::new(
                    subject,
                    severity(look.family),
                    format!("{}: {}", look.name, failure.message),
                )
            },
        });
    }
    for (proof, key) in [
        (Proof::Network, "tcp"),
        (Proof::Smtp, "smtp"),
        (Proof::Clock, "ntp"),
    ] {
        if !health.looks.iter().any(|look| look.proof == proof) {
            signs.push(Sign::new(
                subject(proof),
                Status::Skip,
                format!("not examined: add an `{key}` entry to `canaries`"),
            ));
        }
    }
    signs
}

fn subject(proof: Proof) -> &'static str {
    match proof {
        Proof::Network => "network",
        Proof::Resolver => "dns",
        Proof::Smtp => "port 25",
        Proof::Clock => "clock",
    }
}

/// A vantage without IPv6 can still test the rest.
fn severity(family: Family) -> Status {
    match family {
        Family::Ipv6 => Status::Degraded,
        Family::Ipv4 | Family::Both => Status::Error,
    }
}

fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}
