//! Just enough of RFC 5322 to find header fields by name.

/// Splits after the empty line that ends the header; the body is empty if there is none.
pub(super) fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    if raw.starts_with(b"\r\n") {
        return raw.split_at(2);
    }
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n");
    raw.split_at(end.map_or(raw.len(), |at| at + 4))
}

/// The fields of a header: the name, and the whole field with its folding and CRLF.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = header;
    std::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(b"\r\n") {
            return None;
        }
        let (field, after) = rest.split_at(field_length(rest));
        rest = after;
        let colon = field.iter().position(|b| *b == b':');
        let name = field.get(..colon.unwrap_or(0)).unwrap_or_default();
        Some((name.trim_ascii_end(), field))
    })
}

/// Up to the first line end that no continuation line follows.
fn field_length(header: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = header
        .get(at..)
        .and_then(|h| h.iter().position(|b| *b == b'\n'))
    {
        at += line + 1;
        if !matches!(header.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    header.len()
}

/// The unfolded value of the first field with this name.
pub(super) fn value(raw: &[u8], name: &str) -> Option<String> {
    values(raw, name).next()
}

/// The unfolded values of all fields with this name.
pub(super) fn values(raw: &[u8], name: &str) -> impl Iterator<Item = String> {
    let (header, _) = split(raw);
    let wanted = name.as_bytes().to_ascii_lowercase();
    fields(header)
        .filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted))
        .map(|(name, field)| {
            let value = field.get(name.len()..).unwrap_or_default();
            let value = String::from_utf8_lossy(value).replace("\r\n", "");
            value.trim_start_matches([' ', '\t', ':']).trim().to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_field_is_one_value() {
        let raw = b"A: 1\r\nTag : v1;\r\n id=7\r\n\r\nTag: not this\r\n";
        assert_eq!(value(raw, "tag").as_deref(), Some("v1; id=7"));
        assert_eq!(value(raw, "b"), None);
        assert_eq!(values(raw, "TAG").count(), 1);
    }

    #[test]
    fn header_ends_at_the_first_empty_line() {
        let cases: [(&[u8], usize); 4] = [
            (b"A: 1\r\n\r\nx", 8),
            (b"\r\nbody", 2),
            (b"A: 1\r\n", 6),
            (b"", 0),
        ];
        for (raw, at) in cases {
            assert_eq!(split(raw).0.len(), at, "{raw:?}");
        }
    }
}
