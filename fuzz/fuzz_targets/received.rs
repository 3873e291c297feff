//! A header block → stations → times between them; and one field by itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::message::received::{MAX_HOPS, Received, hop_times, hops};

fuzz_target!(|bytes: &[u8]| {
    Received::parse(&String::from_utf8_lossy(bytes));
    let stations = hops(bytes);
    assert!(stations.len() <= MAX_HOPS);
    let times = hop_times(&stations);
    assert_eq!(times.len(), stations.len());
    for hop in times {
        assert!(hop.seconds.is_none_or(|seconds| seconds >= 0.0));
        assert!(!hop.skewed || hop.seconds == Some(0.0));
    }
});
