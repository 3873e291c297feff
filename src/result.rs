//! The published result document: what `--format json` prints, what the store keeps, what every report is made from.
//! Inner types never leave the program; this is their counterpart at the border, with a version.

pub mod changes;
pub mod listing;
pub mod period;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bumped when a reader must change. Adding a field is minor.
pub const SCHEMA_VERSION: &str = "1.0";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// Version of this document's shape.
    pub schema_version: String,
    /// The run itself.
    pub run: RunHead,
    /// How many checks have which status.
    pub counts: Counts,
    /// Every check, in the order of the plan.
    pub checks: Vec<CheckResult>,
}

/// The run itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunHead {
    /// Its id; any unique beginning of it is accepted by `postrider show`.
    pub id: String,
    /// Who asked for it.
    pub origin: String,
    /// The place that the probes looked from.
    pub vantage: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Seconds.
    pub duration_seconds: f64,
    /// The worst status of the checks: `fail` > `error` > `degraded` > `pass` > `skip`; `error` as long as `running`.
    pub status: StatusWord,
    /// The run is under way: its status and its checks are not the last ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// The program's version.
    pub version: String,
    /// SHA-256 of the configuration.
    pub config_sha256: String,
    /// The scenarios that it took, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<ScenarioResult>,
    /// Why the run ended early, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
}

/// A scenario of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioResult {
    /// Its name.
    pub name: String,
    /// What holds when it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The five words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusWord {
    /// Every expectation held.
    Pass,
    /// It works, but a preference did not hold.
    Degraded,
    /// The mail platform broke an expectation.
    Fail,
    /// It could not be tested.
    Error,
    /// A rule said not to run.
    Skip,
}

impl StatusWord {
    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Degraded => "degraded",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}

/// How many checks have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Passed.
    pub pass: u32,
    /// Degraded.
    pub degraded: u32,
    /// Failed.
    pub fail: u32,
    /// Not tested.
    pub error: u32,
    /// Skipped.
    pub skip: u32,
}

/// One step against one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// From 1, in the order of the plan; `postrider show RUN/NUMBER`.
    pub number: u32,
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
    /// The step's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The verb.
    pub kind: String,
    /// What it was aimed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetResult>,
    /// One of the five words.
    pub status: StatusWord,
    /// Reason code of the worst finding; absent on `pass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sentence that follows the reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Every finding, worst first; the first is `reason` and `message`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingResult>,
    /// Short facts: the reply, the folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Seconds.
    pub duration_seconds: f64,
    /// Seconds of these that it waited for a free connection to the address: in no phase, and nobody's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_seconds: Option<f64>,
    /// Seconds by phase.
    pub phases_seconds: BTreeMap<String, f64>,
    /// The step in the YAML file.
    pub source: SourceResult,
    /// Proof; the transcript is kept as `--transcript` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceResult>,
}

impl CheckResult {
    /// The findings, but for what was skipped beside a failure: that is only a consequence.
    pub fn causes(&self) -> impl Iterator<Item = &FindingResult> {
        let is_skip = |status| status == StatusWord::Skip;
        let findings = self.findings.iter();
        findings.filter(move |finding| is_skip(self.status) || !is_skip(finding.status))
    }
}

/// What a check was aimed at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetResult {
    /// MX host name.
    pub mx: String,
    /// MX preference.
    pub preference: u16,
    /// Address.
    pub address: String,
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The node that owns the address, by the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `primary` or `fallback`.
    pub role: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingResult {
    /// Its own status.
    pub status: StatusWord,
    /// Reason code.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// A place in a YAML file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceResult {
    /// Path.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// Proof.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceResult {
    /// The dialogue: `+0.012 <- 220 …`, in swaks' marks, AUTH redacted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<String>,
    /// What the SMTP server said of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SmtpResult>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsResult>,
    /// The same of further addresses, where a check looks at more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_tls: Vec<TlsResult>,
    /// Ledger entries, in the order sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
    /// The attempts, when the message was refused for now and sent again (`retry: as-mta`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferral: Option<DeferralResult>,
    /// Where and when the message was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<ArrivalResult>,
    /// DNS answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// What every client can see, and is not as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeResult>,
}

/// Something that every client can see is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeResult {
    /// `addresses`, `ptr`, `mx`, `ns`, `certificate`, `banner`, `ehlo` or `tls-version`.
    pub what: String,
    /// Of whom: a name, an address, an address with its port.
    pub subject: String,
    /// What it was; empty: nothing was there.
    pub before: Vec<String>,
    /// Since when it was so, RFC 3339, UTC.
    pub since: String,
    /// What it is now; empty: nothing is there.
    pub after: Vec<String>,
    /// What accepts the new value; absent as long as nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
}

/// A message that was refused for now and sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeferralResult {
    /// Seconds from the first refusal to the last reply; no part of `transit`.
    pub seconds: f64,
    /// Every refusal reads like greylisting (RFC 6647).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub greylisted: bool,
    /// Each attempt.
    pub attempts: Vec<AttemptResult>,
}

/// One attempt to send a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptResult {
    /// Seconds since the first attempt's reply.
    pub after_seconds: f64,
    /// The reply, or why there was none.
    pub reply: String,
}

/// What an SMTP server said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmtpResult {
    /// The MX host, when its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address that was connected to; of several the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Greeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// EHLO keywords with parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// The reply that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_reply: Option<String>,
    /// Queue id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<String>,
}

/// What TLS was negotiated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsResult {
    /// The name that the certificate had to be for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Address and port that were connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `TLSv1.3`; empty when the handshake did not end.
    pub version: String,
    /// Cipher suite.
    pub cipher: String,
    /// Names in the certificate.
    pub names: Vec<String>,
    /// Issuer.
    pub issuer: String,
    /// End of validity, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// SHA-256.
    pub fingerprint: String,
    /// What verification said; absent when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Verification was switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The certificate's key: `RSA`, `ECDSA`, `Ed25519`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Its length.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub key_bits: u32,
    /// What the certificate is signed with: `ecdsa-with-SHA256`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// Issuer and subject are the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_signed: bool,
    /// The certificates that the server sent behind its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<ChainResult>,
    /// Versions that were asked for one by one, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferResult>,
}

/// A certificate that a server sent behind its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainResult {
    /// Distinguished name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// End of validity, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
}

/// What a server answered when it was asked for one version alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferResult {
    /// `TLSv1.2`.
    pub version: String,
    /// Cipher suites in the order in which the server chose them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ciphers: Vec<String>,
    /// It was asked for every suite, and not only for its first choice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_ciphers: bool,
    /// How it refused; absent when it offers the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where and when a message was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalResult {
    /// The mailbox.
    pub mailbox: String,
    /// The folder.
    pub folder: String,
    /// Its UID.
    pub uid: u32,
    /// Seconds from the final reply to the sighting, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<f64>,
    /// Seconds from the final reply to the IDLE announcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_after_seconds: Option<f64>,
    /// INTERNALDATE, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_date: Option<String>,
    /// Hops, oldest first; the clocks are the servers' own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<HopResult>,
    /// Seconds that the first hop's clock is ahead of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_seconds: Option<f64>,
    /// `Authentication-Results` bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication_results: Vec<String>,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopResult {
    /// The host before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The host that wrote the field.
    pub by: String,
    /// Seconds since the hop before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The clocks disagree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skewed: bool,
}
