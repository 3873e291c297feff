//! A length of time in words for people: `350 ms`, `1.2 s`, `10 s`, `1 m 9 s`, `2 h`.

use std::fmt;
use std::time::Duration;

/// Shows a length of time with its unit and at most three significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 0.9995 {
            return write!(f, "{} ms", three_digits(seconds * 1_000.0));
        }
        if seconds < 59.95 {
            return write!(f, "{} s", three_digits(seconds));
        }
        let whole = self.0.as_secs() + u64::from(self.0.subsec_millis() >= 500);
        let (larger, smaller) = match whole {
            ..3_600 => ((whole / 60, "m"), (whole % 60, "s")),
            3_600..86_400 => ((whole / 3_600, "h"), (whole % 3_600 / 60, "m")),
            _ => ((whole / 86_400, "d"), (whole % 86_400 / 3_600, "h")),
        };
        write!(f, "{} {}", larger.0, larger.1)?;
        if smaller.0 > 0 {
            write!(f, " {} {}", smaller.0, smaller.1)?;
        }
        Ok(())
    }
}

/// A length of time in words.
#[must_use]
pub fn duration(time: Duration) -> String {
    Span(time).to_string()
}

/// `96 %`.
#[must_use]
pub fn share(ratio: f64) -> String {
    format!("{:.0} %", ratio.clamp(0.0, 1.0) * 100.0)
}

/// `number` (below 1000) with at most three significant digits and no idle zeros.
fn three_digits(number: f64) -> String {
    let places = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    let text = format!("{number:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_and_three_digits() {
        for (micros, text) in [
            (0, "0 ms"),
            (350, "0.35 ms"),
            (12_345, "12.3 ms"),
            (999_400, "999 ms"),
            (999_600, "1 s"),
            (1_234_000, "1.23 s"),
            (10_000_000, "10 s"),
            (59_990_000, "1 m"),
            (69_000_000, "1 m 9 s"),
            (120_000_000, "2 m"),
            (3_600_000_000, "1 h"),
            (7_380_000_000, "2 h 3 m"),
            (183_600_000_000, "2 d 3 h"),
        ] {
            assert_eq!(Span(Duration::from_micros(micros)).to_string(), text);
        }
    }
}
