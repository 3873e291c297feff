//! `mx`: who takes a domain's mail, as the resolver and every server of the zone say it, and whether mail can get there.

mod judge;
mod servers;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::{Family, MessageDefaults};
use crate::kinds::mx::judge::Wanted;
use crate::mx::{self, MOST_HOSTS, MxSet};
use crate::names::{Ask, MOST_LINES, canonical, line, mistake, name_mistake};
use crate::names::{zone, zone::Way};
use crate::net::{Answer, Question, ask_failure, end_of_chain, server_words};
use crate::observation::{Observation, What};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest time in units of one question's: the MX set, the zone's servers (twice the last round), the hosts.
const MOST_ROUNDS: u32 =
    1 + zone::MOST_ROUNDS + zone::ASK_ROUNDS + (MOST_HOSTS / mx::AT_ONCE) as u32 + 1;

/// A domain in good order is looked at in so many: MX, name servers, their addresses, their answers, the hosts.
const USUAL_ROUNDS: u32 = 5;

/// Looks at the MX records of a domain: whether they are the expected ones, whether all the zone's servers agree, and
/// whether each host has addresses that the world can reach.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mx {
    /// The domain.
    #[schemars(example = &"example.net")]
    pub domain: Spanned<Template>,
    /// Whom to ask for the MX records: the resolver alone, or, by default, every authoritative server as well.
    #[serde(default = "everyone")]
    #[schemars(default = "every_server")]
    pub ask: Ask,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// Port of the authoritative servers; 53 by default.
    #[schemars(example = 5353)]
    pub port: Option<Spanned<u16>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
    /// Take private, loopback and other special addresses of MX hosts for good, as in a laboratory; every result says so.
    #[serde(default)]
    #[schemars(example = true)]
    pub allow_private: bool,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the MX records must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Exactly these records, in any order. `0 .` alone is a null MX: the domain takes no mail (RFC 7505).
    #[schemars(example = ["10 mx1.example.net", "20 mx2.example.net"])]
    pub hosts: Option<Vec<Spanned<Template>>>,
    /// No MX record may live longer than this in caches.
    pub ttl_at_most: Option<Period>,
}

fn everyone() -> Ask {
    Ask::EveryAuthoritativeServer
}

/// The default as the schema shows it.
fn every_server() -> &'static str {
    "every-authoritative-server"
}

impl Kind for Mx {
    const NAME: &'static str = "mx";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        problems.extend(name_mistake(&self.domain));
        for expect in [&self.expect, &self.prefer].into_iter().flatten() {
            for host in expect.hosts.iter().flatten() {
                let wrong = host
                    .literal()
                    .and_then(|text| canonical::of_expected("MX", &text).err());
                problems.extend(wrong.map(|problem| mistake(host.at, &problem)));
            }
        }
        if let Some(port) = self.port.as_ref().filter(|_| self.ask == Ask::Resolver) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    port.at,
                    "`port` is the authoritative servers' port, and only the resolver is asked",
                )
                .help("leave `ask: resolver` out, or give the port in `resolver`"),
            );
        }
    }

    fn contacts(&self) -> Vec<&Template> {
        vec![&self.domain.value]
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let whom = match self.ask {
            Ask::Resolver => "the resolver",
            Ask::EveryAuthoritativeServer => "the resolver and every authoritative server",
        };
        Preview::reads(format!(
            "ask {whom} for the MX records of {}, and for the addresses of each host",
            self.domain.source()
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        self.within() * MOST_ROUNDS + Duration::from_secs(1)
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        self.within() * USUAL_ROUNDS + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let domain = cx.fill(&self.domain)?;
        let asked = Asked {
            domain: domain.trim_end_matches('.').to_ascii_lowercase(),
            way: Way {
                resolver: self.resolver.map(|server| server.0.0),
                port: self.port.as_ref().map_or(53, |port| **port),
                within: self.within(),
            },
            rules: [(self.expect.as_ref(), false), (self.prefer.as_ref(), true)]
                .into_iter()
                .filter_map(|(expect, is_preference)| expect.map(|expect| (expect, is_preference)))
                .map(|(expect, is_preference)| Ok((wanted(expect, cx)?, is_preference)))
                .collect::<Result<_, Failure>>()?,
            allow_private: self.allow_private,
        };
        cx.phase(Phase::Dns, asked.look(self.ask, cx)).await
    }
}

impl Mx {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}

fn wanted(expect: &Expect, cx: &Context<'_>) -> Result<Wanted, Failure> {
    let hosts = expect.hosts.as_ref().map(|hosts| {
        hosts
            .iter()
            .map(|host| {
                canonical::of_expected("MX", &cx.fill(host)?)
                    .map_err(|problem| Failure::new(Reason::Internal, problem))
            })
            .collect::<Result<Vec<String>, Failure>>()
    });
    Ok(Wanted {
        hosts: hosts.transpose()?,
        ttl_at_most: expect.ttl_at_most.map(|limit| limit.0),
    })
}

/// Everything filled in.
#[derive(Debug)]
struct Asked {
    domain: String,
    way: Way,
    /// What must hold, and (`true`) what should.
    rules: Vec<(Wanted, bool)>,
    allow_private: bool,
}

impl Asked {
    fn question(&self, name: &str) -> Question {
        Question::new(name, "MX", self.way.within)
    }

    async fn look(&self, ask: Ask, cx: &Context<'_>) -> Result<(), Failure> {
        let question = self.question(&self.domain);
        let resolver = self.way.resolver;
        let answer = cx
            .around
            .net
            .ask(resolver, question.clone())
            .await
            .map_err(|error| ask_failure(&error, &question, resolver.is_none()))?;
        self.keep(&answer, cx);
        let mut findings = match ask {
            Ask::EveryAuthoritativeServer if answer.rcode == "NOERROR" => {
                // The records may stand under another name, of which the domain is an alias.
                let owner = end_of_chain(&self.domain, &answer.records);
                match servers::ask(self, owner, &answer, cx).await {
                    Ok(findings) => findings,
                    Err(failure) => [failure]
                        .into_iter()
                        .chain(judge::of_answer(&self.rules, &self.domain, &answer))
                        .collect(),
                }
            }
            _ => judge::of_answer(&self.rules, &self.domain, &answer),
        };
        findings.extend(self.hosts(&answer, cx).await);
        if self.allow_private {
            cx.note("private addresses allowed");
        }
        let is_exact = self.rules.iter().any(|(wanted, _)| wanted.hosts.is_some());
        if findings.is_empty() && is_exact {
            cx.note("exact");
        }
        cx.evidence(|evidence| evidence.answers.truncate(MOST_LINES));
        for finding in findings {
            cx.find(finding);
        }
        Ok(())
    }

    /// The hosts' addresses, and what is wrong with them.
    async fn hosts(&self, answer: &Answer, cx: &Context<'_>) -> Vec<Finding> {
        if judge::records(&self.domain, answer).is_empty() {
            return Vec::new();
        }
        let Way {
            resolver, within, ..
        } = self.way;
        let net = cx.around.net;
        let set = mx::hosts_of(net, resolver, &self.domain, answer, Family::Both, within).await;
        // A null MX has no hosts; whether it is expected is known already.
        let Ok(MxSet { hosts, seen, .. }) = set else {
            return Vec::new();
        };
        cx.observe_all(seen.into_iter().map(|seen| seen.at(resolver)));
        cx.evidence(|evidence| {
            evidence.answers.extend(hosts.iter().map(|host| {
                let addresses: Vec<String> =
                    host.addresses.iter().map(ToString::to_string).collect();
                line(&format!("{}: {}", host.name, addresses.join(", ")))
            }));
        });
        let count = judge::records(&self.domain, answer).len();
        judge::of_hosts(&self.domain, &hosts, count, self.allow_private)
    }

    fn keep(&self, answer: &Answer, cx: &Context<'_>) {
        if ["NOERROR", "NXDOMAIN"].contains(&answer.rcode.as_str()) {
            let records = judge::records(&self.domain, answer);
            let seen = Observation::new(What::Mx, &self.domain, &records);
            cx.observe_all([seen.at(self.way.resolver)]);
        }
        let lines = answer.records.iter().map(|record| {
            line(&format!(
                "{} {} {} {}",
                record.name, record.record_type, record.ttl, record.data
            ))
        });
        // The servers and the hosts need room, too.
        let mut lines: Vec<String> = lines.take(MOST_LINES / 2).collect();
        if lines.is_empty() {
            lines.push(format!("{}: {}", server_words(answer.server), answer.rcode));
        }
        cx.evidence(|evidence| evidence.answers.extend(lines));
    }
}

/// How a resolver is named in a sentence.
fn resolver_words(server: SocketAddr) -> String {
    format!("the resolver {}", server_words(server))
}
