//! An IMAP stream: the verdict is the same for the whole and byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::bounded::{Limits, LiteralGuard};

const SMALL: Limits = Limits {
    line: 64,
    reply: 256,
    connection: 1024,
    items: 32,
    nesting: 4,
};

fuzz_target!(|bytes: &[u8]| {
    for limits in [SMALL, Limits::imap()] {
        let whole = LiteralGuard::new(limits).feed(bytes);
        let mut guard = LiteralGuard::new(limits);
        let bytewise = bytes.chunks(1).try_for_each(|byte| guard.feed(byte));
        assert_eq!(whole, bytewise);
    }
});
