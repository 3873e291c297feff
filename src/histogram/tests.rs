use proptest::collection::vec;
use proptest::prelude::*;

use super::packed::{Sample, pack, unpack};
use super::series::{CheckKey, Timed, is_manual, timed};
use super::*;
use crate::result::{CheckResult, FindingResult, SourceResult, StatusWord, TargetResult};
use postrider_probes::phase::Phase;

fn of(samples: &[u64]) -> Histogram {
    let mut histogram = Histogram::new().unwrap();
    for micros in samples {
        histogram.record(Duration::from_micros(*micros));
    }
    histogram
}

fn stored(histogram: &Histogram) -> Vec<u8> {
    histogram.encode(&mut Encoder::default()).unwrap()
}

/// Microseconds: mostly what mail takes, sometimes anything.
fn times() -> impl Strategy<Value = Vec<u64>> {
    vec(
        prop_oneof![5 => 0..20_000_000_u64, 1 => any::<u64>()],
        0..200,
    )
}

/// The nearest rank among the samples themselves.
fn exact(sorted: &[u64], quantile: Quantile) -> u64 {
    let rank = (sorted.len() as f64 * quantile.ratio()).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

proptest! {
    #[test]
    fn stored_hours_add_up_to_the_histogram_of_all(hours in vec(times(), 0..8)) {
        let mut merged = Histogram::new().unwrap();
        for hour in &hours {
            merged.add_encoded(&stored(&of(hour))).unwrap();
        }
        let all = of(&hours.concat());
        prop_assert_eq!(merged.len(), all.len());
        for quantile in Quantile::ALL {
            prop_assert_eq!(merged.quantile(quantile), all.quantile(quantile));
        }
        prop_assert_eq!(merged, all);
    }

    #[test]
    fn percentiles_are_those_of_the_samples_to_three_digits(mut samples in vec(0..600_000_000_u64, 1000..1200)) {
        let histogram = of(&samples);
        samples.sort_unstable();
        for quantile in Quantile::ALL {
            let told = histogram.quantile(quantile).unwrap().as_micros() as f64;
            let truth = exact(&samples, quantile) as f64;
            // Below one millisecond times half a thousand a bucket is half a millisecond wide.
            prop_assert!((told - truth).abs() <= (truth / 1000.0).max(512.0), "{}: {told} {truth}", quantile.name());
        }
    }

    #[test]
    fn foreign_bytes_are_an_error_and_no_more(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(of(&[1]).add_encoded(&bytes).is_err());
        let _ = unpack(&bytes);
    }

    #[test]
    fn damaged_histograms_never_panic_and_add_all_or_nothing(samples in times(), place in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = stored(&of(&samples));
        let place = place.index(bytes.len());
        bytes[place] = with;
        let mut histogram = Histogram::new().unwrap();
        if histogram.add_encoded(&bytes).is_err() {
            prop_assert!(histogram.is_empty());
        }
    }

    #[test]
    fn damaged_counts_never_panic(counts in vec(any::<u8>(), 0..60)) {
        let _ = of(&[]).add_encoded(&deflated(&counts, 3, 604_800_000_000));
    }

    #[test]
    fn packed_samples_are_read_back(mut samples in vec((0..3_600_000_u32, prop::option::of(any::<u32>())), 0..100)) {
        samples.sort_by_key(|(after_ms, _)| *after_ms);
        let samples: Vec<Sample> = samples
            .into_iter()
            .map(|(after_ms, micros)| Sample {
                after_ms,
                timed: micros.map_or(Timed::Unfinished, |micros| {
                    Timed::Took(Duration::from_micros(u64::from(micros)))
                }),
            })
            .collect();
        prop_assert_eq!(unpack(&pack(&samples)).unwrap(), samples);
    }
}

/// A stored histogram with these counts.
fn deflated(counts: &[u8], digits: u32, high: u64) -> Vec<u8> {
    use std::io::Write as _;

    let mut plain = Vec::new();
    plain.extend(0x1c84_9313_u32.to_be_bytes());
    plain.extend((counts.len() as u32).to_be_bytes());
    plain.extend(0_u32.to_be_bytes());
    plain.extend(digits.to_be_bytes());
    plain.extend(1000_u64.to_be_bytes());
    plain.extend(high.to_be_bytes());
    plain.extend(1_f64.to_be_bytes());
    plain.extend(counts);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    let body = encoder.finish().unwrap();
    let mut bytes = 0x1c84_9314_u32.to_be_bytes().to_vec();
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn what_is_stored_can_be_read_by_the_library_as_well() {
    let histogram = of(&[0, 1, 900, 21_000, 4_200_000, 600_000_000, 86_400_000_000]);
    let bytes = stored(&histogram);
    let read: Counts<u64> = hdrhistogram::serialization::Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .unwrap();
    assert_eq!(Histogram(read), histogram);
    let mut ours = of(&[]);
    ours.add_encoded(&bytes).unwrap();
    assert_eq!(ours, histogram);
}

#[test]
fn every_bucket_is_stored_under_its_own_value() {
    let mut all = of(&[]);
    let mut edge: u64 = 0;
    while edge < micros(HIGHEST) {
        all.record(Duration::from_micros(edge));
        edge += 512.max(edge / 1500);
    }
    let mut read = of(&[]);
    read.add_encoded(&stored(&all)).unwrap();
    assert_eq!(read, all);
}

#[test]
fn lies_about_size_cost_nothing() {
    let zeros = |n: u64| {
        // A run of n empty buckets, ZigZag LEB128.
        let mut number = n * 2 - 1;
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let table = [
        (
            deflated(&zeros(1 << 40), 3, 604_800_000_000),
            "too many buckets",
        ),
        (deflated(&[0xff; 9], 3, 604_800_000_000), "too many buckets"),
        (deflated(&[0xfe; 9], 3, 604_800_000_000), "absurd"),
        (deflated(&[0x80], 3, 604_800_000_000), "in the middle"),
        (
            deflated(&vec![0; 10_000_000], 3, 604_800_000_000),
            "too long",
        ),
        (deflated(&[], 5, u64::MAX), "bounds"),
        (vec![0; 12], "not in the format"),
        (Vec::new(), "too short"),
    ];
    for (bytes, expected) in table {
        let error = of(&[]).add_encoded(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_percentile_needs_enough_samples() {
    for quantile in Quantile::ALL {
        let needs = quantile.needs();
        let few: Vec<u64> = (1..needs).map(|n| n * 1000).collect();
        assert_eq!(of(&few).quantile(quantile), None, "{}", quantile.name());
        let enough: Vec<u64> = (1..=needs).map(|n| n * 1000).collect();
        assert!(of(&enough).quantile(quantile).is_some());
    }
    assert_eq!(Quantile::ALL.map(Quantile::needs), [2, 20, 100, 1000]);
    assert_eq!(of(&[]).max(), None);
}

#[test]
fn times_beyond_the_bounds_count_as_the_bounds() {
    let histogram = of(&[0, u64::MAX]);
    assert_eq!(histogram.len(), 2);
    let max = histogram.max().unwrap().as_secs_f64();
    assert!((max / HIGHEST.as_secs_f64() - 1.0).abs() < 0.001, "{max}");
}

#[test]
fn packed_samples_that_are_cut_are_refused() {
    let took = Timed::Took(Duration::from_secs(4));
    let bytes = pack(&[Sample {
        after_ms: 70_000,
        timed: took,
    }]);
    for end in [0, 2, bytes.len() - 1] {
        assert!(unpack(&bytes[..end]).is_err(), "{end}");
    }
    let mut other = bytes.clone();
    other[0] = 9;
    assert!(unpack(&other).is_err());
    let endless = [
        1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    assert!(unpack(&endless).is_err());
}

fn check(status: StatusWord, phases: &[(&str, f64)]) -> CheckResult {
    CheckResult {
        number: 1,
        scenario: "flow".to_owned(),
        step: "primary".to_owned(),
        title: None,
        kind: "deliver".to_owned(),
        target: Some(TargetResult {
            mx: "mx1.example.net".to_owned(),
            preference: 10,
            address: "192.0.2.1".to_owned(),
            port: Some(25),
            family: "ipv4".to_owned(),
            node: None,
            role: "primary".to_owned(),
        }),
        status,
        reason: None,
        message: None,
        findings: Vec::new(),
        notes: Vec::new(),
        attempts: 1,
        started_at: "2026-11-21T12:00:00Z".to_owned(),
        duration_seconds: 0.0,
        queued_seconds: None,
        phases_seconds: phases
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), *seconds))
            .collect(),
        source: SourceResult {
            file: "flow.yaml".to_owned(),
            line: 1,
        },
        evidence: None,
    }
}

#[test]
fn a_check_and_its_mails_are_one_series() {
    let check = check(StatusWord::Pass, &[]);
    let key = CheckKey::of(&check, false);
    assert_eq!(key.target, "mx1.example.net [192.0.2.1]:25");
    let of_mail = CheckKey::of_mail("flow", "primary", &key.target, false);
    assert_eq!(of_mail, key);
    let by_dns = CheckKey::of_mail("flow", "ordinary", "by MX records", false);
    assert_eq!(by_dns.target, "");
}

#[test]
fn only_the_schedule_is_not_manual() {
    for (origin, manual) in [
        ("schedule", false),
        ("schedule nightly", false),
        ("cli me@schedule", true),
        ("web", true),
        ("api", true),
        ("watch", true),
        ("scheduled", true),
        ("", true),
    ] {
        assert_eq!(is_manual(origin), manual, "{origin}");
    }
}

#[test]
fn only_the_phase_in_which_a_check_broke_off_is_not_timed() {
    let ended = |status, reason: Option<&str>, phases: &[(&str, f64)]| -> Vec<String> {
        let check = CheckResult {
            reason: reason.map(ToOwned::to_owned),
            ..check(status, phases)
        };
        timed(&check)
            .filter(|(_, timed)| *timed == Timed::Unfinished)
            .map(|(phase, _)| phase.name().to_owned())
            .collect()
    };
    let (fail, error) = (StatusWord::Fail, StatusWord::Error);
    let dns = [("dns", 0.000_56)];
    let banner = [("connect", 0.5), ("banner", 10.0)];
    let data = [("connect", 0.5), ("data", 1.0), ("transit", 3.0)];
    let tls = [("connect", 0.5), ("ehlo", 0.1), ("starttls", 9.0)];
    let imap = [("connect", 0.5), ("tls", 0.1), ("imap-login", 9.0)];
    type Phases<'t> = &'t [(&'t str, f64)];
    let table: [(_, _, Phases<'_>, &[&str]); 17] = [
        (StatusWord::Pass, None, &banner, &[]),
        // Each of these was answered; the answer was wrong.
        (fail, Some("dns-mismatch"), &dns, &[]),
        (fail, Some("smtp-5xx"), &data[..2], &[]),
        (fail, Some("auth-failed"), &banner, &[]),
        (fail, Some("not-delivered"), &data, &[]),
        (error, Some("store-failed"), &data, &[]),
        (fail, Some("dns-timeout"), &dns, &["dns"]),
        (fail, Some("connect-refused"), &banner[..1], &["connect"]),
        (fail, Some("connect-timeout"), &banner[..1], &["connect"]),
        (fail, Some("banner-timeout"), &banner, &["banner"]),
        (fail, Some("connect-reset"), &banner, &["banner"]),
        (fail, Some("smtp-timeout"), &data[..2], &["data"]),
        (fail, Some("tls-handshake"), &tls, &["starttls"]),
        (fail, Some("imap-unavailable"), &imap, &["imap-login"]),
        (error, Some("overrun"), &banner, &["banner"]),
        // The mail was under way: the dialogue had come to its end.
        (error, Some("cancelled"), &data, &[]),
        // It went on with another host.
        (StatusWord::Degraded, Some("connect-timeout"), &data, &[]),
    ];
    for (status, reason, phases, unfinished) in table {
        assert_eq!(ended(status, reason, phases), unfinished, "{reason:?}");
    }
}

#[test]
fn a_phase_that_was_cut_off_is_known_beside_a_worse_finding() {
    let mut check = check(StatusWord::Fail, &[("dns", 0.1), ("connect", 3.0)]);
    check.reason = Some("dns-mismatch".to_owned());
    check.findings = ["dns-mismatch", "connect-timeout"]
        .map(|reason| FindingResult {
            status: StatusWord::Fail,
            reason: reason.to_owned(),
            message: String::new(),
        })
        .into();
    let expected = [
        (Phase::Connect, Timed::Unfinished),
        (Phase::Dns, Timed::Took(Duration::from_millis(100))),
    ];
    assert_eq!(timed(&check).collect::<Vec<_>>(), expected);
}
