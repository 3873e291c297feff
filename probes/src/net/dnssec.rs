//! DNSSEC (RFC 4033 to 4035): an answer is proven here, from the trust anchors down, with every signature that it takes.
//! The validator is hickory's; ours are the questions, their limits, and the comparison with what the resolver claims.
//!
//! The resolver is asked as everybody asks it, and its answer is proven; when it refuses one, it is asked (CD) for what it
//! has, proven or not. Mail servers rely on the first answer, so a resolver that does not validate, or lies, is a finding
//! of its own.

mod anchors;
mod diagnosis;
mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::{DnsError, DnsHandle as _, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RData, Record as Sent, RecordType};
use postrider_wire::text::visible;
use tokio::time::{Instant, timeout_at};

pub use anchors::TrustAnchors;
use upstream::Upstream;

use crate::net::answer::{Asked, Signatures, rcode_name, record};
use crate::net::failure::{answer_failure, server_words};
use crate::net::{Answer, AskError, Question, exchange};
use crate::outcome::Failure;
use crate::reason::Reason;

/// Aliases of aliases are followed so far.
const LONGEST_CHAIN: usize = 8;
/// The extended error (RFC 8914) among the options of an answer.
const EXTENDED_ERROR: u16 = 15;
/// The extended errors about signatures, as IANA names them.
const EXTENDED_ERRORS: [(u16, &str); 8] = [
    (1, "Unsupported DNSKEY Algorithm"),
    (2, "Unsupported DS Digest Type"),
    (6, "DNSSEC Bogus"),
    (7, "Signature Expired"),
    (8, "Signature Not Yet Valid"),
    (9, "DNSKEY Missing"),
    (10, "RRSIGs Missing"),
    (12, "NSEC Missing"),
];
/// The longest text of it that is quoted.
const LONGEST_TEXT: usize = 200;

/// What is proven of an answer, in the words of RFC 4035 §4.3, and of the resolver that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Every signature is good, up to a trust anchor. That a name or a record does not exist can be secure as well.
    Secure,
    /// It is proven that the zone is not signed.
    Insecure,
    /// It should be signed and is not, or wrongly; why.
    Bogus(String),
    /// The servers failed, so nothing is known: the response code says how.
    Indeterminate,
    /// The resolver does not validate, or claims what is not so; what gave it away.
    Unvalidated(String),
}

impl Security {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus(_) => "bogus",
            Self::Indeterminate => "indeterminate",
            Self::Unvalidated(_) => "unvalidated",
        }
    }
}

/// An answer and what is proven of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The records that were judged, signatures left out. When nothing was proven: what the resolver gave.
    pub answer: Answer,
    /// What is proven.
    pub security: Security,
}

impl Proven {
    /// `dns-bogus`, `dns-unvalidated`, or the meaning of a response code that is a failure; `None` when the answer is
    /// secure or insecure, an answer that there is nothing included.
    #[must_use]
    pub fn failure(&self, question: &Question) -> Option<Failure> {
        match &self.security {
            Security::Secure | Security::Insecure => None,
            Security::Bogus(why) => Some(Failure::new(
                Reason::DnsBogus,
                format!("{question} fails validation: {why}"),
            )),
            Security::Unvalidated(why) => Some(Failure::new(Reason::DnsUnvalidated, why.clone())),
            Security::Indeterminate => Some(answer_failure(&self.answer, question).unwrap_or_else(|| {
                Failure::new(
                    Reason::DnsUnvalidated,
                    format!(
                        "nothing is proven of {question}: {} answered with an error what the proof takes",
                        server_words(self.answer.server)
                    ),
                )
            })),
        }
    }
}

/// Asks `server` and proves the answer, in all for at most `within`.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    within: Duration,
    source: Option<IpAddr>,
    anchors: &TrustAnchors,
) -> Result<Proven, AskError> {
    let began = Instant::now();
    let asked = Asked::new(question).map_err(AskError::BadQuestion)?;
    let deadline = began + within;
    let as_usual =
        exchange::message(server, asked.with(Signatures::Wanted), within, source).await?;
    let upstream = Upstream::new(server, source, deadline);
    if is_answered(&as_usual) {
        // This very answer is proven: what is said with checking off may be another one.
        upstream.knows(asked.name(), asked.record_type(), as_usual.clone());
    }
    let validator = Validator {
        handle: DnssecDnsHandle::with_trust_anchor(upstream.clone(), anchors.keys()),
        upstream,
        record_type: asked.record_type(),
    };
    // The limits of the single questions add up to the same deadline; the work between them is not endless either.
    let judged = timeout_at(deadline, validator.judge(asked.name()))
        .await
        .map_err(|_| AskError::TimedOut {
            server: server_words(server),
            waited: within,
        })??;
    let answer = |message: &Message, records: &[Sent]| Answer {
        rcode: rcode_name(message.metadata.response_code),
        authoritative: message.metadata.authoritative,
        records: records
            .iter()
            .filter(|record| record.record_type() != RecordType::RRSIG)
            .map(record)
            .collect(),
        server,
        took: began.elapsed(),
    };
    let claim = Claim {
        server,
        question,
        message: &as_usual,
    };
    let security = match judged.proof {
        Judgement::Unknown => Security::Indeterminate,
        Judgement::Secure => claim.of_secure(),
        Judgement::Insecure => claim.of_insecure(&validator.upstream).await,
        Judgement::Bogus(why) => claim.of_bogus(&why),
    };
    let answer = match security {
        Security::Secure | Security::Insecure => answer(&judged.message, &judged.records),
        _ => answer(&as_usual, &as_usual.answers),
    };
    Ok(Proven { answer, security })
}

/// Whether it is an answer, and no failure: that there is nothing is one as well.
fn is_answered(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}

/// What the resolver gave when it was asked as usual, held against the proof.
struct Claim<'a> {
    server: SocketAddr,
    question: &'a Question,
    message: &'a Message,
}

impl Claim<'_> {
    fn gives_an_answer(&self) -> bool {
        is_answered(self.message)
    }

    /// AD: "I have validated it".
    fn vouches(&self) -> bool {
        self.gives_an_answer() && self.message.metadata.authentic_data
    }

    fn who(&self) -> String {
        server_words(self.server)
    }

    fn of_secure(&self) -> Security {
        let (who, question) = (self.who(), self.question);
        if self.vouches() {
            return Security::Secure;
        }
        Security::Unvalidated(if !self.gives_an_answer() {
            format!(
                "{who} answers {} for {question}, which is proven secure here{}",
                rcode_name(self.message.metadata.response_code),
                self.explanation()
            )
        } else if self.message.metadata.authoritative {
            format!(
                "{who} is authoritative for {question} and validates nothing of its own: ask another resolver"
            )
        } else {
            format!(
                "{who} does not validate: {question} is proven secure here, and its answer says nothing of it (no AD)"
            )
        })
    }

    /// Who gives no AD for what is not signed may be right, or validate nothing at all: the root tells.
    async fn of_insecure(&self, upstream: &Upstream) -> Security {
        let (who, question) = (self.who(), self.question);
        if self.vouches() {
            return Security::Unvalidated(format!(
                "{who} lies: it calls {question} validated (AD), and the zone is proven to be unsigned"
            ));
        }
        if !self.gives_an_answer() {
            return Security::Indeterminate;
        }
        match upstream.root_is_vouched_for().await {
            Ok(true) => Security::Insecure,
            Ok(false) => Security::Unvalidated(format!(
                "{who} does not validate: not even for the root's own SOA it says that it has (no AD)"
            )),
            Err(_) => Security::Indeterminate,
        }
    }

    fn of_bogus(&self, why: &str) -> Security {
        let (who, question) = (self.who(), self.question);
        if !self.gives_an_answer() {
            return Security::Bogus(format!("{why}{}", self.explanation()));
        }
        Security::Unvalidated(match self.vouches() {
            true => format!(
                "{who} lies: it calls {question} validated (AD), and it fails validation here: {why}"
            ),
            false => format!(
                "{who} does not validate: it hands out {question}, which fails validation here: {why}"
            ),
        })
    }

    /// What the resolver says itself of its error (RFC 8914), in brackets.
    fn explanation(&self) -> String {
        let edns = self.message.edns.as_ref();
        let option = edns.and_then(|edns| edns.option(EdnsCode::from(EXTENDED_ERROR)));
        let Some(EdnsOption::Unknown(_, bytes)) = option else {
            return String::new();
        };
        let Some((code, text)) = bytes.split_first_chunk() else {
            return String::new();
        };
        let text = text.get(..LONGEST_TEXT).unwrap_or(text);
        let text = visible(&String::from_utf8_lossy(text));
        let code = u16::from_be_bytes(*code);
        let meaning = EXTENDED_ERRORS
            .iter()
            .find(|(known, _)| *known == code)
            .map_or_else(
                || format!("extended error {code}"),
                |(_, meaning)| (*meaning).to_owned(),
            );
        let colon = if text.is_empty() { "" } else { ": " };
        format!("; {} says {meaning}{colon}{text}", self.who())
    }
}

/// Proves answers of one resolver.
struct Validator {
    handle: DnssecDnsHandle<Upstream>,
    upstream: Upstream,
    record_type: RecordType,
}

/// What came of it.
struct Judged {
    message: Message,
    /// Aliases, and the records at their end.
    records: Vec<Sent>,
    proof: Judgement,
}

enum Judgement {
    Secure,
    Insecure,
    Bogus(String),
    /// The servers failed.
    Unknown,
}

impl Validator {
    /// Follows aliases to where the records are, or are not.
    async fn judge(&self, name: &Name) -> Result<Judged, AskError> {
        let mut name = name.clone();
        let mut records = Vec::new();
        let mut proof = Judgement::Secure;
        for _ in 0..LONGEST_CHAIN {
            let Some((message, of_nothing)) = self.prove(&name).await? else {
                return Ok(Judged {
                    message: Message::query(),
                    records,
                    proof: Judgement::Unknown,
                });
            };
            let mut aliases = 0;
            loop {
                let is_at = |record: &&Sent, record_type| {
                    record.name == name && record.record_type() == record_type
                };
                let found: Vec<&Sent> = message
                    .answers
                    .iter()
                    .filter(|record| is_at(record, self.record_type))
                    .collect();
                if let Some(first) = found.first() {
                    let weakest = found.iter().map(|record| record.proof).min();
                    let weakest = weakest.unwrap_or_default();
                    proof = self
                        .weaker(proof, weakest, &first.name, self.record_type)
                        .await;
                    records.extend(found.into_iter().cloned());
                    return Ok(Judged {
                        message,
                        records,
                        proof,
                    });
                }
                let alias = message
                    .answers
                    .iter()
                    .find(|record| is_at(record, RecordType::CNAME));
                let Some((alias, RData::CNAME(target))) = alias.map(|alias| (alias, &alias.data))
                else {
                    break;
                };
                if aliases == LONGEST_CHAIN {
                    break;
                }
                aliases += 1;
                proof = self
                    .weaker(proof, alias.proof, &alias.name, RecordType::CNAME)
                    .await;
                records.push(alias.clone());
                name = target.0.clone();
            }
            if aliases == 0 {
                proof = self
                    .weaker(proof, of_nothing, &name, self.record_type)
                    .await;
                return Ok(Judged {
                    message,
                    records,
                    proof,
                });
            }
            // What is at the end is not in this answer: it is asked for by its own name.
        }
        Err(AskError::GivenUp {
            problem: format!("there are more than {LONGEST_CHAIN} aliases in a row"),
        })
    }

    /// The message with the proof of each record, and the proof that it holds nothing, where it does not. `None` when the
    /// servers failed.
    async fn prove(&self, name: &Name) -> Result<Option<(Message, Proof)>, AskError> {
        let query = Query::query(name.clone(), self.record_type);
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let proven = self.handle.lookup(query, options).next().await;
        let (message, of_nothing) = match proven {
            Some(Ok(response)) => {
                let message = response.into_message();
                let has_proof = message
                    .authorities
                    .iter()
                    .any(|record| record.proof.is_secure());
                let of_nothing = match has_proof {
                    true => Proof::Secure,
                    false => Proof::Insecure,
                };
                (message, of_nothing)
            }
            Some(Err(NetError::Dns(DnsError::Nsec {
                response, proof, ..
            }))) => (response.into_message(), proof),
            Some(Err(error)) => {
                self.upstream.trouble()?;
                return Err(AskError::Malformed {
                    server: self.upstream.who(),
                    problem: visible(&error.to_string()),
                });
            }
            None => return Ok(None),
        };
        let is_proven = |proof: Proof| proof.is_secure() || proof.is_insecure();
        let all_proven = message
            .answers
            .iter()
            .filter(|record| record.record_type() != RecordType::RRSIG)
            .all(|record| is_proven(record.proof));
        if !is_answered(&message) {
            return Ok(None);
        }
        if !all_proven || !is_proven(of_nothing) {
            // What could not be asked for cannot be held against the zone.
            self.upstream.trouble()?;
            if self.upstream.has_failed() {
                return Ok(None);
            }
        }
        Ok(Some((message, of_nothing)))
    }

    /// The weaker of two proofs.
    async fn weaker(
        &self,
        known: Judgement,
        proof: Proof,
        name: &Name,
        record_type: RecordType,
    ) -> Judgement {
        match (known, proof) {
            (known @ (Judgement::Bogus(_) | Judgement::Unknown), _) => known,
            (known, Proof::Secure) => known,
            (_, Proof::Insecure) => Judgement::Insecure,
            (_, Proof::Bogus | Proof::Indeterminate) => {
                Judgement::Bogus(diagnosis::why(&self.handle, name, record_type).await)
            }
        }
    }
}
