//! Header fields of a message (RFC 5322 §2.2).

/// Fields beyond this number are not looked at.
pub const MAX_FIELDS: usize = 1000;

/// A body is cut after this many bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name as written.
    pub name: String,
    /// The body: unfolded, trimmed, bytes that are not UTF-8 replaced, encoded words left as
    /// they are, at most [`MAX_BODY`] bytes.
    pub body: String,
}

/// The fields of a header block, in order, up to the first blank line, [`MAX_FIELDS`] at most.
/// Lines may end in CR LF or LF; a line that is no field is left out with its continuation lines.
pub fn fields(block: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut open: Option<(String, Vec<u8>)> = None;
    for raw in block.split(|byte| *byte == b'\n') {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, body)) = &mut open {
                append(body, line);
            }
            continue;
        }
        fields.extend(open.take().map(Field::close));
        if fields.len() >= MAX_FIELDS {
            return fields;
        }
        open = begin(line);
    }
    fields.extend(open.map(Field::close));
    fields
}

/// The body of the first field of that name, in any case.
pub fn first<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|field| field.is(name))?;
    Some(&found.body)
}

/// The bodies of all fields of that name, in any case, in order.
pub fn all<'a>(fields: &'a [Field], name: &str) -> Vec<&'a str> {
    let found = fields.iter().filter(|field| field.is(name));
    found.map(|field| field.body.as_str()).collect()
}

impl Field {
    /// Whether the field has that name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn close((name, body): (String, Vec<u8>)) -> Self {
        let mut body = String::from_utf8_lossy(&body).trim().to_owned();
        // Replacement characters are longer than what they replace.
        body.truncate(body.floor_char_boundary(MAX_BODY));
        Self { name, body }
    }
}

fn begin(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, rest) = line.split_at_checked(colon)?;
    // Space before the colon is obsolete syntax that still occurs (RFC 5322 §4.5).
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let name = String::from_utf8_lossy(name).into_owned();
    let mut body = Vec::new();
    append(&mut body, rest.get(1..).unwrap_or_default());
    Some((name, body))
}

fn append(body: &mut Vec<u8>, line: &[u8]) {
    let room = MAX_BODY.saturating_sub(body.len());
    body.extend_from_slice(line.get(..room).unwrap_or(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(block: &str, expected: &[(&str, &str)]) {
        let found: Vec<(String, String)> = fields(block.as_bytes())
            .into_iter()
            .map(|field| (field.name, field.body))
            .collect();
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, body)| (name.to_string(), body.to_string()))
            .collect();
        assert_eq!(found, expected, "{block:?}");
    }

    #[test]
    fn fields_are_unfolded_until_the_blank_line() {
        check("A: 1\r\nB: 2\r\n\r\nC: 3\r\n", &[("A", "1"), ("B", "2")]);
        check("A: 1\nB: 2\n\nC: 3\n", &[("A", "1"), ("B", "2")]);
        check(
            "Subject: This\r\n is a\r\n\ttest\r\n",
            &[("Subject", "This is a\ttest")],
        );
        check("A : 1\r\nB:2", &[("A", "1"), ("B", "2")]);
        check("A:\r\n x\r\n", &[("A", "x")]);
        check("A: b: c", &[("A", "b: c")]);
        check("", &[]);
        check("\r\nA: 1", &[]);
    }

    #[test]
    fn what_is_no_field_is_left_out_with_its_continuation() {
        check(
            "From probe@x Mon Jan  1 00:00:00 2024\r\n\tmore\r\nA: 1\r\n",
            &[("A", "1")],
        );
        check(" lost\r\nA: 1\r\nno colon\r\n x\r\n: y\r\n", &[("A", "1")]);
        check("Ä: 1\r\nB: 2\r\n", &[("B", "2")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let found = fields(b"A: caf\xe9\r\n");
        assert_eq!(first(&found, "a"), Some("caf\u{fffd}"));
    }

    #[test]
    fn number_and_length_are_bounded() {
        let many = "A: 1\r\n".repeat(MAX_FIELDS + 10);
        assert_eq!(fields(many.as_bytes()).len(), MAX_FIELDS);
        let long = format!(
            "A: {}\r\n {}\r\nB: 2\r\n",
            "x".repeat(MAX_BODY),
            "y".repeat(10)
        );
        let found = fields(long.as_bytes());
        assert!(first(&found, "A").unwrap().len() <= MAX_BODY);
        assert_eq!(first(&found, "B"), Some("2"));
        let mut invalid = b"A: ".to_vec();
        invalid.extend([0xff; MAX_BODY]);
        assert!(first(&fields(&invalid), "A").unwrap().len() <= MAX_BODY);
    }

    #[test]
    fn names_are_compared_without_case() {
        let found = fields(b"Received: 1\r\nRECEIVED: 2\r\nTo: x\r\n");
        assert_eq!(all(&found, "received"), ["1", "2"]);
        assert_eq!(first(&found, "Received"), Some("1"));
        assert_eq!(first(&found, "Cc"), None);
    }
}
