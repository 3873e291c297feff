//! Cuts what a server sends into lines and literals, for the transcript and for feeding the parser
//! piece by piece. Nothing is parsed here and nothing of a literal is kept.

/// Bytes kept of a line.
const KEPT: usize = 1000;
/// Longest announcement of a literal that matters: `{4294967295+}` and the line end.
const ANNOUNCEMENT: usize = 16;

/// A piece of what the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The end of a line; [`Framing::line`] holds it.
    LineEnd,
    /// Part of a line or of a literal.
    Part,
}

/// Where in the stream of the server we are.
#[derive(Debug, Default)]
pub(super) struct Framing {
    line: Vec<u8>,
    cut: bool,
    tail: Vec<u8>,
    line_ended: bool,
    literal_left: u32,
}

impl Framing {
    /// Takes the next piece off `bytes`: how long it is, and what it is.
    pub(super) fn next(&mut self, bytes: &[u8]) -> (usize, Piece) {
        if self.literal_left > 0 {
            let take = bytes
                .len()
                .min(usize::try_from(self.literal_left).unwrap_or(usize::MAX));
            self.literal_left -= u32::try_from(take).unwrap_or(self.literal_left);
            return (take, Piece::Part);
        }
        if std::mem::take(&mut self.line_ended) {
            self.line.clear();
            self.tail.clear();
            self.cut = false;
        }
        match bytes.iter().position(|&byte| byte == b'\n') {
            None => {
                self.keep(bytes);
                (bytes.len(), Piece::Part)
            }
            Some(at) => {
                self.keep(&bytes[..at]);
                self.line_ended = true;
                self.literal_left = announced(&self.tail).unwrap_or(0);
                (at + 1, Piece::LineEnd)
            }
        }
    }

    /// The newest line, without its end.
    pub(super) fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\r").unwrap_or(&self.line)
    }

    /// Whether only the start of the line was kept.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);

        let newest = &bytes[bytes.len().saturating_sub(ANNOUNCEMENT)..];
        self.tail.extend_from_slice(newest);
        let surplus = self.tail.len().saturating_sub(ANNOUNCEMENT);
        self.tail.drain(..surplus);
    }
}

/// The size of the literal that a line with this end announces (RFC 9051 section 4.3).
fn announced(tail: &[u8]) -> Option<u32> {
    let tail = tail.strip_suffix(b"\r").unwrap_or(tail);
    let tail = tail.strip_suffix(b"}")?;
    let tail = tail.strip_suffix(b"+").unwrap_or(tail);
    let open = tail.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&tail[open + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Framing, Piece, announced};

    #[test]
    fn announcements_are_seen_at_the_end_of_a_line_only() {
        for (tail, length) in [
            ("BODY[] {42}", Some(42)),
            ("BODY[] {42}\r", Some(42)),
            ("{42+}\r", Some(42)),
            ("{4294967295}", Some(u32::MAX)),
            ("{4294967296}", None),
            ("{}", None),
            ("{-1}", None),
            ("42}", None),
            ("{42} x", None),
            ("", None),
        ] {
            assert_eq!(announced(tail.as_bytes()), length, "{tail}");
        }
    }

    #[test]
    fn pieces_are_the_same_however_the_bytes_arrive() {
        let sent = b"* 1 FETCH (BODY[] {7}\r\na\r\n{9}\r X)\r\n* OK\n";
        for size in 1..sent.len() {
            let mut framing = Framing::default();
            let mut lines = Vec::new();
            for mut chunk in sent.chunks(size) {
                while !chunk.is_empty() {
                    let (length, piece) = framing.next(chunk);
                    chunk = &chunk[length..];
                    if piece == Piece::LineEnd {
                        lines.push(String::from_utf8_lossy(framing.line()).into_owned());
                    }
                }
            }
            assert_eq!(
                lines,
                ["* 1 FETCH (BODY[] {7}", " X)", "* OK"],
                "in chunks of {size}"
            );
        }
    }

    #[test]
    fn long_lines_are_cut_and_their_literals_still_seen() {
        let mut framing = Framing::default();
        let line = [vec![b'a'; 5000], b"{3}\r\n".to_vec()].concat();
        assert_eq!(framing.next(&line), (line.len(), Piece::LineEnd));
        assert_eq!(framing.next(b"\n\n\nnext\r\n"), (3, Piece::Part));
        assert!(framing.is_cut());
        assert_eq!(framing.line().len(), 1000);
    }
}
