//! HdrHistogram's format V2, deflated, read within bounds. The library's reader believes the lengths that it finds:
//! four gigabytes of memory for twelve wrong bytes, and an overflow for a few others.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::{DIGITS, HIGHEST, HistogramError, LOWEST, micros};

const COMPRESSED: u32 = 0x1c84_9314;
const PLAIN: u32 = 0x1c84_9313;
/// Bytes before the counts of the plain form.
const HEAD: usize = 40;
/// Buckets of a histogram with our bounds, generously.
const BUCKETS: u64 = 24 * HALF;
/// With every bucket in use and each count as long as it can be.
const LONGEST: u64 = HEAD as u64 + BUCKETS * 9;
/// More samples than that in one bucket nobody takes in an hour.
const MOST: i64 = 1 << 48;
/// Buckets of equal width before the width doubles: enough for the digits that are kept.
const HALF: u64 = 1024;
/// Microseconds of the narrowest bucket, as a power of two: the one at or below [`LOWEST`].
const UNIT_BITS: u32 = 9;

/// The buckets in use: a value of each, and its count.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(u64, u64)>, HistogramError> {
    let (cookie, rest) = number(bytes, 4)?;
    let (length, rest) = number(rest, 4)?;
    if cookie != u64::from(COMPRESSED) || length != rest.len() as u64 {
        return Err(broken("it is not in the format V2, deflated"));
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(rest)
        .take(LONGEST + 1)
        .read_to_end(&mut plain)
        .map_err(|error| broken(&error.to_string()))?;
    if plain.len() as u64 > LONGEST {
        return Err(broken("it is too long"));
    }
    let (cookie, rest) = number(&plain, 4)?;
    let (length, rest) = number(rest, 4)?;
    let (offset, rest) = number(rest, 4)?;
    let (digits, rest) = number(rest, 4)?;
    let (low, rest) = number(rest, 8)?;
    let (high, rest) = number(rest, 8)?;
    let (ratio, counts) = number(rest, 8)?;
    let ours = cookie == u64::from(PLAIN)
        && offset == 0
        && digits == u64::from(DIGITS)
        && low == micros(LOWEST)
        && high == micros(HIGHEST)
        && ratio == 1_f64.to_bits();
    if !ours {
        return Err(broken("its bounds are not those of postrider"));
    }
    if length != counts.len() as u64 {
        return Err(broken("it ends too early or too late"));
    }
    buckets(counts)
}

/// Counts in the order of the buckets; a negative one stands for as many empty buckets.
fn buckets(mut rest: &[u8]) -> Result<Vec<(u64, u64)>, HistogramError> {
    let mut found = Vec::new();
    let mut bucket: u64 = 0;
    while !rest.is_empty() {
        let count = signed(&mut rest)?;
        let passed = if count < 0 { count.unsigned_abs() } else { 1 };
        if count > MOST {
            return Err(broken("a count is absurd"));
        }
        if count > 0 {
            found.push((value(bucket), count.unsigned_abs()));
        }
        bucket = bucket
            .checked_add(passed)
            .filter(|bucket| *bucket <= BUCKETS)
            .ok_or_else(|| broken("it has too many buckets"))?;
    }
    Ok(found)
}

/// The least value of a bucket.
fn value(bucket: u64) -> u64 {
    match bucket / HALF {
        0 => bucket << UNIT_BITS,
        // At most 24: the number of buckets is limited.
        doubled => (HALF + bucket % HALF) << (UNIT_BITS + doubled as u32 - 1),
    }
}

/// ZigZag LEB128, whose ninth byte has eight bits.
fn signed(rest: &mut &[u8]) -> Result<i64, HistogramError> {
    let mut number: u64 = 0;
    for place in 0..9 {
        let (&byte, behind) = rest
            .split_first()
            .ok_or_else(|| broken("it ends in the middle of a count"))?;
        *rest = behind;
        let last = place == 8 || byte < 0x80;
        let bits = if place == 8 { byte } else { byte & 0x7f };
        number |= u64::from(bits) << (7 * place);
        if last {
            break;
        }
    }
    Ok(((number >> 1) as i64) ^ -((number & 1) as i64))
}

/// A number of so many bytes, the most significant first.
fn number(bytes: &[u8], length: usize) -> Result<(u64, &[u8]), HistogramError> {
    let (head, rest) = bytes
        .split_at_checked(length)
        .ok_or_else(|| broken("it is too short"))?;
    let number = head
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok((number, rest))
}

fn broken(what: &str) -> HistogramError {
    HistogramError(format!("a histogram: {what}"))
}
