//! `250`, `25x`, `5xx`: which replies are meant.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// A reply code or a class of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyPattern([Option<u8>; 3]);

impl ReplyPattern {
    /// Whether a reply code is meant.
    #[must_use]
    pub fn matches(self, code: u16) -> bool {
        let digits = [code / 100, code / 10 % 10, code % 10];
        self.0
            .iter()
            .zip(digits)
            .all(|(wanted, digit)| wanted.is_none_or(|wanted| u16::from(wanted) == digit))
    }

    /// Whether only refusals are meant, so that nothing is expected to arrive.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self.0[0], Some(4 | 5))
    }
}

impl std::str::FromStr for ReplyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a reply: write a code as `250`, or a class as `5xx`");
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let mut pattern = [None; 3];
        for (place, byte) in pattern.iter_mut().zip(bytes) {
            *place = match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'x' => None,
                _ => return Err(wrong()),
            };
        }
        if !matches!(pattern[0], Some(2..=5)) || (pattern[1].is_none() && pattern[2].is_some()) {
            return Err(wrong());
        }
        Ok(Self(pattern))
    }
}

impl std::fmt::Display for ReplyPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|digit| match digit {
            Some(digit) => write!(f, "{digit}"),
            None => f.write_str("x"),
        })
    }
}

impl<'de> Deserialize<'de> for ReplyPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = ReplyPattern;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a reply code as `250`, or a class as `5xx`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ReplyPattern, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ReplyPattern, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ReplyPattern, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for ReplyPattern {
    fn schema_name() -> Cow<'static, str> {
        "Reply".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A reply code as 250, or a class as 5xx.",
            "anyOf": [
                { "type": "integer", "minimum": 200, "maximum": 599 },
                { "type": "string", "pattern": "^[2-5]([0-9][0-9x]|xx)$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_matches_all_its_codes() {
        for (pattern, code, matches) in [
            ("250", 250, true),
            ("250", 251, false),
            ("25x", 251, true),
            ("5xx", 550, true),
            ("5xx", 450, false),
        ] {
            assert_eq!(
                pattern.parse::<ReplyPattern>().unwrap().matches(code),
                matches,
                "{pattern} {code}"
            );
        }
        for wrong in ["", "25", "2500", "x50", "5x0", "650", "abc"] {
            assert!(wrong.parse::<ReplyPattern>().is_err(), "{wrong}");
        }
    }
}
