//! What was seen last of everything that a client can see, and what of it is all right. Pure: values and a time in, a
//! judgement out.

pub mod document;
mod judge;
pub mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use postrider_probes::observation::{Observation, Values, What};

pub use judge::{Judgement, Verdict, accept, look};

/// Values of one baseline that are all right at the same time.
pub const MOST_ACCEPTED: usize = 8;
/// Characters of a list of values in a sentence: a certificate fits.
const LONGEST: usize = 500;
/// Who accepted what was seen first.
pub const FIRST: &str = "first sighting";

/// What a baseline is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What.
    pub what: What,
    /// Of whom: `mx1.example.net`, `192.0.2.1`, `192.0.2.1:25`.
    pub subject: String,
}

impl Key {
    /// What was observed.
    #[must_use]
    pub fn of(seen: &Observation) -> Self {
        Self {
            what: seen.what,
            subject: seen.subject.clone(),
        }
    }
}

impl fmt::Display for Key {
    /// `banner of 192.0.2.1:25`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.what.noun(), self.subject)
    }
}

/// Which check saw something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenBy {
    /// The run's id.
    pub run: String,
    /// The scenario.
    pub scenario: String,
    /// The step's id.
    pub step: String,
}

/// Which baselines are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only of this.
    pub what: Option<What>,
    /// Only of this subject, or of every subject on this host.
    pub subject: Option<String>,
    /// Only what this scenario saw become another one.
    pub scenario: Option<String>,
    /// Only what did not become another one after this time: whoever looked then means what was there.
    pub unchanged_since: Option<Timestamp>,
}

impl Selection {
    /// Whether a baseline is meant.
    #[must_use]
    pub fn takes(&self, key: &Key, baseline: &Baseline) -> bool {
        let is_subject = |wanted: &String| {
            let wanted = wanted.trim_end_matches('.');
            [key.subject.as_str(), rules::host(&key.subject)]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(wanted))
        };
        let scenario = &baseline.seen_by.scenario;
        // To the microsecond, as it is stored and shown.
        let is_as_then =
            |then: Timestamp| baseline.current_since.as_microsecond() <= then.as_microsecond();
        self.what.is_none_or(|what| what == key.what)
            && self.subject.as_ref().is_none_or(is_subject)
            && self
                .scenario
                .as_ref()
                .is_none_or(|wanted| wanted == scenario)
            && self.unchanged_since.is_none_or(is_as_then)
    }
}

/// What is remembered of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The values that are all right, the one accepted last first; never empty.
    pub accepted: Vec<Values>,
    /// Those of them that a change window let in.
    pub windowed: Vec<Values>,
    /// Until then those are, too, afterwards at most the one that was seen last; `None`: all are right for good.
    pub several_until: Option<Timestamp>,
    /// When the first one was accepted.
    pub accepted_at: Timestamp,
    /// Who accepted it: `first sighting`, `cli alice@host`, `change window`.
    pub accepted_by: String,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// What was seen last.
    pub current: Values,
    /// Since when it is so.
    pub current_since: Timestamp,
    /// When it was seen last, to the hour.
    pub last_seen_at: Timestamp,
    /// Who saw the current value first.
    pub seen_by: SeenBy,
}

impl Baseline {
    /// Whether what was seen last is all right.
    #[must_use]
    pub fn is_all_right(&self) -> bool {
        self.accepted.contains(&self.current)
    }
}

/// How the value of something became another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// To one that nobody has accepted.
    Changed,
    /// To one that a change window lets in.
    Expected,
    /// To a new one, where every new one is accepted and only listed.
    Listed,
    /// Back to one that is all right.
    Returned,
    /// Not at all: an operator accepted what was there.
    Accepted,
}

impl Move {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Changed,
        Self::Expected,
        Self::Listed,
        Self::Returned,
        Self::Accepted,
    ];

    /// The word in data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Expected => "expected",
            Self::Listed => "listed",
            Self::Returned => "returned",
            Self::Accepted => "accepted",
        }
    }

    /// Whether a value came that was not there before.
    #[must_use]
    pub fn is_news(self) -> bool {
        matches!(self, Self::Changed | Self::Expected | Self::Listed)
    }
}

/// One event: the value of something became another one, or was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it was seen, or accepted.
    pub at: Timestamp,
    /// Of what.
    pub key: Key,
    /// How.
    pub how: Move,
    /// The value before; of an accepted one that which was all right before.
    pub before: Values,
    /// Since when that was so.
    pub before_since: Timestamp,
    /// The value now.
    pub after: Values,
    /// Who saw it first.
    pub seen_by: SeenBy,
    /// Who or what accepted it.
    pub accepted_by: Option<String>,
}

impl Change {
    /// `banner of 192.0.2.1:25 was "a" since 2026-11-01, now "b"`
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence(&self.key, &self.before, self.before_since, &self.after)
    }
}

/// Of a single value both, of a set what came and what went.
fn sentence(key: &Key, before: &Values, since: Timestamp, after: &Values) -> String {
    let since = since.strftime("%F");
    let [before_text, after_text] = [before, after].map(|values| short(values.to_string()));
    if before.len() <= 1 && after.len() <= 1 {
        let was = if key.what.noun().ends_with('s') {
            "were"
        } else {
            "was"
        };
        return format!("{key} {was} {before_text} since {since}, now {after_text}");
    }
    let gone = shown(before.without(after));
    let new = shown(after.without(before));
    let difference: Vec<String> = [("gone", gone), ("new", new)]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(word, values)| format!("{word} {values}"))
        .collect();
    format!(
        "{key}: {} (before, since {since}: {before_text})",
        difference.join("; ")
    )
}

fn shown<'v>(values: impl Iterator<Item = &'v str>) -> String {
    short(values.collect::<Vec<_>>().join(", "))
}

/// A thousand records do not stand in a sentence.
fn short(text: String) -> String {
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
