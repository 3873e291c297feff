//! A byte stream cut into lines.

use super::{Limits, Overrun};

/// One line as the peer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The bytes without the line end. A CR that is not part of the line end stays in here.
    pub bytes: Vec<u8>,
    /// How the line ended.
    pub ending: LineEnding,
}

/// The two line ends seen in practice; only the first is legal in SMTP and IMAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// CR LF.
    CrLf,
    /// LF without a CR before it.
    BareLf,
}

/// Collects bytes and hands out lines, within [`Limits`].
///
/// Whatever came before an overrun can still be read; after that every call fails with the same
/// overrun. The result does not depend on how the bytes were cut into pieces, except that a peer
/// that sends more than one whole reply bound ahead of the reader is refused.
#[derive(Debug)]
pub struct LineReader {
    limits: Limits,
    buffer: Vec<u8>,
    /// Everything before this index has been handed out.
    start: usize,
    /// Everything from `start` to this index is known to hold no LF.
    scanned: usize,
    /// Length of the last, unfinished line in `buffer`.
    open_line: usize,
    total: u64,
    reply_bytes: usize,
    reply_lines: usize,
    failed: Option<Overrun>,
}

impl LineReader {
    /// An empty reader.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            open_line: 0,
            total: 0,
            reply_bytes: 0,
            reply_lines: 0,
            failed: None,
        }
    }

    /// Takes bytes from the network.
    ///
    /// # Errors
    /// An [`Overrun`] of the line, connection or (bytes not yet read) reply bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Overrun> {
        if let Some(overrun) = self.failed {
            return Err(overrun);
        }
        let room = self.limits.connection.saturating_sub(self.total);
        let allowed = usize::try_from(room).unwrap_or(usize::MAX);
        let taken = bytes.get(..allowed).unwrap_or(bytes);
        for piece in taken.split_inclusive(|byte| *byte == b'\n') {
            self.push_piece(piece)?;
        }
        self.total += taken.len() as u64;
        if taken.len() < bytes.len() {
            return self.fail(Overrun::Connection {
                limit: self.limits.connection,
            });
        }
        Ok(())
    }

    /// The next complete line, if one has arrived.
    ///
    /// # Errors
    /// An [`Overrun`] of the reply or items bound, or the one that [`Self::push`] met, once the
    /// lines before it are read.
    pub fn next_line(&mut self) -> Result<Option<Line>, Overrun> {
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(offset) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return self.failed.map_or(Ok(None), Err);
        };
        let end = self.scanned + offset + 1;
        let raw = self.buffer.get(self.start..end).unwrap_or_default();
        let line = Line::from_raw(raw);
        self.reply_bytes = self.reply_bytes.saturating_add(raw.len());
        self.reply_lines = self.reply_lines.saturating_add(1);
        self.start = end;
        self.scanned = end;
        self.reclaim();

        if self.reply_lines > self.limits.items {
            let limit = self.limits.items;
            return self.fail_for_good(Overrun::Items { limit });
        }
        if self.reply_bytes > self.limits.reply {
            let limit = self.limits.reply;
            return self.fail_for_good(Overrun::Reply { limit });
        }
        Ok(Some(line))
    }

    /// The bytes that arrived and were not handed out. Before a TLS handshake this must be empty
    /// (RFC 3207 §6).
    pub fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Hands out the unread bytes raw, for a reader of another kind.
    pub fn take_buffered(&mut self) -> Vec<u8> {
        let rest = self.buffered().to_vec();
        self.buffer = Vec::new();
        self.start = 0;
        self.scanned = 0;
        self.open_line = 0;
        rest
    }

    /// Tells that a reply is complete: the counters per reply begin again.
    pub fn end_reply(&mut self) {
        self.reply_bytes = 0;
        self.reply_lines = 0;
    }

    /// All bytes taken so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Appends at most one line, checked before it is kept.
    fn push_piece(&mut self, piece: &[u8]) -> Result<(), Overrun> {
        let length = self.open_line.saturating_add(piece.len());
        if length > self.limits.line {
            let limit = self.limits.line;
            return self.fail(Overrun::Line { limit });
        }
        let unread = self.buffer.len() - self.start;
        if unread.saturating_add(piece.len()) > self.limits.reply {
            let limit = self.limits.reply;
            return self.fail(Overrun::Reply { limit });
        }
        self.buffer.extend_from_slice(piece);
        self.open_line = if piece.ends_with(b"\n") { 0 } else { length };
        Ok(())
    }

    fn fail(&mut self, overrun: Overrun) -> Result<(), Overrun> {
        self.failed = Some(overrun);
        Err(overrun)
    }

    /// Like `fail`, and nothing that is buffered may be read any more.
    fn fail_for_good(&mut self, overrun: Overrun) -> Result<Option<Line>, Overrun> {
        self.take_buffered();
        self.failed = Some(overrun);
        Err(overrun)
    }

    /// Drops what was handed out once it is at least half of the buffer, which keeps the cost per
    /// byte constant.
    fn reclaim(&mut self) {
        if self.start * 2 >= self.buffer.len() {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
    }
}

impl Line {
    fn from_raw(raw: &[u8]) -> Self {
        let without_lf = raw.strip_suffix(b"\n").unwrap_or(raw);
        match without_lf.strip_suffix(b"\r") {
            Some(bytes) => Self {
                bytes: bytes.to_vec(),
                ending: LineEnding::CrLf,
            },
            None => Self {
                bytes: without_lf.to_vec(),
                ending: LineEnding::BareLf,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        line: 10,
        reply: 20,
        connection: 40,
        items: 3,
        nesting: 0,
    };

    /// Pushes piece by piece, reads lines as they come: `text` for CR LF, `text!` for a bare LF.
    fn read(limits: Limits, pieces: &[&str]) -> (Vec<String>, Option<Overrun>) {
        let mut reader = LineReader::new(limits);
        let mut lines = Vec::new();
        for piece in pieces {
            let pushed = reader.push(piece.as_bytes());
            loop {
                match reader.next_line() {
                    Ok(Some(line)) => {
                        let text = String::from_utf8_lossy(&line.bytes).into_owned();
                        let mark = if line.ending == LineEnding::BareLf {
                            "!"
                        } else {
                            ""
                        };
                        lines.push(format!("{text}{mark}"));
                    }
                    Ok(None) => break,
                    Err(overrun) => return (lines, Some(overrun)),
                }
            }
            assert_eq!(
                pushed,
                Ok(()),
                "an overrun in push is repeated by next_line"
            );
        }
        (lines, None)
    }

    #[test]
    fn lines_are_cut_wherever_the_pieces_are() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["a\r\nb\r\n"], &["a", "b"]),
            (&["a", "\r", "\n", "b\r", "\nc"], &["a", "b"]),
            (&["a\nb\r\n"], &["a!", "b"]),
            (&["a\rb\r\n"], &["a\rb"]),
            (&["\r\n\n"], &["", "!"]),
            (&["", "a\r\r\n"], &["a\r"]),
            (&["abc"], &[]),
        ];
        for (pieces, expected) in cases {
            let (lines, overrun) = read(Limits::smtp(), pieces);
            assert_eq!(lines, expected, "{pieces:?}");
            assert_eq!(overrun, None);
        }
    }

    #[test]
    fn each_bound_is_named_and_what_came_before_it_is_read() {
        let line = Some(Overrun::Line { limit: 10 });
        let reply = Some(Overrun::Reply { limit: 20 });
        let items = Some(Overrun::Items { limit: 3 });
        let cases: [(&[&str], &[&str], Option<Overrun>); 7] = [
            (&["12345678\r\n"], &["12345678"], None),
            (&["123456789\r\n"], &[], line),
            (&["a\r\n", "12345", "678901"], &["a"], line),
            (&["a\r\n12345678901"], &["a"], line),
            (
                &["12345678\r\n", "12345678\r\n"],
                &["12345678", "12345678"],
                None,
            ),
            (
                &["12345678\r\n", "12345678\r\n", "\n"],
                &["12345678", "12345678"],
                reply,
            ),
            (&["\n\n\n", "\n"], &["!", "!", "!"], items),
        ];
        for (pieces, expected, overrun) in cases {
            assert_eq!(
                read(SMALL, pieces),
                (expected.iter().map(ToString::to_string).collect(), overrun),
                "{pieces:?}"
            );
        }
    }

    #[test]
    fn the_connection_is_bounded_over_replies() {
        let mut reader = LineReader::new(SMALL);
        for _ in 0..4 {
            reader.push(b"12345678\r\n").unwrap();
            assert!(reader.next_line().unwrap().is_some());
            reader.end_reply();
        }
        assert_eq!(reader.total(), 40);
        let expected = Overrun::Connection { limit: 40 };
        assert_eq!(reader.push(b"x"), Err(expected));
        assert_eq!(reader.next_line(), Err(expected));
        assert_eq!(reader.push(b""), Err(expected));
    }

    #[test]
    fn unread_bytes_are_bounded_too() {
        let mut reader = LineReader::new(SMALL);
        reader.push(b"12345678\r\n12345678\r\n").unwrap();
        assert_eq!(reader.push(b"\r\n"), Err(Overrun::Reply { limit: 20 }));
    }

    #[test]
    fn what_is_left_after_a_line_can_be_seen_and_taken() {
        let mut reader = LineReader::new(Limits::smtp());
        reader.push(b"220 go\r\n250 injected\r\n").unwrap();
        assert!(reader.next_line().unwrap().is_some());
        assert_eq!(reader.buffered(), b"250 injected\r\n");
        assert_eq!(reader.take_buffered(), b"250 injected\r\n");
        assert_eq!(reader.buffered(), b"");
        assert_eq!(reader.next_line(), Ok(None));
        reader.push(b"x\r\n").unwrap();
        assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"x");
    }

    #[test]
    fn many_small_pieces_of_a_long_reply_are_read_in_linear_time() {
        // 1 MiB byte by byte, and 1 MiB in one piece: minutes if either were scanned again from the start.
        let limits = Limits {
            line: 1 << 21,
            reply: 1 << 22,
            connection: 1 << 23,
            items: 1 << 21,
            nesting: 0,
        };
        let mut reader = LineReader::new(limits);
        for _ in 0..1 << 20 {
            reader.push(b"x").unwrap();
            assert_eq!(reader.next_line(), Ok(None));
        }
        reader.push(&b"\n".repeat(1 << 20)).unwrap();
        let mut lines = 0;
        while reader.next_line().unwrap().is_some() {
            lines += 1;
        }
        assert_eq!(lines, 1 << 20);
    }
}
