//! From what is written to what will run: defaults, references, units. Every mistake is reported, none stops the rest.

mod canary;
mod changes;
mod main_file;
mod scenario;
mod time;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use postrider_probes::setting::{Place, Problem, Spanned};

pub(super) use main_file::{MainFile, main_file};
pub(super) use scenario::{Found, scenario};

use super::yaml::nearest;

/// What a name of the user's own may look like: it stands in command lines, file names and labels.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";

/// What the whole configuration knows, and the mistakes so far.
pub(super) struct Scope<'a> {
    /// The environment.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Environment variables that some template uses.
    pub(super) used_environment: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
}

impl Scope<'_> {
    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: Place,
        title: impl Into<String>,
    ) -> &mut Problem {
        self.push(Problem::error(code, at, title))
    }

    fn warning(&mut self, code: &'static str, at: Place, title: impl Into<String>) -> &mut Problem {
        self.push(Problem::warning(code, at, title))
    }

    fn push(&mut self, problem: Problem) -> &mut Problem {
        let index = self.problems.len();
        self.problems.push(problem);
        &mut self.problems[index]
    }

    /// A name of the user's own: letters, digits, dot, hyphen and underscore.
    fn name(&mut self, what: &str, name: &Spanned<String>) {
        let bytes = name.as_bytes();
        let fits = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.len() <= 100
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        if !fits {
            self.error(
                "bad-value",
                name.at,
                format!("`{}` cannot be {what}", name.value),
            )
            .help = Some(
                "use letters, digits, `.`, `-` and `_`, with a letter or digit first".to_owned(),
            );
        }
    }

    /// A text that is shown on one line.
    fn line(&mut self, what: &str, text: &Spanned<String>) {
        if text.contains(['\r', '\n']) {
            self.line_break(what, text.at);
        }
    }

    fn line_break(&mut self, what: &str, at: Place) {
        self.error("line-break", at, format!("{what} holds a line break"))
            .help = Some("write it on one line".to_owned());
    }

    /// Parses a text by its own type.
    fn parse<T: std::str::FromStr>(
        &mut self,
        code: &'static str,
        what: &str,
        text: &Spanned<String>,
    ) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if text.contains(['\r', '\n']) {
            self.line_break(what, text.at);
            return None;
        }
        match text.value.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let error = error.to_string();
                let problem = self.error(code, text.at, format!("`{}` is not {what}", text.value));
                problem.note = (!error.is_empty()).then_some(error);
                None
            }
        }
    }

    /// An IP address.
    fn ip(&mut self, text: &Spanned<String>) -> Option<IpAddr> {
        let parsed = text.value.parse();
        if parsed.is_err() {
            self.error(
                "bad-address",
                text.at,
                format!("`{}` is not an IP address", text.value),
            )
            .help = Some("write it as `192.0.2.10` or `2001:db8::10`".to_owned());
        }
        parsed.ok()
    }

    /// A port; zero is none.
    fn port(&mut self, port: Option<Spanned<u16>>) -> Option<u16> {
        let port = port?;
        if port.value == 0 {
            self.error(
                "bad-value",
                port.at,
                "a port is a whole number from 1 to 65535",
            );
        }
        Some(port.value)
    }

    /// `version: 1`.
    fn version(&mut self, version: Option<Spanned<u32>>, root: Place, what: &str) {
        match version {
            None => self.missing("version", root, what, "version: 1"),
            Some(version) if version.value != 1 => {
                self.error(
                    "bad-value",
                    version.at,
                    format!(
                        "version {} of the language is not known here",
                        version.value
                    ),
                )
                .help = Some("write `version: 1`".to_owned());
            }
            Some(_) => {}
        }
    }

    fn missing(&mut self, key: &str, at: Place, what: &str, line: &str) {
        self.error("missing-key", at, format!("{what} needs `{key}`"))
            .help = Some(format!("add `{line}`"));
    }
}

/// Adds `did you mean …?` when some candidate is near.
fn did_you_mean<'c>(
    problem: &mut Problem,
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) {
    if let Some(near) = nearest(word, candidates) {
        problem.help = Some(format!("did you mean `{near}`?"));
    }
}
