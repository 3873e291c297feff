//! `dkim`: the record with the public key of a selector (RFC 6376, RFC 8301, RFC 8463).
//!
//! The library that signs reads key records as well, but keeps neither the key nor which words it met, so the record is
//! read by `wire` and the key itself by the reader of certificates.

mod judge;
mod key;

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::kinds::dkim::judge::{Own, Wanted, judge};
use crate::message::public_key;
use crate::net::{Question, published};
use crate::outcome::Failure;
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template, check_domain};
use crate::target::Target;

/// How long the question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);

/// Reads the record that holds the public key of a DKIM selector, and judges the key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// The signing domain, `d=`; that of `sender` by default.
    #[schemars(example = &"example.net")]
    pub domain: Option<Spanned<Template>>,
    /// The selector, `s=`; that of `sender` by default.
    #[schemars(example = &"mail2026")]
    pub selector: Option<Spanned<Template>>,
    /// A sender of the main file, whose private key the record must belong to.
    #[schemars(example = &"outside")]
    pub sender: Option<Spanned<String>>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for the answer; 5s by default.
    pub within: Option<Period>,
    /// What must hold. Always: there is one record with a key that can be used for mail, RSA with at least 1024 bits.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded. RSA keys with 2048 bits and no test mode by default.
    pub prefer: Option<Expect>,
}

/// What the record must say.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The kind of key.
    pub key_type: Option<KeyType>,
    /// An RSA key has at least so many bits.
    #[schemars(example = 2048)]
    pub bits_at_least: Option<u16>,
    /// Whether the domain says that it only tests DKIM (`t=y`).
    #[schemars(example = false)]
    pub testing: Option<bool>,
}

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

impl KeyType {
    /// The word of `k=`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl Kind for Dkim {
    const NAME: &'static str = "dkim";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        let named = [&self.domain, &self.selector];
        problems.extend(named.into_iter().flatten().filter_map(check_domain));
        match &self.sender {
            Some(sender) if !names.senders.contains_key(&sender.value) => {
                problems.push(Names::unknown("sender", sender, sender.at, names.senders));
            }
            None if self.domain.is_none() || self.selector.is_none() => {
                problems.push(
                    Problem::error("missing-key", at, "`dkim` does not say whose key is meant")
                        .help("write `domain` and `selector`, or name a `sender` that signs"),
                );
            }
            _ => {}
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        let part = |text: &Option<Spanned<Template>>| {
            text.as_ref().map_or("…", |text| text.source()).to_owned()
        };
        Preview::reads(match (&self.sender, &self.domain, &self.selector) {
            (Some(sender), None, None) => format!("read the DKIM key of the sender {}", **sender),
            (_, domain, selector) => {
                format!(
                    "read the DKIM key {}._domainkey.{}",
                    part(selector),
                    part(domain)
                )
            }
        })
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        self.within() + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let settings = self
            .sender
            .as_ref()
            .map(|name| signing(cx, name))
            .transpose()?;
        let fill = |written: &Option<Spanned<Template>>, own: Option<&String>| match (written, own)
        {
            (Some(text), _) => cx.fill(text),
            (None, Some(own)) => Ok(own.clone()),
            (None, None) => Err(Failure::new(Reason::Internal, "no key is named")),
        };
        let selector = fill(&self.selector, settings.map(|key| &key.selector))?;
        let domain = fill(&self.domain, settings.map(|key| &key.domain))?;
        let own = match (&self.sender, settings) {
            (Some(name), Some(settings)) => Some(Own {
                sender: name.value.clone(),
                key: public_key(settings)?,
            }),
            _ => None,
        };
        let question = Question::new(
            format!("{selector}._domainkey.{domain}"),
            "TXT",
            self.within(),
        );
        let server = self.resolver.map(|server| server.0.0);
        let found = cx
            .phase(Phase::Dns, published(cx.around.net, server, question))
            .await?;
        cx.evidence(|evidence| evidence.answers.extend(found.lines()));
        let texts: Vec<&str> = found.texts().collect();
        let judged = judge(&self.rules(), &found.question.name, &texts, own.as_ref());
        if let Some(key) = judged.key {
            cx.note(key);
        }
        for finding in judged.findings {
            cx.find(finding);
        }
        Ok(())
    }
}

impl Dkim {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }

    /// What must hold, and (`true`) what should.
    fn rules(&self) -> Vec<(Wanted, bool)> {
        let wanted = |expect: &Option<Expect>| {
            expect
                .as_ref()
                .map_or_else(Wanted::default, |expect| Wanted {
                    key_type: expect.key_type,
                    bits_at_least: expect.bits_at_least,
                    testing: expect.testing,
                })
        };
        let (must, mut should) = (wanted(&self.expect), wanted(&self.prefer));
        if must.bits_at_least.is_none() {
            should.bits_at_least.get_or_insert(2048);
        }
        if must.testing.is_none() {
            should.testing.get_or_insert(false);
        }
        vec![(must, false), (should, true)]
    }
}

fn signing<'a>(cx: &Context<'a>, name: &str) -> Result<&'a crate::account::DkimKey, Failure> {
    let sender =
        cx.around.senders.get(name).ok_or_else(|| {
            Failure::new(Reason::Internal, format!("no sender is called `{name}`"))
        })?;
    sender.dkim.as_ref().ok_or_else(|| {
        Failure::new(
            Reason::SecretMissing,
            format!("the sender `{name}` has no `dkim` in the main file"),
        )
    })
}
