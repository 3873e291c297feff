//! What a domain says about its mail in TXT records: text to values. A fault is a sentence that names the place in the
//! record, already safe to print.

pub mod dkim_key;
pub mod spf_terms;
pub mod tag_list;

use std::fmt;

use crate::text::RemoteText;

/// More text than a record of any of these standards needs; a TXT record could hold 64 KiB.
pub const MAX_TEXT: usize = 16 * 1024;

/// Characters of a stranger's text that one sentence quotes.
const QUOTED: usize = 80;

/// What is wrong with a record: a sentence without its subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub struct Fault(String);

impl Fault {
    /// `words` are ours.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stranger's text between backquotes, safe and short.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", RemoteText::new(text.as_bytes(), QUOTED))
}
