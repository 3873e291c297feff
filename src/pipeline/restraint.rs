//! Restraint: when mail of a sender to a recipient comes back again and again, no more is sent for a while. A tester whose
//! mail bounces all day harms the name of its address, and says nothing that it did not say before.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::outcome::Failure;
use postrider_probes::post::{Draft, EntryState};
use postrider_probes::reason::Reason;

use crate::ledger::fact::Planned;

/// After so many bounces in a row nothing more is sent for [`PAUSE`].
pub(super) const MOST_IN_A_ROW: u32 = 10;
/// Then one mail is sent to see whether it is over.
pub(super) const PAUSE: Duration = Duration::from_secs(3600);
/// Pairs of sender and recipient that are remembered; of more, those that bounced longest ago are forgotten.
const MOST_PAIRS: usize = 1000;

/// What bounced last, by sender and recipient.
#[derive(Debug, Default)]
pub(super) struct Restraint(HashMap<(String, String), Row>);

#[derive(Debug)]
struct Row {
    in_a_row: u32,
    last: Timestamp,
    words: String,
    /// When the last mail was let through although there had been too many bounces.
    tried: Option<Timestamp>,
}

impl Restraint {
    /// The state of a mail has become another one. `words`: what its bounce said.
    pub(super) fn changed(
        &mut self,
        planned: &Planned,
        state: EntryState,
        at: Timestamp,
        words: Option<String>,
    ) {
        let pair = pair(&planned.draft);
        match state {
            EntryState::Delivered | EntryState::Junked | EntryState::Held => {
                self.0.remove(&pair);
            }
            EntryState::Bounced => {
                self.make_room(&pair);
                let row = self.0.entry(pair).or_insert(Row {
                    in_a_row: 0,
                    last: at,
                    words: String::new(),
                    tried: None,
                });
                row.in_a_row = row.in_a_row.saturating_add(1);
                row.last = row.last.max(at);
                row.words = words.unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Why a mail must not be sent now. One that may be sent after a pause uses that pause up.
    pub(super) fn forbids(&mut self, draft: &Draft, now: Timestamp) -> Option<Failure> {
        let row = self.0.get_mut(&pair(draft))?;
        if row.in_a_row < MOST_IN_A_ROW {
            return None;
        }
        let since = row.tried.map_or(row.last, |tried| tried.max(row.last));
        // A clock that was set back must not make the pause longer.
        let passed = Duration::try_from(now.duration_since(since)).ok();
        let Some(remaining) = passed
            .and_then(|passed| PAUSE.checked_sub(passed))
            .filter(|remaining| !remaining.is_zero())
        else {
            row.tried = Some(now);
            return None;
        };
        Some(Failure::new(
            Reason::SenderRests,
            format!(
                "the last {} mails from {} to {} bounced, the last one with “{}”: no more is sent for {} min",
                row.in_a_row,
                draft.sender,
                draft.recipient,
                row.words,
                remaining.as_secs().div_ceil(60)
            ),
        ))
    }

    fn make_room(&mut self, pair: &(String, String)) {
        if self.0.len() < MOST_PAIRS || self.0.contains_key(pair) {
            return;
        }
        let oldest = self.0.iter().min_by_key(|(_, row)| row.last);
        if let Some(oldest) = oldest.map(|(pair, _)| pair.clone()) {
            self.0.remove(&oldest);
        }
    }
}

fn pair(draft: &Draft) -> (String, String) {
    (draft.sender.clone(), draft.recipient.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sample::{at, draft};

    fn planned(recipient: &str) -> Planned {
        Planned {
            draft: Draft {
                recipient: recipient.to_owned(),
                ..draft(1)
            },
            run: String::new(),
            scenario: String::new(),
            step: String::new(),
        }
    }

    fn bounced(restraint: &mut Restraint, recipient: &str, times: u32, second: i64) {
        for _ in 0..times {
            let words = Some("550 no such user".to_owned());
            restraint.changed(&planned(recipient), EntryState::Bounced, at(second), words);
        }
    }

    #[test]
    fn many_bounces_in_a_row_stop_the_sender_and_one_mail_an_hour_tries_again() {
        let mut restraint = Restraint::default();
        let mail = planned("alice@example.net").draft;
        bounced(&mut restraint, "alice@example.net", MOST_IN_A_ROW - 1, 0);
        assert_eq!(restraint.forbids(&mail, at(1)), None);
        bounced(&mut restraint, "alice@example.net", 1, 2);
        let failure = restraint.forbids(&mail, at(62)).expect("it is enough");
        assert_eq!(failure.reason, Reason::SenderRests);
        assert_eq!(
            failure.message,
            format!(
                "the last 10 mails from {} to alice@example.net bounced, the last one with “550 no such user”: no more is sent for 59 min",
                mail.sender
            )
        );
        let other = planned("bob@example.net").draft;
        assert_eq!(restraint.forbids(&other, at(62)), None);

        assert_eq!(restraint.forbids(&mail, at(3602)), None, "one tries");
        assert!(restraint.forbids(&mail, at(3603)).is_some(), "only one");
        bounced(&mut restraint, "alice@example.net", 1, 3700);
        assert!(restraint.forbids(&mail, at(7299)).is_some());
        assert_eq!(restraint.forbids(&mail, at(7300)), None);
        restraint.changed(
            &planned("alice@example.net"),
            EntryState::Delivered,
            at(7301),
            None,
        );
        assert_eq!(restraint.forbids(&mail, at(7302)), None);
    }

    #[test]
    fn clock_set_back_does_not_lengthen_the_pause() {
        let mut restraint = Restraint::default();
        bounced(&mut restraint, "alice@example.net", MOST_IN_A_ROW, 100_000);
        let mail = planned("alice@example.net").draft;
        assert_eq!(restraint.forbids(&mail, at(10)), None);
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_newest() {
        let mut restraint = Restraint::default();
        for n in 0..=MOST_PAIRS {
            let second = i64::try_from(n).expect("a small number");
            bounced(
                &mut restraint,
                &format!("r{n}@example.net"),
                MOST_IN_A_ROW,
                second,
            );
        }
        assert_eq!(restraint.0.len(), MOST_PAIRS);
        let forbids = |restraint: &mut Restraint, n: usize| {
            let mail = planned(&format!("r{n}@example.net")).draft;
            restraint.forbids(&mail, at(1001)).is_some()
        };
        assert!(!forbids(&mut restraint, 0));
        assert!(forbids(&mut restraint, MOST_PAIRS));
    }
}
