//! The single samples of one series and hour in few bytes, so that they can be kept for weeks: exact percentiles of
//! any short period, and what a baseline is made from.

use std::time::Duration;

use super::HistogramError;
use super::series::Timed;

/// The only version there is.
const VERSION: u8 = 1;
/// Samples of one series in one hour that are kept singly; the histogram counts all.
pub const MOST: usize = 100_000;
/// Bytes of the longest number.
const LONGEST_NUMBER: usize = 10;

/// One sample: when, in milliseconds from the beginning of its hour, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the hour began.
    pub after_ms: u32,
    /// What was measured.
    pub timed: Timed,
}

/// Packs samples in the order of time: version, then for each the milliseconds since the one before, and its
/// microseconds plus one; 0 stands for one that was never finished.
#[must_use]
pub fn pack(samples: &[Sample]) -> Vec<u8> {
    let mut sorted: Vec<Sample> = samples.iter().take(MOST).copied().collect();
    sorted.sort_by_key(|sample| sample.after_ms);
    let mut bytes = Vec::with_capacity(1 + 6 * sorted.len());
    bytes.push(VERSION);
    let mut before = 0;
    for sample in sorted {
        put(&mut bytes, u64::from(sample.after_ms - before));
        before = sample.after_ms;
        put(
            &mut bytes,
            match sample.timed {
                Timed::Took(took) => super::micros(took).saturating_add(1),
                Timed::Unfinished => 0,
            },
        );
    }
    bytes
}

/// Reads them back.
///
/// # Errors
/// When the bytes are not what [`pack`] writes.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Sample>, HistogramError> {
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(broken("their version is unknown"));
    };
    let mut samples = Vec::new();
    let mut at: u32 = 0;
    while !rest.is_empty() {
        if samples.len() == MOST {
            return Err(broken("there are too many"));
        }
        let after = u32::try_from(take(&mut rest)?).ok();
        at = after
            .and_then(|after| at.checked_add(after))
            .ok_or_else(|| broken("a time is out of range"))?;
        let timed = match take(&mut rest)? {
            0 => Timed::Unfinished,
            more => Timed::Took(Duration::from_micros(more - 1)),
        };
        samples.push(Sample {
            after_ms: at,
            timed,
        });
    }
    Ok(samples)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, HistogramError> {
    let mut number: u64 = 0;
    for place in 0..LONGEST_NUMBER {
        let (&byte, behind) = rest
            .split_first()
            .ok_or_else(|| broken("they end in the middle"))?;
        *rest = behind;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * place);
        if shifted >> (7 * place) != bits {
            break;
        }
        number |= shifted;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(broken("a number is too large"))
}

fn broken(what: &str) -> HistogramError {
    HistogramError(format!("packed samples: {what}"))
}
