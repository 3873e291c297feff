//! How fast starts that are late already are let go: a backlog is worked off, never thrown at the servers.

use std::time::Duration;

use tokio::time::Instant;

/// Late starts that need not wait.
const AT_ONCE: u32 = 20;
/// Late starts in a second, beside as many as are planned for a second.
const PER_SECOND: f64 = 20.0;

/// Gives each late start its moment.
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    /// The first moment that is not given away.
    free: Option<Instant>,
}

impl Pace {
    /// For schedules that plan so many starts a second.
    pub(super) fn new(planned_per_second: f64) -> Self {
        let mut pace = Self {
            gap: Duration::ZERO,
            free: None,
        };
        pace.set(planned_per_second);
        pace
    }

    pub(super) fn set(&mut self, planned_per_second: f64) {
        self.gap = Duration::from_secs_f64(1.0 / (PER_SECOND + planned_per_second.clamp(0.0, 1e6)));
    }

    /// How long the next one has to wait.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let credit = self.gap * (AT_ONCE - 1);
        let earliest = now.checked_sub(credit).unwrap_or(now);
        let given = self.free.map_or(earliest, |free| free.max(earliest));
        self.free = Some(given + self.gap);
        given.saturating_duration_since(now)
    }
}
