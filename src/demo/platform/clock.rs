//! The platform's wall clock: the caller's time at the start, moved on by the monotonic clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Gives the wall-clock time without reading the system's clock again.
#[derive(Debug, Clone, Copy)]
pub(super) struct WallClock {
    started: Timestamp,
    start: Instant,
}

impl WallClock {
    pub(super) fn starting_at(started: Timestamp) -> Self {
        let start = Instant::now();
        Self { started, start }
    }

    pub(super) fn now(&self) -> Timestamp {
        let elapsed: Duration = self.start.elapsed();
        self.started.saturating_add(elapsed).unwrap_or(self.started)
    }
}

/// As in a `Date` or `Received` field (RFC 5322 §3.3), in UTC.
pub(super) fn mail_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// As in an INTERNALDATE (RFC 3501 §9, `date-time`), in UTC.
pub(super) fn internal_date(time: Timestamp) -> String {
    time.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}

/// What a host whose clock is `skew` ahead takes the time to be.
pub(super) fn skewed(time: Timestamp, skew: SignedDuration) -> Timestamp {
    time.saturating_add(skew).unwrap_or(time)
}
