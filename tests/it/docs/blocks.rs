//! Fenced blocks, and the ones that are files: YAML and JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use postrider::config::{Extra, Format, Request};
use postrider::schema;

use super::{pages, read};

/// One fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// The word behind the fence.
    pub(super) language: String,
    /// Of the fence, from 1.
    pub(super) line: usize,
    /// Without the fences; each line ends.
    pub(super) text: String,
}

/// The blocks of a page, in order. A block in a list is indented like its fence.
pub(super) fn blocks_of(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (index, line) in page.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let block = Block {
                    language: language.to_owned(),
                    line: index + 1,
                    text: String::new(),
                };
                open = Some((line.len() - line.trim_start().len(), block));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indentation, block)), None) => {
                block
                    .text
                    .push_str(line.get(*indentation..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

/// Files that a page shows with their paths.
pub(super) fn files_of(page: &str) -> Vec<(PathBuf, String)> {
    let yaml = blocks_of(page)
        .into_iter()
        .filter(|block| block.language == "yaml");
    yaml.filter_map(|block| {
        let path = block.text.lines().next()?.strip_prefix("# ")?;
        let is_path = path.ends_with(".yaml") && !path.contains(' ');
        is_path.then(|| (PathBuf::from(path), block.text.clone()))
    })
    .collect()
}

/// A main file with the names that all examples use.
const MAIN: &str = "\
version: 1
platform: {domains: [example.net], nodes: {filter1: {name: filter1.cluster.example, primary: [192.0.2.10]}}}
senders: {outside: {address: probe@outside.example.org, helo: probe.outside.example.org}}
mailboxes: {alice: {address: alice@example.net, imap: {server: imap.example.net}, password_env: ALICE}}
";

#[test]
fn yaml_blocks_load() {
    let mut checked = 0;
    for page in pages() {
        let text = read(&page);
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files_of(&text) {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for block in blocks_of(&text)
            .into_iter()
            .filter(|block| block.language == "yaml")
        {
            let problems = load(&block, directory.path());
            assert!(problems.is_empty(), "{page}:{}\n{problems}", block.line);
            checked += 1;
        }
    }
    assert!(checked > 5);
}

/// What `validate` says of a block.
fn load(block: &Block, directory: &Path) -> String {
    let own_path = files_of(&format!("```yaml\n{}```\n", block.text)).pop();
    let has = |key: &str| block.text.lines().any(|line| line.starts_with(key));
    let (main, scenario) = if has("steps:") || has("- id:") {
        let text = match has("version:") {
            true => block.text.clone(),
            false => {
                let steps: String = block
                    .text
                    .lines()
                    .map(|line| format!("  {line}\n"))
                    .collect();
                format!(
                    "version: 1\nname: part\nmessage: {{from: outside, to: alice}}\nsteps:\n{steps}"
                )
            }
        };
        // The main file of the page, when it shows one before its scenario.
        let main = match directory.join("postrider.yaml") {
            shown if shown.exists() && own_path.is_some() => shown,
            _ => write(directory, "default-main.yaml", MAIN),
        };
        (main, Some(write(directory, "block-scenario.yaml", &text)))
    } else {
        let text = if has("version:") {
            block.text.clone()
        } else {
            format!("version: 1\n{}", block.text)
        };
        // Beside the files that it includes.
        let place = own_path
            .as_ref()
            .and_then(|(path, _)| path.parent())
            .unwrap_or(Path::new(""));
        (
            write(&directory.join(place), "block-main.yaml", &text),
            None,
        )
    };
    for name in block
        .text
        .split_whitespace()
        .filter_map(|word| word.trim_end_matches([',', '}']).strip_suffix(".pem"))
    {
        let path = main.parent().unwrap().join(format!("{name}.pem"));
        std::fs::write(path, "").unwrap();
    }
    // A scenario that its main file includes is read once.
    let included = own_path.is_some() && scenario.is_some() && main.ends_with("postrider.yaml");
    let request = Request {
        main: Some(main),
        extra: scenario
            .filter(|_| !included)
            .map(Extra::File)
            .into_iter()
            .collect(),
        environment: BTreeMap::new(),
    };
    let mut loaded = request.load();
    // A part of a configuration leaves much unused.
    loaded
        .problems
        .retain(|problem| problem.code != "unused-mailbox");
    match loaded.problems.is_empty() {
        true => String::new(),
        false => loaded.render(Format::Full, false),
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn json_blocks_are_json() {
    let schema = schema::result();
    for page in pages() {
        for block in blocks_of(&read(&page))
            .into_iter()
            .filter(|block| block.language == "json")
        {
            let value: serde_json::Value = serde_json::from_str(&block.text)
                .unwrap_or_else(|error| panic!("{page}:{}: {error}", block.line));
            if value.get("schema_version").is_some() {
                let wrong = jsonschema::validator_for(&schema)
                    .unwrap()
                    .validate(&value)
                    .map_err(|error| error.to_string());
                assert_eq!(wrong, Ok(()), "{page}:{}", block.line);
            }
        }
    }
}

#[test]
fn blocks_are_found_with_their_text() {
    let page = "a\n```yaml\n# x.yaml\nversion: 1\n```\n- b\n\n  ```sh\n  ls\n    -l\n  ```\n";
    let blocks = blocks_of(page);
    assert_eq!((blocks[0].language.as_str(), blocks[0].line), ("yaml", 2));
    assert_eq!(blocks[1].text, "ls\n  -l\n");
    assert_eq!(
        files_of(page),
        [(PathBuf::from("x.yaml"), "# x.yaml\nversion: 1\n".to_owned())]
    );
}
