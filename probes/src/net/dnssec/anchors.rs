//! Where trust begins: the keys of the root zone.

use std::path::Path;
use std::sync::Arc;

use hickory_resolver::proto::dnssec;

/// No file of keys is larger than this.
const LARGEST: u64 = 64 * 1024;

/// The keys of the root zone that are believed without proof; IANA's by default.
#[derive(Clone, Default)]
pub struct TrustAnchors {
    keys: Arc<dnssec::TrustAnchors>,
    /// What they were read from; empty for IANA's.
    text: String,
}

impl TrustAnchors {
    /// Reads a file of DNSKEY records of the root zone, as `dnssec-keygen` and `unbound-anchor` write them.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
            .map_err(|error| format!("cannot be read: {error}"))?;
        Self::parse(&text)
    }

    /// See [`read`](Self::read).
    fn parse(text: &str) -> Result<Self, String> {
        let bare: String = text
            .lines()
            .map(|line| line.split(';').next().unwrap_or_default())
            .filter(|line| !line.trim().is_empty())
            .flat_map(|line| [line, "\n"])
            .collect();
        let anchors: dnssec::TrustAnchors = bare.parse().map_err(|error| {
            format!(
                "is not a list of DNSKEY records, such as `. IN DNSKEY 257 3 8 AwEAAa…`: {error}"
            )
        })?;
        if anchors.is_empty() {
            return Err("holds no key (DNSKEY) of the root zone".to_owned());
        }
        Ok(Self {
            keys: Arc::new(anchors),
            text: bare,
        })
    }

    pub(super) fn keys(&self) -> Arc<dnssec::TrustAnchors> {
        Arc::clone(&self.keys)
    }
}

impl PartialEq for TrustAnchors {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TrustAnchors {}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustAnchors")
            .field("keys", &self.keys.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_is_read_or_refused_with_the_reason() {
        let of = |owner: &str| {
            format!(
                "{owner} 3600 IN DNSKEY 257 3 13 Rjq3rN+mXKWQyLDd846fQ4zjREiKy+CA0CR5MbcMgG/2I9Cj3lTISAOqHquJSfgap3iKNWXhJ+l6XvainoxNEQ=="
            )
        };
        let key = of(".");
        for (text, part) in [
            (key.clone(), ""),
            (
                format!("; This is a key-signing key\n{key} ;;state=2\n\n"),
                "",
            ),
            (String::new(), "holds no key"),
            (of("example.test."), "holds no key"),
            (
                ". IN DS 20326 8 2 E06D".to_owned(),
                "is not a list of DNSKEY",
            ),
            (
                "-----BEGIN CERTIFICATE-----".to_owned(),
                "is not a list of DNSKEY",
            ),
        ] {
            match TrustAnchors::parse(&text) {
                Ok(_) => assert_eq!(part, "", "{text}"),
                Err(problem) => {
                    assert!(
                        !part.is_empty() && problem.contains(part),
                        "{text}: {problem}"
                    );
                }
            }
        }
    }
}
