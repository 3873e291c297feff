//! A watchman in front of an IMAP parser.
//!
//! It is fed the same bytes as the parser, and refuses before the parser gets to keep them. Lines
//! and literals are told apart as imap-codec's fragmentizer does it: any line that ends in `{n}`
//! or `{n+}` announces a literal, whatever stands before it (RFC 9051 §4.3).

use super::{Limits, Overrun};

/// Counts what arrives on an IMAP connection; keeps none of it.
#[derive(Debug)]
pub struct LiteralGuard {
    limits: Limits,
    total: u64,
    line: usize,
    response: usize,
    items: usize,
    depth: usize,
    /// Bytes of the current literal that are still to come.
    literal: u64,
    quoted: Quoted,
    announcement: Announcement,
    in_atom: bool,
    failed: Option<Overrun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    No,
    Yes,
    /// After a backslash: the next byte is taken as it is.
    Escape,
}

/// How much of `{n}` or `{n+}` stands at the end of the line so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announcement {
    None,
    Open,
    Digits(u64),
    Plus(u64),
    Closed(u64),
    ClosedCr(u64),
}

impl LiteralGuard {
    /// A guard at the beginning of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            total: 0,
            line: 0,
            response: 0,
            items: 0,
            depth: 0,
            literal: 0,
            quoted: Quoted::No,
            announcement: Announcement::None,
            in_atom: false,
            failed: None,
        }
    }

    /// Looks at the next bytes. Only when this is `Ok` may they be given to the parser.
    ///
    /// # Errors
    /// The [`Overrun`] met first; every later call fails with the same.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Overrun> {
        if let Some(overrun) = self.failed {
            return Err(overrun);
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            let step = if self.literal > 0 {
                let literal = usize::try_from(self.literal).unwrap_or(usize::MAX);
                let taken = literal.min(bytes.len());
                bytes = bytes.get(taken..).unwrap_or_default();
                self.literal -= taken as u64;
                self.count(taken)
            } else {
                bytes = rest;
                self.text_byte(byte)
            };
            if let Err(overrun) = step {
                self.failed = Some(overrun);
                return Err(overrun);
            }
        }
        Ok(())
    }

    /// All bytes seen so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether a response, or a literal in it, has begun and not ended.
    pub fn in_response(&self) -> bool {
        self.response > 0
    }

    fn count(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.total = self.total.saturating_add(bytes as u64);
        self.response = self.response.saturating_add(bytes);
        if self.total > self.limits.connection {
            let limit = self.limits.connection;
            return Err(Overrun::Connection { limit });
        }
        if self.response > self.limits.reply {
            let limit = self.limits.reply;
            return Err(Overrun::Reply { limit });
        }
        Ok(())
    }

    fn text_byte(&mut self, byte: u8) -> Result<(), Overrun> {
        self.count(1)?;
        self.line += 1;
        if self.line > self.limits.line {
            let limit = self.limits.line;
            return Err(Overrun::Line { limit });
        }
        if byte == b'\n' {
            return self.end_line();
        }
        self.announcement = self.announcement.after(byte);
        self.structure(byte)
    }

    /// Counts items and nesting, outside quoted strings.
    fn structure(&mut self, byte: u8) -> Result<(), Overrun> {
        match (self.quoted, byte) {
            (Quoted::Escape, _) => self.quoted = Quoted::Yes,
            (Quoted::Yes, b'\\') => self.quoted = Quoted::Escape,
            (Quoted::Yes, b'"') => self.quoted = Quoted::No,
            (Quoted::Yes, _) => {}
            (Quoted::No, b'"') => {
                self.quoted = Quoted::Yes;
                self.in_atom = false;
                self.item()?;
            }
            (Quoted::No, b'(') => {
                self.in_atom = false;
                self.depth += 1;
                if self.depth > self.limits.nesting {
                    let limit = self.limits.nesting;
                    return Err(Overrun::Nesting { limit });
                }
                self.item()?;
            }
            (Quoted::No, b')') => {
                self.in_atom = false;
                self.depth = self.depth.saturating_sub(1);
            }
            (Quoted::No, b' ' | b'\r') => self.in_atom = false,
            (Quoted::No, _) => {
                if !self.in_atom {
                    self.in_atom = true;
                    self.item()?;
                }
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<(), Overrun> {
        self.items += 1;
        if self.items > self.limits.items {
            let limit = self.limits.items;
            return Err(Overrun::Items { limit });
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Overrun> {
        self.line = 0;
        // No string goes on over a line end (RFC 9051 §9, `quoted`).
        self.quoted = Quoted::No;
        self.in_atom = false;
        let announcement = std::mem::replace(&mut self.announcement, Announcement::None);
        let (Announcement::Closed(size) | Announcement::ClosedCr(size)) = announcement else {
            self.response = 0;
            self.items = 0;
            self.depth = 0;
            return Ok(());
        };
        let room = self.limits.reply.saturating_sub(self.response);
        if size > room as u64 {
            let (announced, limit) = (size, self.limits.reply);
            return Err(Overrun::Literal { announced, limit });
        }
        self.literal = size;
        Ok(())
    }
}

impl Announcement {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'{') => Self::Open,
            (Self::Open, b'0'..=b'9') => Self::Digits(u64::from(byte - b'0')),
            // A number that does not fit stays the largest: refused at the line end.
            (Self::Digits(size), b'0'..=b'9') => Self::Digits(
                size.saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0')),
            ),
            (Self::Digits(size), b'+') => Self::Plus(size),
            (Self::Digits(size) | Self::Plus(size), b'}') => Self::Closed(size),
            (Self::Closed(size), b'\r') => Self::ClosedCr(size),
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        line: 40,
        reply: 100,
        connection: 1000,
        items: 12,
        nesting: 3,
    };

    /// The verdict on the whole input, which must be the same byte by byte.
    fn check(input: &str, expected: Result<(), Overrun>) {
        assert_eq!(
            LiteralGuard::new(SMALL).feed(input.as_bytes()),
            expected,
            "{input:?}"
        );
        let mut guard = LiteralGuard::new(SMALL);
        let bytewise = input
            .as_bytes()
            .chunks(1)
            .try_for_each(|byte| guard.feed(byte));
        assert_eq!(bytewise, expected, "byte by byte: {input:?}");
    }

    #[test]
    fn ordinary_responses_pass() {
        for input in [
            "* OK IMAP4rev1 ready\r\n",
            "* 1 FETCH (BODY[] {5}\r\n((((( UID 7)\r\n",
            "* 1 FETCH (BODY[] {5+}\r\n\"\"\"\"\" UID 7)\r\na OK done\r\n",
            "* LIST () \"/\" \"a ((((( \\\" b\"\r\n",
            "* LIST () \"a \\\" (((( b\"\r\n",
            "* 1 FETCH (BODY[] {0}\r\n UID 1)\r\n",
            "* OK :-( and :-( again\r\n* OK :-( and :-(\r\n* OK :-( x\r\n",
        ] {
            check(input, Ok(()));
        }
    }

    #[test]
    fn each_bound_is_named() {
        check(
            &format!("* OK {}", "x".repeat(36)),
            Err(Overrun::Line { limit: 40 }),
        );
        check("* X ((((\r\n", Err(Overrun::Nesting { limit: 3 }));
        check("* X (a (b (c (\r\n", Err(Overrun::Nesting { limit: 3 }));
        check(
            "* X \"a \\\\\" ((((\r\n",
            Err(Overrun::Nesting { limit: 3 }),
        );
        check(
            "* 1 2 3 4 5 6 7 8 9 10 11 12\r\n",
            Err(Overrun::Items { limit: 12 }),
        );
        check(
            "* ()()()()()()()()()()()()\r\n",
            Err(Overrun::Items { limit: 12 }),
        );
        check(
            "{2000000000}\r\n",
            Err(Overrun::Literal {
                announced: 2_000_000_000,
                limit: 100,
            }),
        );
        check(
            "* 1 FETCH (BODY[] {86}\r\n",
            Ok(()).and(Err(Overrun::Literal {
                announced: 86,
                limit: 100,
            })),
        );
        check(
            "x {99999999999999999999999}\r\n",
            Err(Overrun::Literal {
                announced: u64::MAX,
                limit: 100,
            }),
        );
        let chain = "{30}\r\n".to_owned() + &"x".repeat(30);
        check(
            &format!("{chain}{chain}{{28}}\r\n"),
            Err(Overrun::Literal {
                announced: 28,
                limit: 100,
            }),
        );
        check(&"{0}\r\n".repeat(13), Err(Overrun::Items { limit: 12 }));
        check(
            &format!("{}{}", "x\r\n".repeat(333), "xx"),
            Err(Overrun::Connection { limit: 1000 }),
        );
        check(&format!("{}{}", "{10}\r\n", "(".repeat(10)), Ok(()));
    }

    #[test]
    fn what_only_looks_like_an_announcement_is_a_line() {
        // After each of these a new response begins, so the parentheses start from zero.
        for input in [
            "{5} \r\n",
            "{5\r\n",
            "{+}\r\n",
            "{}\r\n",
            "5}\r\n",
            "{5-}\r\n",
            "{5}\r\r\n",
        ] {
            check(&format!("((( {input}((( \r\n"), Ok(()));
        }
        // And after each of these five bytes of literal, then the rest of the same response.
        for input in [
            "{5}\r\n",
            "{5}\n",
            "{{5}\r\n",
            "{05}\r\n",
            "~{5}\r\n",
            "\"a{5}\r\n",
        ] {
            check(
                &format!("((( {input}((((( (\r\n"),
                Err(Overrun::Nesting { limit: 3 }),
            );
        }
    }

    #[test]
    fn an_overrun_is_for_good() {
        let mut guard = LiteralGuard::new(SMALL);
        let expected = Err(Overrun::Nesting { limit: 3 });
        assert_eq!(guard.feed(b"(((("), expected);
        assert_eq!(guard.feed(b"\r\n"), expected);
    }

    #[test]
    fn a_literal_of_the_whole_reply_passes_and_is_counted() {
        let mut guard = LiteralGuard::new(Limits::imap());
        guard.feed(b"* 1 FETCH (BODY[] {16000000}\r\n").unwrap();
        for _ in 0..16 {
            guard.feed(&vec![b'('; 1_000_000]).unwrap();
            assert!(guard.in_response());
        }
        guard.feed(b")\r\n").unwrap();
        assert!(!guard.in_response());
        assert_eq!(guard.total(), 16_000_033);
    }
}
