//! The only place that reads the wall clock. Everything that decides takes the time as an argument.

#[cfg(test)]
use jiff::SignedDuration;
use jiff::Timestamp;
use tokio::time::Instant;

/// The wall clock, now.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that the lint points to"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Microseconds of CLOCK_MONOTONIC, as systemd counts them. Measures nothing in here.
#[must_use]
pub fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000_000 + nanos / 1_000
}

#[cfg(test)]
thread_local! {
    /// How far the virtual clocks of this thread were set.
    static JUMPED: std::cell::Cell<SignedDuration> = const { std::cell::Cell::new(SignedDuration::ZERO) };
}

/// Gives the wall time: the system's, or in tests a given moment plus tokio's elapsed time, so that both clocks move
/// together when time is paused.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    anchor: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { anchor: None }
    }

    /// A clock that shows `start` now and moves with tokio's clock.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        #[cfg(test)]
        JUMPED.set(SignedDuration::ZERO);
        Self {
            anchor: Some((start, Instant::now())),
        }
    }

    /// The wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.anchor {
            None => now(),
            // Saturates at the end of time, which is in the year 9999.
            Some((start, since)) => {
                #[cfg(test)]
                let start = start.saturating_add(JUMPED.get()).unwrap_or(Timestamp::MAX);
                start
                    .saturating_add(since.elapsed())
                    .unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Somebody sets the wall clock: every virtual one of this thread shows so much more or less from now on.
    #[cfg(test)]
    pub(crate) fn jump(by: SignedDuration) {
        JUMPED.set(JUMPED.get() + by);
    }

    /// The wall time at a moment of the monotonic clock that is not in the future.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Timestamp {
        let ago = Instant::now().saturating_duration_since(moment);
        self.now().saturating_sub(ago).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn test_clock_moves_with_virtual_time() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().as_second(), 90);
        assert_eq!(clock.at(began).as_second(), 0);
    }

    #[test]
    fn moment_in_the_future_is_now() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let later = Instant::now() + Duration::from_secs(60);
        assert!(clock.at(later) <= clock.now());
    }
}
