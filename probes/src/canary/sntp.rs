//! One question to a time server (RFC 5905 §14: SNTP, client side): 48 bytes there, 48 bytes back.

use jiff::{SignedDuration, Timestamp};

/// Seconds from 1900, the epoch of NTP, to 1970.
const EPOCH: i64 = 2_208_988_800;
const LENGTH: usize = 48;

/// A question, and the time in it as the server will repeat it.
pub(super) fn query(now: Timestamp) -> (Vec<u8>, u64) {
    let mut packet = vec![0; LENGTH];
    // No leap warning, version 4, mode 3: client.
    packet[0] = 0b00_100_011;
    let sent = to_ntp(now);
    packet[40..].copy_from_slice(&sent.to_be_bytes());
    (packet, sent)
}

/// How far the server's clock is ahead of ours: `sent` is what [`query`] gave, `now` is when the answer came.
///
/// # Errors
/// Why the answer tells no time.
pub(super) fn offset(answer: &[u8], sent: u64, now: Timestamp) -> Result<SignedDuration, String> {
    if answer.len() < LENGTH {
        return Err(format!("its answer has {} bytes", answer.len()));
    }
    let time = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&answer[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    if answer[0] & 7 != 4 {
        return Err("its answer is not a server's".to_owned());
    }
    if time(24) != sent {
        return Err("its answer belongs to another question".to_owned());
    }
    // Stratum 0 is a refusal ("kiss of death"), a leap indicator of 3 a clock that is not set.
    if answer[1] == 0 || answer[1] > 15 || answer[0] >> 6 == 3 {
        return Err("its own clock is not set".to_owned());
    }
    let (received, transmitted) = (time(32), time(40));
    if received == 0 || transmitted == 0 {
        return Err("its answer holds no time".to_owned());
    }
    let there = difference(received, sent);
    let back = difference(transmitted, to_ntp(now));
    Ok(SignedDuration::from_nanos(
        i64::try_from((there + back) / 2).unwrap_or(i64::MAX),
    ))
}

/// 32 bits of seconds, 32 bits of fraction, modulo 2^64: eras of 136 years follow each other.
fn to_ntp(at: Timestamp) -> u64 {
    let seconds = (at.as_second() + EPOCH).cast_unsigned();
    // Nanoseconds of a time after 1970 are not negative.
    let fraction = (u64::from(at.subsec_nanosecond().unsigned_abs()) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

/// `a - b` in nanoseconds, over the end of an era as well.
fn difference(a: u64, b: u64) -> i128 {
    i128::from(a.wrapping_sub(b).cast_signed()) * 1_000_000_000 / (1_i128 << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn answer(sent: u64, received: Timestamp, transmitted: Timestamp) -> Vec<u8> {
        let mut packet = vec![0; LENGTH];
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&sent.to_be_bytes());
        packet[32..40].copy_from_slice(&to_ntp(received).to_be_bytes());
        packet[40..48].copy_from_slice(&to_ntp(transmitted).to_be_bytes());
        packet
    }

    #[test]
    fn offset_is_the_mean_of_both_ways() {
        let cases = [
            ("2026-11-21T12:00:05Z", "2026-11-21T12:00:05.01Z", 4.995),
            ("2026-11-21T11:59:00Z", "2026-11-21T11:59:00Z", -60.01),
            ("2026-11-21T12:00:00.01Z", "2026-11-21T12:00:00.01Z", 0.0),
        ];
        for (received, transmitted, seconds) in cases {
            let (_, sent) = query(at("2026-11-21T12:00:00Z"));
            let reply = answer(sent, at(received), at(transmitted));
            let offset = offset(&reply, sent, at("2026-11-21T12:00:00.02Z")).unwrap();
            assert!((offset.as_secs_f64() - seconds).abs() < 1e-6, "{offset}");
        }
    }

    #[test]
    fn the_era_of_2036_is_crossed() {
        let (_, sent) = query(at("2036-02-07T06:28:15.5Z"));
        let reply = answer(sent, at("2036-02-07T06:28:17Z"), at("2036-02-07T06:28:17Z"));
        let offset = offset(&reply, sent, at("2036-02-07T06:28:15.5Z")).unwrap();
        assert!((offset.as_secs_f64() - 1.5).abs() < 1e-6, "{offset}");
    }

    #[test]
    fn an_answer_that_tells_no_time_is_named() {
        let now = at("2026-11-21T12:00:00Z");
        let (_, sent) = query(now);
        let good = answer(sent, now, now);
        let with = |at: usize, byte: u8| {
            let mut packet = good.clone();
            packet[at] = byte;
            packet
        };
        for (packet, problem) in [
            (good[..47].to_vec(), "its answer has 47 bytes"),
            (with(0, 0b00_100_011), "its answer is not a server's"),
            (with(24, 0), "its answer belongs to another question"),
            (with(1, 0), "its own clock is not set"),
            (with(1, 16), "its own clock is not set"),
            (with(0, 0b11_100_100), "its own clock is not set"),
            (
                answer(sent, at("1900-01-01T00:00:00Z"), now),
                "its answer holds no time",
            ),
        ] {
            assert_eq!(offset(&packet, sent, now).unwrap_err(), problem);
        }
    }
}
