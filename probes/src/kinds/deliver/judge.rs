//! From facts to findings: pure.

use std::time::Duration;

use postrider_wire::text::visible;

use super::reply_pattern::ReplyPattern;
use super::settings::{Accepted, Certificate, Deliver, Expect, MatchName};
use super::transaction::{End, Transaction};
use crate::context::Context;
use crate::dialogue::smtp::{UNKNOWN, refusal, reply_reason};
use crate::outcome::{Finding, Status, TlsFacts};
use crate::phase::PhaseTimes;
use crate::reason::Reason;
use crate::span::duration;

/// What is known once a transaction has ended.
#[derive(Debug)]
pub(super) struct Facts {
    end: End,
    accepted_by: Option<String>,
    host: String,
    phases: PhaseTimes,
    tls: Option<TlsFacts>,
    now: jiff::Timestamp,
}

impl Facts {
    pub(super) fn new(cx: &Context<'_>, transaction: &Transaction) -> Self {
        let outcome = cx.lock();
        Self {
            end: transaction.end.clone(),
            accepted_by: transaction.host.name.clone(),
            host: transaction.host.label(),
            phases: outcome.phases.clone(),
            tls: outcome.evidence.tls.clone(),
            now: (cx.around.now)(),
        }
    }
}

/// Adds what did not hold to the check.
pub(super) fn transaction(settings: &Deliver, cx: &Context<'_>, facts: &Facts) {
    if let End::Replied { reply, .. } = &facts.end {
        cx.note(reply.code.to_string());
    }
    if facts.tls.as_ref().is_some_and(|tls| tls.insecure) {
        cx.note("insecure: certificate not checked");
    }
    let everything = Expect::default();
    for finding in findings(settings.expect.as_ref().unwrap_or(&everything), facts, true) {
        cx.find(finding);
    }
    if let Some(prefer) = &settings.prefer {
        for finding in findings(prefer, facts, false) {
            cx.find(finding.as_preference());
        }
    }
    accepted_by(settings, cx, facts);
}

/// Compares the host that accepted the mail with the one that `expect` and `prefer` name.
fn accepted_by(settings: &Deliver, cx: &Context<'_>, facts: &Facts) {
    for (expect, is_expect) in [(&settings.expect, true), (&settings.prefer, false)] {
        let wanted = expect
            .as_ref()
            .and_then(|expect| expect.accepted_by.as_ref());
        let found = match wanted.map(|wanted| cx.fill(wanted)) {
            Some(Ok(wanted)) => judge_accepted_by(&wanted, facts, is_expect),
            Some(Err(failure)) => Some(failure),
            None => None,
        };
        if let Some(finding) = found {
            cx.find(if is_expect {
                finding
            } else {
                finding.as_preference()
            });
        }
    }
}

/// The findings of one `expect` or `prefer`.
fn findings(expect: &Expect, facts: &Facts, is_expect: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    match &facts.end {
        End::Failed(failure) => {
            // Nothing else can be judged when there is no reply; a preference adds nothing to it.
            return if is_expect {
                vec![failure.clone()]
            } else {
                found
            };
        }
        End::Unknown(failure) if is_expect => found.push(Finding {
            message: format!("{}{UNKNOWN}", failure.message),
            ..failure.clone()
        }),
        End::Unknown(_) => {}
        End::Replied { reply, when, .. } => {
            let wanted = expect.reply.as_ref().map(|reply| reply.value);
            if is_expect || wanted.is_some() {
                found.extend(judge_reply(wanted, reply, when));
            }
            if let Some(wanted) = &expect.enhanced_status {
                let got = reply.enhanced().map(|code| code.to_string());
                if found.is_empty() && got.as_deref() != Some(wanted.as_str()) {
                    let mut finding = refusal(Reason::SmtpUnexpectedReply, reply, when);
                    finding
                        .message
                        .push_str(&format!(", expected {}", wanted.value));
                    found.push(finding);
                }
            }
        }
    }
    if let Some(accepted) = expect.accepted {
        found.extend(judge_accepted(accepted, &facts.phases));
    }
    if let (Some(certificate), Some(tls)) = (&expect.certificate, &facts.tls) {
        found.extend(judge_certificate(certificate, tls, facts.now));
    } else if expect.certificate.is_some() {
        found.push(Finding::new(
            Reason::TlsNotOffered,
            "no TLS was used, so there is no certificate to judge",
        ));
    }
    found
}

fn judge_reply(
    wanted: Option<ReplyPattern>,
    reply: &postrider_wire::smtp::reply::Reply,
    when: &str,
) -> Option<Finding> {
    let matches = wanted.map_or_else(
        || reply.is_positive_completion(),
        |wanted| wanted.matches(reply.code),
    );
    if matches {
        return None;
    }
    let mut finding = if reply.is_positive_completion() {
        refusal(Reason::WronglyAccepted, reply, when)
    } else {
        refusal(reply_reason(reply), reply, when)
    };
    if let Some(wanted) = wanted.filter(|wanted| wanted.is_refusal()) {
        finding.message.push_str(&format!(", expected {wanted}"));
    }
    Some(finding)
}

fn judge_accepted(limits: Accepted, phases: &PhaseTimes) -> Option<Finding> {
    let spent = phases.accept();
    let over = |limit: Duration, words: &str, status| {
        let slowest = phases
            .iter()
            .filter(|(phase, _)| {
                (crate::phase::Phase::Connect..=crate::phase::Phase::Data).contains(phase)
            })
            .max_by_key(|(_, time)| *time)
            .map(|(phase, time)| format!("; {phase} took {}", duration(time)))
            .unwrap_or_default();
        Finding {
            status,
            reason: Reason::Slow,
            message: format!(
                "accepted after {}, {words} {}{slowest}",
                duration(spent),
                duration(limit)
            ),
        }
    };
    match (limits.within, limits.warn_after) {
        (Some(limit), _) if spent > limit.0 => Some(over(limit.0, "allowed", Status::Fail)),
        (_, Some(limit)) if spent > limit.0 => {
            Some(over(limit.0, "warned after", Status::Degraded))
        }
        _ => None,
    }
}

fn judge_certificate(wanted: &Certificate, tls: &TlsFacts, now: jiff::Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let fault = match wanted.matches {
        Some(MatchName::Any) => tls.fault_but_name.clone(),
        Some(MatchName::MxName) | None => tls.fault.clone(),
    };
    if let Some(fault) = fault.filter(|_| !tls.insecure) {
        found.push(Finding::new(
            Reason::TlsCertificate,
            format!("the certificate {fault}"),
        ));
    } else if let (Some(least), Some(end)) = (wanted.valid_for, tls.not_after) {
        let left = end.duration_since(now);
        if left < jiff::SignedDuration::try_from(least.0).unwrap_or(jiff::SignedDuration::MAX) {
            let left = Duration::try_from(left).unwrap_or_default();
            found.push(Finding::new(
                Reason::TlsCertificate,
                format!(
                    "the certificate is valid for {} only, at least {least} expected",
                    duration(left)
                ),
            ));
        }
    }
    found
}

fn judge_accepted_by(wanted: &str, facts: &Facts, is_expect: bool) -> Option<Finding> {
    let End::Replied {
        reply,
        final_reply: true,
        ..
    } = &facts.end
    else {
        return None;
    };
    let by = facts.accepted_by.as_deref().unwrap_or_default();
    if !reply.is_positive_completion() || by.eq_ignore_ascii_case(wanted.trim_end_matches('.')) {
        return None;
    }
    let reason = if is_expect {
        Reason::AcceptedElsewhere
    } else {
        Reason::FallbackUsed
    };
    Some(Finding::new(
        reason,
        format!(
            "accepted by {}, not by {}",
            visible(&facts.host),
            visible(wanted)
        ),
    ))
}
