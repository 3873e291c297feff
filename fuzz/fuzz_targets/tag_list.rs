//! One TXT record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::policy::tag_list::{MAX_TAGS, TagList};

fuzz_target!(|bytes: &[u8]| {
    match TagList::parse(&String::from_utf8_lossy(bytes)) {
        Ok(list) => {
            assert!(list.iter().count() <= MAX_TAGS);
            for (name, value) in list.iter() {
                assert_eq!(list.get(name), Some(value));
            }
        }
        Err(fault) => assert!(!fault.to_string().contains(char::is_control)),
    }
});
