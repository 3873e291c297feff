//! Every fenced block of the README and the manual is executed or validated.
//!
//! - `yaml`: a whole file (it has `version:`), or a part of one: steps, or keys of the main file. It is loaded, with the
//!   files that stand before it on the page when its first line is a comment with a path (`# lab/postrider.yaml`).
//! - `json`: parsed; a result document is compared with its schema.
//! - `sh`: commands that must succeed. `console`: commands behind `$ `, with their output. `…` in a line stands for any
//!   text, on a line of its own for any lines; times and shares (`12 ms`, `79 %`) match any others, and runs of spaces
//!   count as one. A command that fails must be followed by
//!   `$ echo $?`. The blocks of a page run in one directory, in order, with the built `postrider`.
//! - `text`: drawings and templates; not checked.
//!
//! A page with the comment `<!-- test: platform -->` has the demo's platform (without faults) and its configuration in
//! that directory; with `<!-- test: platform with faults -->` the planted faults, too.

mod blocks;
mod platform;
mod reference;
mod shell;

use std::path::Path;

use blocks::{Block, blocks_of};

/// The README and every page of the manual, as paths from the package.
fn pages() -> Vec<String> {
    let mut pages = vec![
        "README.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "ARCHITECTURE.md".to_owned(),
    ];
    let mut open = vec!["docs".to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(name);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(name);
            }
        }
    }
    pages.sort();
    pages
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let mut shell = 0;
    for page in pages() {
        for Block { language, line, .. } in blocks_of(&read(&page)) {
            let known = ["yaml", "json", "sh", "console", "text"].contains(&language.as_str());
            assert!(
                known,
                "{page}:{line}: nobody checks a block of `{language}`"
            );
            shell += usize::from(language == "console" || language == "sh");
        }
    }
    assert!(shell > 5, "the manual shows how the program is used");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = read("docs/src/SUMMARY.md");
    for page in pages() {
        if let Some(name) = page.strip_prefix("docs/src/")
            && name != "SUMMARY.md"
        {
            assert!(
                contents.contains(&format!("]({name})")),
                "{name} is not in SUMMARY.md"
            );
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = read(&page);
        let directory = Path::new(&page).parent().unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") || link.starts_with('#') || link.contains(['{', '…']) {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = directory.join(file);
            assert!(target.exists(), "{page}: {link}");
            if !anchor.is_empty() {
                let headings = read(&target)
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor_of)
                    .collect::<Vec<_>>();
                assert!(
                    headings.iter().any(|heading| heading == anchor),
                    "{page}: {link} in {headings:?}"
                );
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_begins_with_the_demo() {
    let text = read("README.md");
    assert!(text.lines().count() <= 200);
    let first = blocks_of(&text)
        .into_iter()
        .find(|block| block.language == "sh")
        .unwrap();
    assert_eq!(first.text, "cargo run --release -- demo\n");
}

/// As GitHub and mdBook make it.
fn anchor_of(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
