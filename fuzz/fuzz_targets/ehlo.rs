//! Lines of an EHLO reply → capabilities.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_wire::smtp::ehlo::{Capabilities, MAX_MECHANISMS};
use postrider_wire::smtp::reply::Reply;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split('\n').map(str::to_owned).collect();
    let capabilities = Capabilities::from_reply(&Reply { code: 250, lines });
    assert!(capabilities.auth_mechanisms().len() <= MAX_MECHANISMS);
    assert!(capabilities.size() != Some(0));
    for (keyword, _) in &capabilities.keywords {
        assert!(capabilities.has(keyword));
    }
    let shown = capabilities.to_string();
    assert!(shown.lines().all(|line| !line.contains(char::is_control)));
});
