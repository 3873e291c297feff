//! What is told when a mail that had been given up turns up after all.

use std::collections::HashMap;

use postrider_probes::post::EntryState;
use postrider_probes::reason::Reason;
use postrider_probes::span::duration;
use postrider_wire::text::visible;

use crate::pipeline::{Correction, PipelineHandle};
use crate::result::{CheckResult, FindingResult};

/// Runs whose words are remembered; a backlog of mails seldom comes from more.
const REMEMBERED: usize = 16;

/// Knows what earlier runs said of their mails.
pub(super) struct Sayings {
    pipeline: PipelineHandle,
    by_run: HashMap<String, Vec<CheckResult>>,
}

impl Sayings {
    pub(super) fn new(pipeline: PipelineHandle) -> Self {
        Self {
            pipeline,
            by_run: HashMap::new(),
        }
    }

    /// One line: which mail, what was said of it, and what is true.
    pub(super) async fn put_right(&mut self, correction: &Correction) -> String {
        if !self.by_run.contains_key(&correction.run) {
            if self.by_run.len() >= REMEMBERED {
                self.by_run.clear();
            }
            // Without the store's help the line only says less.
            let checks = self.pipeline.checks_of(&correction.run).await;
            self.by_run
                .insert(correction.run.clone(), checks.unwrap_or_default());
        }
        let checks = self.by_run.get(&correction.run);
        let said = checks.and_then(|checks| said_of(checks, &correction.entry.to_string()));
        line(correction, said)
    }
}

/// The reason that a check gave for the fate of this mail.
fn said_of<'c>(checks: &'c [CheckResult], entry: &str) -> Option<&'c str> {
    let of_this = |check: &&CheckResult| {
        let evidence = check.evidence.as_ref();
        evidence.is_some_and(|evidence| evidence.entries.iter().any(|known| known == entry))
    };
    let check = checks.iter().find(of_this)?;
    let of_arrival = |finding: &&FindingResult| {
        [Reason::NotDelivered, Reason::CannotObserve]
            .iter()
            .any(|reason| reason.code() == finding.reason)
    };
    let first = || check.causes().next();
    let finding = check.findings.iter().find(of_arrival).or_else(first)?;
    Some(&finding.reason)
}

fn line(correction: &Correction, said: Option<&str>) -> String {
    let Correction {
        entry,
        before,
        after,
        run,
        scenario,
        step,
        route,
        mailbox,
        arrived_after,
    } = correction;
    let before = match said {
        Some(reason) => format!("run {run} said {reason}"),
        None => format!("run {run} left it as {}", before.name()),
    };
    let came = match after {
        EntryState::Junked => "it arrived as junk",
        _ => "it arrived",
    };
    let late = match arrived_after {
        Some(after) => format!("after {}", duration(*after)),
        None => "after all".to_owned(),
    };
    visible(&format!(
        "corrected: {scenario}/{step} to {route}, mailbox {mailbox}: {before}; {came} {late} (mail {entry})"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_line_says_which_mail_what_was_said_and_what_is_true() {
        let known = Correction {
            entry: "1QFG4RHFBZPA53FN".parse().unwrap(),
            before: EntryState::Overdue,
            after: EntryState::Delivered,
            run: "01RUN".to_owned(),
            scenario: "every-mx".to_owned(),
            step: "primary".to_owned(),
            route: "mx1.example.net [192.0.2.10]:25".to_owned(),
            mailbox: "alice".to_owned(),
            arrived_after: Some(Duration::from_secs(192)),
        };
        let refused = Correction {
            before: EntryState::Refused,
            after: EntryState::Junked,
            arrived_after: None,
            ..known.clone()
        };
        let which = "corrected: every-mx/primary to mx1.example.net [192.0.2.10]:25, mailbox alice";
        let mail = "(mail 1QFG4RHFBZPA53FN)";
        for (correction, said, words) in [
            (
                &known,
                Some("not-delivered"),
                "run 01RUN said not-delivered; it arrived after 3 m 12 s",
            ),
            (
                &known,
                None,
                "run 01RUN left it as overdue; it arrived after 3 m 12 s",
            ),
            (
                &refused,
                Some("smtp-5xx"),
                "run 01RUN said smtp-5xx; it arrived as junk after all",
            ),
        ] {
            assert_eq!(line(correction, said), format!("{which}: {words} {mail}"));
        }
    }
}
