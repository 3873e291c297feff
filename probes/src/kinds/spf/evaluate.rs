//! The walk over the records: RFC 7208 §4 to §7.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mail_auth::spf::{Macro, Mechanism, Qualifier, Variables};
use postrider_wire::policy::spf_terms::is_record;
use postrider_wire::text::RemoteText;
use tokio::time::timeout;

use crate::kinds::spf::SpfResult;
use crate::kinds::spf::record::Record;
use crate::net::{BoxFuture, Net, Published, Question, RecordData, name_problem, published};
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::span::Span;

/// Terms that ask DNS, in all records together (§4.6.4).
const MOST_LOOKUPS: u8 = 10;
/// Of them, those that find nothing.
const MOST_VOIDS: u8 = 2;
/// Hosts of one `mx`, and names of one `ptr`.
const MOST_HOSTS: usize = 10;
/// A longer name loses labels on the left (§7.3).
const LONGEST_NAME: usize = 253;
/// Lines kept as proof.
const MOST_ANSWERS: usize = 60;

/// Who sends, and whom to ask about it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) helo: String,
    pub(super) sender: Option<String>,
    pub(super) server: Option<SocketAddr>,
    pub(super) within: Duration,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evaluation {
    pub(super) result: SpfResult,
    /// What decided.
    pub(super) by: String,
    /// Why DNS could not be asked.
    pub(super) cause: Option<Failure>,
    pub(super) lookups: u8,
    pub(super) voids: u8,
    /// What was asked and answered.
    pub(super) answers: Vec<String>,
}

/// A result, and what decided it.
#[derive(Debug)]
struct Decided {
    result: SpfResult,
    by: String,
}

/// An error that ends every level of the walk.
#[derive(Debug)]
enum Stop {
    Permanent(String),
    Temporary(Failure),
}

/// `check_host()` for the sender, or for the HELO name when there is no sender.
pub(super) async fn evaluate(client: &Client, net: &dyn Net, whole: Duration) -> Evaluation {
    let sender = match &client.sender {
        Some(sender) => sender.clone(),
        None => format!("postmaster@{}", client.helo),
    };
    let domain = sender.rsplit('@').next().unwrap_or_default().to_owned();
    let mut walk = Walk {
        client,
        net,
        sender,
        lookups: 0,
        voids: 0,
        answers: Vec::new(),
        validated: None,
    };
    let ended = match timeout(whole, walk.check_host(domain)).await {
        Ok(ended) => ended,
        Err(_) => Err(Stop::Temporary(Failure::new(
            Reason::DnsTimeout,
            format!("the evaluation did not end within {}", Span(whole)),
        ))),
    };
    let (result, by, cause) = match ended {
        Ok(decided) => (decided.result, decided.by, None),
        Err(Stop::Permanent(why)) => (SpfResult::Permerror, why, None),
        Err(Stop::Temporary(cause)) => (SpfResult::Temperror, cause.message.clone(), Some(cause)),
    };
    Evaluation {
        result,
        by,
        cause,
        lookups: walk.lookups,
        voids: walk.voids,
        answers: walk.answers,
    }
}

struct Walk<'a> {
    client: &'a Client,
    net: &'a dyn Net,
    sender: String,
    lookups: u8,
    voids: u8,
    answers: Vec<String>,
    /// `%{p}`, once it was needed.
    validated: Option<String>,
}

impl Walk<'_> {
    /// Recursion is bounded by the limit on lookups.
    fn check_host(&mut self, domain: String) -> BoxFuture<'_, Result<Decided, Stop>> {
        Box::pin(async move {
            let Some(record) = self.record(&domain).await? else {
                return Ok(Decided {
                    result: SpfResult::None,
                    by: format!("{} has no SPF record", shown(&domain)),
                });
            };
            for (directive, text) in record.directives() {
                let term = format!("`{}` of {}", shown(text), shown(&domain));
                if let Some(through) = self.matches(&directive.mechanism, &term, &domain).await? {
                    return Ok(Decided {
                        result: match directive.qualifier {
                            Qualifier::Pass => SpfResult::Pass,
                            Qualifier::Fail => SpfResult::Fail,
                            Qualifier::SoftFail => SpfResult::Softfail,
                            Qualifier::Neutral => SpfResult::Neutral,
                        },
                        by: term + &through,
                    });
                }
            }
            let Some(redirect) = record.redirect() else {
                return Ok(Decided {
                    result: SpfResult::Neutral,
                    by: format!("no term of {} matches", shown(&domain)),
                });
            };
            let term = format!("`redirect=` of {}", shown(&domain));
            self.count(&term)?;
            let target = self.target(redirect, &domain, &term).await?;
            let decided = self.check_host(target.clone()).await?;
            match decided.result {
                SpfResult::None => Err(Stop::Permanent(format!(
                    "{term} leads to {}, which has no SPF record",
                    shown(&target)
                ))),
                _ => Ok(decided),
            }
        })
    }

    /// The domain's one record.
    async fn record(&mut self, domain: &str) -> Result<Option<Record>, Stop> {
        // One label is no domain for this purpose (§4.3).
        let is_domain = domain.trim_end_matches('.').contains('.');
        let Some(found) = (match is_domain {
            true => self.ask(domain, "TXT").await?,
            false => None,
        }) else {
            return Ok(None);
        };
        let records: Vec<&str> = found.texts().filter(|text| is_record(text)).collect();
        match records.as_slice() {
            [] => Ok(None),
            [record] => Record::parse(record).map(Some).map_err(|fault| {
                Stop::Permanent(format!("the record of {} {fault}", shown(domain)))
            }),
            several => Err(Stop::Permanent(format!(
                "{} has {} SPF records, there must be one",
                shown(domain),
                several.len()
            ))),
        }
    }

    /// `None`: no match. A match may say through what.
    async fn matches(
        &mut self,
        mechanism: &Mechanism,
        term: &str,
        domain: &str,
    ) -> Result<Option<String>, Stop> {
        let client = self.client.address;
        let is_match = match mechanism {
            Mechanism::All => true,
            Mechanism::Ip4 { addr, mask } => in_network(client, IpAddr::V4(*addr), *mask, 0),
            Mechanism::Ip6 { addr, mask } => in_network(client, IpAddr::V6(*addr), 0, *mask),
            Mechanism::A {
                macro_string,
                ip4_mask,
                ip6_mask,
            } => {
                self.count(term)?;
                let target = self.target(macro_string, domain, term).await?;
                let addresses = self.addresses(&target).await?;
                self.void_if(addresses.is_empty(), term)?;
                addresses
                    .into_iter()
                    .any(|address| in_network(client, address, *ip4_mask, *ip6_mask))
            }
            Mechanism::Mx {
                macro_string,
                ip4_mask,
                ip6_mask,
            } => {
                self.count(term)?;
                let target = self.target(macro_string, domain, term).await?;
                let hosts = self.exchanges(&target).await?;
                self.void_if(hosts.is_empty(), term)?;
                for host in hosts.iter().take(MOST_HOSTS) {
                    let addresses = self.addresses(host).await?;
                    if addresses
                        .into_iter()
                        .any(|address| in_network(client, address, *ip4_mask, *ip6_mask))
                    {
                        return Ok(Some(String::new()));
                    }
                }
                if hosts.len() > MOST_HOSTS {
                    return Err(Stop::Permanent(format!(
                        "{term} has {} MX hosts, more than {MOST_HOSTS} must not be asked for",
                        hosts.len()
                    )));
                }
                false
            }
            Mechanism::Ptr { macro_string } => {
                self.count(term)?;
                let target = self.target(macro_string, domain, term).await?;
                let names = self.validated_names(Some(term)).await?;
                names.iter().any(|name| is_within(name, &target))
            }
            Mechanism::Exists { macro_string } => {
                self.count(term)?;
                let target = self.target(macro_string, domain, term).await?;
                let found = self.ask(&target, "A").await?;
                let is_there = found.is_some_and(|found| !found.records.is_empty());
                self.void_if(!is_there, term)?;
                is_there
            }
            Mechanism::Include { macro_string } => {
                self.count(term)?;
                let target = self.target(macro_string, domain, term).await?;
                let included = self.check_host(target.clone()).await?;
                match included.result {
                    SpfResult::Pass => return Ok(Some(format!(", {}", included.by))),
                    SpfResult::None => {
                        return Err(Stop::Permanent(format!(
                            "{term} leads to {}, which has no SPF record",
                            shown(&target)
                        )));
                    }
                    _ => false,
                }
            }
        };
        Ok(is_match.then(String::new))
    }

    /// The name that a term asks for.
    async fn target(&mut self, text: &Macro, domain: &str, term: &str) -> Result<String, Stop> {
        if text.needs_ptr() && self.validated.is_none() {
            let names = self.validated_names(None).await?;
            let best = names
                .iter()
                .find(|name| name.eq_ignore_ascii_case(domain))
                .or_else(|| names.iter().find(|name| is_within(name, domain)))
                .or(names.first());
            self.validated = Some(best.cloned().unwrap_or_else(|| "unknown".to_owned()));
        }
        let mut variables = Variables::new();
        variables.set_ip(&self.client.address);
        variables.set_sender(self.sender.as_bytes());
        variables.set_domain(domain.as_bytes());
        variables.set_helo_domain(self.client.helo.as_bytes());
        if let Some(name) = &self.validated {
            variables.set_validated_domain(name.as_bytes());
        }
        let expanded = text.eval(&variables, domain, false);
        let mut name = expanded.trim_end_matches('.');
        while name.len() > LONGEST_NAME {
            name = name.split_once('.').map_or("", |(_, rest)| rest);
        }
        match name {
            "" => Err(Stop::Permanent(format!("{term} gives no name"))),
            name => Ok(name.to_owned()),
        }
    }

    fn count(&mut self, term: &str) -> Result<(), Stop> {
        if self.lookups == MOST_LOOKUPS {
            return Err(Stop::Permanent(format!(
                "more than {MOST_LOOKUPS} terms ask DNS: {term} would be one more"
            )));
        }
        self.lookups += 1;
        Ok(())
    }

    /// The standard counts terms, not questions: an MX host without an address of the client's family is no void lookup.
    fn void_if(&mut self, is_void: bool, term: &str) -> Result<(), Stop> {
        if !is_void {
            return Ok(());
        }
        self.voids += 1;
        match self.voids > MOST_VOIDS {
            true => Err(Stop::Permanent(format!(
                "more than {MOST_VOIDS} terms find nothing in DNS (void lookups): {term} is one more"
            ))),
            false => Ok(()),
        }
    }

    /// Addresses of the client's family.
    async fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Stop> {
        let record_type = match self.client.address {
            IpAddr::V4(_) => "A",
            IpAddr::V6(_) => "AAAA",
        };
        let found = self.ask(host, record_type).await?;
        let records = found.map(|found| found.records).unwrap_or_default();
        Ok(records
            .into_iter()
            .filter_map(|record| match record.data {
                RecordData::Address(address) => Some(address),
                _ => None,
            })
            .collect())
    }

    async fn exchanges(&mut self, domain: &str) -> Result<Vec<String>, Stop> {
        let found = self.ask(domain, "MX").await?;
        let records = found.map(|found| found.records).unwrap_or_default();
        let mut hosts: Vec<(u16, String)> = records
            .into_iter()
            .filter_map(|record| match record.data {
                RecordData::Mx { preference, host } => Some((preference, host)),
                _ => None,
            })
            .collect();
        hosts.sort();
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    /// The names of the client's address whose addresses hold it (§5.5). What cannot be asked is no name.
    async fn validated_names(&mut self, term: Option<&str>) -> Result<Vec<String>, Stop> {
        let found = match self.ask(&reverse_name(self.client.address), "PTR").await {
            Ok(found) => found,
            Err(Stop::Temporary(_)) => return Ok(Vec::new()),
            Err(stop) => return Err(stop),
        };
        let records = found.map(|found| found.records).unwrap_or_default();
        if let Some(term) = term {
            self.void_if(records.is_empty(), term)?;
        }
        let mut names = Vec::new();
        for record in records.into_iter().take(MOST_HOSTS) {
            let RecordData::Name(name) = record.data else {
                continue;
            };
            let addresses = self.addresses(&name).await.unwrap_or_default();
            if addresses.contains(&self.client.address) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// `None`: what was expanded cannot be a name, so nothing can be there.
    async fn ask(&mut self, name: &str, record_type: &str) -> Result<Option<Published>, Stop> {
        if name_problem(name).is_some() {
            return Ok(None);
        }
        let question = Question::new(name, record_type, self.client.within);
        let answer = published(self.net, self.client.server, question).await;
        if let Ok(found) = &answer {
            let room = MOST_ANSWERS.saturating_sub(self.answers.len());
            self.answers.extend(found.lines().into_iter().take(room));
        }
        answer.map(Some).map_err(Stop::Temporary)
    }
}

fn in_network(client: IpAddr, network: IpAddr, v4_mask: u32, v6_mask: u128) -> bool {
    let masked4 = |address: Ipv4Addr| u32::from(address) & v4_mask;
    let masked6 = |address: Ipv6Addr| u128::from(address) & v6_mask;
    match (client, network) {
        (IpAddr::V4(client), IpAddr::V4(network)) => masked4(client) == masked4(network),
        (IpAddr::V6(client), IpAddr::V6(network)) => masked6(client) == masked6(network),
        _ => false,
    }
}

/// Whether `name` is `domain` or below it.
fn is_within(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name.strip_suffix(&domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles: String = address
                .octets()
                .iter()
                .rev()
                .map(|byte| format!("{:x}.{:x}.", byte & 0xf, byte >> 4))
                .collect();
            nibbles + "ip6.arpa"
        }
    }
}

fn shown(text: &str) -> String {
    RemoteText::new(text.as_bytes(), 100).to_string()
}
