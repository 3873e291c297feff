//! One TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::spf_terms::{MAX_TERMS, is_record, terms};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    is_record(&text);
    match terms(&text) {
        Ok(terms) => assert!(terms.len() <= MAX_TERMS),
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
