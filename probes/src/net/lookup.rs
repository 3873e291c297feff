//! Questions that more than one probe asks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::kinds::deliver::Family;
use crate::net::{Answer, Net, Question, Record, RecordData, answer_failure, ask_failure};
use crate::outcome::Failure;

/// Aliases of aliases are followed so far.
const LONGEST_CHAIN: usize = 16;

/// The addresses of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 before IPv6, each in the server's order, each once.
    pub addresses: Vec<IpAddr>,
    /// Addresses that no host can have, such as `0.0.0.0`: a connection to them would end up at the probe itself.
    pub unusable: Vec<IpAddr>,
    /// What the name is an alias of.
    pub alias_of: Option<String>,
    /// Why addresses may be missing.
    pub failure: Option<Failure>,
}

/// Asks `server` (`None`: the resolver) for the records of one type. An error code of the server is a failure, an empty
/// answer is not.
///
/// # Errors
/// `dns-nxdomain`, `dns-servfail`, `dns-timeout` or `vantage-dns`.
pub async fn lookup(
    net: &dyn Net,
    server: Option<SocketAddr>,
    question: Question,
) -> Result<Answer, Failure> {
    let answer = net
        .ask(server, question.clone())
        .await
        .map_err(|error| ask_failure(&error, &question, server.is_none()))?;
    match answer_failure(&answer, &question) {
        Some(failure) => Err(failure),
        None => Ok(answer),
    }
}

/// Asks for both kinds of address at the same time; each question may take `within`.
pub async fn addresses(
    net: &dyn Net,
    server: Option<SocketAddr>,
    host: &str,
    family: Family,
    within: Duration,
) -> Addresses {
    let ask = |record_type: &'static str, is_wanted: bool| async move {
        match is_wanted {
            true => Some(lookup(net, server, Question::new(host, record_type, within)).await),
            false => None,
        }
    };
    let (v4, v6) = tokio::join!(
        ask("A", family != Family::Ipv6),
        ask("AAAA", family != Family::Ipv4)
    );
    let mut found = Addresses::default();
    for answer in [v4, v6].into_iter().flatten() {
        match answer {
            Ok(answer) => found.add(host, &answer),
            Err(failure) => found.failure = found.failure.or(Some(failure)),
        }
    }
    found
}

impl Addresses {
    /// Takes the addresses that an answer gives for `host`, and for nobody else.
    fn add(&mut self, host: &str, answer: &Answer) {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let owner = end_of_chain(&host, &answer.records);
        if owner != host {
            self.alias_of.get_or_insert_with(|| owner.to_owned());
        }
        for record in answer.records.iter().filter(|record| record.name == owner) {
            let RecordData::Address(address) = record.data else {
                continue;
            };
            let list = match can_be_a_host(address) {
                true => &mut self.addresses,
                false => &mut self.unusable,
            };
            if !list.contains(&address) {
                list.push(address);
            }
        }
    }
}

/// Loopback and private addresses are hosts of somebody's network, and of every laboratory.
fn can_be_a_host(address: IpAddr) -> bool {
    let no_host = address.is_unspecified()
        || address.is_multicast()
        || match address {
            IpAddr::V4(address) => address.is_broadcast(),
            // IPv4 in disguise: it belongs into an A record, where it is seen for what it is.
            IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
        };
    !no_host
}

/// Follows the aliases of `name` (lower-case) within one answer; a loop ends after some rounds.
#[must_use]
pub(crate) fn end_of_chain<'a>(name: &'a str, records: &'a [Record]) -> &'a str {
    let mut owner = name;
    for _ in 0..LONGEST_CHAIN {
        let next = records.iter().find_map(|record| match &record.data {
            RecordData::Name(target) if record.record_type == "CNAME" && record.name == owner => {
                Some(target.as_str())
            }
            _ => None,
        });
        match next {
            Some(target) => owner = target,
            None => break,
        }
    }
    owner
}
