//! A number of bytes with a unit: `512B`, `8KiB`, `1MiB`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// A number of bytes that was written with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("B", 1),
];

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if digits > 0 && unit.is_empty() {
            return Err(format!(
                "a size needs a unit: write `{text}B` (or `{text}KiB`)"
            ));
        }
        let wrong = || {
            format!(
                "`{text}` is not a size: write a number and a unit, as `512B`, `8KiB` or `1MiB`"
            )
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .ok_or_else(wrong)?;
        number.checked_mul(*factor).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Size;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a size with a unit, as `8KiB`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Size, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Size, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+ ?(B|kB|MB|GB|KiB|MiB|GiB)$",
            "description": "A number of bytes with a unit: 512B, 8KiB, 1MiB.",
            "examples": ["8KiB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("512B", 512),
            ("8KiB", 8192),
            ("1MiB", 1 << 20),
            ("2kB", 2000),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().0, bytes);
        }
        assert!("8".parse::<Size>().unwrap_err().contains("write `8B`"));
        assert!(
            "lots"
                .parse::<Size>()
                .unwrap_err()
                .contains("is not a size")
        );
    }
}
