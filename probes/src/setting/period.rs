//! A length of time with a unit: `500ms`, `20s`, `1m30s`, `2h`, `5d`.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A length of time that was written with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
/// Longer than anything that makes sense, short enough for every calculation.
const LONGEST_MS: u64 = 3_660 * 86_400_000;

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration: write a number and a unit, as `500ms`, `20s`, `2m`, `1m30s`, `1h` or `5d`"
            )
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Whoever leaves the unit out means seconds, mostly.
            let minutes = text.parse::<u64>().ok().filter(|n| *n > 0 && n % 60 == 0);
            let other = minutes.map_or(format!("{text}m"), |n| format!("{}m", n / 60));
            return Err(format!(
                "a duration needs a unit: write `{text}s` (or `{other}`)"
            ));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, next) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let (_, factor) = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?;
            total = number
                .checked_mul(*factor)
                .and_then(|part| total.checked_add(part))
                .filter(|sum| *sum <= LONGEST_MS)
                .ok_or_else(|| format!("`{text}` is too long: at most ten years"))?;
            rest = next;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in UNITS.iter().rev() {
            if left >= *factor {
                write!(f, "{}{unit}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Period;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration with a unit, as `20s`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Period, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Period, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "description": "A length of time with a unit: 500ms, 20s, 1m30s, 2h, 5d.",
            "examples": ["20s", "2m", "1h"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("20s", 20_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("5d", 432_000_000),
            ("0s", 0),
        ] {
            assert_eq!(
                text.parse::<Period>().unwrap().0,
                Duration::from_millis(millis),
                "{text}"
            );
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_duration_says_what_to_write() {
        for (text, part) in [
            ("60", "write `60s`"),
            ("", "is not a duration"),
            ("5 s", "is not a duration"),
            ("5parsec", "is not a duration"),
            ("-1s", "is not a duration"),
            ("99999999999d", "too long"),
        ] {
            let error = text.parse::<Period>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
