//! What a scalar without quotes means: the core schema of YAML 1.2, and where older readers see something else.

use super::tree::Scalar;

/// The meaning of a scalar by the core schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number above the range of `i64`.
    Large(u64),
    Float(f64),
    Text,
}

/// The meaning by the core schema of YAML 1.2 (YAML 1.2.2 §10.3.2).
pub(super) fn meaning(scalar: &Scalar) -> Meaning {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return Meaning::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    // `0123` is 123 here and 83 elsewhere: nobody gets a number out of it.
    let octal_looking = digits.len() > 1 && digits.starts_with('0') && is_digits(digits);
    if octal_looking {
        return Meaning::Text;
    }
    let number = if let Some(hex) = text.strip_prefix("0x") {
        u64::from_str_radix(hex, 16).ok()
    } else if let Some(octal) = text.strip_prefix("0o") {
        u64::from_str_radix(octal, 8).ok()
    } else if is_digits(digits) {
        match text.parse::<i64>() {
            Ok(number) => return Meaning::Int(number),
            Err(_) => text.parse::<u64>().ok(),
        }
    } else {
        None
    };
    if let Some(number) = number {
        return i64::try_from(number).map_or(Meaning::Large(number), Meaning::Int);
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Meaning::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let looks_numeric =
        digits.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().all(numeric);
    match text.parse() {
        Ok(number) if looks_numeric => Meaning::Float(number),
        _ => Meaning::Text,
    }
}

/// Why a scalar without quotes is not certainly a text: what a YAML reader, this or an older one, makes of it.
pub(in crate::config) fn ambiguity(scalar: &Scalar) -> Option<&'static str> {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" => return Some("a truth value"),
        "" | "~" | "null" => return Some("nothing"),
        "<<" => return Some("a merge key"),
        "=" => return Some("a default value"),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match meaning(scalar) {
        Meaning::Int(_) | Meaning::Large(_) | Meaning::Float(_) => return Some("a number"),
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit()) => {}
        _ => return None,
    }
    if unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return Some(
            if unsigned.starts_with('0') && !unsigned.contains(['8', '9']) {
                "an octal number"
            } else {
                "a number"
            },
        );
    }
    let parts: Vec<&str> = unsigned.split(':').collect();
    if parts.len() > 1 && parts.iter().all(|part| is_digits(part)) {
        return Some("a number to the base of 60");
    }
    let parts: Vec<&str> = text.splitn(3, '-').collect();
    if let [year, month, day] = parts.as_slice()
        && is_digits(year)
        && year.len() == 4
        && is_digits(month)
        && day.starts_with(|c: char| c.is_ascii_digit())
        && (is_digits(day) || day.contains(':'))
    {
        return Some("a date");
    }
    None
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar {
            text: text.to_owned(),
            plain: true,
        }
    }

    #[test]
    fn the_core_schema_decides_what_a_plain_scalar_is() {
        for (text, expected) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("true", Meaning::Bool(true)),
            ("yes", Meaning::Text),
            ("12", Meaning::Int(12)),
            ("-3", Meaning::Int(-3)),
            ("0x1f", Meaning::Int(31)),
            ("0o17", Meaning::Int(15)),
            ("0123", Meaning::Text),
            ("0", Meaning::Int(0)),
            ("1e3", Meaning::Float(1000.0)),
            ("1.5", Meaning::Float(1.5)),
            ("5.1.1", Meaning::Text),
            ("18446744073709551615", Meaning::Large(u64::MAX)),
            ("e", Meaning::Text),
            ("192.0.2.1", Meaning::Text),
        ] {
            assert_eq!(meaning(&plain(text)), expected, "{text}");
        }
    }

    #[test]
    fn words_that_some_reader_takes_for_something_else_are_known() {
        for text in [
            "no",
            "On",
            "y",
            "0123",
            "0900",
            "1e3",
            "12",
            "1_000",
            "12:30",
            "2024-05-01",
            "null",
            "<<",
            "5.1",
            "1.0e+3",
            ".inf",
            "+12",
            "2001-12-14 21:59:43",
        ] {
            assert!(ambiguity(&plain(text)).is_some(), "{text}");
        }
        for text in [
            "alice",
            "192.0.2.1",
            "2001:db8::1",
            "10 mx1.example.net",
            "5xx",
            "127.0.0.1:53",
            "20s",
            "5.1.1",
            "filter1",
            "-",
            "30 12 * * TUE",
            "2024-05-x",
            "no-such-user",
        ] {
            assert_eq!(ambiguity(&plain(text)), None, "{text}");
        }
    }
}
