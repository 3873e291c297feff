//! One TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::dkim_key::DkimKeyRecord;

fuzz_target!(|bytes: &[u8]| {
    match DkimKeyRecord::parse(&String::from_utf8_lossy(bytes)) {
        Ok(record) => assert!(record.public.len() <= bytes.len()),
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
