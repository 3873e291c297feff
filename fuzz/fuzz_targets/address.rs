//! Checked names: none holds an injection, each is read back as it is written, and errors are
//! safe to show.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use postrider_wire::address::{EhloName, HeaderText, HostName, Mailbox};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    check::<Mailbox>(&text);
    check::<HostName>(&text);
    check::<EhloName>(&text);
    check::<HeaderText>(&text);
    let _ = HostName::parse_relaxed(&text);
});

fn check<T>(text: &str)
where
    T: FromStr<Err: Display + Debug + PartialEq> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            assert!(!written.contains(['\r', '\n', '\0']));
            assert_eq!(written.parse::<T>(), Ok(value));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control)),
    }
}
