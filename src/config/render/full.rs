//! As a compiler shows it: line, caret, what to do.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use postrider_probes::setting::{Place, Problem, Severity};

use super::{path, visible};
use crate::config::source::Sources;

/// Lines are cut around the caret to about this many characters.
const WIDTH: usize = 140;
/// Longer lines are not shown at all.
const LONGEST_LINE: usize = 4_000;

pub(super) fn render(problems: &[Problem], sources: &Sources, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let mut text = String::new();
    for problem in problems {
        text.push_str(&renderer.render(&[group(problem, sources)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'p>(problem: &'p Problem, sources: &'p Sources) -> Group<'p> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(visible(&problem.title))
        .id(problem.code);
    let mut group = shown(
        Group::with_title(title),
        problem.at,
        AnnotationKind::Primary,
        &problem.label,
        sources,
    );
    if let Some((place, label)) = &problem.related {
        group = shown(group, *place, AnnotationKind::Context, label, sources);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    if let Some(note) = &problem.note {
        group = group.element(Level::NOTE.message(visible(note)));
    }
    group
}

/// Adds the line that a place is in, or only its name when the line cannot be shown.
fn shown<'p>(
    group: Group<'p>,
    place: Place,
    kind: AnnotationKind,
    label: &'p str,
    sources: &'p Sources,
) -> Group<'p> {
    let Some(path) = path(place, sources) else {
        return group;
    };
    let line = sources
        .file(place)
        .and_then(|file| file.line(place.line))
        .unwrap_or_default();
    let number = usize::try_from(place.line).unwrap_or(usize::MAX);
    if line.len() > LONGEST_LINE {
        return group.element(
            Origin::path(path)
                .line(number)
                .char_column(usize::try_from(place.column).unwrap_or(usize::MAX)),
        );
    }
    let mut annotation: Annotation<'_> = kind.span(span(line, place));
    if !label.is_empty() {
        annotation = annotation.label(visible(label));
    }
    group.element(
        Snippet::source(line)
            .line_start(number)
            .path(path)
            .annotation(annotation),
    )
}

/// Bytes of the line from the columns, which count characters.
fn span(line: &str, place: Place) -> Range<usize> {
    let byte = |column: u32| {
        line.char_indices()
            .nth(usize::try_from(column).unwrap_or(usize::MAX))
            .map_or(line.len(), |(byte, _)| byte)
    };
    let start = place.column.saturating_sub(1);
    byte(start)..byte(start.saturating_add(place.width))
}
