//! TLSA records (RFC 6698) in presentation form: `3 1 1 0c72ac70…`.

use std::fmt;
use std::str::FromStr;

/// No certificate is longer than this, in bytes.
const LONGEST: usize = 65_535;

/// Which certificate is meant, which part of it, and what that part is compared with. The numbers are kept as they came:
/// what can be used depends on who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE (RFC 7218).
    pub usage: u8,
    /// 0 the certificate, 1 its public key.
    pub selector: u8,
    /// 0 the thing itself, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// What is compared.
    pub data: Vec<u8>,
}

/// Why a text is no TLSA record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTlsa;

impl fmt::Display for NotTlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not three numbers and a hexadecimal text, as in `3 1 1 0c72ac70…`")
    }
}

impl std::error::Error for NotTlsa {}

impl FromStr for Tlsa {
    type Err = NotTlsa;

    /// Blanks within the hexadecimal text are allowed, as in zone files.
    fn from_str(text: &str) -> Result<Self, NotTlsa> {
        let mut words = text.split_ascii_whitespace();
        let mut number = || -> Result<u8, NotTlsa> {
            let word = words.next().ok_or(NotTlsa)?;
            let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
            is_number
                .then(|| word.parse().ok())
                .flatten()
                .ok_or(NotTlsa)
        };
        let (usage, selector, matching) = (number()?, number()?, number()?);
        let mut digits = words.flat_map(str::bytes);
        let mut data = Vec::new();
        while let Some(high) = digits.next() {
            let low = digits.next().ok_or(NotTlsa)?;
            if data.len() == LONGEST {
                return Err(NotTlsa);
            }
            data.push(digit(high)? << 4 | digit(low)?);
        }
        Ok(Self {
            usage,
            selector,
            matching,
            data,
        })
    }
}

fn digit(byte: u8) -> Result<u8, NotTlsa> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(NotTlsa)
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Tlsa {
    /// The record, with the beginning of its data alone: enough to tell one from another.
    #[must_use]
    pub fn short(&self) -> String {
        const SHOWN: usize = 8;
        let mut short = Self {
            data: self.data.iter().take(SHOWN).copied().collect(),
            ..*self
        }
        .to_string();
        if self.data.len() > SHOWN {
            short.push('…');
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_three_numbers_and_hexadecimal_text() {
        for (text, wanted) in [
            ("3 1 1 0C72ac70", Some("3 1 1 0c72ac70")),
            ("3 1 1 0c72 ac70\tb745 ac", Some("3 1 1 0c72ac70b745ac")),
            ("255 255 255 00", Some("255 255 255 00")),
            ("2 0 0", Some("2 0 0 ")),
            ("256 1 1 00", None),
            ("+3 1 1 00", None),
            ("-1 1 1 00", None),
            ("3 1", None),
            ("3 1 1 0c7", None),
            ("3 1 1 0x00", None),
            ("3 1 1 żż", None),
            ("", None),
            ("\\# 35 030101", None),
        ] {
            let read = text.parse::<Tlsa>().ok().map(|record| record.to_string());
            assert_eq!(read.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_long_record_is_shown_by_its_beginning() {
        let record: Tlsa = "3 1 1 000102030405060708".parse().unwrap();
        assert_eq!(record.short(), "3 1 1 0001020304050607…");
        let record: Tlsa = "3 1 1 00".parse().unwrap();
        assert_eq!(record.short(), "3 1 1 00");
    }
}
