//! Workflow commands that GitHub shows beside the changed lines.

use std::fmt::Write as _;

use postrider_probes::setting::Problem;

use super::{path, severity_word, visible};
use crate::config::source::Sources;

pub(super) fn render(problems: &[Problem], sources: &Sources) -> String {
    let mut text = String::new();
    for problem in problems {
        let mut properties = Vec::new();
        if let Some(path) = path(problem.at, sources) {
            properties.push(format!("file={}", property(&path)));
            properties.push(format!("line={}", problem.at.line));
            properties.push(format!("col={}", problem.at.column));
            let end = problem.at.column.saturating_add(problem.at.width);
            properties.push(format!("endColumn={end}"));
        }
        properties.push(format!("title={}", property(problem.code)));
        let parts = [
            Some(&problem.title),
            problem.help.as_ref(),
            problem.note.as_ref(),
        ];
        let lines: Vec<String> = parts
            .into_iter()
            .flatten()
            .map(|part| visible(part))
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "::{} {}::{}",
            severity_word(problem.severity),
            properties.join(","),
            data(&lines.join("\n"))
        );
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
