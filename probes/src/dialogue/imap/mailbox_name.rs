//! Folder names on the wire: modified UTF-7 (RFC 3501 section 5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Base64 with `,` for `/`, never padded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A name as it goes on the wire. Every character outside printable ASCII is encoded, line ends
/// included, so that a name cannot become a command.
pub(super) fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if plain(first) {
            wire.push(first);
            if first == '&' {
                wire.push('-');
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(plain).unwrap_or(rest.len());
        let utf16: Vec<u8> = rest[..end]
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        wire.push('&');
        wire.push_str(&BASE64.encode(utf16));
        wire.push('-');
        rest = &rest[end..];
    }
    wire
}

/// The name that `wire` stands for; `None` if it is not modified UTF-7.
pub(super) fn decode(wire: &str) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some(at) = rest.find('&') {
        name.push_str(plain_part(&rest[..at])?);
        let (shifted, after) = rest[at + 1..].split_once('-')?;
        if shifted.is_empty() {
            name.push('&');
        } else {
            name.push_str(&utf16(shifted)?);
        }
        rest = after;
    }
    name.push_str(plain_part(rest)?);
    Some(name)
}

fn plain_part(text: &str) -> Option<&str> {
    text.chars().all(plain).then_some(text)
}

fn plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

fn utf16(shifted: &str) -> Option<String> {
    let bytes = BASE64.decode(shifted).ok()?;
    let (units, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn names_go_both_ways() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("Release & Train", "Release &- Train"),
            ("Caught (Outgoing)", "Caught (Outgoing)"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("a&b", "a&-b"),
            ("\r\nA1 LOGOUT", "&AA0ACg-A1 LOGOUT"),
            ("😀", "&2D3eAA-"),
            ("", ""),
        ] {
            assert_eq!(encode(name), wire, "{name}");
            assert_eq!(decode(wire).as_deref(), Some(name), "{wire}");
        }
    }

    #[test]
    fn broken_names_are_known_as_broken() {
        for wire in [
            "Release & Train",
            "a&",
            "&AA",
            "&AA-",
            "&2D0-",
            "&*-",
            "&AAA=-",
            "é",
            "a\tb",
        ] {
            assert_eq!(decode(wire), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives(name in "\\PC*|.*") {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(decode(&wire), Some(name));
        }

        #[test]
        fn decoding_takes_anything(wire in "[&A-Za-z,+ \\-]{0,40}") {
            let _ = decode(&wire);
        }
    }
}
