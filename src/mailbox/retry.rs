//! When a watch that failed tries again. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The first try while a mail is awaited: most interruptions are over at once.
const AT_ONCE: Duration = Duration::from_millis(50);
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// A session that lasted so long was a good one: what fails next is a new failure.
pub(super) const GOOD_SESSION: Duration = Duration::from_secs(30);
/// Logins refused in a row, over all folders of the mailbox, before the guard closes. Servers lock accounts.
const REFUSALS: u32 = 3;
/// How long to wait for the attempts of other folders.
const AFTER_OTHERS: Duration = Duration::from_millis(20);
const CLOSED_FOR: Duration = Duration::from_secs(300);

/// How long to wait after `failed` failures in a row. `dice` is 0 … 1 and keeps many watches from trying together.
pub(super) fn delay(failed: u32, awaited: bool, dice: f64) -> Duration {
    if awaited && failed <= 1 {
        return AT_ONCE;
    }
    let doubled = FIRST.saturating_mul(1 << failed.saturating_sub(1).min(10));
    doubled.min(LONGEST).mul_f64(0.75 + dice / 4.0)
}

/// Counts the refused logins of one mailbox, over all its folders, and closes for a while after three in a row.
#[derive(Debug, Default)]
pub(super) struct LoginGuard {
    refused: u32,
    trying: u32,
    closed_until: Option<Instant>,
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Accepted,
    Refused,
    /// It did not come to an answer.
    Unknown,
}

impl LoginGuard {
    /// Asks for one attempt; how long to wait if it may not be made now. Each attempt is ended by [`Self::end`].
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.closed_until {
            if now < until {
                return Err(until - now);
            }
            // One attempt shows whether the credentials are good again.
            self.closed_until = None;
            self.refused = REFUSALS - 1;
        }
        if self.refused + self.trying >= REFUSALS {
            return Err(AFTER_OTHERS);
        }
        self.trying += 1;
        Ok(())
    }

    /// Ends an attempt.
    pub(super) fn end(&mut self, login: Login, now: Instant, dice: f64) {
        self.trying = self.trying.saturating_sub(1);
        match login {
            Login::Accepted => self.refused = 0,
            Login::Unknown => {}
            Login::Refused => {
                self.refused = self.refused.saturating_add(1);
                if self.refused >= REFUSALS {
                    self.closed_until = Some(now + CLOSED_FOR.mul_f64(1.0 + dice / 4.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_minute() {
        for (failed, awaited, millis) in [
            (1, true, 50),
            (1, false, 500),
            (2, true, 1_000),
            (2, false, 1_000),
            (4, true, 4_000),
            (8, false, 60_000),
            (4_000_000_000, true, 60_000),
        ] {
            let longest = delay(failed, awaited, 1.0);
            assert_eq!(longest, Duration::from_millis(millis), "{failed} {awaited}");
            let shortest = delay(failed, awaited, 0.0);
            assert!(shortest >= longest.mul_f64(0.74), "{failed} {awaited}");
        }
    }

    #[test]
    fn three_refused_logins_in_a_row_close_the_guard_for_five_minutes() {
        let mut guard = LoginGuard::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(guard.begin(start), Ok(()));
            guard.end(Login::Refused, start, 0.0);
        }
        assert_eq!(guard.begin(start), Err(CLOSED_FOR));
        let later = start + CLOSED_FOR;
        assert_eq!(guard.begin(later), Ok(()));
        guard.end(Login::Refused, later, 0.0);
        assert_eq!(
            guard.begin(later),
            Err(CLOSED_FOR),
            "one more, and it is closed again"
        );
    }

    #[test]
    fn folders_that_try_together_do_not_make_a_fourth_attempt() {
        let mut guard = LoginGuard::default();
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(guard.begin(now), Ok(()));
        }
        assert!(guard.begin(now).is_err());
        guard.end(Login::Accepted, now, 0.0);
        assert_eq!(guard.begin(now), Ok(()));
    }

    #[test]
    fn an_accepted_login_and_a_broken_one_are_no_refusals() {
        let mut guard = LoginGuard::default();
        let now = Instant::now();
        for login in [
            Login::Refused,
            Login::Refused,
            Login::Unknown,
            Login::Accepted,
            Login::Refused,
        ] {
            assert_eq!(guard.begin(now), Ok(()));
            guard.end(login, now, 0.0);
        }
        assert_eq!(guard.begin(now), Ok(()));
    }
}
