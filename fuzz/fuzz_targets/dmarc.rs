//! One TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::dmarc::{DmarcRecord, is_record};
use postrider_wire::policy::report_uri::{MAX_URIS, ReportUri};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    is_record(&text);
    match DmarcRecord::parse(&text) {
        Ok(record) => {
            assert!(record.percent <= 100);
            assert!(record.aggregate.len() <= MAX_URIS && record.failure.len() <= MAX_URIS);
            for uri in record.aggregate.iter().chain(&record.failure) {
                assert_eq!(ReportUri::parse(&uri.to_string()).as_ref(), Ok(uri));
            }
            for fault in &record.faults {
                assert!(!fault.to_string().contains(char::is_control));
            }
        }
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
