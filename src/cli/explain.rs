//! `explain`: the page of one code, or the list of all.

use std::fmt::Write as _;

use postrider_probes::outcome::Status;
use postrider_probes::setting::Severity;

use super::output::Output;
use super::{Exit, Problem};
use crate::explain::{self, Area, Effect, Page};

/// Lines are not wider than this, however wide the terminal is.
const WIDEST: usize = 90;

/// Arguments of `explain`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The code, as results and diagnostics show it; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub(super) fn main(args: &Args, output: &Output) -> Result<Exit, Problem> {
    let width = output.style.width.clamp(40, WIDEST);
    let text = match &args.code {
        None => list(width),
        Some(code) => match explain::page(code) {
            Some(page) => single(&page, width),
            None => return Err(Problem::usage(anyhow::anyhow!("{}", unknown(code)))),
        },
    };
    output.print(&output.style.text(&text))?;
    Ok(Exit::Ok)
}

fn unknown(code: &str) -> String {
    let hint = explain::nearest(code).map_or_else(
        || "`postrider explain` lists all of them".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    format!("no code is called `{}`; {hint}", code.escape_debug())
}

/// All codes by area, with their summaries.
fn list(width: usize) -> String {
    let pages = explain::pages();
    let column = pages
        .iter()
        .map(|page| page.code.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for area in Area::ALL {
        let _ = writeln!(
            text,
            "{}{}",
            if text.is_empty() { "" } else { "\n" },
            area.title()
        );
        for page in pages.iter().filter(|page| page.area == area) {
            let first = format!("  {:column$}  ", page.code);
            wrap(&mut text, &first, page.summary, width);
        }
    }
    text.push_str("\n`postrider explain CODE` says what usually causes it and what to do.\n");
    text
}

/// One page.
fn single(page: &Page, width: usize) -> String {
    let mut text = String::new();
    let about = format!("{} · {}", page.area.title(), effect(page));
    wrap(&mut text, &format!("{}   ", page.code), &about, width);
    text.push('\n');
    wrap(&mut text, "  ", page.summary, width);
    wrap(&mut text, "  ", page.text.meaning, width);
    for (heading, lines) in [
        ("Usual causes", page.text.causes),
        ("What to do", page.text.advice),
    ] {
        let _ = writeln!(text, "\n  {heading}");
        for line in lines {
            wrap(&mut text, "  - ", line, width);
        }
    }
    if page.is_reserved {
        text.push('\n');
        wrap(
            &mut text,
            "  ",
            "No check of this version gives this code: its name is reserved.",
            width,
        );
    }
    text
}

fn effect(page: &Page) -> &'static str {
    match page.effect {
        Effect::Check(Status::Fail) => {
            "the check fails; it is degraded where `prefer` asked for it"
        }
        Effect::Check(Status::Degraded) => "the check is degraded",
        Effect::Check(Status::Error) => "not tested: this says nothing about the platform",
        Effect::Check(Status::Skip) => "the check is skipped",
        Effect::Check(Status::Pass) => "the check passes",
        Effect::Configuration(Severity::Error) => "error: nothing runs",
        Effect::Configuration(Severity::Warning) => "warning: it runs, and probably not as meant",
    }
}

/// Breaks `words` between words; later lines begin under the first word.
fn wrap(text: &mut String, first: &str, words: &str, width: usize) {
    let indentation = first.chars().count();
    text.push_str(first);
    let mut column = indentation;
    for (index, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            let _ = write!(text, "\n{:indentation$}", "");
            column = indentation;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_means_and_what_to_do() {
        let page = explain::page("connect-refused").expect("the code exists");
        let text = single(&page, 80);
        for part in [
            "connect-refused   Connections · the check fails",
            "\n  Usual causes\n  - ",
            "\n  What to do\n  - ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn no_line_is_too_wide_and_no_word_is_lost() {
        for page in explain::pages() {
            let text = single(&page, 80);
            // The heading is one line: it names code, area and effect.
            for line in text.lines().skip(1) {
                assert!(
                    line.chars().count() <= 80 || !line.trim().contains(' '),
                    "{line}"
                );
            }
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert!(
                words(&text)
                    .join(" ")
                    .contains(&words(page.text.meaning).join(" "))
            );
        }
    }

    #[test]
    fn the_list_has_every_code_under_its_area() {
        let text = list(80);
        for page in explain::pages() {
            assert!(
                text.contains(&format!("\n  {} ", page.code)),
                "{}",
                page.code
            );
        }
        for area in Area::ALL {
            assert!(text.contains(area.title()));
        }
    }

    #[test]
    fn ascii_pages_have_no_escapes() {
        let plain = crate::report::style::Style {
            ascii: true,
            ..crate::report::style::Style::PLAIN
        };
        let all: String = explain::pages()
            .iter()
            .map(|page| single(page, 80))
            .chain([list(80)])
            .collect();
        let text = plain.text(&all);
        assert!(
            text.is_ascii() && !text.contains("\\u{"),
            "{:?}",
            text.find("\\u{").map(|at| &text[at - 40..at + 10])
        );
    }

    #[test]
    fn an_unknown_code_is_told_with_the_nearest() {
        assert_eq!(
            unknown("smtp-5x"),
            "no code is called `smtp-5x`; did you mean `smtp-5xx`?"
        );
        assert!(unknown("zzz").ends_with("lists all of them"));
    }
}
