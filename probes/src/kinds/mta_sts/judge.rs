//! Whether record, policy and MX hosts fit. Pure. The words are those of RFC 8460 §4.3.

use std::time::Duration;

use postrider_wire::policy::mta_sts::{Mode, Policy, is_record, record_id};
use postrider_wire::text::RemoteText;

use crate::kinds::mta_sts::{Expect, Mode as WantedMode};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::setting::Period;

/// Hosts that are named one by one; of the others, the number is said.
const MOST_NAMED: usize = 10;

/// What a policy must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    mode: Option<Mode>,
    max_age: Option<Duration>,
    id: Option<String>,
}

impl Wanted {
    pub(super) fn new(expect: &Expect) -> Self {
        Self {
            mode: expect.mode.map(|mode| match mode {
                WantedMode::Enforce => Mode::Enforce,
                WantedMode::Testing => Mode::Testing,
                WantedMode::None => Mode::None,
            }),
            max_age: expect.max_age_at_least.map(|age| age.0),
            id: expect.id.clone(),
        }
    }
}

/// The `id` of the domain's one record; senders take several for none.
pub(super) fn record(domain: &str, texts: &[&str]) -> Result<String, Failure> {
    let name = format!("_mta-sts.{domain}");
    let records: Vec<&&str> = texts.iter().filter(|text| is_record(text)).collect();
    let fault = match records.as_slice() {
        [text] => match record_id(text) {
            Ok(id) => return Ok(id),
            Err(fault) => format!("the record of {name} {fault}"),
        },
        [] => match texts.first() {
            Some(text) => format!(
                "no-policy-found: {name} has the text `{}`, which does not begin with `v=STSv1;`",
                RemoteText::new(text.as_bytes(), 80)
            ),
            None => format!(
                "no-policy-found: {name} has no MTA-STS record, so no sender looks for a policy"
            ),
        },
        several => format!(
            "no-policy-found: {name} has {} MTA-STS records, and senders then use none",
            several.len()
        ),
    };
    Err(mismatch(fault))
}

/// The MX hosts that the policy does not cover. `hosts`: preference and name.
pub(super) fn hosts(policy: &Policy, domain: &str, hosts: &[(u16, String)]) -> Vec<Finding> {
    // Without a mode, nothing is demanded; a null MX is no host.
    let demanded = policy.mode != Mode::None;
    let outside = |(_, host): &&(u16, String)| demanded && host != "." && !policy.covers(host);
    let more = hosts
        .iter()
        .filter(outside)
        .count()
        .saturating_sub(MOST_NAMED);
    let rest = (more > 0).then(|| {
        mismatch(format!(
            "validation-failure: the policy does not cover {more} more MX hosts of {domain}"
        ))
    });
    hosts
        .iter()
        .filter(outside)
        .take(MOST_NAMED)
        .map(|(preference, host)| {
            let patterns: Vec<String> = policy.mx.iter().take(5).map(ToString::to_string).collect();
            let more = if policy.mx.len() > 5 { ", …" } else { "" };
            mismatch(format!(
                "validation-failure: the policy does not cover {host} (MX {preference} of {domain}), only {}{more}",
                patterns.join(", ")
            ))
        })
        .chain(rest)
        // Senders deliver all the same, and report.
        .map(|finding| match policy.mode {
            Mode::Testing => finding.as_preference(),
            _ => finding,
        })
        .collect()
}

/// Patterns that cover nobody, as short facts: an old host, or one that is to come.
pub(super) fn unused(policy: &Policy, hosts: &[(u16, String)]) -> Vec<String> {
    let unused = |pattern: &&postrider_wire::policy::mta_sts::MxPattern| {
        !hosts.iter().any(|(_, host)| pattern.covers(host))
    };
    policy
        .mx
        .iter()
        .filter(unused)
        .take(5)
        .map(|pattern| format!("no MX for {pattern}"))
        .collect()
}

/// What the policy should say and does not.
pub(super) fn policy(wanted: &Wanted, id: &str, policy: &Policy) -> Vec<Finding> {
    let mode = wanted.mode.filter(|mode| *mode != policy.mode).map(|mode| {
        format!(
            "the mode of the policy is {}, not {}",
            policy.mode.word(),
            mode.word()
        )
    });
    let found = Duration::from_secs(policy.max_age);
    let age = wanted.max_age.filter(|least| found < *least).map(|least| {
        format!(
            "senders keep the policy for {} (max_age), at least {} are wanted",
            Period(found),
            Period(least)
        )
    });
    let other_id = wanted
        .id
        .as_ref()
        .filter(|wanted| *wanted != id)
        .map(|wanted| format!("the id of the record is {id}, not {wanted}"));
    [mode, age, other_id]
        .into_iter()
        .flatten()
        .map(mismatch)
        .collect()
}

fn mismatch(text: String) -> Finding {
    Finding::new(Reason::MtaStsMismatch, text)
}
