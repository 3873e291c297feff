//! Whether a key record can be used, and is what was wanted. Pure.

use postrider_wire::policy::dkim_key::DkimKeyRecord;

use crate::kinds::dkim::KeyType;
use crate::kinds::dkim::key::Key;
use crate::message::PublicKey;
use crate::outcome::Finding;
use crate::reason::Reason;

/// A shorter RSA key counts as no key (RFC 8301 §3.2).
const LEAST_BITS: usize = 1024;

/// What a record must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) key_type: Option<KeyType>,
    pub(super) bits_at_least: Option<u16>,
    pub(super) testing: Option<bool>,
}

/// A sender's own key.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) sender: String,
    pub(super) key: PublicKey,
}

/// What is to be said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) findings: Vec<Finding>,
    /// `RSA 2048 bits`
    pub(super) key: Option<String>,
}

/// `rules`: what must hold, and (`true`) what should. `name` is where the texts stand. The words for what makes a
/// signature fail are those of RFC 6376 §6.1.2.
pub(super) fn judge(
    rules: &[(Wanted, bool)],
    name: &str,
    texts: &[&str],
    own: Option<&Own>,
) -> Judged {
    let mismatch = |text: String| Finding::new(Reason::DkimMismatch, text);
    let only = |text: String| Judged {
        findings: vec![mismatch(text)],
        key: None,
    };
    let record = match texts {
        [] => return only(format!("no key for signature: {name} has no TXT record")),
        [text] => match DkimKeyRecord::parse(text) {
            Ok(record) => record,
            Err(fault) => return only(format!("key syntax error: the record of {name} {fault}")),
        },
        several => {
            return only(format!(
                "{name} has {} TXT records, there must be one",
                several.len()
            ));
        }
    };
    if record.public.is_empty() {
        return only(format!(
            "key revoked: the record of {name} has an empty `p=`"
        ));
    }
    let key = match Key::read(&record.key_type, &record.public) {
        Ok(key) => key,
        Err(fault) => return only(format!("key syntax error: the record of {name} {fault}")),
    };
    let mut findings = Vec::new();
    let is_rsa = matches!(key.public, PublicKey::Rsa(_));
    if is_rsa && key.bits < LEAST_BITS {
        findings.push(mismatch(format!(
            "the RSA key of {name} has {} bits; receivers take none below {LEAST_BITS}",
            key.bits
        )));
    }
    if !record.allows_hash("sha256") {
        findings.push(mismatch(format!(
            "inappropriate hash algorithm: the record of {name} has `h=` without sha256, the only one that signers may use"
        )));
    }
    if !record.is_for_mail() {
        findings.push(mismatch(format!(
            "the record of {name} has `s=` without `email` or `*`: the key is not for mail"
        )));
    }
    if let Some(own) = own
        && own.key != key.public
    {
        findings.push(mismatch(format!(
            "the key of {name} does not belong to the private key of the sender `{}`",
            own.sender
        )));
    }
    for (wanted, is_preference) in rules {
        let broken = broken(wanted, name, &record, &key).map(mismatch);
        findings.extend(broken.map(|finding| match is_preference {
            true => finding.as_preference(),
            false => finding,
        }));
    }
    Judged {
        findings,
        key: Some(match is_rsa {
            true => format!("RSA {} bits", key.bits),
            false => "Ed25519".to_owned(),
        }),
    }
}

fn broken<'a>(
    wanted: &'a Wanted,
    name: &'a str,
    record: &'a DkimKeyRecord,
    key: &'a Key,
) -> impl Iterator<Item = String> + 'a {
    let kind = wanted
        .key_type
        .filter(|kind| kind.word() != record.key_type)
        .map(|kind| {
            format!(
                "the key of {name} is {}, not {}",
                record.key_type,
                kind.word()
            )
        });
    let is_rsa = matches!(key.public, PublicKey::Rsa(_));
    let bits = wanted
        .bits_at_least
        // What is below the standard's own limit was said.
        .filter(|least| is_rsa && key.bits >= LEAST_BITS && key.bits < usize::from(*least))
        .map(|least| {
            format!(
                "the RSA key of {name} has {} bits, at least {least} are wanted",
                key.bits
            )
        });
    let testing = wanted
        .testing
        .filter(|testing| *testing != record.testing)
        .map(|testing| match testing {
            true => format!("the record of {name} has no `t=y`"),
            false => format!(
                "the record of {name} has `t=y`: the domain tests DKIM, and receivers treat its mail as unsigned"
            ),
        });
    [kind, bits, testing].into_iter().flatten()
}
