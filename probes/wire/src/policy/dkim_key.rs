//! DKIM key records (RFC 6376 §3.6.1, RFC 8463).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::policy::tag_list::TagList;
use crate::policy::{Fault, quoted};

/// Some publish keys without the padding, and receivers take them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a key record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKeyRecord {
    /// `k=`, in small letters; `rsa` by default.
    pub key_type: String,
    /// `p=`: RSA in DER, Ed25519 as 32 bytes; empty when the key is revoked.
    pub public: Vec<u8>,
    /// `h=`: the only hash algorithms that may be used, when there is a restriction.
    pub hashes: Option<Vec<String>>,
    /// `s=`: the only services that the key is for, when there is a restriction.
    pub services: Option<Vec<String>>,
    /// `t=y`: the domain tests DKIM; a receiver treats its mail as unsigned mail.
    pub testing: bool,
    /// `t=s`: the signer's identity must not be in a subdomain.
    pub strict: bool,
}

impl DkimKeyRecord {
    /// # Errors
    /// A key syntax error, as a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let tags = TagList::parse(text)?;
        if let Some(version) = tags.get("v") {
            if version != "DKIM1" {
                return Err(Fault::new(format!(
                    "has the version {}, not `DKIM1`",
                    quoted(version)
                )));
            }
            if !tags.begins_with_version("DKIM1") {
                return Err(Fault::new(
                    "has `v=` behind other tags; it must be the first",
                ));
            }
        }
        let public = tags
            .get("p")
            .ok_or_else(|| Fault::new("has no `p=`"))?
            .replace([' ', '\t', '\r', '\n'], "");
        let public = BASE64.decode(&public).map_err(|_| {
            Fault::new(format!(
                "has a `p=` that is not base64: {}",
                quoted(&public)
            ))
        })?;
        let flags = list(tags.get("t")).unwrap_or_default();
        Ok(Self {
            key_type: tags.get("k").unwrap_or("rsa").to_ascii_lowercase(),
            public,
            hashes: list(tags.get("h")),
            services: list(tags.get("s")),
            testing: flags.iter().any(|flag| flag == "y"),
            strict: flags.iter().any(|flag| flag == "s"),
        })
    }

    /// Whether a signature with this hash algorithm may be made with the key.
    pub fn allows_hash(&self, name: &str) -> bool {
        self.hashes
            .as_ref()
            .is_none_or(|hashes| hashes.iter().any(|hash| hash == name))
    }

    /// Whether the key is for mail.
    pub fn is_for_mail(&self) -> bool {
        self.services.as_ref().is_none_or(|services| {
            services
                .iter()
                .any(|service| service == "*" || service == "email")
        })
    }
}

/// `a : b` in small letters.
fn list(value: Option<&str>) -> Option<Vec<String>> {
    value.map(|value| {
        value
            .split(':')
            .map(|item| item.trim().to_ascii_lowercase())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_stand_for_tags_that_are_not_there() {
        let key = DkimKeyRecord::parse("p=AAEC").unwrap();
        assert_eq!(
            key,
            DkimKeyRecord {
                key_type: "rsa".to_owned(),
                public: vec![0, 1, 2],
                hashes: None,
                services: None,
                testing: false,
                strict: false,
            }
        );
        assert!(key.allows_hash("sha256") && key.is_for_mail());
        let key = DkimKeyRecord::parse(
            "v=DKIM1; h=sha1 : SHA256; k=Ed25519; s=tlsrpt; t=s:y; n=note; p= AA EC AQ",
        )
        .unwrap();
        assert_eq!(key.public, [0, 1, 2, 1]);
        assert_eq!(key.key_type, "ed25519");
        assert!(key.testing && key.strict && key.allows_hash("sha256") && !key.is_for_mail());
        assert!(
            !DkimKeyRecord::parse("h=sha1; p=")
                .unwrap()
                .allows_hash("sha256")
        );
    }

    #[test]
    fn what_is_no_key_record_is_named() {
        for (text, fault) in [
            ("v=DKIM1; k=rsa", "has no `p=`"),
            ("v=DKIM2; p=", "has the version `DKIM2`, not `DKIM1`"),
            (
                "p=; v=DKIM1",
                "has `v=` behind other tags; it must be the first",
            ),
            ("v=DKIM1; p=A*B", "has a `p=` that is not base64: `A*B`"),
            ("v=DKIM1; p=AAEC; p=AAEC", "has the tag `p` twice"),
            ("v=spf1 -all", "has the version `spf1 -all`, not `DKIM1`"),
        ] {
            assert_eq!(
                DkimKeyRecord::parse(text).unwrap_err().to_string(),
                fault,
                "{text}"
            );
        }
    }
}
