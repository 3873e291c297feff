//! The public key itself.

use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::{PublicKey as Parsed, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::message::PublicKey;

/// A key and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) public: PublicKey,
    pub(super) bits: usize,
}

/// An Ed25519 key has exactly so many bytes.
const ED25519: usize = 32;

impl Key {
    /// Reads `p=`. RSA keys stand there as SubjectPublicKeyInfo, or bare, as RFC 6376 §3.6.1 says.
    ///
    /// # Errors
    /// A sentence without its subject.
    pub(super) fn read(key_type: &str, bytes: &[u8]) -> Result<Self, String> {
        match key_type {
            "rsa" => rsa(bytes).ok_or_else(|| "has a `p=` that is no RSA key".to_owned()),
            "ed25519" if bytes.len() == ED25519 => Ok(Self {
                public: PublicKey::Ed25519(bytes.to_vec()),
                bits: ED25519 * 8,
            }),
            "ed25519" => Err(format!(
                "has a `p=` of {} bytes; an Ed25519 key has {ED25519}, without a header",
                bytes.len()
            )),
            other => Err(format!(
                "has the key type `{}`, which receivers do not know",
                postrider_wire::text::RemoteText::new(other.as_bytes(), 40)
            )),
        }
    }
}

fn rsa(bytes: &[u8]) -> Option<Key> {
    let with_header = SubjectPublicKeyInfo::from_der(bytes)
        .ok()
        .filter(|(rest, _)| rest.is_empty());
    let bare = match &with_header {
        Some((_, info)) if matches!(info.parsed(), Ok(Parsed::RSA(_))) => {
            info.subject_public_key.data.as_ref()
        }
        Some(_) => return None,
        None => bytes,
    };
    let (rest, key) = RSAPublicKey::from_der(bare).ok()?;
    let modulus = key.modulus.iter().position(|byte| *byte != 0)?;
    let modulus = key.modulus.get(modulus..)?;
    let used = 8 - modulus.first()?.leading_zeros() as usize;
    rest.is_empty().then(|| Key {
        public: PublicKey::Rsa(bare.to_vec()),
        bits: (modulus.len() - 1) * 8 + used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEQUENCE of two INTEGERs: a modulus of `bytes` bytes that begins with `first`, and 65537.
    fn bare_rsa(first: u8, bytes: usize) -> Vec<u8> {
        // An INTEGER has a sign: a leading zero where the first bit is set, and only there.
        let mut modulus = if first < 0x80 { vec![] } else { vec![0] };
        let length = modulus.len() + bytes;
        modulus.push(first);
        modulus.resize(length, 0x55);
        let mut inside = der(0x02, &modulus);
        inside.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        der(0x30, &inside)
    }

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let mut out = vec![tag, 0x82];
        out.extend(length);
        out.extend(content);
        out
    }

    #[test]
    fn the_length_is_that_of_the_modulus() {
        for (first, bytes, bits) in [(0xc0, 256, 2048), (0x80, 128, 1024), (0x01, 128, 1017)] {
            let key = Key::read("rsa", &bare_rsa(first, bytes)).unwrap();
            assert_eq!(key.bits, bits);
        }
        // rsaEncryption, NULL, and the key as a bit string.
        let oid = [
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
            0x00,
        ];
        let mut inside = oid.to_vec();
        let mut bits = vec![0];
        bits.extend(bare_rsa(0xc0, 256));
        inside.extend(der(0x03, &bits));
        let key = Key::read("rsa", &der(0x30, &inside)).unwrap();
        assert_eq!(key, Key::read("rsa", &bare_rsa(0xc0, 256)).unwrap());
        assert_eq!(Key::read("ed25519", &[7; 32]).unwrap().bits, 256);
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let mut longer = bare_rsa(0xc0, 256);
        longer.push(0);
        for (kind, bytes, wanted) in [
            ("rsa", vec![], "has a `p=` that is no RSA key"),
            ("rsa", vec![0x30; 40], "has a `p=` that is no RSA key"),
            (
                "rsa",
                vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
                "has a `p=` that is no RSA key",
            ),
            ("rsa", longer, "has a `p=` that is no RSA key"),
            (
                "rsa",
                bare_rsa(0xc0, 256)[..200].to_vec(),
                "has a `p=` that is no RSA key",
            ),
            (
                "ed25519",
                vec![1; 44],
                "has a `p=` of 44 bytes; an Ed25519 key has 32, without a header",
            ),
            (
                "dsa",
                vec![1],
                "has the key type `dsa`, which receivers do not know",
            ),
        ] {
            assert_eq!(Key::read(kind, &bytes).unwrap_err(), wanted);
        }
    }
}
