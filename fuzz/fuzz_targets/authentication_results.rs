//! One field body, and the same bytes as a header block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::message::authentication_results::{
    AuthenticationResults, MAX_PROPERTIES, MAX_RESULTS,
};

fuzz_target!(|bytes: &[u8]| {
    AuthenticationResults::from_headers(bytes);
    let found = AuthenticationResults::parse(&String::from_utf8_lossy(bytes));
    assert!(found.results.len() <= MAX_RESULTS);
    for result in &found.results {
        assert!(result.properties.len() <= MAX_PROPERTIES);
        assert!(found.result_of(&result.method).is_some());
        assert!(!result.result.to_string().contains(char::is_control));
    }
});
