//! When a watch looks next. Pure: the loop in `watch` does what comes out of here.
//!
//! IDLE is not a clock: Dovecot gathers announcements for half a second. So while a mail is awaited the watch asks
//! by itself, at once after the final reply and then at intervals that grow in proportion to the time waited: the
//! error of the sighting stays a small share of the latency, and a long wait costs next to nothing. As soon as that
//! interval is longer than any server gathers, IDLE can only make it better, and takes over.

use std::time::Duration;

use tokio::time::Instant;

use super::news::Interest;

/// What to do until the next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Look again after this time.
    Poll(Duration),
    /// IDLE, and look again after this time if nothing was announced.
    Idle(Duration),
}

/// How fine the looks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// No two looks are nearer to each other.
    shortest: Duration,
    /// An interval is the time waited divided by this.
    divisor: u32,
}

impl Pace {
    /// For a folder in which mail is expected: less than 1 % of the latency.
    pub(super) const EXPECTED: Self = Self {
        shortest: Duration::from_millis(4),
        divisor: 128,
    };
    /// For the junk folder beside it, where nothing is hoped for: less than 2 %.
    pub(super) const BESIDE: Self = Self {
        shortest: Duration::from_millis(20),
        divisor: 64,
    };
    /// For a folder that is not there yet: each look is a LIST.
    pub(super) const ABSENT: Self = Self {
        shortest: Duration::from_millis(250),
        divisor: 32,
    };
}

impl Wait {
    /// The time until the next look when nothing happens.
    pub(super) fn length(self) -> Duration {
        match self {
            Self::Poll(length) | Self::Idle(length) => length,
        }
    }
}

/// Longest first interval while mails are awaited of which none was accepted yet: one may be in the mailbox before we
/// know of the reply.
const BEFORE_THE_REPLY: Duration = Duration::from_millis(25);
/// That interval is reached when so many times of it were waited: a quick server is looked at finely.
const BEFORE_THE_REPLY_DIVISOR: u32 = 8;
/// From here on IDLE is no worse than looking; no server gathers announcements for so long.
const IDLE_FROM: Duration = Duration::from_secs(1);
/// Longest interval without IDLE while a mail is awaited.
const LONGEST_POLL: Duration = Duration::from_secs(30);
/// Interval without IDLE while nothing is awaited.
const QUIET_POLL: Duration = Duration::from_secs(60);
/// IDLE is begun anew after this time: address translators forget silent connections, and a look proves that the
/// folder is still read.
const LONGEST_IDLE: Duration = Duration::from_secs(300);

/// What to do between a look that began at `looked` and the next one.
///
/// `since` is when the interest became what it is; it stands in for the final reply when there is none.
pub(super) fn next(
    now: Instant,
    looked: Instant,
    interest: &Interest,
    since: Instant,
    idle: bool,
    pace: Pace,
) -> Wait {
    if interest.awaited == 0 {
        return match idle {
            true => Wait::Idle(LONGEST_IDLE),
            false => Wait::Poll((looked + QUIET_POLL).saturating_duration_since(now)),
        };
    }
    let waited = |from: Instant| now.saturating_duration_since(from) / pace.divisor;
    let interval = match interest.latest {
        Some(reply) => waited(reply).max(pace.shortest),
        None => {
            let first = now.saturating_duration_since(since) / BEFORE_THE_REPLY_DIVISOR;
            waited(since).max(first.clamp(pace.shortest, BEFORE_THE_REPLY.max(pace.shortest)))
        }
    };
    if idle && interval >= IDLE_FROM {
        return Wait::Idle(interval.min(LONGEST_IDLE));
    }
    let interval = interval.min(LONGEST_POLL);
    Wait::Poll((looked + interval).saturating_duration_since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1;
    const S: u64 = 1_000;
    const MIN: u64 = 60 * S;
    const HOUR: u64 = 60 * MIN;

    fn awaiting(latest: Option<Instant>) -> Interest {
        Interest {
            awaited: 1,
            latest,
            ..Interest::default()
        }
    }

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn the_interval_grows_with_the_time_waited_and_then_idle_takes_over() {
        use Wait::{Idle, Poll};
        let poll = |millis| Poll(Duration::from_millis(millis));
        let idle = |millis| Idle(Duration::from_millis(millis));
        let start = Instant::now();
        for (waited, with_idle, without) in [
            (0, poll(4), poll(4)),
            (100 * MS, poll(4), poll(4)),
            (
                S,
                Poll(Duration::from_micros(7_812) + Duration::from_nanos(500)),
                Poll(Duration::from_nanos(7_812_500)),
            ),
            (64 * S, poll(500), poll(500)),
            (128 * S, idle(S), poll(S)),
            (
                10 * MIN,
                Idle(Duration::from_nanos(4_687_500_000)),
                Poll(Duration::from_nanos(4_687_500_000)),
            ),
            (2 * HOUR, Idle(Duration::from_millis(56_250)), poll(30 * S)),
            (48 * HOUR, idle(300 * S), poll(30 * S)),
        ] {
            let now = after(start, waited);
            let interest = awaiting(Some(start));
            let next = |idle| next(now, now, &interest, start, idle, Pace::EXPECTED);
            assert_eq!(next(true), with_idle, "{waited} ms with IDLE");
            assert_eq!(next(false), without, "{waited} ms without IDLE");
        }
    }

    #[test]
    fn nothing_awaited_is_a_long_idle_or_a_slow_poll() {
        let now = Instant::now();
        let nothing = Interest {
            latest: Some(now),
            ..Interest::default()
        };
        let next = |idle| next(now, now, &nothing, now, idle, Pace::EXPECTED);
        assert_eq!(next(true), Wait::Idle(LONGEST_IDLE));
        assert_eq!(next(false), Wait::Poll(QUIET_POLL));
    }

    #[test]
    fn before_the_final_reply_the_time_counts_from_the_interest() {
        let start = Instant::now();
        for (waited, wait) in [
            (0, Wait::Poll(Duration::from_millis(4))),
            (80 * MS, Wait::Poll(Duration::from_millis(10))),
            (2 * S, Wait::Poll(BEFORE_THE_REPLY)),
            (64 * S, Wait::Poll(Duration::from_millis(500))),
            (48 * HOUR, Wait::Idle(LONGEST_IDLE)),
        ] {
            let now = after(start, waited);
            let next = next(now, now, &awaiting(None), start, true, Pace::EXPECTED);
            assert_eq!(next, wait, "{waited} ms");
        }
    }

    #[test]
    fn a_look_that_took_long_is_followed_by_the_next_at_once() {
        let looked = Instant::now();
        let now = after(looked, 50);
        let wait = next(
            now,
            looked,
            &awaiting(Some(looked)),
            looked,
            true,
            Pace::EXPECTED,
        );
        assert_eq!(wait, Wait::Poll(Duration::ZERO));
    }

    #[test]
    fn a_reply_that_seems_to_lie_ahead_is_polled_as_fast_as_a_fresh_one() {
        let now = Instant::now();
        let wait = next(
            now,
            now,
            &awaiting(Some(after(now, S))),
            now,
            true,
            Pace::EXPECTED,
        );
        assert_eq!(wait, Wait::Poll(Pace::EXPECTED.shortest));
    }

    /// The first look at or after `visible`, by a server that never announces anything.
    fn sighting(visible: Duration, idle: bool, pace: Pace) -> Duration {
        let start = Instant::now();
        let interest = awaiting(Some(start));
        let mut now = start;
        while now < start + visible {
            let (Wait::Poll(pause) | Wait::Idle(pause)) =
                next(now, now, &interest, start, idle, pace);
            assert!(pause >= pace.shortest, "the loop never spins");
            now += pause;
        }
        now - start
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn the_sighting_error_is_a_small_share_of_the_latency(
            exponent in 0.0_f64..11.2, // up to 44 hours
            idle: bool,
            beside: bool,
        ) {
            let visible = Duration::from_secs_f64(exponent.exp() / 500.0);
            let (pace, share, floor) = match beside {
                true => (Pace::BESIDE, 0.016, 0.020),
                false => (Pace::EXPECTED, 0.008, 0.004),
            };
            let error = sighting(visible, idle, pace) - visible;
            let allowed = (visible.as_secs_f64() * share).max(floor);
            prop_assert!(error.as_secs_f64() <= allowed, "{error:?} after {visible:?}");
        }

        #[test]
        fn a_wait_of_a_day_costs_few_looks(idle: bool) {
            let start = Instant::now();
            let interest = awaiting(Some(start));
            let (mut now, mut looks) = (start, 0);
            while now < start + Duration::from_secs(86_400) {
                let (Wait::Poll(pause) | Wait::Idle(pause)) =
                    next(now, now, &interest, start, idle, Pace::EXPECTED);
                now += pause;
                looks += 1;
            }
            prop_assert!(looks < if idle { 1_800 } else { 4_200 }, "{looks}");
        }
    }
}
