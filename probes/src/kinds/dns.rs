//! `dns`: a record set, compared exactly.

mod authoritative;
mod judge;
mod observe;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::kinds::dns::judge::{Wanted, judge, judge_proof};
use crate::names::{MOST_LINES, canonical, line, mistake, name_mistake};
use crate::net::{
    Answer, Proven, Question, Security, answer_failure, ask_failure, record_type_name, server_words,
};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template};
use crate::target::Target;

pub use crate::names::Ask;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks for the records of a name and compares them with the expected set, in any order.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name.
    #[schemars(example = &"example.net")]
    pub query: Spanned<Template>,
    /// The record type: `A`, `AAAA`, `MX`, `NS`, `TXT`, `PTR`, `TLSA`, … or `TYPE123`.
    #[schemars(example = &"MX")]
    pub r#type: Spanned<String>,
    /// Whom to ask.
    #[serde(default)]
    pub ask: Ask,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// Port of the authoritative servers; 53 by default.
    #[schemars(example = 5353)]
    pub port: Option<Spanned<u16>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the answer must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Exactly these records, in any order, in presentation form: `10 mx1.example.net`.
    #[schemars(example = ["10 mx1.example.net", "20 mx2.example.net"])]
    pub answers: Option<Vec<Spanned<Template>>>,
    /// The response code: `NOERROR`, `NXDOMAIN`, …
    #[schemars(example = &"NXDOMAIN")]
    pub rcode: Option<Spanned<String>>,
    /// No record may live longer than this in caches.
    pub ttl_at_most: Option<Period>,
    /// What DNSSEC proves of the answer. It is proven here, from the root's keys down, and the resolver must have done the
    /// same: one that does not validate is an error, whatever it answers.
    pub dnssec: Option<Spanned<Dnssec>>,
}

/// What DNSSEC proves (RFC 4035 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dnssec {
    /// Every signature is good, up to the root.
    Secure,
    /// It is proven that the zone is not signed.
    Insecure,
}

impl Kind for Dns {
    const NAME: &'static str = "dns";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        problems.extend(check_record_type(&self.r#type));
        problems.extend(name_mistake(&self.query));
        let mut wrong = |at: Place, text: String| problems.push(mistake(at, &text));
        let known_type = record_type_name(&self.r#type);
        for expect in [&self.expect, &self.prefer].into_iter().flatten() {
            if let Some(dnssec) = expect.dnssec.filter(|_| self.ask != Ask::Resolver) {
                wrong(
                    dnssec.at,
                    "`dnssec` is what a resolver proves, and only the authoritative servers are asked: leave out `ask`, or make it a step of its own".to_owned(),
                );
            }
            for answer in expect.answers.iter().flatten() {
                if let (Some(record_type), Some(text)) = (&known_type, answer.literal())
                    && let Err(problem) = canonical::of_expected(record_type, &text)
                {
                    wrong(answer.at, problem);
                }
            }
            if let Some(rcode) = &expect.rcode
                && !judge::RCODES.contains(&rcode.as_str())
            {
                wrong(
                    rcode.at,
                    format!(
                        "`{}` is no response code: there are {}",
                        **rcode,
                        judge::RCODES.map(|code| format!("`{code}`")).join(", ")
                    ),
                );
            }
        }
        if let Some(port) = self.port.as_ref().filter(|_| self.ask == Ask::Resolver) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    port.at,
                    "`port` is the authoritative servers' port, and only the resolver is asked",
                )
                .help("write `ask: every-authoritative-server`, or give the port in `resolver`"),
            );
        }
    }

    fn contacts(&self) -> Vec<&Template> {
        vec![&self.query.value]
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let whom = match self.ask {
            Ask::Resolver => "the resolver",
            Ask::EveryAuthoritativeServer => "every authoritative server",
        };
        Preview::reads(format!(
            "ask {whom} for {} of {}",
            self.r#type.value,
            self.query.source()
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let questions = match self.ask {
            Ask::Resolver => 1,
            Ask::EveryAuthoritativeServer => authoritative::MOST_ROUNDS,
        };
        self.within() * questions + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let asked = Asked {
            name: cx.fill(&self.query)?,
            record_type: record_type_name(&self.r#type).ok_or_else(|| {
                Failure::new(
                    Reason::Internal,
                    format!("`{}` is no record type", *self.r#type),
                )
            })?,
            resolver: self.resolver.map(|server| server.0.0),
            within: self.within(),
            rules: [(self.expect.as_ref(), false), (self.prefer.as_ref(), true)]
                .into_iter()
                .filter_map(|(expect, is_preference)| expect.map(|expect| (expect, is_preference)))
                .map(|(expect, is_preference)| {
                    Ok((wanted(expect, &self.r#type, cx)?, is_preference))
                })
                .collect::<Result<_, Failure>>()?,
        };
        let good = match self.ask {
            Ask::Resolver => asked.the_resolver(cx).await?,
            Ask::EveryAuthoritativeServer => {
                let port = self.port.as_ref().map_or(53, |port| **port);
                authoritative::ask(&asked, port, cx).await?
            }
        };
        if good && asked.is_exact() {
            cx.note("exact");
        }
        Ok(())
    }
}

impl Dns {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}

/// What is wrong with a record type that does not exist, or is not written as it is in zone files.
#[must_use]
pub fn check_record_type(written: &Spanned<String>) -> Option<Problem> {
    if record_type_name(written).is_some() {
        return None;
    }
    let upper = written.to_uppercase();
    let problem = Problem::error(
        "bad-value",
        written.at,
        format!("`{}` is no record type", **written),
    );
    Some(problem.help(match record_type_name(&upper) {
        Some(_) => format!("write `{upper}`"),
        None => "write one as `MX`, `TXT`, or `TYPE123` by its number".to_owned(),
    }))
}

/// One question with everything filled in.
#[derive(Debug)]
struct Asked {
    name: String,
    record_type: String,
    resolver: Option<SocketAddr>,
    within: Duration,
    /// What must hold, and (`true`) what should.
    rules: Vec<(Wanted, bool)>,
}

impl Asked {
    fn question(&self) -> Question {
        Question::new(&*self.name, &*self.record_type, self.within)
    }

    fn is_exact(&self) -> bool {
        self.rules
            .iter()
            .any(|(wanted, _)| wanted.answers.is_some())
    }

    /// Whether some rule is about signatures.
    fn wants_proof(&self) -> bool {
        self.rules.iter().any(|(wanted, _)| wanted.dnssec.is_some())
    }

    /// What is proven, where it should be something else.
    fn judged_proof(&self, question: &Question, security: &Security) -> Vec<Finding> {
        self.rules
            .iter()
            .filter_map(|(wanted, is_preference)| {
                let finding = judge_proof(wanted.dnssec?, question, security)?;
                Some(match is_preference {
                    true => finding.as_preference(),
                    false => finding,
                })
            })
            .collect()
    }

    /// Everything that the answer breaks.
    fn judged(&self, answer: &Answer) -> Vec<Finding> {
        let question = self.question();
        if self.rules.is_empty() {
            return judge(&Wanted::default(), &question, answer);
        }
        self.rules
            .iter()
            .flat_map(|(wanted, is_preference)| {
                judge(wanted, &question, answer)
                    .into_iter()
                    .map(move |finding| match is_preference {
                        true => finding.as_preference(),
                        false => finding,
                    })
            })
            .collect()
    }

    /// Whether everything holds.
    async fn the_resolver(&self, cx: &Context<'_>) -> Result<bool, Failure> {
        let question = self.question();
        let net = cx.around.net;
        let asking = async {
            match self.wants_proof() {
                true => net.ask_securely(self.resolver, question.clone()).await,
                false => net
                    .ask(self.resolver, question.clone())
                    .await
                    .map(|answer| Proven {
                        answer,
                        security: Security::Indeterminate,
                    }),
            }
        };
        let proven = cx
            .phase(Phase::Dns, asking)
            .await
            .map_err(|error| ask_failure(&error, &question, self.resolver.is_none()))?;
        let answer = &proven.answer;
        let lines = answer.records.iter().map(|record| {
            line(&format!(
                "{} {} {} {}",
                record.name, record.record_type, record.ttl, record.data
            ))
        });
        let mut lines: Vec<String> = lines.take(MOST_LINES).collect();
        if lines.is_empty() {
            lines.push(format!("{}: {}", server_words(answer.server), answer.rcode));
        }
        cx.evidence(|evidence| evidence.answers.extend(lines));
        let mut findings = Vec::new();
        if self.wants_proof() {
            let word = proven.security.word();
            cx.evidence(|evidence| evidence.answers.push(format!("{question}: {word}")));
            // A response code of failure is judged like any other.
            if let Some(failure) = proven.failure(&question)
                && answer_failure(answer, &question).as_ref() != Some(&failure)
            {
                return Err(failure);
            }
            findings.extend(self.judged_proof(&question, &proven.security));
            cx.note(word);
        }
        findings.extend(self.judged(answer));
        let from = self.resolver.map(|server| server.to_string());
        cx.observe_all(observe::seen(&question, answer, from.as_deref()));
        let good = findings.is_empty();
        for finding in findings {
            cx.find(finding);
        }
        Ok(good)
    }
}

fn wanted(expect: &Expect, record_type: &str, cx: &Context<'_>) -> Result<Wanted, Failure> {
    let answers = expect.answers.as_ref().map(|answers| {
        answers
            .iter()
            .map(|answer| {
                let text = cx.fill(answer)?;
                canonical::of_expected(record_type, &text)
                    .map_err(|problem| Failure::new(Reason::Internal, problem))
            })
            .collect::<Result<Vec<String>, Failure>>()
    });
    Ok(Wanted {
        answers: answers.transpose()?,
        rcode: expect.rcode.as_ref().map(|rcode| rcode.value.clone()),
        ttl_at_most: expect.ttl_at_most.map(|limit| limit.0),
        dnssec: expect.dnssec.as_ref().map(|dnssec| dnssec.value),
    })
}
