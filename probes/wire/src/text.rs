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
