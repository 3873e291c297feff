//! A tag as text and in a header block: what parses is written and read back the same, and proves
//! nothing without the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::message::tag::{Tag, TagKey, find_in_headers};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tag) = String::from_utf8_lossy(bytes).parse::<Tag>() {
        assert_eq!(tag.to_string().parse(), Ok(tag));
    }
    if let Some(tag) = find_in_headers(bytes) {
        let Ok(key) = TagKey::new(&[1; 32]) else {
            return;
        };
        let proven = tag.verify(&key, "a@example.org", "b@example.net");
        let genuine = Tag::sign(&key, tag.id, "a@example.org", "b@example.net");
        assert_eq!(proven, genuine == tag);
    }
});
