//! Whether the demo found what was planted, and nothing else: pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::result::{RunResult, StatusWord};

/// One fault that the demo plants, and the reason by which it is to be found.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// What is wrong, for people.
    pub what: &'static str,
    /// Where.
    pub address: &'static str,
    /// How a check must call it.
    pub reason: &'static str,
}

/// The three faults.
pub const PLANTED: [Planted; 3] = [
    Planted {
        what: "a fallback address of filter2 refuses connections",
        address: "127.0.22.2",
        reason: "connect-refused",
    },
    Planted {
        what: "filter2 holds its mail before it hands it to store1",
        address: "127.0.22.1",
        reason: "slow",
    },
    Planted {
        what: "mx2 has a certificate for another name on filter1",
        address: "127.0.21.2",
        reason: "tls-certificate",
    },
];

/// What was found, compared with what was planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    found: Vec<(&'static str, Option<String>)>,
    others: Vec<String>,
}

impl Comparison {
    /// Compares. With `clean`, nothing was planted.
    #[must_use]
    pub fn new(result: &RunResult, clean: bool) -> Self {
        let planted: &[Planted] = if clean { &[] } else { &PLANTED };
        let mut found: Vec<(&'static str, Option<String>)> =
            planted.iter().map(|fault| (fault.what, None)).collect();
        let mut others = BTreeSet::new();
        for check in result
            .checks
            .iter()
            .filter(|check| check.status != StatusWord::Pass)
        {
            let address = check.target.as_ref().map(|target| target.address.as_str());
            for finding in check.causes() {
                let line = format!("{}: {}", finding.reason, finding.message);
                match planted.iter().position(|fault| {
                    Some(fault.address) == address && fault.reason == finding.reason
                }) {
                    Some(index) => {
                        found[index].1.get_or_insert(line);
                    }
                    None => {
                        others.insert(format!("{}/{}: {line}", check.step, address.unwrap_or("-")));
                    }
                }
            }
            if check.findings.is_empty() {
                others.insert(format!(
                    "{}: {:?} without a finding",
                    check.step, check.status
                ));
            }
        }
        if result.checks.is_empty() {
            others.insert("no check ran".to_owned());
        }
        Self {
            found,
            others: others.into_iter().collect(),
        }
    }

    /// Whether the findings are exactly the planted ones.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.others.is_empty() && self.found.iter().all(|(_, line)| line.is_some())
    }

    /// The last lines of the demo.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (what, line) in &self.found {
            let _ = match line {
                Some(line) => writeln!(text, "  planted: {what}\n    found: {line}"),
                None => writeln!(text, "  planted: {what}\n    not found"),
            };
        }
        for other in &self.others {
            let _ = writeln!(text, "  not planted: {other}");
        }
        let found = self.found.iter().filter(|(_, line)| line.is_some()).count();
        let _ = match self.found.len() {
            0 if self.others.is_empty() => {
                writeln!(text, "nothing was planted and nothing was found")
            }
            0 => writeln!(text, "nothing was planted"),
            all => writeln!(text, "{found} of {all} planted faults found"),
        };
        text
    }
}
