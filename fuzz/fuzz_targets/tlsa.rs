//! TLSA records in presentation form: what parses is written and read back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::tlsa::Tlsa;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(record) = text.parse::<Tlsa>() {
        assert!(record.data.len() * 2 <= text.len());
        assert!(record.short().len() <= record.to_string().len() + '…'.len_utf8());
        assert_eq!(record.to_string().parse(), Ok(record));
    }
});
