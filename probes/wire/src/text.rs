//! Remote text made safe to show.
//!
//! Banners, replies, subjects and DNS labels end up in terminals, logs and web pages. What could
//! move a cursor, change the reading direction, hide itself or begin a new line is shown as an
//! escape instead.

use std::fmt;

/// Text from a remote peer: valid, printable, on one line, and no longer than its cap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteText(String);

impl RemoteText {
    /// A cap that suits one line of a report, in characters.
    pub const LINE: usize = 300;

    /// Makes `bytes` safe: what is not UTF-8 becomes U+FFFD, control and direction characters become
    /// escapes, and after about `cap` characters an ellipsis ends the text. An escape is never cut.
    pub fn new(bytes: &[u8], cap: usize) -> Self {
        // No character takes more than four bytes, so a longer prefix cannot be shown anyway.
        let longest = cap.saturating_add(1).saturating_mul(4);
        let prefix = bytes.get(..longest).unwrap_or(bytes);
        let mut shown = String::new();
        let mut length = 0_usize;
        for character in String::from_utf8_lossy(prefix).chars() {
            if length >= cap {
                shown.push('…');
                break;
            }
            let before = shown.len();
            push_visible(&mut shown, character);
            length += shown.get(before..).map_or(1, |added| added.chars().count());
        }
        Self(shown)
    }

    /// The safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with everything invisible or dangerous shown as an escape (`\x1b`, `\u{202e}`).
/// Backslashes stay as they are, so doing it twice changes nothing.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        push_visible(&mut shown, character);
    }
    shown
}

fn push_visible(shown: &mut String, character: char) {
    match character {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => shown.push_str(&format!("\\x{:02x}", u32::from(character))),
        _ if is_hidden(character) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
        _ => shown.push(character),
    }
}

/// C1 controls, direction controls, separators, and characters without a shape.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_characters_are_shown_as_escapes() {
        let cases = [
            ("plain Grüße 日本", "plain Grüße 日本"),
            ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
            ("a\r\nb\tc\0d\x7f", "a\\r\\nb\\tc\\x00d\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("evil\u{202e}txt.exe", "evil\\u{202e}txt.exe"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("back\\slash", "back\\slash"),
        ];
        for (input, expected) in cases {
            assert_eq!(visible(input), expected);
            assert_eq!(visible(expected), expected, "twice is as once");
        }
    }

    #[test]
    fn remote_bytes_are_decoded_and_capped() {
        let cases: [(&[u8], usize, &str); 6] = [
            (b"250 ok", 10, "250 ok"),
            (b"0123456789", 10, "0123456789"),
            (b"0123456789a", 10, "0123456789…"),
            (b"caf\xe9", 10, "caf\u{fffd}"),
            ("日本語".as_bytes(), 2, "日本…"),
            // An escape is longer than what it stands for and is never cut in two.
            (b"\x1b\x1b\x1b", 5, "\\x1b\\x1b…"),
        ];
        for (input, cap, expected) in cases {
            assert_eq!(RemoteText::new(input, cap).as_str(), expected);
        }
    }
}
