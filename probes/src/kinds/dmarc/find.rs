//! Where the policy is (RFC 9989 §4.10), and whether those who get reports want them (RFC 7489 §7.1).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use postrider_wire::policy::dmarc::{DmarcRecord, is_record};
use postrider_wire::policy::report_uri::ReportUri;

use crate::net::{Net, Published, Question, published};
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;

/// Names that are asked for a policy: the domain, and what is left of it when labels go (RFC 9989 §4.10).
const MOST_NAMES: usize = 8;
/// Foreign domains whose consent is looked for; each costs two questions at most.
const MOST_FOREIGN: usize = 10;
/// All of them together.
pub(super) const MOST_QUESTIONS: u32 = 8 + 2 * 10;

/// How questions are asked.
pub(super) struct Search<'a> {
    pub(super) net: &'a dyn Net,
    pub(super) server: Option<SocketAddr>,
    pub(super) within: Duration,
    pub(super) evidence: &'a (dyn Fn(Vec<String>) + Sync),
}

/// The record that counts.
#[derive(Debug)]
pub(super) struct Found {
    /// Without `_dmarc.`
    pub(super) at: String,
    pub(super) record: DmarcRecord,
}

impl Search<'_> {
    /// The record of the domain itself, or the one that a walk up the names finds (RFC 9989 §4.10).
    ///
    /// `Ok(Err(…))`: there is no policy, and why.
    pub(super) async fn policy(&self, domain: &str) -> Result<Result<Found, String>, Failure> {
        let mut best: Option<Found> = None;
        let mut trouble = None;
        let mut stray = None;
        for name in names(domain) {
            let found = self.ask(format!("_dmarc.{name}")).await?;
            let records: Vec<&str> = found.texts().filter(|text| is_record(text)).collect();
            match records.as_slice() {
                [] => {
                    if let Some(text) = found.texts().next() {
                        stray.get_or_insert_with(|| (name.to_owned(), shown(text)));
                    }
                }
                [text] => match DmarcRecord::parse(text) {
                    Ok(record) => {
                        let next = Found {
                            at: name.to_owned(),
                            record,
                        };
                        if name == domain || next.record.is_organisation {
                            return Ok(Ok(next));
                        }
                        if next.record.is_public_suffix {
                            // The organisation is the name just below; the suffix speaks when that one does not.
                            best = best.filter(|best| is_just_below(&best.at, name));
                            best.get_or_insert(next);
                            break;
                        }
                        best = Some(next);
                    }
                    Err(fault) => {
                        trouble.get_or_insert_with(|| {
                            format!("permerror: the record of _dmarc.{name} {fault}")
                        });
                    }
                },
                several => {
                    trouble.get_or_insert_with(|| {
                        format!(
                            "none: _dmarc.{name} has {} DMARC records, and receivers then use no one",
                            several.len()
                        )
                    });
                }
            }
            if name == domain && trouble.is_some() {
                break;
            }
        }
        // A suffix's record is no cure for a broken one below it.
        if let Some(best) = best
            && (trouble.is_none() || !best.record.is_public_suffix)
        {
            return Ok(Ok(best));
        }
        Ok(Err(match (trouble, stray) {
            (Some(trouble), _) => trouble,
            (None, Some((name, text))) => format!(
                "none: _dmarc.{name} has the text `{text}`, which does not begin with `v=DMARC1;`"
            ),
            (None, None) => {
                format!("none: neither _dmarc.{domain} nor a name above it has a DMARC record")
            }
        }))
    }

    /// The foreign domains that do not say that they take reports about `at`.
    pub(super) async fn unauthorised(&self, at: &str, record: &DmarcRecord) -> Vec<Finding> {
        let mut domains: BTreeSet<&str> = BTreeSet::new();
        let uris = record.aggregate.iter().chain(&record.failure);
        domains.extend(uris.map(ReportUri::domain));
        let mut findings = Vec::new();
        domains.retain(|domain| !is_same_tree(domain, at));
        if domains.len() > MOST_FOREIGN {
            let count = domains.len();
            let text = format!(
                "reports go to {count} other domains; only the first {MOST_FOREIGN} are looked at"
            );
            findings.push(Finding::new(Reason::DmarcMismatch, text).as_preference());
        }
        for domain in domains.into_iter().take(MOST_FOREIGN) {
            match self.takes_reports(domain, at).await {
                Ok(true) => {}
                Ok(false) => findings.push(Finding::new(
                    Reason::DmarcMismatch,
                    format!(
                        "reports go to {domain}, which does not say that it takes them: {at}._report._dmarc.{domain} has no TXT record `v=DMARC1`"
                    ),
                )),
                Err(failure) => findings.push(failure),
            }
        }
        findings
    }

    async fn takes_reports(&self, domain: &str, at: &str) -> Result<bool, Failure> {
        let consent = self.ask(format!("{at}._report._dmarc.{domain}")).await?;
        if consent.texts().any(is_record) {
            return Ok(true);
        }
        // Both below one name that has a policy: they belong to one organisation.
        let Some(above) = common(domain, at) else {
            return Ok(false);
        };
        let policy = self.ask(format!("_dmarc.{above}")).await?;
        Ok(policy
            .texts()
            .filter_map(|text| is_record(text).then(|| DmarcRecord::parse(text).ok())?)
            .any(|record| !record.is_public_suffix))
    }

    async fn ask(&self, name: String) -> Result<Published, Failure> {
        let question = Question::new(name, "TXT", self.within);
        let found = published(self.net, self.server, question).await?;
        (self.evidence)(found.lines());
        Ok(found)
    }
}

/// The domain, and then what is left when labels go on the left, down to one.
fn names(domain: &str) -> Vec<&str> {
    let starts = domain.match_indices('.').map(|(dot, _)| dot + 1);
    let above: Vec<&str> = starts.filter_map(|start| domain.get(start..)).collect();
    let skipped = above.len().saturating_sub(MOST_NAMES - 1);
    std::iter::once(domain)
        .chain(above.into_iter().skip(skipped))
        .collect()
}

fn is_just_below(name: &str, above: &str) -> bool {
    name.split_once('.').is_some_and(|(_, rest)| rest == above)
}

fn is_same_tree(one: &str, other: &str) -> bool {
    let is_below = |name: &str, above: &str| {
        name.strip_suffix(above)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    is_below(one, other) || is_below(other, one)
}

/// The longest name of at least two labels that both are below.
fn common(one: &str, other: &str) -> Option<String> {
    let mut labels: Vec<&str> = one
        .rsplit('.')
        .zip(other.rsplit('.'))
        .take_while(|(one, other)| one == other)
        .map(|(label, _)| label)
        .collect();
    labels.reverse();
    (labels.len() >= 2).then(|| labels.join("."))
}

fn shown(text: &str) -> String {
    postrider_wire::text::RemoteText::new(text.as_bytes(), 80).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_above_are_asked_down_to_the_last_label() {
        assert_eq!(
            names("a.b.example.test"),
            ["a.b.example.test", "b.example.test", "example.test", "test"]
        );
        assert_eq!(names("example.test"), ["example.test", "test"]);
        assert_eq!(names("test"), ["test"]);
        let long = "1.2.3.4.5.6.7.8.9.10.example.test";
        let names = names(long);
        assert_eq!(
            (names.len(), names[0], names[1]),
            (8, long, "6.7.8.9.10.example.test")
        );
    }

    #[test]
    fn just_below_is_one_label_more() {
        assert!(is_just_below("shop.city.test", "city.test"));
        assert!(!is_just_below("a.shop.city.test", "city.test"));
        assert!(!is_just_below("shop.mycity.test", "city.test"));
        assert!(!is_just_below("city.test", "city.test"));
    }

    #[test]
    fn one_organisation_is_one_tree_or_has_a_name_above() {
        assert!(is_same_tree("reports.example.test", "example.test"));
        assert!(is_same_tree("example.test", "mail.example.test"));
        assert!(!is_same_tree("myexample.test", "example.test"));
        assert_eq!(
            common("a.example.test", "b.example.test").as_deref(),
            Some("example.test")
        );
        assert_eq!(common("a.test", "b.test"), None);
    }
}
