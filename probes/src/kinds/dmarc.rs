//! `dmarc`: the policy that receivers find for a domain (RFC 7489).
//!
//! Where the organisation ends is not looked up in a list of public suffixes: such a list is old the day after a release,
//! and this program runs for a year. The names above the domain are asked one after the other instead, up to the top, as
//! RFC 9989 does it. Of the records found there counts the one with `psd=n`, else the one just below a record with `psd=y`,
//! else the one with the fewest labels; a public suffix (`psd=y`) speaks for a domain when nothing else does. The two ways
//! differ only where the organisation itself has no record, or a suffix above it has one and does not say what it is.

mod find;
mod judge;

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::kinds::dmarc::find::{Found, Search};
use crate::kinds::dmarc::judge::Wanted;
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template, check_domain};
use crate::target::Target;

/// How long one question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);

/// Finds the DMARC policy of a domain as a receiver does, and judges it and its report addresses.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dmarc {
    /// The domain of `From`.
    #[schemars(example = &"example.net")]
    pub domain: Spanned<Template>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for each answer; 5s by default.
    pub within: Option<Period>,
    /// What must hold. Always: one record without mistakes, and report addresses that accept the reports.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the policy must say.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The name whose record counts: the domain itself, or one above it.
    #[schemars(example = &"example.net")]
    pub found_at: Option<Spanned<Template>>,
    /// What receivers are asked to do with mail of the domain that fails.
    pub policy: Option<Policy>,
    /// The same for mail of domains below it.
    pub subdomain_policy: Option<Policy>,
    /// The policy is asked for at least so many of a hundred mails (`pct`).
    #[schemars(example = 100)]
    pub percent_at_least: Option<u8>,
    /// How close the signing domain must be.
    pub dkim_alignment: Option<Alignment>,
    /// How close the envelope sender's domain must be.
    pub spf_alignment: Option<Alignment>,
    /// Exactly these addresses get the aggregate reports, in any order.
    #[schemars(example = ["mailto:dmarc@example.net"])]
    pub reports_to: Option<Vec<Spanned<String>>>,
}

/// What a receiver is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// Treat the mail as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

/// How close the authenticated domain must be to the one in `From`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// Of the same organisation.
    Relaxed,
    /// The same.
    Strict,
}

impl Kind for Dmarc {
    const NAME: &'static str = "dmarc";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        problems.extend(check_domain(&self.domain));
        for expect in [&self.expect, &self.prefer].into_iter().flatten() {
            problems.extend(expect.found_at.as_ref().and_then(check_domain));
            for uri in expect.reports_to.iter().flatten() {
                problems.extend(judge::check_uri(uri));
            }
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        Preview::reads(format!("find the DMARC policy of {}", self.domain.source()))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        self.within() * find::MOST_QUESTIONS + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let search = Search {
            net: cx.around.net,
            server: self.resolver.map(|server| server.0.0),
            within: self.within(),
            evidence: &|lines| cx.evidence(|evidence| evidence.answers.extend(lines)),
        };
        let domain = cx
            .fill(&self.domain)?
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let found = cx.phase(Phase::Dns, search.policy(&domain)).await?;
        let Found { at, record } = match found {
            Ok(found) => found,
            Err(why) => return Err(Finding::new(Reason::DmarcMismatch, why)),
        };
        let is_below = at != domain;
        let applied = record.applied(is_below);
        cx.note(applied.map_or("no policy", |policy| policy.word()));
        if is_below {
            cx.note(format!("by {at}"));
        }
        for fault in &record.faults {
            cx.find(Finding::new(
                Reason::DmarcMismatch,
                format!("the record of _dmarc.{at} {fault}"),
            ));
        }
        let unauthorised = cx
            .phase(Phase::Dns, search.unauthorised(&at, &record))
            .await;
        let rules = [(&self.expect, false), (&self.prefer, true)];
        for (expect, is_preference) in rules {
            let Some(expect) = expect else { continue };
            let found_at = expect
                .found_at
                .as_ref()
                .map(|name| cx.fill(name))
                .transpose()?;
            let wanted = Wanted::new(expect, found_at);
            for finding in judge::judge(&wanted, &at, is_below, &record) {
                cx.find(match is_preference {
                    true => finding.as_preference(),
                    false => finding,
                });
            }
        }
        for finding in unauthorised {
            cx.find(finding);
        }
        Ok(())
    }
}

impl Dmarc {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}
