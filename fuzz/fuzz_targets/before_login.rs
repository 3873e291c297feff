//! Lines of POP3 and ManageSieve servers → status and capabilities.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::{pop3, sieve};

fuzz_target!(|bytes: &[u8]| {
    let (mut of_pop3, mut of_sieve) = (pop3::Capabilities::default(), sieve::Capabilities::default());
    let shown = |text: &str| assert!(!text.contains(char::is_control));
    for line in bytes.split(|byte| *byte == b'\n') {
        match pop3::Status::parse(line) {
            Some(pop3::Status::Ok(text) | pop3::Status::Err(text)) => shown(&text),
            None => {}
        }
        of_pop3.feed(line);
        match sieve::Line::parse(line) {
            Some(sieve::Line::Capability(name)) => {
                shown(&name);
                of_sieve.add(name);
            }
            Some(sieve::Line::Ok(text) | sieve::Line::No(text) | sieve::Line::Bye(text)) => shown(&text),
            None => {}
        }
    }
    let _ = (of_pop3.has("STLS"), of_sieve.has("STARTTLS"));
});
