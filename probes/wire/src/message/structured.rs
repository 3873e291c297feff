//! Comments and quoted strings of structured header fields (RFC 5322 §3.2.2, §3.2.4).

/// The text with every comment replaced by a space. Parentheses inside quoted strings stay.
/// A comment that is never closed swallows the rest.
pub(super) fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for character in text.chars() {
        let inside_comment = depth > 0;
        if escaped {
            escaped = false;
        } else {
            match character {
                '\\' if quoted || inside_comment => escaped = true,
                '"' if !inside_comment => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted && inside_comment => {
                    depth -= 1;
                    if depth == 0 {
                        kept.push(' ');
                    }
                }
                _ => {}
            }
        }
        if !inside_comment && depth == 0 {
            kept.push(character);
        }
    }
    kept
}

/// Splits at `separator` outside quoted strings.
pub(super) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match character {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
}

/// The content of a quoted string, or the text itself.
pub(super) fn unquote(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut content = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => content.extend(characters.next()),
            _ => content.push(character),
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_a_space() {
        let cases = [
            ("a (b) c", "a   c"),
            ("a(b(c)d)e", "a e"),
            (r#"a "(b)" c"#, r#"a "(b)" c"#),
            (r"a (\) b) c", "a   c"),
            (r#"a "\"(b" c"#, r#"a "\"(b" c"#),
            (r#"a (") b"#, "a   b"),
            ("a) b", "a) b"),
            ("a (b", "a "),
        ];
        for (input, expected) in cases {
            assert_eq!(without_comments(input), expected, "{input:?}");
        }
    }

    #[test]
    fn separators_in_quotes_do_not_separate() {
        let parts: Vec<&str> = split_unquoted(r#"a;"b;\";c";d"#, ';').collect();
        assert_eq!(parts, ["a", r#""b;\";c""#, "d"]);
    }

    #[test]
    fn quoted_strings_are_unquoted() {
        let cases = [
            ("a", "a"),
            (r#""a b""#, "a b"),
            (r#""a\"b""#, "a\"b"),
            ("\"", "\""),
            (r#""a"#, r#""a"#),
            ("\"\\\"", ""),
        ];
        for (input, expected) in cases {
            assert_eq!(unquote(input), expected, "{input:?}");
        }
    }
}
