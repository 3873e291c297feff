//! Why something is bogus, in words for the person who runs the zone.

use futures_util::StreamExt as _;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::{RuntimeProvider, Time};
use hickory_resolver::net::{DnsError, DnsHandle, NetError};
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::upstream::Upstream;
use crate::net::answer::name_text;

type Clock = <<Upstream as DnsHandle>::Runtime as RuntimeProvider>::Timer;

/// Everything that is asked for here was asked for before: no question leaves.
pub(super) async fn why(
    handle: &DnssecDnsHandle<Upstream>,
    name: &Name,
    record_type: RecordType,
) -> String {
    let what = format!("{} {record_type}", name_text(name));
    let Some(message) = look(handle, name, record_type).await else {
        return format!("nothing proves {what}");
    };
    let is_there = message
        .answers
        .iter()
        .any(|record| record.record_type() == record_type && record.name == *name);
    let signatures: Vec<&RRSIG> = message
        .answers
        .iter()
        .chain(&message.authorities)
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some((record, signature)),
            _ => None,
        })
        .filter(|(record, signature)| {
            !is_there || record.name == *name && signature.input().type_covered == record_type
        })
        .map(|(_, signature)| signature)
        .collect();
    let subject = match is_there {
        true => what.clone(),
        false => format!("the proof that there is no {what}"),
    };
    let Some(first) = signatures.first() else {
        return match is_there {
            true => format!("{what} has no signature (RRSIG), and its zone must be signed"),
            false => format!(
                "nothing proves that there is no {what} (no NSEC or NSEC3), and its zone must be signed"
            ),
        };
    };
    if let Some(fault) = signatures
        .iter()
        .find_map(|signature| time_fault(signature))
    {
        return format!("the signature of {subject} {fault}");
    }
    let zone = &first.input().signer_name;
    if record_type != RecordType::DNSKEY || zone != name {
        return of_keys(handle, zone).await.unwrap_or_else(|| {
            format!(
                "the signature of {subject} by {} does not fit",
                name_text(zone)
            )
        });
    }
    format!("{what} is not signed by a key that the zone above vouches for (DS)")
}

/// What is wrong with the keys of a zone.
async fn of_keys(handle: &DnssecDnsHandle<Upstream>, zone: &Name) -> Option<String> {
    let keys = look(handle, zone, RecordType::DNSKEY).await?;
    let is_good = keys.answers.iter().any(|record| record.proof.is_secure());
    match is_good {
        true => None,
        false => Some(Box::pin(why(handle, zone, RecordType::DNSKEY)).await),
    }
}

async fn look(
    handle: &DnssecDnsHandle<Upstream>,
    name: &Name,
    record_type: RecordType,
) -> Option<Message> {
    let query = Query::query(name.clone(), record_type);
    match handle
        .lookup(query, DnsRequestOptions::default())
        .next()
        .await?
    {
        Ok(response) => Some(response.into_message()),
        Err(NetError::Dns(DnsError::Nsec { response, .. })) => Some(response.into_message()),
        Err(_) => None,
    }
}

/// A signature outside of its time (RFC 4034 §3.1.5).
fn time_fault(signature: &RRSIG) -> Option<String> {
    let now = i64::try_from(Clock::current_time()).unwrap_or(i64::MAX);
    let at = |seconds: u32| i64::from(seconds);
    let day = |seconds: i64| match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d").to_string(),
        Err(_) => "an unknown day".to_owned(),
    };
    let (begin, end) = (
        at(signature.input().sig_inception.get()),
        at(signature.input().sig_expiration.get()),
    );
    if now > end {
        Some(format!("ended on {}", day(end)))
    } else if now < begin {
        Some(format!("begins on {}", day(begin)))
    } else {
        None
    }
}
