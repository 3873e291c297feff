//! Whether a policy is what was wanted. Pure.

use std::collections::BTreeSet;

use postrider_wire::policy::dmarc::{Alignment, DmarcRecord, Policy};
use postrider_wire::policy::report_uri::ReportUri;

use crate::kinds::dmarc::{Alignment as WantedAlignment, Expect, Policy as WantedPolicy};
use crate::outcome::Finding;
use crate::reason::Reason;
use crate::setting::{Problem, Spanned};

/// What a policy must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    found_at: Option<String>,
    policy: Option<Policy>,
    subdomain_policy: Option<Policy>,
    percent_at_least: Option<u8>,
    dkim: Option<Alignment>,
    spf: Option<Alignment>,
    reports_to: Option<BTreeSet<String>>,
}

impl Wanted {
    pub(super) fn new(expect: &Expect, found_at: Option<String>) -> Self {
        Self {
            found_at: found_at.map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
            policy: expect.policy.map(policy),
            subdomain_policy: expect.subdomain_policy.map(policy),
            percent_at_least: expect.percent_at_least,
            dkim: expect.dkim_alignment.map(alignment),
            spf: expect.spf_alignment.map(alignment),
            reports_to: expect
                .reports_to
                .as_ref()
                .map(|uris| uris.iter().map(|uri| canonical(uri)).collect()),
        }
    }
}

/// What is wrong with an address that reports are expected to go to.
pub(super) fn check_uri(uri: &Spanned<String>) -> Option<Problem> {
    let fault = ReportUri::parse(uri).err()?;
    Some(
        Problem::error("bad-value", uri.at, fault.to_string())
            .help("write it as `mailto:dmarc@example.net`"),
    )
}

/// Everything that does not hold. `is_below`: the record is that of a name above the domain.
pub(super) fn judge(
    wanted: &Wanted,
    at: &str,
    is_below: bool,
    record: &DmarcRecord,
) -> Vec<Finding> {
    let mut broken = Vec::new();
    if let Some(name) = wanted.found_at.as_deref()
        && name != at
    {
        broken.push(format!(
            "the record of _dmarc.{at} counts, not that of _dmarc.{name}"
        ));
    }
    let mut policy = |wanted: Option<Policy>, found: Option<Policy>, whose: &str| {
        if let Some(wanted) = wanted
            && found != Some(wanted)
        {
            broken.push(format!(
                "the policy{whose} is {}, not {}",
                found.map_or("missing", Policy::word),
                wanted.word()
            ));
        }
    };
    policy(wanted.policy, record.applied(is_below), "");
    policy(
        wanted.subdomain_policy,
        record.applied(true),
        " for the domains below",
    );
    if let Some(least) = wanted.percent_at_least
        && record.percent < least
    {
        broken.push(format!(
            "the policy is asked for {} of 100 mails, at least {least} are wanted",
            record.percent
        ));
    }
    let mut alignment = |wanted: Option<Alignment>, found: Alignment, whose: &str| {
        if let Some(wanted) = wanted
            && found != wanted
        {
            broken.push(format!(
                "the {whose} alignment is {}, not {}",
                word(found),
                word(wanted)
            ));
        }
    };
    alignment(wanted.dkim, record.dkim, "DKIM");
    alignment(wanted.spf, record.spf, "SPF");
    if let Some(wanted) = &wanted.reports_to {
        let found: BTreeSet<String> = record.aggregate.iter().map(ToString::to_string).collect();
        broken.extend(
            wanted
                .difference(&found)
                .map(|uri| format!("no reports go to {uri}")),
        );
        broken.extend(
            found
                .difference(wanted)
                .map(|uri| format!("reports go to {}, which is not expected", shown(uri))),
        );
    }
    broken
        .into_iter()
        .map(|text| Finding::new(Reason::DmarcMismatch, text))
        .collect()
}

fn policy(wanted: WantedPolicy) -> Policy {
    match wanted {
        WantedPolicy::None => Policy::None,
        WantedPolicy::Quarantine => Policy::Quarantine,
        WantedPolicy::Reject => Policy::Reject,
    }
}

fn alignment(wanted: WantedAlignment) -> Alignment {
    match wanted {
        WantedAlignment::Relaxed => Alignment::Relaxed,
        WantedAlignment::Strict => Alignment::Strict,
    }
}

fn word(alignment: Alignment) -> &'static str {
    match alignment {
        Alignment::Relaxed => "relaxed",
        Alignment::Strict => "strict",
    }
}

/// As a record's address is shown.
fn canonical(uri: &str) -> String {
    ReportUri::parse(uri).map_or_else(|_| uri.to_owned(), |uri| uri.to_string())
}

fn shown(text: &str) -> String {
    postrider_wire::text::RemoteText::new(text.as_bytes(), 100).to_string()
}
