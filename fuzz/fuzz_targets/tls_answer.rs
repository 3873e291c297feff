//! Bytes after a TLS hello → the server's choice or refusal, whole and in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::tls::{Answer, AnswerReader, NotTls};

fn read(bytes: &[u8], size: usize) -> Result<Option<Answer>, NotTls> {
    let mut reader = AnswerReader::default();
    for piece in bytes.chunks(size) {
        match reader.push(piece) {
            Ok(None) => {}
            ended => return ended,
        }
    }
    Ok(None)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, 1), whole);
    assert_eq!(read(bytes, 7), whole);
    match whole {
        Ok(Some(answer)) => assert!(!answer.to_string().contains(char::is_control)),
        Ok(None) => {}
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
});
