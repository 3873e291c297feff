//! The first byte cuts the rest into pieces: lines and overrun are the same as byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::bounded::{Limits, Line, LineReader, Overrun};

/// The reply bound is out of reach: unread bytes count piece by piece.
const SMALL: Limits = Limits {
    line: 32,
    reply: 1 << 20,
    connection: 512,
    items: 16,
    nesting: 0,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    assert_eq!(read(SMALL, bytes, size), read(SMALL, bytes, 1));
    let tight = Limits { reply: 64, ..SMALL };
    read(tight, bytes, size);
});

fn read(limits: Limits, bytes: &[u8], size: usize) -> (Vec<Line>, Option<Overrun>) {
    let mut reader = LineReader::new(limits);
    let mut lines = Vec::new();
    for piece in bytes.chunks(size) {
        let pushed = reader.push(piece);
        assert!(reader.buffered().len() <= limits.reply);
        loop {
            match reader.next_line() {
                Ok(Some(line)) => {
                    assert!(line.bytes.len() < limits.line);
                    lines.push(line);
                }
                Ok(None) => break,
                Err(overrun) => return (lines, Some(overrun)),
            }
        }
        assert_eq!(pushed, Ok(()));
    }
    (lines, None)
}
