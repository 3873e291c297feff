//! The body of a header field that we write.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Text for a header field body or a display name: one line, no control characters. It may hold
/// non-ASCII characters; whoever writes the header encodes them (RFC 2047).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderText(String);

/// Why a text cannot be a header field body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderTextError {
    /// CR or LF.
    #[error("a line break (CR or LF) is not allowed in a header")]
    LineBreak,
    /// NUL.
    #[error("a NUL character is not allowed in a header")]
    Nul,
    /// Another C0 or C1 control character, or DEL.
    #[error("the control character \\u{{{:x}}} is not allowed in a header", u32::from(*.0))]
    Control(char),
    /// Longer than a line of RFC 5322 §2.1.1.
    #[error("a header text is at most {limit} bytes long, this one has {length}", limit = HeaderText::MAX_LENGTH)]
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
}

impl HeaderText {
    /// The longest text, in bytes (RFC 5322 §2.1.1).
    pub const MAX_LENGTH: usize = 998;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderText {
    type Err = HeaderTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LENGTH {
            let length = text.len();
            return Err(HeaderTextError::TooLong { length });
        }
        match text.chars().find(|character| character.is_control()) {
            Some('\r' | '\n') => Err(HeaderTextError::LineBreak),
            Some('\0') => Err(HeaderTextError::Nul),
            Some(other) => Err(HeaderTextError::Control(other)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_text_is_one_line_without_controls() {
        for good in ["", "Probe 7 – Grüße", "=?UTF-8?Q?x?="] {
            assert_eq!(good.parse::<HeaderText>().unwrap().to_string(), good);
        }
        let bad = [
            (
                "a\r\nBcc: x@example.net",
                "a line break (CR or LF) is not allowed in a header",
            ),
            ("a\nb", "a line break (CR or LF) is not allowed in a header"),
            ("a\0b", "a NUL character is not allowed in a header"),
            (
                "a\x1bb",
                "the control character \\u{1b} is not allowed in a header",
            ),
            (
                "a\u{85}b",
                "the control character \\u{85} is not allowed in a header",
            ),
        ];
        for (input, message) in bad {
            assert_eq!(
                input.parse::<HeaderText>().unwrap_err().to_string(),
                message
            );
        }
        let long = "x".repeat(999).parse::<HeaderText>().unwrap_err();
        assert_eq!(
            long.to_string(),
            "a header text is at most 998 bytes long, this one has 999"
        );
    }
}
