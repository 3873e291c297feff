//! What the names promise: MX, addresses, TLSA records, each with its proof (RFC 7672 §2.2).

use std::net::IpAddr;

use super::{Asked, MOST_ADDRESSES};
use crate::context::Context;
use crate::names::{MOST_LINES, line};
use crate::net::{
    Answer, Proven, Question, RecordData, Security, answer_failure, ask_failure, end_of_chain,
};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// What a sender with DANE would go by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// Records that are proven.
    Records {
        /// `_25._tcp.mx1.example.net`.
        owner: String,
        /// What is asked for as SNI: the owner's base domain.
        base: String,
        /// What the certificate may be for where names count (RFC 7672 §3.2.2).
        names: Vec<String>,
        /// In presentation form, each once.
        records: Vec<String>,
        /// Where to connect to.
        addresses: Vec<IpAddr>,
    },
    /// None that count.
    Nothing {
        /// Continues "DANE is required, and …".
        why: String,
    },
}

pub(super) async fn of(asked: &Asked, cx: &Context<'_>) -> Result<Published, Failure> {
    let mut names = Vec::new();
    if let Some(domain) = &asked.domain {
        let (mx, is_secure) = proven(asked, cx, domain, "MX").await?;
        leads_to(&mx, domain, &asked.host)?;
        if !is_secure {
            return Ok(unsigned(&format!("the MX records of {domain}")));
        }
        names.push(domain.clone());
    }
    let (v4, v6) = tokio::join!(
        proven(asked, cx, &asked.host, "A"),
        proven(asked, cx, &asked.host, "AAAA")
    );
    let (v4, v6) = (v4?, v6?);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for record in v4.0.records.iter().chain(&v6.0.records) {
        if let RecordData::Address(address) = record.data
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    let question = question(asked, &asked.host, "A");
    if addresses.is_empty() {
        return Err(answer_failure(&v4.0, &question).unwrap_or_else(|| {
            Failure::new(
                Reason::DnsNxdomain,
                format!("{} has no address", asked.host),
            )
        }));
    }
    if !v4.1 || !v6.1 {
        return Ok(unsigned(&format!("the addresses of {}", asked.host)));
    }
    let alias = [&v4.0, &v6.0]
        .map(|answer| end_of_chain(&asked.host, &answer.records).to_owned())
        .into_iter()
        .find(|end| *end != asked.host);
    if let Some(address) = asked.to_address {
        addresses = vec![address];
    }
    let count = addresses.len();
    addresses.truncate(usize::try_from(MOST_ADDRESSES).unwrap_or(usize::MAX));

    // The name at the end of an alias counts first, then the name itself (RFC 7672 §2.2.2).
    let mut why = String::new();
    for base in alias.into_iter().chain([asked.host.clone()]) {
        let owner = format!("_{}._tcp.{base}", asked.port);
        let (answer, is_secure) = proven(asked, cx, &owner, "TLSA").await?;
        let records = texts(&answer);
        if !is_secure {
            why = format!("{owner} is not signed (insecure)");
        } else if records.is_empty() {
            why = format!("there is no TLSA record at {owner}");
        } else {
            for name in [&base, &asked.host] {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            if count > addresses.len() {
                let text = format!(
                    "{} has {count} addresses; only the first {MOST_ADDRESSES} are looked at",
                    asked.host
                );
                cx.find(Finding::new(Reason::DnsMismatch, text).as_preference());
            }
            return Ok(Published::Records {
                owner,
                base,
                names,
                records,
                addresses,
            });
        }
    }
    Ok(Published::Nothing { why })
}

fn unsigned(what: &str) -> Published {
    Published::Nothing {
        why: format!("{what} are not signed (insecure)"),
    }
}

fn question(asked: &Asked, name: &str, record_type: &str) -> Question {
    Question::new(name, record_type, asked.within)
}

/// An answer that is proven, and whether it is secure; else it is insecure.
async fn proven(
    asked: &Asked,
    cx: &Context<'_>,
    name: &str,
    record_type: &str,
) -> Result<(Answer, bool), Failure> {
    let question = question(asked, name, record_type);
    let proven = cx
        .around
        .net
        .ask_securely(asked.resolver, question.clone())
        .await
        .map_err(|error| ask_failure(&error, &question, asked.resolver.is_none()))?;
    remember(cx, &question, &proven);
    match proven.failure(&question) {
        Some(failure) if failure.reason == Reason::DnsBogus => Err(Failure {
            message: format!("{} (dnssec-invalid)", failure.message),
            ..failure
        }),
        Some(failure) => Err(failure),
        None => Ok((proven.answer, proven.security == Security::Secure)),
    }
}

fn remember(cx: &Context<'_>, question: &Question, proven: &Proven) {
    let records = proven.answer.records.iter().map(|record| {
        line(&format!(
            "{} {} {} {}",
            record.name, record.record_type, record.ttl, record.data
        ))
    });
    cx.evidence(|evidence| {
        let left = MOST_LINES.saturating_sub(evidence.answers.len());
        evidence.answers.extend(records.take(left));
        evidence.answers.push(format!(
            "{question}: {}, {}",
            proven.answer.rcode,
            proven.security.word()
        ));
    });
}

/// The host must be one that the domain's mail is sent to.
fn leads_to(answer: &Answer, domain: &str, host: &str) -> Result<(), Failure> {
    let question = Question::new(domain, "MX", std::time::Duration::ZERO);
    if let Some(failure) = answer_failure(answer, &question) {
        return Err(failure);
    }
    let mut hosts = answer
        .records
        .iter()
        .filter_map(|record| match &record.data {
            RecordData::Mx { host, .. } => Some(host.as_str()),
            _ => None,
        });
    let has_none = hosts.clone().next().is_none();
    // Without MX records the domain itself takes the mail (RFC 5321 §5.1).
    if hosts.any(|known| known == host) || (has_none && domain == host) {
        return Ok(());
    }
    Err(Failure::new(
        Reason::DnsMismatch,
        format!("{host} is no MX host of {domain}"),
    ))
}

/// The TLSA records of an answer, wherever an alias led to.
fn texts(answer: &Answer) -> Vec<String> {
    let mut texts: Vec<String> = answer
        .records
        .iter()
        .filter(|record| record.record_type == "TLSA")
        .map(|record| record.data.to_string())
        .collect();
    texts.sort();
    texts.dedup();
    texts
}
