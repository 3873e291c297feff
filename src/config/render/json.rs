//! An array of objects, one for each mistake.

use postrider_probes::setting::{Place, Problem};
use serde::Serialize;

use super::severity_word;
use crate::config::source::Sources;

#[derive(Serialize)]
struct Mistake<'p> {
    severity: &'static str,
    code: &'static str,
    title: &'p str,
    #[serde(flatten)]
    place: Option<Location>,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related<'p>>,
}

#[derive(Serialize)]
struct Location {
    file: String,
    line: u32,
    column: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct Related<'p> {
    #[serde(flatten)]
    place: Location,
    label: &'p str,
}

pub(super) fn render(problems: &[Problem], sources: &Sources) -> String {
    let mistakes: Vec<Mistake<'_>> = problems
        .iter()
        .map(|problem| Mistake {
            severity: severity_word(problem.severity),
            code: problem.code,
            title: &problem.title,
            place: location(problem.at, sources),
            label: &problem.label,
            help: problem.help.as_deref(),
            note: problem.note.as_deref(),
            related: problem.related.as_ref().and_then(|(place, label)| {
                Some(Related {
                    place: location(*place, sources)?,
                    label,
                })
            }),
        })
        .collect();
    // These types have no map with keys that are no strings, which alone could fail.
    let mut text = serde_json::to_string_pretty(&mistakes).unwrap_or_else(|_| "[]".to_owned());
    text.push('\n');
    text
}

fn location(place: Place, sources: &Sources) -> Option<Location> {
    if place.line == 0 {
        return None;
    }
    Some(Location {
        file: sources.file(place)?.path.to_string_lossy().into_owned(),
        line: place.line,
        column: place.column,
        end_column: place.column.saturating_add(place.width),
    })
}
