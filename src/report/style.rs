//! Glyphs, colours and their plain forms. Colour is never the only signal.

use crate::result::StatusWord;

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colour may be used.
    pub colour: bool,
    /// Only ASCII characters.
    pub ascii: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Style {
    /// Plain text: no colour, full Unicode, 100 columns.
    pub const PLAIN: Self = Self {
        colour: false,
        ascii: false,
        width: 100,
    };

    /// The sign in front of a check.
    #[must_use]
    pub fn sign(self, status: StatusWord) -> String {
        let (glyph, word, colour) = match status {
            StatusWord::Pass => ("✓", "ok  ", 32),
            StatusWord::Degraded => ("▲", "warn", 33),
            StatusWord::Fail => ("✗", "FAIL", 31),
            StatusWord::Error => ("?", "????", 35),
            StatusWord::Skip => ("–", "skip", 90),
        };
        self.paint(if self.ascii { word } else { glyph }, colour)
    }

    /// Bold.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.paint(text, 1)
    }

    fn paint(self, text: &str, code: u8) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The text in the characters that may be used. What a remote side said is already escaped.
    #[must_use]
    pub fn text(self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let mut plain = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '·' | '–' | '▏' => plain.push('-'),
                '→' => plain.push_str("->"),
                '…' => plain.push_str("..."),
                '◄' => plain.push_str("<--"),
                '▇' => plain.push('#'),
                '▎' | '▊' => plain.push('|'),
                other if other.is_ascii() => plain.push(other),
                other => plain.extend(other.escape_unicode()),
            }
        }
        plain
    }
}

/// The word for people.
#[must_use]
pub fn word(status: StatusWord) -> &'static str {
    match status {
        StatusWord::Pass => "passed",
        StatusWord::Degraded => "degraded",
        StatusWord::Fail => "failed",
        StatusWord::Error => "not tested",
        StatusWord::Skip => "skipped",
    }
}

/// Best first; the terminal shows the worst last, next to the prompt.
#[must_use]
pub fn rank(status: StatusWord) -> u8 {
    match status {
        StatusWord::Skip => 0,
        StatusWord::Pass => 1,
        StatusWord::Degraded => 2,
        StatusWord::Error => 3,
        StatusWord::Fail => 4,
    }
}
