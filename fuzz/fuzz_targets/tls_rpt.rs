//! One TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::report_uri::MAX_URIS;
use postrider_wire::policy::tls_rpt::{TlsRptRecord, is_record};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    is_record(&text);
    match TlsRptRecord::parse(&text) {
        Ok(record) => assert!(record.reports.len() <= MAX_URIS),
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
