//! A message → whether it may be a bounce → what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::message::bounce::{Bounce, MAX_RECIPIENTS, is_likely};

fuzz_target!(|bytes: &[u8]| {
    let Some(bounce) = Bounce::parse(bytes) else {
        return;
    };
    assert!(is_likely(bytes));
    assert!((1..=MAX_RECIPIENTS).contains(&bounce.recipients.len()));
    assert!(bounce.about("bob@example.test").is_some());
    for report in &bounce.recipients {
        let said = [
            &report.recipient,
            &report.diagnostic,
            &report.remote_mta,
            &report.status,
        ];
        for text in said.into_iter().flatten() {
            assert!(!text.chars().any(char::is_control));
            assert!(text.chars().count() <= 320);
        }
    }
});
