//! Why reading stopped: what serde says, kept as values so that a person gets a sentence and not serde's.

use std::fmt;

/// One mistake and the node that it is in.
#[derive(Debug)]
pub(super) struct Fault {
    /// The node's id, or a key's.
    pub(super) node: Option<u32>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A key that nothing reads.
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// A key that must be there.
    MissingKey(&'static str),
    /// A word that is none of the allowed ones.
    UnknownWord {
        word: String,
        known: &'static [&'static str],
    },
    /// A value of another kind than wanted; in serde's words.
    WrongType { found: String, wanted: String },
    /// A value of the right kind that is out of range; in serde's words.
    WrongValue { found: String, wanted: String },
    /// Something else where keys are wanted.
    NoMap { known: &'static [&'static str] },
    /// Nothing where a value is wanted.
    Empty,
    /// A text without quotes that is no text for some readers.
    Ambiguous {
        text: String,
        taken_for: &'static str,
    },
    /// The words of the type itself.
    Said(String),
}

impl Fault {
    pub(super) fn new(what: What) -> Self {
        Self { node: None, what }
    }

    /// The innermost node counts.
    pub(super) fn at(mut self, node: u32) -> Self {
        self.node.get_or_insert(node);
        self
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Said(message.to_string()))
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self::new(What::WrongType {
            found: found.to_string(),
            wanted: wanted.to_string(),
        })
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self::new(What::WrongValue {
            found: found.to_string(),
            wanted: wanted.to_string(),
        })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownWord {
            word: word.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::MissingKey(key))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Fault {}
