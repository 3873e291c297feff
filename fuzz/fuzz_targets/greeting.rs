//! A greeting → what of it is the same each time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::greeting::steady;

fuzz_target!(|bytes: &[u8]| {
    let greeting = String::from_utf8_lossy(bytes);
    let once = steady(&greeting);
    assert_eq!(steady(&once), once);
});
