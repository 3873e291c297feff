//! From what a run gave to the published result document.

use std::time::Duration;

use postrider_probes::observation::Values;
use postrider_probes::outcome::{
    ArrivalFacts, ChainLink, ChangeFacts, DeferralFacts, Evidence, Finding, HopFacts, SmtpFacts,
    Status, TlsFacts, TlsOffer, TranscriptLine,
};
use postrider_probes::phase::PhaseTimes;
use postrider_probes::target::Target;

use super::event::{CheckFinished, RunFinished, RunStarted};
use crate::result::{
    ArrivalResult, AttemptResult, ChainResult, ChangeResult, CheckResult, Counts, DeferralResult,
    EvidenceResult, FindingResult, HopResult, OfferResult, RunHead, RunResult, SCHEMA_VERSION,
    ScenarioResult, SmtpResult, SourceResult, StatusWord, TargetResult, TlsResult,
};

/// What `cancelled` says of a run that never came to its end.
const UNFINISHED: &str = "the program ended before the run did";

/// A shorter wait for one's turn is not worth a word.
const QUEUED: Duration = Duration::from_millis(10);

/// The document of a run.
#[must_use]
pub fn result_of(run: RunHead, checks: Vec<CheckResult>) -> RunResult {
    let mut counts = Counts::default();
    for check in &checks {
        *match check.status {
            StatusWord::Pass => &mut counts.pass,
            StatusWord::Degraded => &mut counts.degraded,
            StatusWord::Fail => &mut counts.fail,
            StatusWord::Error => &mut counts.error,
            StatusWord::Skip => &mut counts.skip,
        } += 1;
    }
    RunResult {
        schema_version: SCHEMA_VERSION.to_owned(),
        run,
        counts,
        checks,
    }
}

/// The head of a run that began. Until it ends it counts as not tested, so that a run that was cut off by a crash
/// never reads like one that passed.
#[must_use]
pub fn head_at_start(started: &RunStarted) -> RunHead {
    RunHead {
        id: started.run.clone(),
        origin: started.origin.clone(),
        vantage: started.vantage.clone(),
        started_at: started.started_at.to_string(),
        duration_seconds: 0.0,
        status: StatusWord::Error,
        running: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: started.config_sha256.clone(),
        scenarios: started
            .scenarios
            .iter()
            .map(|(name, title)| ScenarioResult {
                name: name.clone(),
                title: title.clone(),
            })
            .collect(),
        cancelled: None,
    }
}

/// The head of a run whose program ended before it did.
#[must_use]
pub fn head_cut_off(head: RunHead) -> RunHead {
    RunHead {
        running: false,
        cancelled: Some(UNFINISHED.to_owned()),
        ..head
    }
}

/// The head of a run that ended.
#[must_use]
pub fn head_at_end(head: RunHead, finished: &RunFinished) -> RunHead {
    RunHead {
        duration_seconds: seconds(finished.took),
        status: status_word(finished.status),
        running: false,
        cancelled: finished.cancelled.clone(),
        ..head
    }
}

/// Whether this is the head of a run that came to its end.
#[must_use]
pub fn has_ended(head: &RunHead) -> bool {
    !head.running && head.cancelled.as_deref() != Some(UNFINISHED)
}

/// The document of a check.
#[must_use]
pub fn document(finished: &CheckFinished) -> CheckResult {
    let CheckFinished {
        check,
        title,
        source,
        started_at,
        took,
        outcome,
    } = finished;
    let worst = outcome.findings.first();
    CheckResult {
        number: check.number,
        scenario: check.scenario.clone(),
        step: check.step.clone(),
        title: title.clone(),
        kind: check.kind.to_owned(),
        target: check
            .target
            .as_ref()
            .map(|target| target_result(target, check.port)),
        status: status_word(outcome.status()),
        reason: worst.map(|finding| finding.reason.code().to_owned()),
        message: worst.map(|finding| finding.message.clone()),
        findings: outcome.findings.iter().map(finding_result).collect(),
        notes: outcome.notes.clone(),
        attempts: 1,
        started_at: started_at.to_string(),
        duration_seconds: seconds(*took),
        queued_seconds: Some(outcome.queued)
            .filter(|queued| *queued >= QUEUED)
            .map(seconds),
        phases_seconds: phases_seconds(&outcome.phases),
        source: SourceResult {
            file: source.file.display().to_string(),
            line: source.line,
        },
        evidence: evidence_result(&outcome.evidence),
    }
}

/// The word of a status.
#[must_use]
pub fn status_word(status: Status) -> StatusWord {
    match status {
        Status::Pass => StatusWord::Pass,
        Status::Degraded => StatusWord::Degraded,
        Status::Fail => StatusWord::Fail,
        Status::Error => StatusWord::Error,
        Status::Skip => StatusWord::Skip,
    }
}

fn target_result(target: &Target, port: Option<u16>) -> TargetResult {
    TargetResult {
        mx: target.mx.clone(),
        preference: target.preference,
        address: target.address.to_string(),
        port,
        family: if target.address.is_ipv4() {
            "ipv4"
        } else {
            "ipv6"
        }
        .to_owned(),
        node: target.node.clone(),
        role: target.role.name().to_owned(),
    }
}

fn finding_result(finding: &Finding) -> FindingResult {
    FindingResult {
        status: status_word(finding.status),
        reason: finding.reason.code().to_owned(),
        message: finding.message.clone(),
    }
}

fn phases_seconds(phases: &PhaseTimes) -> std::collections::BTreeMap<String, f64> {
    phases
        .iter()
        .map(|(phase, spent)| (phase.name().to_owned(), seconds(spent)))
        .collect()
}

fn evidence_result(evidence: &Evidence) -> Option<EvidenceResult> {
    let result = EvidenceResult {
        transcript: evidence.transcript.iter().map(transcript_line).collect(),
        smtp: evidence.smtp.as_ref().map(smtp_result),
        tls: evidence.tls.as_ref().map(tls_result),
        more_tls: evidence.more_tls.iter().map(tls_result).collect(),
        entries: evidence.entries.clone(),
        deferral: evidence.deferral.as_ref().map(deferral_result),
        arrivals: evidence.arrivals.iter().map(arrival_result).collect(),
        answers: evidence.answers.clone(),
        changes: evidence.changes.iter().map(change_result).collect(),
    };
    (result != EvidenceResult::default()).then_some(result)
}

fn change_result(change: &ChangeFacts) -> ChangeResult {
    let list = |values: &Values| values.iter().map(str::to_owned).collect();
    ChangeResult {
        what: change.what.name().to_owned(),
        subject: change.subject.clone(),
        before: list(&change.before),
        since: change.since.to_string(),
        after: list(&change.after),
        accepted_by: change.accepted_by.clone(),
    }
}

/// `+0.012 <- 220 mx1.example.net ESMTP`
fn transcript_line(line: &TranscriptLine) -> String {
    let TranscriptLine { at, mark, text } = line;
    format!("+{:.3} {} {text}", at.as_secs_f64(), mark.glyph().trim())
}

fn smtp_result(smtp: &SmtpFacts) -> SmtpResult {
    SmtpResult {
        host: smtp.host.clone(),
        address: smtp.address.map(|address| address.to_string()),
        banner: smtp.banner.clone(),
        keywords: smtp.keywords.clone(),
        final_reply: smtp.final_reply.clone(),
        queue_id: smtp.queue_id.clone(),
    }
}

fn deferral_result(deferral: &DeferralFacts) -> DeferralResult {
    let attempts = deferral.attempts.iter();
    DeferralResult {
        seconds: seconds(deferral.lasted),
        greylisted: deferral.greylisted,
        attempts: attempts
            .map(|(after, reply)| AttemptResult {
                after_seconds: seconds(*after),
                reply: reply.clone(),
            })
            .collect(),
    }
}

fn tls_result(tls: &TlsFacts) -> TlsResult {
    TlsResult {
        host: tls.host.clone(),
        address: tls.address.map(|address| address.to_string()),
        version: tls.version.clone(),
        cipher: tls.cipher.clone(),
        names: tls.names.clone(),
        issuer: tls.issuer.clone(),
        not_after: tls.not_after.map(|moment| moment.to_string()),
        fingerprint: tls.fingerprint.clone(),
        fault: tls.fault.clone(),
        insecure: tls.insecure,
        key: tls.key.clone(),
        key_bits: tls.key_bits,
        signature: tls.signature.clone(),
        self_signed: tls.self_signed,
        chain: tls.chain.iter().map(chain_result).collect(),
        offers: tls.offers.iter().map(offer_result).collect(),
    }
}

fn chain_result(link: &ChainLink) -> ChainResult {
    ChainResult {
        subject: link.subject.clone(),
        issuer: link.issuer.clone(),
        not_after: link.not_after.map(|moment| moment.to_string()),
    }
}

fn offer_result(offer: &TlsOffer) -> OfferResult {
    OfferResult {
        version: offer.version.clone(),
        ciphers: offer.ciphers.clone(),
        all_ciphers: offer.all_ciphers,
        refused: offer.refused.clone(),
    }
}

fn arrival_result(arrival: &ArrivalFacts) -> ArrivalResult {
    ArrivalResult {
        mailbox: arrival.mailbox.clone(),
        folder: arrival.folder.clone(),
        uid: arrival.uid,
        after_seconds: arrival.after.map(seconds),
        pushed_after_seconds: arrival.pushed_after.map(seconds),
        internal_date: arrival.internal_date.map(|moment| moment.to_string()),
        hops: arrival.hops.iter().map(hop_result).collect(),
        skew_seconds: arrival.skew_seconds,
        authentication_results: arrival.authentication_results.clone(),
    }
}

fn hop_result(hop: &HopFacts) -> HopResult {
    HopResult {
        from: hop.from.clone(),
        by: hop.by.clone(),
        seconds: hop.seconds,
        skewed: hop.skewed,
    }
}

/// Seconds, rounded to microseconds: more digits are noise.
fn seconds(duration: Duration) -> f64 {
    let micros = duration
        .saturating_add(Duration::from_nanos(500))
        .as_micros();
    // Exact up to 285 years.
    micros as f64 / 1e6
}
