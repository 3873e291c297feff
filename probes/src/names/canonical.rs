//! One spelling for each record, so that an expected record and an answered one can be compared as text. Pure.

use std::net::IpAddr;

use crate::net::RecordData;

/// The canonical form of answered data.
pub(crate) fn of_answer(record_type: &str, data: &RecordData) -> String {
    match data {
        // Joined already; a zone file's quotes are not part of it.
        RecordData::Text(text) => text.clone(),
        other => fields(record_type, &other.to_string()),
    }
}

/// The canonical form of an expected record.
///
/// # Errors
/// A sentence that says how the record must be written.
pub(crate) fn of_expected(record_type: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    match record_type {
        "TXT" => Ok(joined(text)),
        "A" | "AAAA" => match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == (record_type == "A") => Ok(address.to_string()),
            _ => Err(format!(
                "`{text}` is not the address of an {record_type} record"
            )),
        },
        "MX" => match text.split_whitespace().collect::<Vec<_>>()[..] {
            [preference, _] if preference.parse::<u16>().is_ok() => Ok(fields("MX", text)),
            _ => Err(format!(
                "`{text}` is not an MX record: write the preference and the host, as `10 mx1.example.net`"
            )),
        },
        "NS" | "CNAME" | "PTR" if text.contains(char::is_whitespace) || text.is_empty() => {
            Err(format!("`{text}` is not a name"))
        }
        _ => Ok(fields(record_type, text)),
    }
}

/// Case, spaces, trailing dots and the grouping of hexadecimal digits carry no meaning.
fn fields(record_type: &str, text: &str) -> String {
    // How many fields stand before a last one that may be written in groups.
    let leading = match record_type {
        "TLSA" | "SMIMEA" | "DS" | "CDS" => Some(3),
        "SSHFP" => Some(2),
        _ if text.starts_with("\\#") => Some(2),
        _ => None,
    };
    let keeps_case = record_type == "CAA" || record_type == "DNSKEY" || record_type == "NAPTR";
    let words = text.split_whitespace().map(|word| {
        let word = match record_type {
            "CAA" => word.replace('"', ""),
            _ if word.len() > 1 => word.strip_suffix('.').unwrap_or(word).to_owned(),
            _ => word.to_owned(),
        };
        if keeps_case {
            word
        } else {
            word.to_lowercase()
        }
    });
    let words: Vec<String> = words.collect();
    match leading.and_then(|leading| words.split_at_checked(leading)) {
        Some((head, tail)) if !tail.is_empty() => format!("{} {}", head.join(" "), tail.concat()),
        _ => words.join(" "),
    }
}

/// `"v=spf1 " "-all"` as in a zone file is `v=spf1 -all`; a text without quotes stands for itself.
fn joined(text: &str) -> String {
    if text.len() < 2 || !text.starts_with('"') || !text.ends_with('"') {
        return text.to_owned();
    }
    let mut whole = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '\\' if quoted => whole.extend(characters.next()),
            _ if quoted => whole.push(character),
            _ => {}
        }
    }
    whole
}

/// What is missing and what is too many, each sorted; empty when the sets are equal. A record set has no duplicates.
pub(crate) fn difference(expected: &[String], found: &[String]) -> Option<String> {
    let without = |these: &[String], those: &[String]| {
        let mut left: Vec<String> = these
            .iter()
            .filter(|record| !those.contains(record))
            .cloned()
            .collect();
        left.sort();
        left.dedup();
        left
    };
    let missing = without(expected, found);
    let extra = without(found, expected);
    let parts: Vec<String> = [("missing", missing), ("not expected", extra)]
        .into_iter()
        .filter(|(_, records)| !records.is_empty())
        .map(|(word, records)| format!("{word} {}", listed(&records)))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// More records than this do not fit into a line.
const MOST_LISTED: usize = 10;

/// The records with commas between them, cut when there are many.
pub(crate) fn listed(records: &[String]) -> String {
    let shown = records.get(..MOST_LISTED).unwrap_or(records);
    let line = shown
        .iter()
        .map(|record| crate::names::line(record))
        .collect::<Vec<_>>()
        .join(", ");
    match records.len().saturating_sub(MOST_LISTED) {
        0 => line,
        more => format!("{line} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_record_are_one() {
        for (record_type, expected, answered) in [
            ("A", "192.0.2.1", RecordData::Address([192, 0, 2, 1].into())),
            (
                "AAAA",
                "2001:DB8:0::1",
                RecordData::Address("2001:db8::1".parse().unwrap()),
            ),
            (
                "MX",
                "10  MX1.Example.NET.",
                RecordData::Mx {
                    preference: 10,
                    host: "mx1.example.net".to_owned(),
                },
            ),
            (
                "MX",
                "0 .",
                RecordData::Mx {
                    preference: 0,
                    host: ".".to_owned(),
                },
            ),
            (
                "NS",
                "ns1.example.net.",
                RecordData::Name("ns1.example.net".to_owned()),
            ),
            (
                "TXT",
                "\"v=spf1 \" \"-all\"",
                RecordData::Text("v=spf1 -all".to_owned()),
            ),
            (
                "TXT",
                "v=spf1 -all",
                RecordData::Text("v=spf1 -all".to_owned()),
            ),
            (
                "TLSA",
                "3 1 1 ABCD EF01",
                RecordData::Other("3 1 1 abcdef01".to_owned()),
            ),
            (
                "TYPE65280",
                "\\# 4 0A00 0001",
                RecordData::Other("\\# 4 0a000001".to_owned()),
            ),
            (
                "CAA",
                "0 issue ca.example.net",
                RecordData::Other("0 issue \"ca.example.net\"".to_owned()),
            ),
            (
                "SOA",
                "ns1.example.net. admin.example.net. 1 2 3 4 5",
                RecordData::Other("ns1.example.net admin.example.net 1 2 3 4 5".to_owned()),
            ),
        ] {
            assert_eq!(
                of_expected(record_type, expected).unwrap(),
                of_answer(record_type, &answered),
                "{record_type} {expected}"
            );
        }
    }

    #[test]
    fn the_case_of_a_text_counts() {
        let answered = RecordData::Text("V=SPF1 -all".to_owned());
        assert_ne!(
            of_expected("TXT", "v=spf1 -all").unwrap(),
            of_answer("TXT", &answered)
        );
    }

    #[test]
    fn a_wrong_record_says_how_to_write_it() {
        for (record_type, text, part) in [
            ("A", "::1", "not the address of an A record"),
            ("AAAA", "192.0.2.1", "not the address of an AAAA record"),
            ("A", "mx1.example.net", "not the address"),
            ("MX", "mx1.example.net", "as `10 mx1.example.net`"),
            ("MX", "ten mx1.example.net", "as `10 mx1.example.net`"),
            ("NS", "ns1 ns2", "is not a name"),
        ] {
            let error = of_expected(record_type, text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_difference_lists_both_sides() {
        let set = |records: &[&str]| records.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (expected, found, line) in [
            (
                set(&["10 mx1", "20 mx2"]),
                set(&["10 mx1", "30 old"]),
                Some("missing 20 mx2; not expected 30 old"),
            ),
            (set(&["a", "b"]), set(&["b", "a"]), None),
            (set(&["b", "a"]), set(&[]), Some("missing a, b")),
            (set(&[]), set(&["a"]), Some("not expected a")),
            (set(&[]), set(&[]), None),
        ] {
            assert_eq!(difference(&expected, &found).as_deref(), line);
        }
    }
}
