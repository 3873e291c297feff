//! The tag that makes a message ours: an entry id and a keyed proof of it.
//!
//! Anyone can read a tag, and mail is quoted, bounced and forged; so only a tag whose MAC verifies
//! for the sender and recipient of its ledger entry proves that the message is the one we sent.

mod entry_id;

use std::fmt::{self, Write as _};
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use thiserror::Error;

use super::header::{all, fields};

pub use entry_id::{EntryId, EntryIdError};

/// The header field that carries the tag.
pub const HEADER_NAME: &str = "Postrider-Tag";

/// Begins every MAC input, so that the key's other uses, if any, cannot be confused with this one.
const PURPOSE: &[u8] = b"postrider-tag-v1";

/// The key of this instance (HMAC-SHA256). Showing it with `{:?}` reveals nothing.
#[derive(Clone)]
pub struct TagKey(hmac::Key);

/// The key is too short to prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the tag key has {length} bytes, at least {} are needed",
    TagKey::MIN_LENGTH
)]
pub struct TagKeyError {
    /// Its length, in bytes.
    pub length: usize,
}

impl TagKey {
    /// The shortest key, in bytes (RFC 2104 §3: the length of the hash).
    pub const MIN_LENGTH: usize = 32;

    /// A key from random bytes.
    ///
    /// # Errors
    /// If there are fewer than [`Self::MIN_LENGTH`].
    pub fn new(bytes: &[u8]) -> Result<Self, TagKeyError> {
        let length = bytes.len();
        if length < Self::MIN_LENGTH {
            return Err(TagKeyError { length });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// A tag, as written or as read; whether it is genuine only [`Tag::verify`] tells.
///
/// As text it is the body of the header field: `v1; id=<entry id>; mac=<64 hex digits>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The ledger entry.
    pub id: EntryId,
    /// HMAC-SHA256 over id, sender and recipient.
    pub mac: [u8; 32],
}

/// Why a text is not a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TagError {
    /// It does not begin with `v1;`.
    #[error("the tag is not of version v1")]
    Version,
    /// Not `id=…` and `mac=…`, each once, in this order.
    #[error("a tag has the form \"v1; id=…; mac=…\"")]
    Form,
    /// The id is not one.
    #[error(transparent)]
    Id(#[from] EntryIdError),
    /// The MAC is not 64 hexadecimal digits.
    #[error("the mac of a tag is 64 hexadecimal digits")]
    Mac,
}

impl Tag {
    /// The tag for a message. The domains of the addresses count in lower case.
    pub fn sign(key: &TagKey, id: EntryId, sender: &str, recipient: &str) -> Self {
        let proof = hmac::sign(&key.0, &mac_input(id, sender, recipient));
        let mut mac = [0; 32];
        // HMAC-SHA256 has exactly 32 bytes; zip cannot go wrong where copy_from_slice could panic.
        for (to, from) in mac.iter_mut().zip(proof.as_ref()) {
            *to = *from;
        }
        Self { id, mac }
    }

    /// Whether this tag was made with the key for these addresses; compared in constant time.
    pub fn verify(&self, key: &TagKey, sender: &str, recipient: &str) -> bool {
        let input = mac_input(self.id, sender, recipient);
        hmac::verify(&key.0, &input, &self.mac).is_ok()
    }

    /// Whether this tag, as read, is the genuine one, as signed; the MACs are compared in constant time.
    pub fn is(&self, genuine: &Self) -> bool {
        self.id == genuine.id && verify_slices_are_equal(&self.mac, &genuine.mac).is_ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1; id={}; mac=", self.id)?;
        for byte in self.mac {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(4, ';').map(str::trim);
        if parts.next() != Some("v1") {
            return Err(TagError::Version);
        }
        let (Some(id), Some(mac), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(TagError::Form);
        };
        let id = id.strip_prefix("id=").ok_or(TagError::Form)?.parse()?;
        let mac = parse_mac(mac.strip_prefix("mac=").ok_or(TagError::Form)?)?;
        Ok(Self { id, mac })
    }
}

/// The tag of a message, from its header block: the one [`HEADER_NAME`] field at top level. None if
/// there is none, if it cannot be read, or if there are several, since then nobody knows which is meant.
pub fn find_in_headers(block: &[u8]) -> Option<Tag> {
    let fields = fields(block);
    match all(&fields, HEADER_NAME).as_slice() {
        [only] => only.parse().ok(),
        _ => None,
    }
}

/// Each part is preceded by its length, so that no two triples give the same bytes.
fn mac_input(id: EntryId, sender: &str, recipient: &str) -> Vec<u8> {
    let mut input = PURPOSE.to_vec();
    for part in [
        id.to_string(),
        with_lower_case_domain(sender),
        with_lower_case_domain(recipient),
    ] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    input
}

fn with_lower_case_domain(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return address.to_owned();
    };
    let mut lowered = String::with_capacity(address.len());
    // Writing to a String does not fail.
    let _ = write!(lowered, "{local}@{}", domain.to_ascii_lowercase());
    lowered
}

fn parse_mac(hex: &str) -> Result<[u8; 32], TagError> {
    if hex.len() != 64 {
        return Err(TagError::Mac);
    }
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else {
            return Err(TagError::Mac);
        };
        *byte = hex_digit(high)? << 4 | hex_digit(low)?;
    }
    Ok(mac)
}

fn hex_digit(digit: u8) -> Result<u8, TagError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(TagError::Mac),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TagKey {
        TagKey::new(&[7; 32]).unwrap()
    }

    fn id() -> EntryId {
        EntryId::from_parts(1_800_000_000_000, 42)
    }

    #[test]
    fn a_tag_verifies_for_its_message_only() {
        let tag = Tag::sign(&key(), id(), "probe@example.org", "inbox@example.net");
        assert!(tag.verify(&key(), "probe@example.org", "inbox@example.net"));
        assert!(tag.verify(&key(), "probe@EXAMPLE.org", "inbox@Example.NET"));
        for (sender, recipient) in [
            ("Probe@example.org", "inbox@example.net"),
            ("probe@example.org", "other@example.net"),
            ("inbox@example.net", "probe@example.org"),
            // The same bytes, divided elsewhere.
            ("probe@example.orginbox", "@example.net"),
            ("", "probe@example.orginbox@example.net"),
        ] {
            assert!(
                !tag.verify(&key(), sender, recipient),
                "{sender} {recipient}"
            );
        }
        let other_key = TagKey::new(&[8; 32]).unwrap();
        assert!(!tag.verify(&other_key, "probe@example.org", "inbox@example.net"));
        let other_id = Tag {
            id: EntryId::from_parts(1_800_000_000_000, 43),
            ..tag.clone()
        };
        assert!(!other_id.verify(&key(), "probe@example.org", "inbox@example.net"));
        for bit in 0..256 {
            let mut forged = tag.clone();
            forged.mac[bit / 8] ^= 1 << (bit % 8);
            assert!(!forged.verify(&key(), "probe@example.org", "inbox@example.net"));
        }
    }

    #[test]
    fn the_text_form_goes_both_ways() {
        let tag = Tag::sign(&key(), id(), "a@example.org", "b@example.net");
        let text = tag.to_string();
        // Computed with another implementation of HMAC-SHA256.
        assert_eq!(
            text,
            "v1; id=1VWK5N000000001A; mac=4b18ea7d274a5f4e78d83ceb7d751e55c996618616f90fda3075cb55b27595cb"
        );
        assert_eq!(text.parse(), Ok(tag.clone()));
        assert_eq!(text.replace("; ", " ;\t").parse(), Ok(tag));
    }

    #[test]
    fn a_bad_tag_says_what_is_wrong() {
        let mac = "0".repeat(64);
        let cases = [
            (String::new(), TagError::Version),
            (
                format!("v2; id=1VWK5N000000001A; mac={mac}"),
                TagError::Version,
            ),
            ("v1".to_owned(), TagError::Form),
            ("v1; id=1VWK5N000000001A".to_owned(), TagError::Form),
            (
                format!("v1; mac={mac}; id=1VWK5N000000001A"),
                TagError::Form,
            ),
            (
                format!("v1; id=1VWK5N000000001A; mac={mac}; x=y"),
                TagError::Form,
            ),
            (
                format!("v1; id=1VWZ; mac={mac}"),
                TagError::Id(EntryIdError::Length),
            ),
            (
                format!("v1; id=1VWK5N000000001A; mac={mac}0"),
                TagError::Mac,
            ),
            (
                format!("v1; id=1VWK5N000000001A; mac={}g", &mac[1..]),
                TagError::Mac,
            ),
            (
                format!("v1; id=1VWK5N000000001A; mac={}ä", &mac[2..]),
                TagError::Mac,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Tag>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn exactly_one_header_counts() {
        let tag = Tag::sign(&key(), id(), "a@example.org", "b@example.net");
        let folded = tag.to_string().replace("; ", ";\r\n ");
        let found = [
            format!("Subject: x\r\nPostrider-Tag: {tag}\r\n\r\nbody"),
            format!("postrider-tag: {folded}\r\n"),
            format!("Postrider-Tag: {tag}\r\n\r\nPostrider-Tag: {tag}\r\n"),
        ];
        for block in found {
            assert_eq!(
                find_in_headers(block.as_bytes()),
                Some(tag.clone()),
                "{block:?}"
            );
        }
        let not_found = [
            "Subject: x\r\n\r\n".to_owned(),
            format!("Subject: x\r\n\r\nPostrider-Tag: {tag}\r\n"),
            format!("Postrider-Tag: {tag}\r\nPostrider-Tag: {tag}\r\n"),
            format!("Postrider-Tag: {tag}\r\nPostrider-Tag: junk\r\n"),
            format!("Subject: Postrider-Tag: {tag}\r\n"),
            format!("X-Postrider-Tag: {tag}\r\n"),
            "Postrider-Tag: v1\r\n".to_owned(),
        ];
        for block in not_found {
            assert_eq!(find_in_headers(block.as_bytes()), None, "{block:?}");
        }
    }

    #[test]
    fn a_key_is_long_enough_and_never_shown() {
        assert_eq!(
            TagKey::new(&[7; 31]).unwrap_err().to_string(),
            "the tag key has 31 bytes, at least 32 are needed"
        );
        assert_eq!(format!("{:?}", key()), "TagKey(..)");
    }
}
