//! What a server says it can do (RFC 9051 section 7.2.2).

use std::collections::BTreeSet;

use imap_codec::imap_types::core::Vec1;
use imap_codec::imap_types::response::Capability;

/// The capabilities that a server announced, in capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<String>);

impl Capabilities {
    /// Whether `name`, such as `IDLE` or `AUTH=PLAIN`, was announced. Case does not matter.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_uppercase())
    }

    /// Whether the server forbids the LOGIN command in this state.
    pub fn login_disabled(&self) -> bool {
        self.has("LOGINDISABLED")
    }

    /// All of them, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether chosen messages can be expunged (RFC 4315; part of RFC 9051).
    pub(super) fn uid_expunge(&self) -> bool {
        self.has("UIDPLUS") || self.has("IMAP4REV2")
    }

    /// Whether LIST can be asked for the uses of folders (RFC 5258 and 6154; part of RFC 9051).
    pub(super) fn list_special_use(&self) -> bool {
        self.has("IMAP4REV2") || (self.has("LIST-EXTENDED") && self.has("SPECIAL-USE"))
    }
}

impl From<&Vec1<Capability<'static>>> for Capabilities {
    fn from(announced: &Vec1<Capability<'static>>) -> Self {
        Self(
            announced
                .as_ref()
                .iter()
                .map(|one| one.to_string().to_ascii_uppercase())
                .collect(),
        )
    }
}
