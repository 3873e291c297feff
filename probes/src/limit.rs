//! How long a check may take, and what is said of one that its limit cut off.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::span::duration;

/// Nobody looks at the clock more often than this while a check waits for its turn.
const LOOKS: Duration = Duration::from_millis(10);

/// A time limit, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The whole of it.
    pub length: Duration,
    /// `the step's`.
    pub whose: &'static str,
}

/// The two limits that can cut a check off.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The check's own, from its beginning. It stands still while the check waits for its turn.
    pub own: Limit,
    /// The limit of what the check is a part of, which goes on whatever the check waits for.
    pub outer: Limit,
    /// When `outer` is over.
    pub ends: Instant,
}

impl Limits {
    /// Completes when one of the limits is over, and gives that one.
    pub(crate) async fn over(&self, cx: &Context<'_>) -> Limit {
        loop {
            let own = self.own.length.saturating_add(cx.queued());
            let left = own.saturating_sub(cx.elapsed());
            let now = Instant::now();
            if self.ends <= now {
                return self.outer;
            }
            if left.is_zero() {
                return self.own;
            }
            // What waits for its turn has as much left when it wakes up as when it went to sleep.
            sleep_until(self.ends.min(now + left.max(LOOKS))).await;
        }
    }
}

/// What a check waits for that a server should say or do.
#[derive(Debug, Clone)]
pub(crate) struct Awaited {
    reason: Reason,
    missing: String,
    allowed: Option<Duration>,
    consequence: &'static str,
}

impl Awaited {
    /// If it never comes: the reason, and what is missing then, as `no reply to MAIL`.
    pub(crate) fn new(reason: Reason, missing: impl Into<String>) -> Self {
        Self {
            reason,
            missing: missing.into(),
            allowed: None,
            consequence: "",
        }
    }

    /// How long RFC 5321 §4.5.3.2 lets a server take.
    pub(crate) fn allowed(self, time: Duration) -> Self {
        Self {
            allowed: Some(time),
            ..self
        }
    }

    /// What follows from it, as the end of the sentence.
    pub(crate) fn consequence(self, consequence: &'static str) -> Self {
        Self {
            consequence,
            ..self
        }
    }
}

/// What is said of a check that `limit` ended.
///
/// Was it a server that used up the time, that is the finding, as if the phase's own limit had been over first. A check
/// that lost most of its time elsewhere (steps before it, a busy machine) says nothing about the server: its last
/// moments would accuse whoever happened to be next.
pub(crate) fn cut_off(cx: &Context<'_>, limit: Limit) -> Failure {
    let Limit { length, whose } = limit;
    let dialogue = cx.lock().phases.accept();
    match cx.awaited() {
        Some((awaited, _)) if dialogue.saturating_mul(2) >= length => {
            let allowed = awaited
                .allowed
                .map(|time| format!("; RFC 5321 allows {}", duration(time)))
                .unwrap_or_default();
            Failure::new(
                awaited.reason,
                format!(
                    "{} within {} ({whose} time limit{allowed}){}",
                    awaited.missing,
                    duration(length),
                    awaited.consequence
                ),
            )
        }
        awaited => {
            let awaited = awaited
                .map(|(awaited, since)| format!("; {} for {}", awaited.missing, duration(since)))
                .unwrap_or_default();
            let length = duration(length);
            let place = cx.whereabouts();
            Failure::new(
                Reason::Overrun,
                format!("not finished within {whose} time limit of {length}{place}{awaited}"),
            )
        }
    }
}
