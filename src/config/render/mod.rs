//! Mistakes as text: for people, for editors and scripts, for pull requests.

mod annotations;
mod concise;
mod full;
mod json;

use postrider_probes::setting::{Place, Problem, Severity};
use postrider_wire::text::visible;

use super::loaded::Loaded;
use super::source::Sources;

/// How mistakes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// With the line, a caret and what to do.
    #[default]
    Full,
    /// One line for each.
    Concise,
    /// A JSON array.
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

impl Loaded {
    /// All mistakes in one text, which ends with a line end. `colour` matters for [`Format::Full`] only.
    #[must_use]
    pub fn render(&self, format: Format, colour: bool) -> String {
        let body = render(&self.problems, &self.sources, format, colour);
        match format {
            Format::Full | Format::Concise => format!("{body}{}\n", self.summary()),
            Format::Json | Format::Github => body,
        }
    }

    /// `3 errors, 2 warnings in 4 files · nothing was contacted`
    #[must_use]
    pub fn summary(&self) -> String {
        let mut counts = Vec::new();
        for (number, word) in [(self.errors(), "error"), (self.warnings(), "warning")] {
            if number > 0 {
                counts.push(counted(number, word));
            }
        }
        if counts.is_empty() {
            counts.push("no mistakes".to_owned());
        }
        let files = counted(self.sources.len(), "file");
        let contact = if self.contacted {
            "resolved, connected, logged in; nothing was sent"
        } else {
            "nothing was contacted"
        };
        format!("{} in {files} · {contact}", counts.join(", "))
    }
}

/// Mistakes without a closing line.
pub(crate) fn render(
    problems: &[Problem],
    sources: &Sources,
    format: Format,
    colour: bool,
) -> String {
    match format {
        Format::Full => full::render(problems, sources, colour),
        Format::Concise => concise::render(problems, sources),
        Format::Json => json::render(problems, sources),
        Format::Github => annotations::render(problems, sources),
    }
}

pub(super) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The path of a place, when it is one.
fn path(place: Place, sources: &Sources) -> Option<String> {
    // Line 0: what it is about is no line of a file.
    if place.line == 0 {
        return None;
    }
    let path = sources.file(place)?.path.to_string_lossy().into_owned();
    Some(visible(&path))
}

fn counted(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}
