//! Bytes → lines → replies → enhanced code, queue id, text to show.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::bounded::{Limits, LineReader};
use postrider_wire::smtp::queue_id;
use postrider_wire::smtp::reply::ReplyParser;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = LineReader::new(Limits::smtp());
    let mut parser = ReplyParser::new();
    let _ = reader.push(bytes);
    while let Ok(Some(line)) = reader.next_line() {
        match parser.feed(&line) {
            Ok(None) => assert!(parser.in_reply()),
            Ok(Some(reply)) => {
                reader.end_reply();
                assert!((200..=599).contains(&reply.code));
                assert!(!reply.to_string().contains(char::is_control));
                if let Some(code) = reply.enhanced() {
                    assert_eq!(code.to_string().parse(), Ok(code));
                }
                let id = queue_id::from_reply(&reply);
                assert!(id.is_none_or(|id| id.is_ascii() && id.len() <= 128));
            }
            Err(error) => assert!(!error.to_string().contains(char::is_control)),
        }
    }
});
