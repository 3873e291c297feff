//! `cluster`: whether inventory, DNS and servers are laid out as a cluster of mail filters should be.

mod look;
mod rules;

use std::time::Duration;

use postrider_wire::address::EhloName;
use serde::Deserialize;

use crate::context::Context;
use crate::dialogue::introduction;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::names::zone::Way;
use crate::names::{MOST_LINES, name_mistake};
use crate::outcome::Failure;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// How long the addresses of MX hosts may be kept unless `ttl_at_most` says otherwise.
const TTL: Duration = Duration::from_secs(60);
/// A visit that meets its limits takes no longer.
const VISIT: Duration = Duration::from_secs(10);
/// Visits that are counted when times are added up: how many nodes there are is known only later.
const USUAL_VISITS: u32 = 4;

/// Compares the inventory (`platform.nodes`) with DNS and with what the servers say of themselves, rule by rule. What
/// breaks mail fails; the rest degrades.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The mail domain; each of `platform.domains` by default.
    #[schemars(example = &"example.net")]
    pub domain: Option<Spanned<Template>>,
    /// How long the addresses of MX hosts may be kept in caches; 1m by default.
    pub ttl_at_most: Option<Period>,
    /// Visit each primary address and compare what the server calls itself; without it the rule `same-identity` is not
    /// judged.
    pub greeting: Option<Greeting>,
    /// Rules that are not judged.
    #[serde(default)]
    #[schemars(example = ["ipv4-only-mx"])]
    pub except: Vec<Spanned<Rule>>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// Port of the authoritative servers, which know the full time to live; 53 by default.
    #[schemars(example = 5353, range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
}

/// How the servers are visited.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    /// What EHLO says.
    #[schemars(example = &"fra-1.outside.example.org")]
    pub helo: Spanned<Parsed<EhloName>>,
    /// The port; the platform's `smtp_port` or 25 by default.
    #[schemars(example = 25, range(min = 1))]
    pub port: Option<Spanned<u16>>,
}

/// The rules. A finding begins with the name of its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// There are at least two nodes.
    TwoNodes,
    /// About half of the addresses are in another network: another /24, another /48, or another `site` where each node
    /// has one.
    OtherNetwork,
    /// Each node has a primary and a fallback address.
    BothRoles,
    /// No MX name is a server name or below one.
    MxNames,
    /// The addresses of MX hosts are soon forgotten by caches.
    MxTtl,
    /// One MX host at least has IPv4 addresses alone.
    Ipv4OnlyMx,
    /// MX hosts have addresses of the inventory alone: mail elsewhere passes no filter.
    MxFiltersOnly,
    /// Each server name leads to exactly the node's primary address. A breach fails.
    ServerNames,
    /// The reverse name of each primary address is the server name. A breach fails.
    PrimaryNames,
    /// Each other address has a reverse name that leads back, is not below a server name, and has no underscore.
    OtherNames,
    /// Banner, EHLO name and certificate are for the server name; the certificate may be for the MX name.
    SameIdentity,
}

impl Rule {
    /// The word used in YAML and in findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoNodes => "two-nodes",
            Self::OtherNetwork => "other-network",
            Self::BothRoles => "both-roles",
            Self::MxNames => "mx-names",
            Self::MxTtl => "mx-ttl",
            Self::Ipv4OnlyMx => "ipv4-only-mx",
            Self::MxFiltersOnly => "mx-filters-only",
            Self::ServerNames => "server-names",
            Self::PrimaryNames => "primary-names",
            Self::OtherNames => "other-names",
            Self::SameIdentity => "same-identity",
        }
    }
}

impl Kind for Cluster {
    const NAME: &'static str = "cluster";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        problems.extend(self.domain.as_ref().and_then(name_mistake));
        if names.nodes.is_empty() {
            problems.push(
                Problem::error("missing-key", at, "the main file names no nodes")
                    .help("add `platform: {nodes: …}` to the main file"),
            );
        }
        if self.domain.is_none() && !names.has_domains {
            problems.push(
                Problem::error("missing-key", at, "no mail domain is named").help(
                    "add `domain: example.net`, or `platform: {domains: …}` to the main file",
                ),
            );
        }
        let not_judged = |rule: Rule| self.except.iter().any(|except| except.value == rule);
        if rules::ALL.iter().all(|(rule, _)| not_judged(*rule)) {
            let at = self.except.first().map_or(at, |rule| rule.at);
            problems.push(
                Problem::error("conflicting-keys", at, "every rule is excepted")
                    .help("leave the step out"),
            );
        }
        if let Some(except) = self
            .except
            .iter()
            .find(|except| except.value == Rule::SameIdentity && self.greeting.is_some())
        {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    except.at,
                    "`greeting` is for the rule `same-identity`, which is excepted",
                )
                .help("leave one of the two out"),
            );
        }
    }

    fn contacts(&self) -> Vec<&Template> {
        self.domain.iter().map(|domain| &domain.value).collect()
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let of = match &self.domain {
            Some(domain) => domain.source().to_owned(),
            None => "each domain of the inventory".to_owned(),
        };
        let visit = match self.greeting {
            Some(_) => ", and visit each primary address",
            None => "",
        };
        Preview::reads(format!(
            "compare the inventory with the MX records of {of} and with the names of all addresses{visit}"
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let visits = match self.greeting {
            Some(_) => introduction::LONGEST * look::MOST_VISITS as u32,
            None => Duration::ZERO,
        };
        self.within() * look::MOST_ROUNDS + Duration::from_secs(1) + visits
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        let visits = match self.greeting {
            Some(_) => VISIT * USUAL_VISITS,
            None => Duration::ZERO,
        };
        self.within() * 6 + Duration::from_secs(1) + visits
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let domains = match &self.domain {
            Some(domain) => vec![cx.fill(domain)?],
            None => cx.around.platform.domains.clone(),
        };
        let way = Way {
            resolver: self.resolver.map(|server| server.0.0),
            port: self.port.as_ref().map_or(53, |port| **port),
            within: self.within(),
        };
        let ttl_at_most = self.ttl_at_most.map_or(TTL, |limit| limit.0);
        let mut seen = look::at(&domains, way, ttl_at_most, cx).await;
        if let Some(greeting) = &self.greeting {
            look::visit(&mut seen, greeting, cx).await;
        }
        cx.evidence(|evidence| evidence.answers.truncate(MOST_LINES));
        let mut judged = 0;
        for (rule, judge) in rules::ALL {
            let is_excepted = self.except.iter().any(|except| except.value == rule);
            if is_excepted || (rule == Rule::SameIdentity && self.greeting.is_none()) {
                continue;
            }
            judged += 1;
            for finding in judge(&seen) {
                cx.find(Failure {
                    message: format!("{}: {}", rule.name(), finding.message),
                    ..finding
                });
            }
        }
        // What could not be asked is no rule's matter.
        for failure in seen.failures {
            cx.find(failure);
        }
        cx.note(match seen.nodes.len() {
            1 => format!("1 node, {judged} rules"),
            nodes => format!("{nodes} nodes, {judged} rules"),
        });
        Ok(())
    }
}

impl Cluster {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}
