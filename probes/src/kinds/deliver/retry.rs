//! Further attempts after a 4yz, as a mail server makes them (RFC 5321 §4.5.4.1).

use std::time::Duration;

use postrider_wire::smtp::reply::Reply;
use postrider_wire::text::RemoteText;
use tokio::time::Instant;

use super::settings::{Deliver, MessageDefaults, Retry};
use super::transaction::End;
use crate::context::Context;
use crate::outcome::{DeferralFacts, Finding, Mark};
use crate::reason::Reason;
use crate::span::duration;

/// Greylisting lasts from a minute to some ten (RFC 6647 §4.3).
const AFTER: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
];

/// More attempts cannot be asked for.
pub(super) const MOST_RETRIES: usize = 20;

/// When a mail is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    waits: Vec<Duration>,
    /// No attempt begins later than this after the first one.
    at_most: Duration,
}

impl Schedule {
    pub(super) fn new(settings: &Deliver, message: &MessageDefaults) -> Self {
        let retry = settings.retry.or(message.retry).unwrap_or_default();
        let after = settings
            .retry_after
            .as_ref()
            .or(message.retry_after.as_ref());
        let waits = match (retry, after) {
            (Retry::None, _) => Vec::new(),
            (Retry::AsMta, None) => AFTER.to_vec(),
            (Retry::AsMta, Some(after)) => {
                let after = after.iter().take(MOST_RETRIES);
                after.map(|wait| wait.value.0).collect()
            }
        };
        let accepted = settings.expect.as_ref().and_then(|expect| expect.accepted);
        let within = accepted.and_then(|accepted| accepted.within);
        Self {
            waits,
            at_most: within.map_or(Duration::MAX, |within| within.0),
        }
    }

    /// How long to wait before the next attempt, when one follows the `made` ones, the first of which began so long ago.
    pub(super) fn next(&self, made: usize, since_first: Duration) -> Option<Duration> {
        let wait = *self.waits.get(made.checked_sub(1)?)?;
        (since_first.saturating_add(wait) <= self.at_most).then_some(wait)
    }

    /// How many attempts may follow the first.
    pub(super) fn attempts(&self) -> u32 {
        u32::try_from(self.waits.len()).unwrap_or(u32::MAX)
    }

    /// How long the waiting may take altogether.
    pub(super) fn longest(&self) -> Duration {
        let all = self
            .waits
            .iter()
            .fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait));
        all.min(self.at_most)
    }
}

/// The attempts of one mail so far.
#[derive(Debug)]
pub(super) struct Attempts {
    began: Instant,
    replies: Vec<(Instant, String)>,
    is_greylisting: bool,
}

impl Attempts {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            replies: Vec::new(),
            is_greylisting: true,
        }
    }

    /// Takes in how an attempt ended. How long to wait before the next one, if one follows: only after a 4yz that nobody
    /// expected.
    pub(super) fn next(
        &mut self,
        settings: &Deliver,
        schedule: &Schedule,
        end: &End,
        ended: Instant,
    ) -> Option<Duration> {
        let (text, refusal) = match end {
            End::Replied { reply, .. } => {
                let expected = settings
                    .expect
                    .as_ref()
                    .and_then(|expect| expect.reply.as_ref());
                let wanted = expected.is_some_and(|pattern| pattern.value.matches(reply.code));
                let text = format!("{} {}", reply.code, reply.text());
                let text = RemoteText::new(text.as_bytes(), RemoteText::LINE).to_string();
                (
                    text,
                    Some(reply).filter(|reply| reply.is_transient() && !wanted),
                )
            }
            End::Failed(failure) | End::Unknown(failure) => (failure.line(), None),
        };
        self.replies.push((ended, text));
        let refusal = refusal?;
        self.is_greylisting &= reads_like_greylisting(refusal);
        schedule.next(self.replies.len(), self.began.elapsed())
    }

    /// Says what the deferral was, when there was one: as evidence, as a note, and, when the mail was accepted in the end,
    /// as a finding.
    pub(super) fn tell(&self, cx: &Context<'_>, end: &End) {
        let [(first, refusal), .., (last, _)] = self.replies.as_slice() else {
            return;
        };
        let lasted = last.saturating_duration_since(*first);
        cx.evidence(|evidence| {
            evidence.deferral = Some(DeferralFacts {
                lasted,
                greylisted: self.is_greylisting,
                attempts: self
                    .replies
                    .iter()
                    .map(|(at, text)| (at.saturating_duration_since(*first), text.clone()))
                    .collect(),
            });
        });
        let (word, reason) = match self.is_greylisting {
            true => ("greylisted", Reason::Greylisted),
            false => ("deferred", Reason::Flaky),
        };
        let took = duration(lasted);
        cx.note(format!("{word} {took}"));
        let was_accepted = matches!(end, End::Replied { reply, final_reply: true, .. } if reply.is_positive_completion());
        let attempts = self.replies.len();
        if was_accepted {
            cx.find(Finding::new(
                reason,
                format!(
                    "accepted at attempt {attempts}, {word} {took}; the first answer was {refusal}"
                ),
            ));
        } else {
            cx.say(
                Mark::Info,
                &format!("not accepted at {attempts} attempts in {took}"),
            );
        }
    }
}

/// RFC 6647 §5 asks for 4.7.1 or 4.2.0 in a 450 or 451; most servers say it in words.
fn reads_like_greylisting(reply: &Reply) -> bool {
    let text = reply.text().to_ascii_lowercase();
    let says_so = ["greylist", "graylist", "grey list", "gray list"]
        .iter()
        .any(|word| text.contains(word));
    let code = reply.enhanced().map(|code| code.to_string());
    says_so || (matches!(reply.code, 450 | 451) && code.as_deref() == Some("4.7.1"))
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Accepted, Expect};
    use super::*;
    use crate::setting::{Period, Spanned};

    fn settings(retry: Option<Retry>, after: Option<&[u64]>) -> Deliver {
        let period = |seconds: &u64| Spanned::unplaced(Period(Duration::from_secs(*seconds)));
        Deliver {
            retry,
            retry_after: after.map(|after| after.iter().map(period).collect()),
            ..Deliver::default()
        }
    }

    #[test]
    fn a_mail_is_sent_again_only_when_that_is_asked_for() {
        let message = MessageDefaults::default();
        let none = Schedule::new(&settings(None, None), &message);
        assert_eq!(none.next(1, Duration::ZERO), None);
        assert_eq!(none.longest(), Duration::ZERO);
        let by_the_scenario = MessageDefaults {
            retry: Some(Retry::AsMta),
            ..MessageDefaults::default()
        };
        let schedule = Schedule::new(&settings(None, None), &by_the_scenario);
        assert_eq!(schedule.next(1, Duration::ZERO), Some(AFTER[0]));
        assert_eq!(schedule.next(3, Duration::ZERO), Some(AFTER[2]));
        assert_eq!(schedule.next(4, Duration::ZERO), None);
        let but_not_here = Schedule::new(&settings(Some(Retry::None), None), &by_the_scenario);
        assert_eq!(but_not_here.next(1, Duration::ZERO), None);
    }

    #[test]
    fn no_attempt_begins_after_the_time_to_be_accepted_in() {
        let mut settings = settings(Some(Retry::AsMta), Some(&[10, 20, 40]));
        settings.expect = Some(Expect {
            accepted: Some(Accepted {
                within: Some(Period(Duration::from_secs(35))),
                warn_after: None,
            }),
            ..Expect::default()
        });
        let schedule = Schedule::new(&settings, &MessageDefaults::default());
        let second = Duration::from_secs;
        assert_eq!(schedule.next(1, second(1)), Some(second(10)));
        assert_eq!(schedule.next(2, second(15)), Some(second(20)));
        assert_eq!(schedule.next(2, second(16)), None);
        assert_eq!(schedule.longest(), second(35));
    }

    #[test]
    fn greylisting_is_told_from_other_refusals() {
        for (code, text, expected) in [
            (450, "4.2.0 Client host rejected: Greylisted", true),
            (451, "4.7.1 Please try again later", true),
            (451, "Graylisted, come back", true),
            (452, "4.3.1 Insufficient system storage", false),
            (421, "4.7.1 Too many connections", false),
            (451, "4.3.0 Mail server temporarily rejected message", false),
        ] {
            let reply = Reply {
                code,
                lines: vec![text.to_owned()],
            };
            assert_eq!(reads_like_greylisting(&reply), expected, "{code} {text}");
        }
    }
}
