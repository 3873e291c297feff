//! A message made ready to follow DATA (RFC 5321 §4.1.1.4, §4.5.2).

use thiserror::Error;

/// The message has a line end that is not CR LF. Servers disagree about what that means, which is
/// how mail is smuggled (RFC 5321 §2.3.8 forbids sending it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line} of the message holds a {} alone", if *.cr { "CR" } else { "LF" })]
pub struct BareLineEnd {
    /// The line, counted from 1.
    pub line: usize,
    /// A CR without LF; otherwise an LF without CR.
    pub cr: bool,
}

/// Doubles the dot at the beginning of a line, ends the last line, and adds the final dot.
///
/// # Errors
/// [`BareLineEnd`] if the message holds a CR or LF outside a CR LF.
pub fn encode(message: &[u8]) -> Result<Vec<u8>, BareLineEnd> {
    let mut encoded = Vec::with_capacity(message.len() + message.len() / 32 + 8);
    for (index, piece) in message.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        let body = match piece.strip_suffix(b"\n") {
            Some(ended) => ended
                .strip_suffix(b"\r")
                .ok_or(BareLineEnd { line, cr: false })?,
            None => piece,
        };
        if body.contains(&b'\r') {
            return Err(BareLineEnd { line, cr: true });
        }
        if body.starts_with(b".") {
            encoded.push(b'.');
        }
        encoded.extend_from_slice(body);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(b".\r\n");
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_stuffed_and_ended() {
        let cases = [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            ("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
            ("..a\r\na.b\r\n", "...a\r\na.b\r\n.\r\n"),
            ("\r\n\r\n", "\r\n\r\n.\r\n"),
        ];
        for (message, expected) in cases {
            assert_eq!(
                encode(message.as_bytes()).unwrap(),
                expected.as_bytes(),
                "{message:?}"
            );
        }
    }

    #[test]
    fn a_bare_line_end_is_refused_with_its_line() {
        let cases = [
            ("a\nb", "line 1 of the message holds a LF alone"),
            ("a\r\n\n.\r\n", "line 2 of the message holds a LF alone"),
            ("a\rb\r\n", "line 1 of the message holds a CR alone"),
            ("a\r\nb\r\r\n", "line 2 of the message holds a CR alone"),
            ("a\r\nb\r", "line 2 of the message holds a CR alone"),
            ("x\r\n.\r.\r\n", "line 2 of the message holds a CR alone"),
        ];
        for (message, expected) in cases {
            assert_eq!(
                encode(message.as_bytes()).unwrap_err().to_string(),
                expected,
                "{message:?}"
            );
        }
    }
}
