//! `mta_sts`: the policy by which senders demand TLS of the MX hosts (RFC 8461).

mod fetch;
mod judge;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postrider_wire::policy::mta_sts::Policy;
use serde::Deserialize;

use crate::account::Trust;
use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::{Family, MessageDefaults, TrustSettings};
use crate::kinds::mta_sts::fetch::{Endpoint, fetch};
use crate::kinds::mta_sts::judge::Wanted;
use crate::net::{Question, RecordData, addresses, published};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template, check_domain};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// How long fetching the policy from one address may take; RFC 8461 §3.3 suggests a minute as the longest.
const FETCH_WITHIN: Duration = Duration::from_secs(20);
/// Addresses of the policy host that are asked for the policy.
const MOST_ADDRESSES: usize = 4;

/// Fetches the MTA-STS policy (RFC 8461) of a domain over HTTPS, and holds its MX hosts against it.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtaSts {
    /// The mail domain.
    #[schemars(example = &"example.net")]
    pub domain: Spanned<Template>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for each answer of DNS; 5s by default.
    pub within: Option<Period>,
    /// How long fetching the policy from one address may take; 20s by default.
    pub fetch_within: Option<Period>,
    /// TCP port of the policy host; 443 by default. Other ports are for a laboratory.
    #[schemars(example = 8443, range(min = 1))]
    pub port: Option<u16>,
    /// What is trusted of the policy host; the system's authorities by default.
    pub trust: Option<TrustSettings>,
    /// What must hold. Always: one record, a policy that senders can fetch and read, and all MX hosts covered by it.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the policy must say.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The mode.
    pub mode: Option<Mode>,
    /// Senders keep the policy at least so long.
    #[schemars(example = &"7d")]
    pub max_age_at_least: Option<Period>,
    /// The `id` in the TXT record.
    #[schemars(example = &"20261121")]
    pub id: Option<String>,
}

/// What a sender does with a host that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does not deliver.
    Enforce,
    /// It delivers and reports.
    Testing,
    /// It acts as if there were no policy.
    None,
}

impl Kind for MtaSts {
    const NAME: &'static str = "mta_sts";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        problems.extend(check_domain(&self.domain));
        if let Some(trust) = &self.trust {
            trust.check(problems);
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        Preview::reads(format!(
            "fetch the MTA-STS policy of {} and hold the MX hosts against it",
            self.domain.source()
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let addresses = u32::try_from(MOST_ADDRESSES).unwrap_or(u32::MAX);
        self.within() * 3 + self.fetch_within() * addresses + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let domain = cx
            .fill(&self.domain)?
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let texts = self.ask(cx, format!("_mta-sts.{domain}"), "TXT").await?;
        let texts: Vec<&str> = texts.texts().collect();
        let id = judge::record(&domain, &texts)?;

        let bytes = self.fetch(cx, &format!("mta-sts.{domain}")).await?;
        let policy = Policy::parse(&bytes).map_err(|fault| {
            Finding::new(
                Reason::MtaStsMismatch,
                format!("sts-policy-invalid: the policy of mta-sts.{domain} {fault}"),
            )
        })?;
        cx.note(policy.mode.word());

        let found = self.ask(cx, domain.clone(), "MX").await?;
        let mut hosts: Vec<(u16, String)> = found
            .records
            .iter()
            .filter_map(|record| match &record.data {
                RecordData::Mx { preference, host } => Some((*preference, host.clone())),
                _ => None,
            })
            .collect();
        if hosts.is_empty() {
            // RFC 5321 §5.1: the domain itself.
            hosts.push((0, domain.clone()));
        }
        hosts.sort();
        for finding in judge::hosts(&policy, &domain, &hosts) {
            cx.find(finding);
        }
        for unused in judge::unused(&policy, &hosts) {
            cx.note(unused);
        }
        for (expect, is_preference) in [(&self.expect, false), (&self.prefer, true)] {
            let wanted = expect.as_ref().map(Wanted::new).unwrap_or_default();
            for finding in judge::policy(&wanted, &id, &policy) {
                cx.find(match is_preference {
                    true => finding.as_preference(),
                    false => finding,
                });
            }
        }
        Ok(())
    }
}

impl MtaSts {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }

    fn fetch_within(&self) -> Duration {
        self.fetch_within.map_or(FETCH_WITHIN, |within| within.0)
    }

    fn server(&self) -> Option<SocketAddr> {
        self.resolver.map(|server| server.0.0)
    }

    async fn ask(
        &self,
        cx: &Context<'_>,
        name: String,
        record_type: &str,
    ) -> Result<crate::net::Published, Failure> {
        let question = Question::new(name, record_type, self.within());
        let found = cx
            .phase(
                Phase::Dns,
                published(cx.around.net, self.server(), question),
            )
            .await?;
        cx.evidence(|evidence| evidence.answers.extend(found.lines()));
        Ok(found)
    }

    /// The policy as each address of the policy host gives it: a sender may come to any of them.
    async fn fetch(&self, cx: &Context<'_>, host: &str) -> Result<Vec<u8>, Failure> {
        let net = cx.around.net;
        let found = cx
            .phase(
                Phase::Dns,
                addresses(net, self.server(), host, Family::Both, self.within()),
            )
            .await;
        let reachable: Vec<IpAddr> = found
            .addresses
            .iter()
            .copied()
            .filter(|address| net.has_route(*address))
            .collect();
        // Without a way to any of them, the connection says why.
        let tried = if reachable.is_empty() {
            &found.addresses
        } else {
            &reachable
        };
        if tried.is_empty() {
            let failure = found.failure.unwrap_or_else(|| {
                Failure::new(Reason::DnsNxdomain, format!("{host} has no address"))
            });
            return Err(fetch::fetch_error(failure));
        }
        // One family is known, the question for the other failed: some senders find less.
        if let Some(failure) = found.failure {
            cx.find(fetch::fetch_error(failure));
        }
        if tried.len() < found.addresses.len() {
            cx.note("IPv4 addresses only");
        }
        if tried.len() > MOST_ADDRESSES {
            let count = tried.len();
            let text = format!(
                "{host} has {count} addresses; only the first {MOST_ADDRESSES} are looked at"
            );
            cx.find(Finding::new(Reason::MtaStsMismatch, text).as_preference());
        }
        let mut first: Option<(IpAddr, Vec<u8>)> = None;
        let mut failures = Vec::new();
        for address in tried.iter().take(MOST_ADDRESSES) {
            let endpoint = Endpoint {
                host,
                address: SocketAddr::new(*address, self.port.unwrap_or(443)),
                trust: self
                    .trust
                    .as_ref()
                    .map_or_else(Trust::default, TrustSettings::trust),
                within: self.fetch_within(),
            };
            match (fetch(cx, &endpoint).await, &first) {
                (Err(failure), _) => failures.push(failure),
                (Ok(bytes), None) => first = Some((*address, bytes)),
                (Ok(bytes), Some((other, known))) if bytes != *known => {
                    failures.push(Failure::new(
                        Reason::MtaStsMismatch,
                        format!("sts-policy-invalid: {address} gives another policy than {other}"),
                    ));
                }
                (Ok(_), Some(_)) => {}
            }
        }
        match first {
            Some((_, bytes)) => {
                for failure in failures {
                    cx.find(failure);
                }
                Ok(bytes)
            }
            None => {
                let mut failures = failures.into_iter();
                let first = failures.next();
                for failure in failures {
                    cx.find(failure);
                }
                Err(first.unwrap_or_else(|| Failure::new(Reason::Internal, "nothing was asked")))
            }
        }
    }
}
