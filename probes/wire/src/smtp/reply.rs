//! SMTP replies (RFC 5321 §4.2) and enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::bounded::Line;
use crate::text::RemoteText;

/// One reply, of one or several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits, 200 to 599.
    pub code: u16,
    /// What stands after the code, line by line. Valid UTF-8 (what was not became U+FFFD) but not
    /// escaped: show it through [`RemoteText`].
    pub lines: Vec<String>,
}

impl Reply {
    /// The enhanced status code at the beginning of the first line.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        let first_word = self.first_line().split(' ').next()?;
        first_word.parse().ok()
    }

    /// All lines joined by a space; an enhanced code stays where it is.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The first line.
    pub fn first_line(&self) -> &str {
        self.lines.first().map_or("", String::as_str)
    }

    /// 2yz: done. Only this is a success for MAIL, RCPT and the final dot.
    pub fn is_positive_completion(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on (354 after DATA, 334 in AUTH).
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: not now.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: no.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Display for Reply {
    /// Code and text on one line, safe to show, at most [`RemoteText::LINE`] characters of text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = RemoteText::new(self.text().as_bytes(), RemoteText::LINE);
        write!(f, "{} {text}", self.code)
    }
}

/// Puts lines together to replies. [`crate::bounded::LineReader`] limits how many there can be.
#[derive(Debug, Default)]
pub struct ReplyParser {
    partial: Option<Reply>,
}

/// What the server sent is not an SMTP reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// No three digits followed by a space, a hyphen or the end.
    #[error("not an SMTP reply: \"{line}\"")]
    Garbage {
        /// The line, safe to show.
        line: RemoteText,
    },
    /// Three digits outside 200 to 599.
    #[error("the reply code is not between 200 and 599: \"{line}\"")]
    Code {
        /// The line, safe to show.
        line: RemoteText,
    },
    /// The lines of one reply carry different codes.
    #[error("a reply began with code {first} and went on with \"{line}\"")]
    MixedCodes {
        /// The code of the first line.
        first: u16,
        /// The line that differs, safe to show.
        line: RemoteText,
    },
}

impl ReplyParser {
    /// A parser between two replies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line; a reply when it was the last one of it.
    ///
    /// # Errors
    /// [`ReplyError`]; a reply that had begun is dropped.
    pub fn feed(&mut self, line: &Line) -> Result<Option<Reply>, ReplyError> {
        let shown = || RemoteText::new(&line.bytes, RemoteText::LINE);
        let partial = self.partial.take();
        let (code, last, text) =
            split(&line.bytes).ok_or_else(|| ReplyError::Garbage { line: shown() })?;
        if !(200..=599).contains(&code) {
            return Err(ReplyError::Code { line: shown() });
        }
        let lines = Vec::new();
        let mut reply = partial.unwrap_or(Reply { code, lines });
        if reply.code != code {
            let (first, line) = (reply.code, shown());
            return Err(ReplyError::MixedCodes { first, line });
        }
        reply.lines.push(String::from_utf8_lossy(text).into_owned());
        if last {
            return Ok(Some(reply));
        }
        self.partial = Some(reply);
        Ok(None)
    }

    /// Whether a reply has begun and not ended.
    pub fn in_reply(&self) -> bool {
        self.partial.is_some()
    }
}

/// Code, whether it is the last line, text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let mut code = 0_u16;
    for digit in digits {
        code = code * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    match rest.split_first() {
        // A code alone is tolerated (RFC 5321 §4.2, "the client SHOULD be prepared").
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// An enhanced status code (RFC 3463 §2): `class.subject.detail`, with class 2, 4 or 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What it is about, 0 to 999.
    pub subject: u16,
    /// The detail, 0 to 999.
    pub detail: u16,
}

/// The text is not of the form `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an enhanced status code looks like 5.1.1 and begins with 2, 4 or 5")]
pub struct EnhancedCodeError;

impl FromStr for EnhancedCode {
    type Err = EnhancedCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let class = match parts.next() {
            Some("2") => 2,
            Some("4") => 4,
            Some("5") => 5,
            _ => return Err(EnhancedCodeError),
        };
        let mut number = || match parts.next() {
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| EnhancedCodeError)
            }
            _ => Err(EnhancedCodeError),
        };
        let (subject, detail) = (number()?, number()?);
        Ok(Self {
            class,
            subject,
            detail,
        })
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::LineEnding;

    fn parse(lines: &[&[u8]]) -> Vec<Result<Option<Reply>, String>> {
        let mut parser = ReplyParser::new();
        let feed = |bytes: &&[u8]| {
            let (bytes, ending) = (bytes.to_vec(), LineEnding::CrLf);
            parser
                .feed(&Line { bytes, ending })
                .map_err(|error| error.to_string())
        };
        lines.iter().map(feed).collect()
    }

    fn reply(code: u16, lines: &[&str]) -> Reply {
        let lines = lines.iter().map(ToString::to_string).collect();
        Reply { code, lines }
    }

    #[test]
    fn replies_are_read_line_by_line() {
        let cases: [(&[&[u8]], Reply); 7] = [
            (
                &[b"220 foo.com Simple Mail Transfer Service Ready"],
                reply(220, &["foo.com Simple Mail Transfer Service Ready"]),
            ),
            (
                &[
                    b"250-First line",
                    b"250-Second line",
                    b"250-234 Text beginning with numbers",
                    b"250 The last line",
                ],
                reply(
                    250,
                    &[
                        "First line",
                        "Second line",
                        "234 Text beginning with numbers",
                        "The last line",
                    ],
                ),
            ),
            (&[b"354"], reply(354, &[""])),
            (&[b"250 "], reply(250, &[""])),
            (&[b"250-", b"250"], reply(250, &["", ""])),
            (&[b"550 5.1.1 caf\xe9"], reply(550, &["5.1.1 caf\u{fffd}"])),
            (&[b"599 x"], reply(599, &["x"])),
        ];
        for (lines, expected) in cases {
            let results = parse(lines);
            let (last, before) = results.split_last().unwrap();
            assert!(before.iter().all(|result| *result == Ok(None)));
            assert_eq!(*last, Ok(Some(expected)));
        }
    }

    #[test]
    fn what_is_no_reply_is_quoted() {
        let cases: [(&[&[u8]], &str); 9] = [
            (&[b""], "not an SMTP reply: \"\""),
            (&[b"25"], "not an SMTP reply: \"25\""),
            (&[b"250x"], "not an SMTP reply: \"250x\""),
            (&[b"2500 ok"], "not an SMTP reply: \"2500 ok\""),
            (&[b"+50 ok"], "not an SMTP reply: \"+50 ok\""),
            (
                &[b"HTTP/1.1 400 \x1b[2J"],
                "not an SMTP reply: \"HTTP/1.1 400 \\x1b[2J\"",
            ),
            (
                &[b"150 ok"],
                "the reply code is not between 200 and 599: \"150 ok\"",
            ),
            (
                &[b"999 ok"],
                "the reply code is not between 200 and 599: \"999 ok\"",
            ),
            (
                &[b"250-a", b"550 b"],
                "a reply began with code 250 and went on with \"550 b\"",
            ),
        ];
        for (lines, message) in cases {
            assert_eq!(parse(lines).pop().unwrap(), Err(message.to_owned()));
        }
        let endless = [b'x'; 4096];
        let message = parse(&[&endless]).pop().unwrap().unwrap_err();
        assert!(message.chars().count() < 400, "the quotation is capped");
    }

    #[test]
    fn an_error_ends_the_reply_that_had_begun() {
        let results = parse(&[b"250-a", b"garbage", b"220 b"]);
        assert_eq!(results.last(), Some(&Ok(Some(reply(220, &["b"])))));
    }

    #[test]
    fn the_first_digit_decides_and_354_is_never_success() {
        let kinds = |code| {
            let reply = reply(code, &[]);
            [
                reply.is_positive_completion(),
                reply.is_intermediate(),
                reply.is_transient(),
                reply.is_permanent(),
            ]
        };
        assert_eq!(kinds(250), [true, false, false, false]);
        assert_eq!(kinds(354), [false, true, false, false]);
        assert_eq!(kinds(421), [false, false, true, false]);
        assert_eq!(kinds(554), [false, false, false, true]);
    }

    #[test]
    fn enhanced_codes_are_read_apart_from_the_reply_code() {
        let cases = [
            ("5.1.1 no such user", Some("5.1.1")),
            ("4.7.1", Some("4.7.1")),
            ("2.0.0 Ok", Some("2.0.0")),
            ("5.7.515 Access denied", Some("5.7.515")),
            ("Ok", None),
            ("3.1.1 x", None),
            ("5.1 x", None),
            ("5.1.1.1 x", None),
            ("5.1.1: x", None),
            ("5.1000.1 x", None),
            ("5..1 x", None),
            ("5.+1.1 x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = reply(550, &[text]).enhanced().map(|code| code.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_reply_is_shown_on_one_safe_line() {
        let reply = reply(550, &["5.7.1 no\x1b[2J", "5.7.1 really"]);
        assert_eq!(reply.to_string(), "550 5.7.1 no\\x1b[2J 5.7.1 really");
        assert_eq!(reply.text(), "5.7.1 no\x1b[2J 5.7.1 really");
        assert_eq!(reply.first_line(), "5.7.1 no\x1b[2J");
    }
}
