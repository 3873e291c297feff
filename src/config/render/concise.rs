//! `file:line:column: error[code]: title`, one line each.

use postrider_probes::setting::Problem;

use super::{path, severity_word, visible};
use crate::config::source::Sources;

pub(super) fn render(problems: &[Problem], sources: &Sources) -> String {
    problems
        .iter()
        .map(|problem| {
            let place = path(problem.at, sources).map_or_else(String::new, |path| {
                format!("{path}:{}:{}: ", problem.at.line, problem.at.column)
            });
            let severity = severity_word(problem.severity);
            format!(
                "{place}{severity}[{}]: {}\n",
                problem.code,
                visible(&problem.title)
            )
        })
        .collect()
}
