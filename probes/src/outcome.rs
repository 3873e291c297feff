//! What a check gave: findings, times, evidence.

use std::time::Duration;

use crate::observation::{self, Observation, Values, What};
use crate::phase::PhaseTimes;
use crate::reason::Reason;

/// The five words that every surface shares, from best to worst for sorting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// A rule said not to run; the rule is named.
    Skip,
    /// Every expectation held.
    Pass,
    /// It works, but a preference did not hold.
    Degraded,
    /// It could not be tested: the fault is on the probe's side.
    Error,
    /// The mail platform broke an expectation.
    Fail,
}

impl Status {
    /// Every status, best first.
    pub const ALL: [Self; 5] = [
        Self::Pass,
        Self::Degraded,
        Self::Fail,
        Self::Error,
        Self::Skip,
    ];

    /// The word used in data: JSON, metrics, YAML.
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

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that did not hold: a reason code and the sentence that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is here; `prefer` makes a failure `degraded`.
    pub status: Status,
    /// The stable code.
    pub reason: Reason,
    /// What happened, with the other side's own words, already made safe to print; one line.
    pub message: String,
}

impl Finding {
    /// A finding with the status that its reason gives by itself.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: reason.status(),
            reason,
            message: message.into(),
        }
    }

    /// The same finding as a broken preference: never worse than `degraded`.
    #[must_use]
    pub fn as_preference(mut self) -> Self {
        if self.status == Status::Fail {
            self.status = Status::Degraded;
        }
        self
    }

    /// `code: message`, the same line on every surface.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.reason.code(), self.message)
    }
}

/// Why a conversation ended early. The caller turns it into an [`Outcome`].
pub type Failure = Finding;

/// Everything that a check gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What did not hold, worst first; empty means `pass`.
    pub findings: Vec<Finding>,
    /// How long each phase took.
    pub phases: PhaseTimes,
    /// How long it waited for its turn; that is in no phase.
    pub queued: Duration,
    /// Short facts for the result line: `250`, `INBOX`, `exact`.
    pub notes: Vec<String>,
    /// Proof.
    pub evidence: Evidence,
    /// What was seen that is compared with what was seen before.
    pub observations: Vec<Observation>,
}

/// Something that a client can see is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeFacts {
    /// What.
    pub what: What,
    /// Of whom.
    pub subject: String,
    /// What it was.
    pub before: Values,
    /// Since when it was so.
    pub since: jiff::Timestamp,
    /// What it is now.
    pub after: Values,
    /// Who or what accepts it; `None`: nobody.
    pub accepted_by: Option<String>,
}

impl Outcome {
    /// Adds a finding and keeps the worst first; equal ones stay in order.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.status));
    }

    /// Adds what was seen; of two looks at the same thing the later one counts.
    pub fn observe(&mut self, seen: Observation) {
        let same = |known: &Observation| known.what == seen.what && known.subject == seen.subject;
        self.observations.retain(|known| !same(known));
        if self.observations.len() < observation::MOST {
            self.observations.push(seen);
        }
    }

    /// The worst finding's status, or `pass`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.findings
            .first()
            .map_or(Status::Pass, |finding| finding.status)
    }
}

/// What a check leaves as proof. Everything is bounded and safe to print; no secret is in it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The dialogue, in the notation that swaks made common.
    pub transcript: Vec<TranscriptLine>,
    /// What the SMTP server said of itself.
    pub smtp: Option<SmtpFacts>,
    /// What TLS was negotiated.
    pub tls: Option<TlsFacts>,
    /// The same of further addresses, where a check looks at more than one.
    pub more_tls: Vec<TlsFacts>,
    /// The ledger entries of this check, in the order sent.
    pub entries: Vec<String>,
    /// The attempts, when the message was refused for now and sent again.
    pub deferral: Option<DeferralFacts>,
    /// Where and when the message was seen.
    pub arrivals: Vec<ArrivalFacts>,
    /// DNS answers, one per line, as `name type ttl data` or `server: answer`.
    pub answers: Vec<String>,
    /// What of that which was observed is not as it was; the store's memory decides that.
    pub changes: Vec<ChangeFacts>,
    /// Every SMTP reply, of every server that was spoken to, to be counted.
    pub replies: Vec<SmtpReply>,
}

/// That a server replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpReply {
    /// The MX host, when its name is known.
    pub host: Option<String>,
    /// What it replied to: `connect`, `dot` (the message), or the command in small letters.
    pub verb: &'static str,
    /// The code.
    pub code: u16,
}

/// One line of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptLine {
    /// Since the check began.
    pub at: Duration,
    /// Who said it.
    pub mark: Mark,
    /// The line without its end, made safe to print, shortened when long.
    pub text: String,
}

/// The swaks marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `===` what the probe did.
    Info,
    /// `***` something unexpected.
    Unexpected,
    /// ` ->` sent in the clear.
    Sent,
    /// `<- ` received in the clear.
    Received,
    /// ` ~>` sent inside TLS.
    SentTls,
    /// `<~ ` received inside TLS.
    ReceivedTls,
}

impl Mark {
    /// The three characters in front of a line.
    #[must_use]
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Info => "===",
            Self::Unexpected => "***",
            Self::Sent => " ->",
            Self::Received => "<- ",
            Self::SentTls => " ~>",
            Self::ReceivedTls => "<~ ",
        }
    }
}

/// What an SMTP server said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmtpFacts {
    /// The MX host, when its name is known.
    pub host: Option<String>,
    /// The address that was connected to; of several the last one.
    pub address: Option<std::net::IpAddr>,
    /// The greeting, without `220`.
    pub banner: Option<String>,
    /// The EHLO keywords with their parameters, of the last EHLO.
    pub keywords: Vec<String>,
    /// The reply that decided: code and text.
    pub final_reply: Option<String>,
    /// The queue id read from the final reply.
    pub queue_id: Option<String>,
}

/// A message that was refused with 4yz and sent again, as a mail server does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeferralFacts {
    /// From the first refusal to the last reply: no part of the transit.
    pub lasted: Duration,
    /// Every refusal reads like greylisting (RFC 6647).
    pub greylisted: bool,
    /// Each attempt: when its reply was read, counted from the first one's, and the reply.
    pub attempts: Vec<(Duration, String)>,
}

/// What was negotiated and presented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name that the certificate had to be for.
    pub host: String,
    /// The address that was connected to, where the caller says it.
    pub address: Option<std::net::SocketAddr>,
    /// `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// Subject alternative names (or the common name when there are none).
    pub names: Vec<String>,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// End of validity.
    pub not_after: Option<jiff::Timestamp>,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// What verification said: `None` when the chain, the time and the name are good.
    pub fault: Option<String>,
    /// The same, without regard to the name.
    pub fault_but_name: Option<String>,
    /// Verification was switched off by `insecure: true`.
    pub insecure: bool,
    /// The names are no subject alternative names: there are none.
    pub common_name_only: bool,
    /// The certificate's key: `RSA`, `ECDSA`, `Ed25519`, or its object identifier.
    pub key: String,
    /// Length of the key in bits; 0 when it is not known.
    pub key_bits: u32,
    /// What the certificate is signed with: `ecdsa-with-SHA256`.
    pub signature: String,
    /// Issuer and subject are the same.
    pub self_signed: bool,
    /// The certificates that the server sent behind its own.
    pub chain: Vec<ChainLink>,
    /// The versions that were asked for one by one, newest first.
    pub offers: Vec<TlsOffer>,
}

/// A certificate that a server sent behind its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainLink {
    /// Distinguished name.
    pub subject: String,
    /// The distinguished name of who signed it.
    pub issuer: String,
    /// End of validity.
    pub not_after: Option<jiff::Timestamp>,
}

/// What a server answered when it was asked for one version alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOffer {
    /// `TLSv1.2`.
    pub version: String,
    /// IANA names of the suites that it chose, in its order; empty when it does not offer the version.
    pub ciphers: Vec<String>,
    /// Whether it was asked for every suite, and not only for its first choice.
    pub all_ciphers: bool,
    /// How it refused; `None` when it offers the version.
    pub refused: Option<String>,
}

/// Where and when a message was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrivalFacts {
    /// The mailbox's name in the configuration.
    pub mailbox: String,
    /// The folder.
    pub folder: String,
    /// Its UID there.
    pub uid: u32,
    /// From the final reply to the sighting; `None` when the final reply never came.
    pub after: Option<Duration>,
    /// When IMAP IDLE announced it, if IDLE was running.
    pub pushed_after: Option<Duration>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<jiff::Timestamp>,
    /// The hops of its `Received` fields, oldest first.
    pub hops: Vec<HopFacts>,
    /// The difference between the first hop's clock and ours, seconds; ours is the reference.
    pub skew_seconds: Option<f64>,
    /// The `Authentication-Results` bodies, unfolded.
    pub authentication_results: Vec<String>,
}

/// One hop of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct HopFacts {
    /// The host before, when there is one.
    pub from: Option<String>,
    /// The host that wrote the field.
    pub by: String,
    /// Seconds since the hop before, by the servers' own clocks (1 s resolution), never negative.
    pub seconds: Option<f64>,
    /// The difference was negative: the clocks disagree.
    pub skewed: bool,
}
