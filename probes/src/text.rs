//! Numbers for people: three significant digits, the unit always attached.

use std::time::Duration;

/// `31 ms`, `4.20 s`, `1 m 9 s`, `3 h 5 m`, `61 d`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    match seconds {
        s if s < 0.0095 => format!("{:.1} ms", s * 1000.0),
        s if s < 0.9995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => pair(whole / 60, "m", whole % 60, "s"),
        _ if whole < 86_400 => pair(whole / 3600, "h", whole % 3600 / 60, "m"),
        _ => pair(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// `96 %`.
#[must_use]
pub fn share(ratio: f64) -> String {
    format!("{:.0} %", ratio.clamp(0.0, 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_and_its_unit() {
        for (millis, text) in [
            (0, "0.0 ms"),
            (5, "5.0 ms"),
            (31, "31 ms"),
            (999, "999 ms"),
            (1000, "1.00 s"),
            (4_204, "4.20 s"),
            (10_000, "10.0 s"),
            (59_949, "59.9 s"),
            (59_999, "1 m"),
            (69_000, "1 m 9 s"),
            (3_599_600, "1 h"),
            (11_100_000, "3 h 5 m"),
            (5_270_400_000, "61 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text, "{millis}");
        }
    }
}
