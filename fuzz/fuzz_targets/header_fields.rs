//! A header block → fields, within bounds; written out again they are read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::message::header::{MAX_BODY, MAX_FIELDS, fields};

fuzz_target!(|bytes: &[u8]| {
    let found = fields(bytes);
    assert!(found.len() <= MAX_FIELDS);
    let mut written = String::new();
    for field in &found {
        assert!(field.body.len() <= MAX_BODY);
        assert!(!field.body.contains('\n'));
        written.push_str(&format!("{}: {}\r\n", field.name, field.body));
    }
    // One byte of the bound goes to the space that is written and trimmed.
    if found.iter().all(|field| field.body.len() < MAX_BODY) {
        assert_eq!(fields(written.as_bytes()), found);
    }
});
