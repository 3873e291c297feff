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
