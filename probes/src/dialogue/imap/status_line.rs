//! Status lines (RFC 9051 section 7.1) by their bare form, for what the parser refuses.

/// How often the message at hand was handed to the parser already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    #[default]
    AsSent,
    Cleaned,
    Reduced,
}

impl Attempt {
    /// A form of a refused message that the parser has a better chance with: first the same line in
    /// ASCII, then nothing but its condition. `None` if the message is no single status line, or
    /// both were tried.
    pub(super) fn simplify(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let line = message.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\n') || *self == Self::Reduced {
            return None;
        }
        let (head, text) = split(line)?;
        if *self == Self::AsSent {
            *self = Self::Cleaned;
            let cleaned: Vec<u8> = text.iter().map(|&byte| ascii(byte)).collect();
            if cleaned != text {
                return Some([head, b" ", &cleaned, b"\r\n"].concat());
            }
        }
        *self = Self::Reduced;
        Some([head, b" -\r\n"].concat())
    }
}

/// What follows the tag and the condition.
pub(super) fn words(line: &[u8]) -> &[u8] {
    split(line).map_or(line, |(_, text)| text)
}

/// The response code: the first word in square brackets, in capitals.
pub(super) fn code(line: &[u8]) -> Option<String> {
    let inside = words(line).strip_prefix(b"[")?;
    let end = inside.iter().position(|byte| matches!(byte, b' ' | b']'))?;
    let code = std::str::from_utf8(&inside[..end]).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!code.is_empty() && code.len() <= 40 && code.bytes().all(plain))
        .then(|| code.to_ascii_uppercase())
}

/// A status line in front of, and behind, the space after its condition.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.first() == Some(&b'+') {
        let text = &line[1..];
        return Some((&line[..1], text.strip_prefix(b" ").unwrap_or(text)));
    }
    let space = line.iter().position(|&byte| byte == b' ')?;
    let condition = &line[space + 1..];
    let length = condition
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(condition.len());
    let known = [b"OK".as_slice(), b"NO", b"BAD", b"BYE", b"PREAUTH"];
    if !known
        .iter()
        .any(|known| condition[..length].eq_ignore_ascii_case(known))
    {
        return None;
    }
    let head = &line[..space + 1 + length];
    let text = condition.get(length + 1..).unwrap_or_default();
    Some((head, text))
}

fn ascii(byte: u8) -> u8 {
    if matches!(byte, b' '..=b'~') {
        byte
    } else {
        b'?'
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, code, words};

    #[test]
    fn refused_status_lines_are_simplified_twice_at_most() {
        for (message, forms) in [
            (
                "A1 NO für dich\r\n",
                vec!["A1 NO f??r dich\r\n", "A1 NO -\r\n"],
            ),
            (
                "* OK [UIDVALIDITY 7] é\r\n",
                vec!["* OK [UIDVALIDITY 7] ??\r\n", "* OK -\r\n"],
            ),
            ("A1 OK\r\n", vec!["A1 OK -\r\n"]),
            ("* bye [\n", vec!["* bye -\r\n"]),
            ("+ é\r\n", vec!["+ ??\r\n", "+ -\r\n"]),
            ("* XFOO é\r\n", vec![]),
            ("* OK {3}\r\nabc\r\n", vec![]),
            ("unended", vec![]),
        ] {
            let mut attempt = Attempt::default();
            let mut got = Vec::new();
            while let Some(form) = attempt.simplify(message.as_bytes()) {
                got.push(String::from_utf8_lossy(&form).into_owned());
            }
            assert_eq!(got, forms, "{message}");
        }
    }

    #[test]
    fn words_and_codes_are_read_off_the_line() {
        for (line, text, expected) in [
            (
                "A1 NO [AUTHENTICATIONFAILED] no",
                "[AUTHENTICATIONFAILED] no",
                Some("AUTHENTICATIONFAILED"),
            ),
            ("* OK [uidnext 5] x", "[uidnext 5] x", Some("UIDNEXT")),
            ("A1 BAD no code", "no code", None),
            ("A1 OK", "", None),
            ("* 5 EXISTS", "* 5 EXISTS", None),
            ("A1 NO [a\"b] x", "[a\"b] x", None),
            ("A1 NO [", "[", None),
        ] {
            assert_eq!(words(line.as_bytes()), text.as_bytes(), "{line}");
            assert_eq!(code(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
