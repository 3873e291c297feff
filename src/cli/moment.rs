//! Times on the command line: so long ago, or a date.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use postrider_probes::setting::Period;

/// `7d`, `2026-11-14`, `2026-11-14T12:00`, `2026-11-14T12:00:00Z`. Without an offset it is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Ago(Duration),
    At(Timestamp),
}

impl Moment {
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(time) => now.saturating_sub(time).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(Period(time)) = text.parse() {
            return Ok(Self::Ago(time));
        }
        let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
        let at = text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| utc(text.parse::<DateTime>().ok()?))
            .or_else(|| {
                utc(text
                    .parse::<Date>()
                    .ok()?
                    .to_datetime(jiff::civil::Time::midnight()))
            });
        at.map(Self::At).ok_or_else(|| {
            format!("`{text}` is no time: write how long ago, as `7d` or `12h`, or a date, as `2026-11-14` or `2026-11-14T12:00:00Z`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_ago_or_a_date() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-11-14T12:00:00Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("2026-11-14", "2026-11-14T00:00:00Z"),
            ("2026-11-14T09:30", "2026-11-14T09:30:00Z"),
            ("2026-11-14T09:30:00+02:00", "2026-11-14T07:30:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.before(now).to_string(), expected, "{text}");
        }
        for text in ["", "7", "yesterday", "2026-13-01"] {
            let error = text.parse::<Moment>().unwrap_err();
            assert!(error.contains("`7d`"), "{error}");
        }
    }
}
