//! `dnsbl`: whether addresses stand on block lists, and whether the lists can be asked at all (RFC 5782).

mod ask;
mod judge;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::{Family, MessageDefaults};
use crate::kinds::dnsbl::ask::Asked;
use crate::names::subject::Subject;
use crate::names::{MOST_LINES, name_mistake};
use crate::outcome::Failure;
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// Lists in one step.
const MOST_LISTS: usize = 20;

/// Asks DNS block lists for addresses. Each list's test entries are asked first; a list that does not answer as a list
/// must, refuses, or whose answers are rewritten on the way is an error and says nothing of the address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dnsbl {
    /// Whose addresses; the target's by default.
    pub of: Option<Subject>,
    /// The lists.
    #[schemars(length(min = 1), example = [BTreeMap::from([("zone", "bl.example.org")])])]
    pub lists: Vec<List>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default. Many lists refuse those who ask
    /// through a public resolver.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
}

/// One block list.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Its zone.
    #[schemars(example = &"bl.example.org")]
    pub zone: Spanned<Template>,
    /// Addresses of which family it lists; both by default.
    #[serde(default)]
    pub family: Family,
    /// What its answers mean: `127.0.0.2: sends spam`.
    #[serde(default)]
    #[schemars(example = BTreeMap::from([("127.0.0.2", "sends spam")]))]
    pub meanings: BTreeMap<Parsed<Code>, String>,
    /// What becomes of a check whose address is on it.
    #[serde(default)]
    pub when_listed: WhenListed,
}

/// What becomes of a check whose address is on a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenListed {
    /// It fails.
    #[default]
    Fail,
    /// It is degraded: a list that few receivers heed.
    Degrade,
}

/// An answer of a block list: an address in 127.0.0.0/8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Ipv4Addr);

impl std::str::FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(Ipv4Addr::is_loopback)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is no answer of a block list: write one as `127.0.0.2`")
            })
    }
}

impl Kind for Dnsbl {
    const NAME: &'static str = "dnsbl";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        Subject::check(self.of.as_ref(), names, at, problems);
        let lists = names.place("lists", at);
        if !(1..=MOST_LISTS).contains(&self.lists.len()) {
            problems.push(
                Problem::error(
                    "bad-value",
                    lists,
                    format!("`lists` has from 1 to {MOST_LISTS} lists"),
                )
                .help("write the lists of one purpose into one step"),
            );
        }
        let mut zones: Vec<&str> = Vec::new();
        for list in &self.lists {
            problems.extend(name_mistake(&list.zone));
            let zone = list.zone.source();
            if zones.contains(&zone) {
                problems.push(
                    Problem::error(
                        "bad-value",
                        list.zone.at,
                        format!("`{zone}` stands here a second time"),
                    )
                    .help("leave one of them out"),
                );
            }
            zones.push(zone);
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let zones: Vec<&str> = self.lists.iter().map(|list| list.zone.source()).collect();
        Preview::reads(format!(
            "ask {} for {}, and for their test entries first",
            zones.join(", "),
            Subject::words(self.of.as_ref())
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        self.within() * ask::MOST_ROUNDS + Duration::from_secs(1)
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        self.within() * 4 + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let resolver: Option<SocketAddr> = self.resolver.map(|server| server.0.0);
        let within = self.within();
        let lists: Vec<Asked<'_>> = self
            .lists
            .iter()
            .map(|list| {
                let zone = cx.fill(&list.zone)?;
                Ok(Asked {
                    zone: zone.trim_end_matches('.').to_ascii_lowercase(),
                    list,
                    resolver,
                    within,
                })
            })
            .collect::<Result<_, Failure>>()?;
        let told = cx
            .phase(Phase::Dns, async {
                let subject = self.of.as_ref();
                let addresses = Subject::addresses(subject, resolver, within, cx).await?;
                Ok::<_, Failure>(ask::all(&lists, &addresses, cx.around.net).await)
            })
            .await?;
        let (mut asked, mut findings) = (0, Vec::new());
        for list in told {
            asked += usize::from(list.asked > 0);
            cx.evidence(|evidence| evidence.answers.extend(list.lines));
            findings.extend(list.findings);
        }
        cx.evidence(|evidence| evidence.answers.truncate(MOST_LINES));
        if findings.is_empty() {
            if asked == 0 {
                return Err(Failure::new(
                    Reason::CannotAsk,
                    "no list has addresses of this family: nothing was asked",
                ));
            }
            cx.note(match (asked, self.lists.len()) {
                (_, 1) => "not listed".to_owned(),
                (asked, all) if asked == all => format!("not listed, {all} lists"),
                (asked, all) => format!("not listed, {asked} of {all} lists"),
            });
        }
        for finding in findings {
            cx.find(finding);
        }
        Ok(())
    }
}

impl Dnsbl {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}
