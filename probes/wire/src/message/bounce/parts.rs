//! The parts of a message (RFC 2046) as far as a bounce needs them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::header::{fields, first};
use super::super::structured::{split_unquoted, unquote, without_comments};

/// Multiparts within multiparts: a report in a wrapper of a mailing list is two.
const MAX_DEPTH: usize = 4;
/// Parts that are looked at.
const MAX_PARTS: usize = 32;
/// Longest boundary; RFC 2046 allows 70 characters.
const MAX_BOUNDARY: usize = 200;

/// A part that is not a multipart. A message within the message is such a part: what is in it is not ours to split.
#[derive(Debug)]
pub(super) struct Part<'m> {
    /// `text/plain`, in lower case.
    pub(super) kind: String,
    /// Its content, decoded.
    pub(super) body: Cow<'m, [u8]>,
}

/// Header and body of a message or part; the empty line belongs to neither.
pub(super) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let end = at + line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return (
                message.get(..at).unwrap_or_default(),
                message.get(end..).unwrap_or_default(),
            );
        }
        at = end;
    }
    (message, &[])
}

/// The parts of a message, in order; the message itself when it has none.
pub(super) fn leaves(message: &[u8]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    visit(message, 0, &mut found);
    found
}

/// Calls itself [`MAX_DEPTH`] times at most.
fn visit<'m>(block: &'m [u8], depth: usize, found: &mut Vec<Part<'m>>) {
    let (header, body) = split(block);
    let fields = fields(header);
    let content_type = without_comments(first(&fields, "Content-Type").unwrap_or_default());
    let mut parameters = split_unquoted(&content_type, ';');
    let kind = parameters.next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let boundary = parameters.find_map(boundary).filter(|_| {
        // Deeper ones are taken as text.
        kind.starts_with("multipart/") && depth < MAX_DEPTH
    });
    if let Some(boundary) = boundary {
        for section in sections(body, boundary.as_bytes()) {
            if found.len() >= MAX_PARTS {
                return;
            }
            visit(section, depth + 1, found);
        }
        return;
    }
    let kind = match kind.is_empty() {
        true => "text/plain".to_owned(),
        false => kind,
    };
    let encoding = first(&fields, "Content-Transfer-Encoding").unwrap_or_default();
    let body = decoded(encoding, body);
    found.push(Part { kind, body });
}

fn boundary(parameter: &str) -> Option<String> {
    let (name, value) = parameter.split_once('=')?;
    let value = unquote(value.trim());
    let fits = (1..=MAX_BOUNDARY).contains(&value.len());
    (name.trim().eq_ignore_ascii_case("boundary") && fits).then_some(value)
}

/// What stands between the delimiter lines. The last section of a message that was cut off ends where the message does.
fn sections<'m>(body: &'m [u8], boundary: &[u8]) -> Vec<&'m [u8]> {
    let mut sections = Vec::new();
    let mut began = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = at + line.len();
        if let Some(rest) = line
            .strip_prefix(b"--")
            .and_then(|line| line.strip_prefix(boundary))
        {
            let rest = rest.trim_ascii();
            if rest.is_empty() || rest == b"--" {
                if let Some(began) = began.take() {
                    sections.push(body.get(began..at).unwrap_or_default());
                }
                if !rest.is_empty() || sections.len() > MAX_PARTS {
                    return sections;
                }
                began = Some(end);
            }
        }
        at = end;
    }
    sections.extend(began.and_then(|began| body.get(began..)));
    sections
}

/// The content without its transfer encoding (RFC 2045 §6); what cannot be decoded stays as it is.
fn decoded<'m>(encoding: &str, body: &'m [u8]) -> Cow<'m, [u8]> {
    let encoding = encoding.trim();
    if encoding.eq_ignore_ascii_case("quoted-printable") {
        return Cow::Owned(quoted_printable(body));
    }
    if encoding.eq_ignore_ascii_case("base64") {
        return base64(body).map_or(Cow::Borrowed(body), Cow::Owned);
    }
    Cow::Borrowed(body)
}

fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut digits: Vec<u8> = body.iter().copied().filter(is_digit).collect();
    if digits.len() % 4 == 1 {
        // Cut off in the middle.
        digits.pop();
    }
    GeneralPurpose::new(&STANDARD, lenient).decode(digits).ok()
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'=' {
            plain.push(*first);
            continue;
        }
        match after {
            [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => rest = after,
            [high, low, after @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    plain.push(high << 4 | low);
                    rest = after;
                }
                _ => plain.push(b'='),
            },
            _ => plain.push(b'='),
        }
    }
    plain
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
