//! `spf`: what a receiver's SPF evaluation gives for one client (RFC 7208).
//!
//! The records are read and their macros expanded by mail-auth; the walk over them is ours. The library's own walk cannot
//! be limited to our questions without being run again for each of them, does not count void lookups, takes the first PTR
//! name for a validated one, and ends at an include inside an include that says anything but `pass`.

mod evaluate;
mod judge;
mod record;

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::kinds::spf::evaluate::{Client, evaluate};
use crate::kinds::spf::judge::{Wanted, judge};
use crate::outcome::{Failure, Status};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template, check_domain};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// The whole evaluation: RFC 7208 §4.6.4 asks for at least 20 s.
const WHOLE: Duration = Duration::from_secs(20);

/// Evaluates SPF (RFC 7208) for a client address, a HELO name and a sender, as a receiver does.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spf {
    /// The client's address: the one that the mail comes from.
    #[schemars(example = &"192.0.2.25")]
    pub address: Spanned<Template>,
    /// The name that the client says in HELO or EHLO. Without `sender`, it is what is evaluated.
    #[schemars(example = &"out1.example.net")]
    pub helo: Spanned<Template>,
    /// The address in MAIL FROM; its domain's record is evaluated.
    #[schemars(example = &"alice@example.net")]
    pub sender: Option<Spanned<Template>>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for each answer; 5s by default. The whole evaluation may take 20s.
    pub within: Option<Period>,
    /// What must hold; the result `pass` by default.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the evaluation must give.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The result.
    pub result: Option<SpfResult>,
    /// No more terms that ask DNS were evaluated; the standard's limit is 10.
    #[schemars(example = 10)]
    pub lookups_at_most: Option<u8>,
    /// No more of them found nothing; the standard's limit is 2.
    #[schemars(example = 0)]
    pub voids_at_most: Option<u8>,
}

/// The seven results (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    /// No SPF record.
    None,
    /// The domain says nothing about the client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// Probably not.
    Softfail,
    /// DNS could not be asked now.
    Temperror,
    /// The record cannot be understood or breaks a limit.
    Permerror,
}

impl SpfResult {
    /// The word as the standard spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Softfail => "softfail",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        }
    }
}

impl std::fmt::Display for SpfResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Kind for Spf {
    const NAME: &'static str = "spf";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        if let Some(text) = self.address.literal()
            && text.parse::<IpAddr>().is_err()
        {
            problems.push(
                Problem::error(
                    "bad-value",
                    self.address.at,
                    format!("`{text}` is not an address"),
                )
                .help("write an IPv4 or IPv6 address, as `192.0.2.25`, or `${item.address}`"),
            );
        }
        problems.extend(check_domain(&self.helo));
        if let Some(sender) = &self.sender
            && let Some(text) = sender.literal()
            && domain_of(&text).is_none_or(|domain| crate::net::name_problem(domain).is_some())
        {
            problems.push(
                Problem::error("bad-value", sender.at, format!("`{text}` is not a mail address"))
                    .help("write it as `alice@example.net`; leave `sender` out for mail with an empty one"),
            );
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let who = self.sender.as_ref().unwrap_or(&self.helo);
        Preview::reads(format!(
            "evaluate SPF of {} for the client {}",
            who.source(),
            self.address.source()
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        WHOLE + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let address = cx.fill(&self.address)?;
        let client = Client {
            address: address
                .parse::<IpAddr>()
                .map_err(|_| {
                    Failure::new(Reason::Internal, format!("`{address}` is not an address"))
                })?
                .to_canonical(),
            helo: cx.fill(&self.helo)?,
            sender: self
                .sender
                .as_ref()
                .map(|sender| cx.fill(sender))
                .transpose()?,
            server: self.resolver.map(|server| server.0.0),
            within: self.within.map_or(WITHIN, |within| within.0),
        };
        let evaluation = cx
            .phase(Phase::Dns, evaluate(&client, cx.around.net, WHOLE))
            .await;
        cx.evidence(|evidence| evidence.answers.extend(evaluation.answers.iter().cloned()));
        // A resolver of our own that does not work says nothing about anybody.
        if let Some(cause) = &evaluation.cause
            && cause.status == Status::Error
        {
            return Err(cause.clone());
        }
        cx.note(evaluation.result.word());
        cx.note(format!("{} of 10 lookups", evaluation.lookups));
        if evaluation.voids > 0 {
            cx.note(format!("{} of 2 void lookups", evaluation.voids));
        }
        for finding in self.rules().flat_map(|(wanted, is_preference)| {
            judge(&wanted, &evaluation)
                .into_iter()
                .map(move |finding| match is_preference {
                    true => finding.as_preference(),
                    false => finding,
                })
        }) {
            cx.find(finding);
        }
        Ok(())
    }
}

impl Spf {
    /// What must hold, and (`true`) what should.
    fn rules(&self) -> impl Iterator<Item = (Wanted, bool)> {
        let wanted = |expect: &Expect| Wanted {
            result: expect.result,
            lookups_at_most: expect.lookups_at_most,
            voids_at_most: expect.voids_at_most,
        };
        let named = |expect: &Option<Expect>| expect.as_ref().map(wanted);
        let (mut must, should) = (named(&self.expect), named(&self.prefer));
        let says = |rule: &Option<Wanted>| rule.as_ref().is_some_and(|rule| rule.result.is_some());
        if !says(&must) && !says(&should) {
            must.get_or_insert_default().result = Some(SpfResult::Pass);
        }
        [(must, false), (should, true)]
            .into_iter()
            .filter_map(|(rule, is_preference)| Some((rule?, is_preference)))
    }
}

fn domain_of(sender: &str) -> Option<&str> {
    let (local, domain) = sender.rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty()).then_some(domain)
}
