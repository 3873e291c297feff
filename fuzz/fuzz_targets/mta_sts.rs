//! One policy, and the same bytes as a TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::mta_sts::{MAX_AGE, MAX_MX, Policy, is_record, record_id};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    is_record(&text);
    let _ = record_id(&text);
    match Policy::parse(bytes) {
        Ok(policy) => {
            assert!(policy.max_age <= MAX_AGE && policy.mx.len() <= MAX_MX);
            for pattern in &policy.mx {
                assert_eq!(pattern.to_string().parse().as_ref(), Ok(pattern));
                assert!(policy.covers(&pattern.to_string().replace('*', "a")));
            }
        }
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
