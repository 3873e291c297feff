//! `ptr`: the reverse names of addresses, whether they lead back, and whether the server calls itself so.

mod judge;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use postrider_wire::address::EhloName;
use serde::Deserialize;

use crate::context::Context;
use crate::dialogue::introduction::{self, Visit};
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::kinds::ptr::judge::{Face, Wanted, judge};
use crate::names::lookback::{self, ReverseNames};
use crate::names::subject::{self, OfNodes, Owned, Subject};
use crate::names::zone::AT_ONCE;
use crate::names::{MOST_LINES, name_mistake};
use crate::observation::{Observation, What};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest time in units of one question's: the subject, and batches of addresses.
const MOST_ROUNDS: u32 = 1 + (subject::MOST / AT_ONCE) as u32 * lookback::ROUNDS;
/// Servers whose greeting is read in one check.
const MOST_GREETINGS: usize = 16;
/// A greeting that meets its limits comes within this time.
const GREETING: Duration = Duration::from_secs(10);

/// Looks at the reverse names of addresses: each address must have one, and a name that leads back to the address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ptr {
    /// Whose addresses; the target's by default.
    pub of: Option<Subject>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
    /// What EHLO says when a greeting is read (`expect.banner`): then the reply to EHLO is compared, too.
    #[schemars(example = &"fra-1.outside.example.org")]
    pub helo: Option<Spanned<Parsed<EhloName>>>,
    /// The port of the greeting; the platform's `smtp_port` or 25 by default.
    #[schemars(example = 25, range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the reverse names must be. That there is one, and that it leads back to the address, must hold anyway.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// One of the reverse names.
    #[schemars(example = &"mail.example.net")]
    pub name: Option<Spanned<Template>>,
    /// Whose name one of the reverse names must be.
    pub matches: Option<Matches>,
    /// What the SMTP server there must call itself in its greeting, and, with `helo`, in its reply to EHLO.
    pub banner: Option<Banner>,
}

/// Whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Matches {
    /// The server name of the node (`platform.nodes.NAME.name`); for its primary addresses, the others are not compared.
    ServerName,
}

/// What a server calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Banner {
    /// One of the reverse names of its address.
    ReverseName,
    /// The server name of the node.
    ServerName,
}

impl Kind for Ptr {
    const NAME: &'static str = "ptr";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        Subject::check(self.of.as_ref(), names, at, problems);
        let rules = || [&self.expect, &self.prefer].into_iter().flatten();
        for rule in rules() {
            problems.extend(rule.name.as_ref().and_then(name_mistake));
        }
        let wants_server_names = rules().any(|rule| {
            rule.matches == Some(Matches::ServerName) || rule.banner == Some(Banner::ServerName)
        });
        // Whoever looks at the nodes' addresses has been told.
        let says_nodes = self.of.as_ref().is_some_and(|of| of.nodes.is_some());
        if wants_server_names && names.nodes.is_empty() && !says_nodes {
            problems.push(
                Problem::error(
                    "missing-key",
                    at,
                    "server names are compared, and the main file names no nodes",
                )
                .help("add `platform: {nodes: …}` to the main file"),
            );
        }
        let only_fallback = self.of.as_ref().and_then(|of| of.nodes.as_ref());
        if let Some(nodes) = only_fallback.filter(|nodes| nodes.value == OfNodes::Fallback)
            && rules().any(|rule| rule.matches == Some(Matches::ServerName))
        {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    nodes.at,
                    "only primary addresses have the server name, and none is looked at",
                )
                .help("write `nodes: primary` or `nodes: all`"),
            );
        }
        let reads = rules().any(|rule| rule.banner.is_some());
        let unused = [
            self.helo.as_ref().map(|helo| ("helo", helo.at)),
            self.port.as_ref().map(|port| ("port", port.at)),
        ];
        for (key, at) in unused.into_iter().flatten().filter(|_| !reads) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    at,
                    format!("`{key}` is for the greeting, and no greeting is read"),
                )
                .help("add `expect: {banner: reverse-name}`"),
            );
        }
    }

    fn contacts(&self) -> Vec<&Template> {
        Subject::contacts(self.of.as_ref())
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let greeting = match self.reads_greetings() {
            true => ", and read the greeting there",
            false => "",
        };
        Preview::reads(format!(
            "ask for the reverse names of {} and their addresses{greeting}",
            Subject::words(self.of.as_ref())
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let greetings = match self.reads_greetings() {
            true => introduction::LONGEST * self.most_greetings(),
            false => Duration::ZERO,
        };
        self.within() * MOST_ROUNDS + Duration::from_secs(1) + greetings
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        let greetings = match self.reads_greetings() {
            true => GREETING * self.most_greetings(),
            false => Duration::ZERO,
        };
        self.within() * 4 + Duration::from_secs(1) + greetings
    }

    fn port(&self) -> Option<u16> {
        self.port.as_ref().map(|port| port.value)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let resolver: Option<SocketAddr> = self.resolver.map(|server| server.0.0);
        let rules: Vec<(Wanted, bool)> =
            [(self.expect.as_ref(), false), (self.prefer.as_ref(), true)]
                .into_iter()
                .filter_map(|(expect, is_preference)| expect.map(|expect| (expect, is_preference)))
                .map(|(expect, is_preference)| Ok((wanted(expect, cx)?, is_preference)))
                .collect::<Result<_, Failure>>()?;
        let first: Vec<&str> = rules
            .iter()
            .filter_map(|(wanted, _)| wanted.name.as_deref())
            .collect();
        let mut faces = cx
            .phase(Phase::Dns, async {
                let subject = self.of.as_ref();
                let addresses = Subject::addresses(subject, resolver, self.within(), cx).await?;
                Ok::<_, Failure>(self.faces(addresses, resolver, &first, cx).await)
            })
            .await?;
        cx.evidence(|evidence| {
            evidence.answers.extend(
                faces
                    .iter()
                    .flat_map(|face| face.reverse.lines())
                    .take(MOST_LINES),
            );
        });
        for face in &faces {
            if let Ok(names) = &face.reverse.names {
                let names = names.iter().map(|name| &name.name);
                let seen = Observation::new(What::Ptr, face.of.address, names);
                cx.observe_all([seen.at(resolver)]);
            }
        }
        if self.reads_greetings() {
            if faces.len() > MOST_GREETINGS {
                let text = format!(
                    "there are {} addresses; only the first {MOST_GREETINGS} greetings are read",
                    faces.len()
                );
                cx.find(Finding::new(Reason::PtrMismatch, text).as_preference());
            }
            let read = faces.iter_mut().take(MOST_GREETINGS);
            for face in read {
                face.greeting = Some(self.greeting(&face.of, cx).await);
            }
        }
        match faces.as_slice() {
            [face] => cx.note(face.note()),
            _ => cx.note(format!("{} addresses", faces.len())),
        }
        let findings: Vec<Finding> = faces.iter().flat_map(|face| judge(face, &rules)).collect();
        for finding in findings {
            cx.find(finding);
        }
        Ok(())
    }
}

impl Ptr {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }

    fn reads_greetings(&self) -> bool {
        [&self.expect, &self.prefer]
            .into_iter()
            .flatten()
            .any(|rule| rule.banner.is_some())
    }

    fn most_greetings(&self) -> u32 {
        match &self.of {
            None
            | Some(Subject {
                address: Some(_), ..
            }) => 1,
            Some(_) => u32::try_from(MOST_GREETINGS).unwrap_or(u32::MAX),
        }
    }

    /// Looks at every address; the names in `first` before others.
    async fn faces(
        &self,
        addresses: Vec<Owned>,
        resolver: Option<SocketAddr>,
        first: &[&str],
        cx: &Context<'_>,
    ) -> Vec<Face> {
        let net = cx.around.net;
        let within = self.within();
        let looks: Vec<_> = addresses
            .into_iter()
            .map(|of| async move {
                let mut first = first.to_vec();
                first.extend(of.server_name.as_deref());
                let reverse = ReverseNames::of(of.address, &first, resolver, within, net).await;
                Face {
                    of,
                    reverse,
                    greeting: None,
                }
            })
            .collect();
        futures_util::stream::iter(looks)
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    async fn greeting(
        &self,
        of: &Owned,
        cx: &Context<'_>,
    ) -> Result<introduction::Introduction, Failure> {
        let platform = cx.around.platform;
        let port = self.port().or(platform.smtp_port).unwrap_or(25);
        let visit = Visit {
            server: SocketAddr::new(of.address, port),
            source: platform.source_address,
            helo: self.helo.as_ref().map(|helo| &helo.value.0),
            certificate: None,
        };
        introduction::hear(visit, cx).await
    }
}

fn wanted(expect: &Expect, cx: &Context<'_>) -> Result<Wanted, Failure> {
    let name = expect.name.as_ref().map(|name| cx.fill(name)).transpose()?;
    Ok(Wanted {
        name: name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
        server_name: expect.matches == Some(Matches::ServerName),
        banner: expect.banner,
    })
}
