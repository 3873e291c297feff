//! Commands that a page shows, and what they print.

use std::path::{Path, PathBuf};
use std::process::Command;

use postrider::demo::platform::misbehaviour::Faults;

use super::blocks::{Block, blocks_of, files_of};
use super::platform::Laboratory;
use super::{pages, read};

/// One command of a block and the output shown below it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    command: String,
    /// `None` where the block shows no output (`sh`).
    output: Option<String>,
}

#[test]
fn shell_blocks_do_what_they_show() {
    let mut failures = Vec::new();
    for page in pages() {
        let text = read(&page);
        let blocks: Vec<Block> = blocks_of(&text)
            .into_iter()
            .filter(|block| ["sh", "console"].contains(&block.language.as_str()))
            .collect();
        if blocks.is_empty() {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let faults = match text
            .split("<!-- test: ")
            .nth(1)
            .and_then(|rest| rest.split(" -->").next())
        {
            Some("platform") => Some(Faults::default()),
            Some("platform with faults") => Some(Faults::planted()),
            Some(other) => panic!("{page}: there is no test `{other}`"),
            None => None,
        };
        let laboratory = faults.map(|faults| Laboratory::start(directory.path(), faults));
        let mut shell = Shell {
            directory: directory.path().to_owned(),
            status: 0,
        };
        // The files that a page shows are about the reader's platform, which the laboratory stands for.
        let files = if laboratory.is_none() {
            files_of(&text)
        } else {
            Vec::new()
        };
        for (path, text) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for block in blocks {
            if let Err(why) = shell.run(&block) {
                failures.push(format!("{page}:{}: {why}", block.line));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What stays between the commands of a page.
struct Shell {
    directory: PathBuf,
    status: i32,
}

impl Shell {
    fn run(&mut self, block: &Block) -> Result<(), String> {
        let shown = shown(block);
        for (index, step) in shown.iter().enumerate() {
            let status_is_shown = shown
                .get(index + 1)
                .is_some_and(|next| next.command == "echo $?");
            let printed = self.command(&step.command)?;
            if self.status != 0 && !status_is_shown {
                return Err(format!(
                    "`{}` exits with {}\n{printed}",
                    step.command, self.status
                ));
            }
            if let Some(expected) = &step.output
                && !matches(expected, &printed)
            {
                return Err(format!(
                    "`{}` shows\n{expected}\nand prints\n{printed}",
                    step.command
                ));
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<String, String> {
        match command {
            "echo $?" => return Ok(format!("{}\n", std::mem::take(&mut self.status))),
            // Not within the test itself: it is enough that it can be run.
            "tests/run" => {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::metadata("tests/run")
                    .map_err(|error| error.to_string())?
                    .permissions()
                    .mode();
                return if mode & 0o111 == 0o111 {
                    Ok(String::new())
                } else {
                    Err("cannot be executed".to_owned())
                };
            }
            "cargo run --release -- demo" => return self.command("postrider demo"),
            _ => {}
        }
        if let Some(directory) = command.strip_prefix("cd ") {
            self.directory.push(directory);
            return Ok(String::new());
        }
        let first = command
            .split_whitespace()
            .find(|word| !word.contains('='))
            .unwrap_or_default();
        if !["postrider", "mkdir", "ls", "cat", "printf"].contains(&first) {
            return Err(format!(
                "`{first}` is not run by this test: say it in words, or as `text`"
            ));
        }
        let program = Path::new(env!("CARGO_BIN_EXE_postrider"));
        let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(&self.directory)
            .env_clear()
            .envs([
                ("PATH", path.as_str()),
                ("LANG", "C.UTF-8"),
                ("USER", "reader"),
            ])
            .env("HOME", self.directory.join("home"))
            .output()
            .map_err(|error| error.to_string())?;
        self.status = output.status.code().unwrap_or(-1);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The commands of a block. A command goes on behind a `\` at the end of its line.
fn shown(block: &Block) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let is_command =
            block.language == "sh" && !line.trim().is_empty() && !line.starts_with('#');
        let command = if block.language == "console" {
            line.strip_prefix("$ ")
        } else {
            is_command.then_some(line)
        };
        match (goes_on, command, all.last_mut()) {
            (true, _, Some(last)) => {
                last.command.push_str(line.trim().trim_end_matches('\\'));
                goes_on = line.ends_with('\\');
            }
            (_, Some(command), _) => {
                goes_on = command.ends_with('\\');
                let output = (block.language == "console").then(String::new);
                all.push(Shown {
                    command: command.trim_end_matches('\\').to_owned(),
                    output,
                });
            }
            (
                _,
                None,
                Some(Shown {
                    output: Some(output),
                    ..
                }),
            ) => {
                output.push_str(line);
                output.push('\n');
            }
            _ => {}
        }
    }
    all
}

/// Whether the lines are the expected ones: `…` stands for any text and alone for any lines, and times are not compared.
fn matches(expected: &str, printed: &str) -> bool {
    fn lines(expected: &[String], printed: &[String]) -> bool {
        match expected.split_first() {
            None => printed.is_empty(),
            Some((first, rest)) if first == "…" => {
                (0..=printed.len()).any(|skipped| lines(rest, &printed[skipped..]))
            }
            Some((first, rest)) => match printed.split_first() {
                Some((line, others)) => line_matches(first, line) && lines(rest, others),
                None => false,
            },
        }
    }
    let clean = |text: &str| -> Vec<String> {
        let spaced = |line: &str| timeless(line).join(" ");
        text.lines()
            .map(spaced)
            .filter(|line| !line.is_empty())
            .collect()
    };
    lines(&clean(expected), &clean(printed))
}

/// The words of a line, each time and share the same as any other.
fn timeless(line: &str) -> Vec<&str> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for index in 1..words.len() {
        let unit = words[index].trim_end_matches([',', ';', ')']);
        let number = words[index - 1] == "…" || words[index - 1].parse::<f64>().is_ok();
        if number && ["ms", "s", "m", "%"].contains(&unit) {
            words[index - 1] = "#";
            words[index] = if unit == "%" { "%" } else { "time" };
        }
    }
    words
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn an_ellipsis_stands_for_text_and_for_lines() {
    for (expected, printed, is_match) in [
        ("a  b\n", "a b\n\n", true),
        ("a … c\n", "a b b c\n", true),
        ("a … c\n", "a b d\n", false),
        ("run …\n…\nend\n", "run 1\nx\ny\nend\n", true),
        ("run …\n…\nend\n", "run 1\nend\n", true),
        ("…\nend\n", "end\nmore\n", false),
        ("", "x\n", false),
        (
            "it took 3 ms, 79 % of it\n",
            "it took 1.2 s, 8 % of it\n",
            true,
        ),
        ("it took 3 ms\n", "it took long\n", false),
    ] {
        assert_eq!(
            matches(expected, printed),
            is_match,
            "{expected:?} {printed:?}"
        );
    }
}

#[test]
fn commands_are_read_with_their_output() {
    let block = Block {
        language: "console".into(),
        line: 1,
        text: "$ a \\\n    b\nout\n$ echo $?\n1\n".into(),
    };
    let expected = [("a b", "out\n"), ("echo $?", "1\n")].map(|(command, output)| Shown {
        command: command.to_owned(),
        output: Some(output.to_owned()),
    });
    assert_eq!(shown(&block), expected);
}
