//! The name of a mailbox's folder.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};

/// The one folder that every mailbox has.
pub const INBOX: &str = "INBOX";

/// A folder's name. `INBOX` in any case is the same folder (RFC 9051 §5.1) and is written in capitals from here on, so
/// that everything that compares names may compare letters. Any other name, `inbox/x` included, is the server's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

impl FolderName {
    /// INBOX.
    #[must_use]
    pub fn inbox() -> Self {
        Self(INBOX.to_owned())
    }
}

impl From<String> for FolderName {
    fn from(name: String) -> Self {
        match name.eq_ignore_ascii_case(INBOX) {
            true => Self::inbox(),
            false => Self(name),
        }
    }
}

impl From<&str> for FolderName {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<FolderName> for String {
    fn from(name: FolderName) -> Self {
        name.0
    }
}

impl std::ops::Deref for FolderName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FolderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl schemars::JsonSchema for FolderName {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inbox_itself_is_the_same_in_any_case() {
        for (written, name) in [
            ("inbox", "INBOX"),
            ("InBox", "INBOX"),
            ("INBOX", "INBOX"),
            ("inbox/x", "inbox/x"),
            ("Inbox.Archive", "Inbox.Archive"),
            ("junk", "junk"),
            ("inbox ", "inbox "),
            ("", ""),
        ] {
            assert_eq!(&*FolderName::from(written), name, "{written}");
        }
    }
}
