//! A mistake in the configuration, as a value: the renderers turn it into text, JSON or annotations.

use super::Place;

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing runs.
    Error,
    /// It runs, and probably not as meant.
    Warning,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The stable kebab-case code, as `unknown-reference`.
    pub code: &'static str,
    /// What is wrong, a lower-case sentence without a full stop.
    pub title: String,
    /// Where.
    pub at: Place,
    /// What stands under the caret, may be empty.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// More to know.
    pub note: Option<String>,
    /// Another place that matters, with its label.
    pub related: Option<(Place, String)>,
}

impl Problem {
    /// An error without further advice.
    #[must_use]
    pub fn error(code: &'static str, at: Place, title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            title: title.into(),
            at,
            label: String::new(),
            help: None,
            note: None,
            related: None,
        }
    }

    /// A warning without further advice.
    #[must_use]
    pub fn warning(code: &'static str, at: Place, title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, title)
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what else to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}
