//! `dns`: a record set, compared exactly.

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::Failure;
use crate::setting::{Period, Place, Problem, Spanned, Template};
use crate::target::Target;

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
    /// `HOST:PORT` of the resolver for this step; the main file's `resolver` by default.
    pub resolver: Option<Spanned<String>>,
    /// Port of the authoritative servers; 53 by default.
    pub port: Option<u16>,
    /// How long to wait for each answer.
    pub within: Option<Period>,
    /// What must hold.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// Whom to ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The resolver.
    #[default]
    Resolver,
    /// Every address of every name server of the zone, one by one, without recursion.
    EveryAuthoritativeServer,
}

/// What the answer must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Exactly these records, in any order, in presentation form: `10 mx1.example.net`.
    #[schemars(example = ["10 mx1.example.net", "20 mx2.example.net"])]
    pub answers: Option<Vec<Template>>,
    /// The response code: `NOERROR`, `NXDOMAIN`, …
    pub rcode: Option<String>,
    /// No record may live longer than this in caches.
    pub ttl_at_most: Option<Period>,
}

impl Kind for Dns {
    const NAME: &'static str = "dns";

    fn check(&self, _: &Names<'_>, _: Place, _: &mut Vec<Problem>) {}

    fn longest(&self, _: &MessageDefaults) -> Duration {
        Duration::from_secs(60)
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

    async fn run(&self, _: &Context<'_>) -> Result<(), Failure> {
        Ok(())
    }
}
