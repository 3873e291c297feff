//! The name of a ledger entry.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use thiserror::Error;

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 2025-01-01T00:00:00Z in milliseconds: forty bits from here reach into 2059.
const EPOCH_MILLIS: u64 = 1_735_689_600_000;

const FORTY_BITS: u64 = (1 << 40) - 1;

/// Identifies one tagged message: 40 bits of time and 40 random bits, written as 16 characters of
/// Crockford's base 32. Ids sort by time. Safe in a header, a Message-ID, a subject and a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    time: u64,
    random: u64,
}

/// Why a text is not an entry id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntryIdError {
    /// Not 16 characters.
    #[error("an entry id has 16 characters")]
    Length,
    /// A character outside the alphabet.
    #[error(
        "the character {0:?} is not allowed in an entry id (digits and letters without I, L, O, U)"
    )]
    Character(char),
}

impl EntryId {
    /// An id from the wall clock in milliseconds since 1970 and a random number, of which the low
    /// 40 bits count. Times before 2025 count as its beginning; after 2059 the time begins again.
    pub fn from_parts(millis: u64, random: u64) -> Self {
        Self {
            time: millis.saturating_sub(EPOCH_MILLIS) & FORTY_BITS,
            random: random & FORTY_BITS,
        }
    }

    /// The time in the id, in milliseconds since 1970.
    pub fn millis(&self) -> u64 {
        EPOCH_MILLIS + self.time
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for half in [self.time, self.random] {
            for position in (0..8).rev() {
                let digit = (half >> (position * 5)) & 31;
                let symbol = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
                f.write_char(char::from(symbol))?;
            }
        }
        Ok(())
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, random) = text.split_at_checked(8).ok_or(EntryIdError::Length)?;
        if text.chars().count() != 16 {
            return Err(EntryIdError::Length);
        }
        Ok(Self {
            time: parse_half(time)?,
            random: parse_half(random)?,
        })
    }
}

fn parse_half(text: &str) -> Result<u64, EntryIdError> {
    text.chars().try_fold(0, |value, character| {
        let symbol = character.to_ascii_uppercase();
        let digit = ALPHABET
            .iter()
            .position(|known| char::from(*known) == symbol)
            .ok_or(EntryIdError::Character(character))?;
        Ok(value << 5 | digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_characters_that_sort_by_time() {
        let cases = [
            (EPOCH_MILLIS, 0, "0000000000000000"),
            (EPOCH_MILLIS + 1, 31, "000000010000000Z"),
            (EPOCH_MILLIS + FORTY_BITS, u64::MAX, "ZZZZZZZZZZZZZZZZ"),
            (0, 1 << 40, "0000000000000000"),
            (1_800_000_000_000, 0x12_3456_789a, "1VWK5N0028T5CY4T"),
        ];
        for (millis, random, expected) in cases {
            let id = EntryId::from_parts(millis, random);
            assert_eq!(id.to_string(), expected);
            assert_eq!(expected.parse(), Ok(id));
            assert_eq!(expected.to_lowercase().parse(), Ok(id));
        }
        assert!(
            EntryId::from_parts(1_800_000_000_000, 9) < EntryId::from_parts(1_800_000_000_001, 0)
        );
        assert_eq!(
            EntryId::from_parts(1_800_000_000_000, 9).millis(),
            1_800_000_000_000
        );
    }

    #[test]
    fn other_texts_are_refused() {
        let length = EntryIdError::Length;
        let cases = [
            ("", length),
            ("000000000000000", length),
            ("00000000000000000", length),
            ("000000000000000I", EntryIdError::Character('I')),
            ("0000000000 00000", EntryIdError::Character(' ')),
            ("00000000000000ä0", EntryIdError::Character('ä')),
            ("ääääääääääääääää", EntryIdError::Character('ä')),
            ("€€€€€€€€€€€€€€€€", length),
        ];
        for (input, expected) in cases {
            assert_eq!(input.parse::<EntryId>(), Err(expected), "{input:?}");
        }
    }
}
