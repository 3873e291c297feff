//! The questions: the test entries of each list, then the addresses, then the words for those that are listed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;

use super::judge::{self, Verdict};
use super::{List, MOST_LISTS, WhenListed};
use crate::names::line;
use crate::names::reverse::reversed;
use crate::names::subject::{self, Owned};
use crate::net::{Net, Question, RecordData};
use crate::outcome::Finding;

/// Lists that are asked at the same time, and addresses on each.
const LISTS_AT_ONCE: usize = 10;
const ADDRESSES_AT_ONCE: usize = 16;
/// The longest time in units of one question's: the subject, and for each batch of lists the test entries and batches of
/// addresses with their words.
pub(super) const MOST_ROUNDS: u32 =
    1 + (MOST_LISTS / LISTS_AT_ONCE) as u32 * (1 + 2 * (subject::MOST / ADDRESSES_AT_ONCE) as u32);
/// After so many addresses that a list gave no clear answer for, it is not asked any more.
const MOST_UNCLEAR: usize = 3;

/// RFC 5782 §5: the first is on every list, the second on none.
const TEST4: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 1)];
const TEST6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, 2),
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, 1),
];

/// A list with everything filled in.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) zone: String,
    pub(super) list: &'a List,
    pub(super) resolver: Option<SocketAddr>,
    pub(super) within: Duration,
}

/// What came of one list.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) findings: Vec<Finding>,
    /// Proof.
    pub(super) lines: Vec<String>,
    /// Addresses that it was asked for.
    pub(super) asked: usize,
}

/// Asks every list for every address.
pub(super) async fn all(lists: &[Asked<'_>], addresses: &[Owned], net: &dyn Net) -> Vec<Told> {
    let asking: Vec<_> = lists
        .iter()
        .map(|list| list.about(addresses, net))
        .collect();
    futures_util::stream::iter(asking)
        .buffered(LISTS_AT_ONCE)
        .collect()
        .await
}

impl Asked<'_> {
    async fn about(&self, addresses: &[Owned], net: &dyn Net) -> Told {
        let mut told = Told::default();
        let mine: Vec<&Owned> = addresses
            .iter()
            .filter(|of| self.list.family.holds(of.address))
            .collect();
        let has = |v4: bool| mine.iter().any(|of| of.address.is_ipv4() == v4);
        let (test4, test6) = tokio::join!(
            self.test(TEST4.map(IpAddr::V4), has(true), net),
            self.test(TEST6.map(IpAddr::V6), has(false), net)
        );
        let fails = [test4.as_ref().err(), test6.as_ref().err()];
        for finding in fails.into_iter().flatten() {
            told.lines.push(line(&finding.line()));
            told.findings.push(finding.clone());
        }
        let usable: Vec<&Owned> = mine
            .into_iter()
            .filter(|of| match of.address {
                IpAddr::V4(_) => test4.is_ok(),
                IpAddr::V6(_) => test6.is_ok(),
            })
            .collect();
        let mut unclear = 0;
        for batch in usable.chunks(ADDRESSES_AT_ONCE) {
            if unclear >= MOST_UNCLEAR {
                break;
            }
            let asking: Vec<_> = batch.iter().map(|of| self.address(of, net)).collect();
            let verdicts: Vec<_> = futures_util::stream::iter(asking)
                .buffered(ADDRESSES_AT_ONCE)
                .collect()
                .await;
            for (of, (verdict, words)) in batch.iter().zip(verdicts) {
                told.asked += 1;
                let label = of.label();
                let finding = match &verdict {
                    Verdict::NotListed => {
                        let text = format!("{}: {label} is not listed", self.zone);
                        told.lines.push(line(&text));
                        continue;
                    }
                    Verdict::Listed(codes) => {
                        let finding =
                            judge::listed(&label, &self.zone, codes, self.list, words.as_deref());
                        match self.list.when_listed {
                            WhenListed::Fail => finding,
                            WhenListed::Degrade => finding.as_preference(),
                        }
                    }
                    Verdict::Unclear(why) => {
                        unclear += 1;
                        judge::unclear(&self.zone, &label, why)
                    }
                };
                told.lines.push(line(&finding.line()));
                told.findings.push(finding);
            }
        }
        // Ten addresses without an answer are one fault of the list.
        judge::joined(&mut told.findings);
        told
    }

    /// Whether the list answers as a list must.
    async fn test(
        &self,
        [present, absent]: [IpAddr; 2],
        is_needed: bool,
        net: &dyn Net,
    ) -> Result<(), Finding> {
        if !is_needed {
            return Ok(());
        }
        let (present_is, absent_is) =
            tokio::join!(self.verdict(present, net), self.verdict(absent, net));
        judge::test(&self.zone, (present, &present_is), (absent, &absent_is))
    }

    /// The verdict, and the list's words for an address that is listed.
    async fn address(&self, of: &Owned, net: &dyn Net) -> (Verdict, Option<String>) {
        let verdict = self.verdict(of.address, net).await;
        let words = match verdict {
            Verdict::Listed(_) => self.words(of.address, net).await,
            _ => None,
        };
        (verdict, words)
    }

    async fn verdict(&self, address: IpAddr, net: &dyn Net) -> Verdict {
        let question = self.question(address, "A");
        let reply = net.ask(self.resolver, question.clone()).await;
        judge::verdict(&reply, &question, self.resolver.is_none())
    }

    /// RFC 5782 §2.1: a TXT record may say why.
    async fn words(&self, address: IpAddr, net: &dyn Net) -> Option<String> {
        let reply = net.ask(self.resolver, self.question(address, "TXT")).await;
        let answer = reply.ok()?;
        answer.records.iter().find_map(|record| match &record.data {
            RecordData::Text(text) if record.record_type == "TXT" => Some(line(text)),
            _ => None,
        })
    }

    fn question(&self, address: IpAddr, record_type: &str) -> Question {
        let name = format!("{}.{}", reversed(address), self.zone);
        Question::new(name, record_type, self.within)
    }
}
