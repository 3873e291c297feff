//! The files that were read, as they are shown beside a mistake.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use postrider_probes::setting::{Place, Problem};

/// No configuration file is larger, in bytes.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Every file that was read, the main file first; a [`Place`] names its file by the index in here.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<SourceFile>);

/// One file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path as it is shown: relative to the working directory where that is possible.
    pub path: PathBuf,
    /// The text, with the characters of secrets that do not belong in it overwritten.
    shown: String,
    /// SHA-256 of the bytes.
    digest: [u8; 32],
}

impl Sources {
    /// The files in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.0.iter()
    }

    /// The file that a place is in.
    #[must_use]
    pub fn file(&self, place: Place) -> Option<&SourceFile> {
        self.0.get(usize::try_from(place.file).ok()?)
    }

    /// How many files were read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no file was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a text; returns its index.
    pub(super) fn add(&mut self, path: &Path, text: &str) -> u32 {
        let mut digest = [0; 32];
        digest.copy_from_slice(
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref(),
        );
        self.0.push(SourceFile {
            path: shown_path(path),
            shown: text.to_owned(),
            digest,
        });
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// Overwrites what stands behind these keys: it must not be shown, not even beside a mistake. It works on lines,
    /// because a file that is no YAML is shown, too.
    pub(super) fn mask_secrets(&mut self, file: u32, keys: &[&str]) {
        let Some(file) = self.0.get_mut(file as usize) else {
            return;
        };
        let keys: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| file.shown.contains(key))
            .collect();
        if keys.is_empty() {
            return;
        }
        let mut masked = String::with_capacity(file.shown.len());
        // Indentation of the key whose block of lines is being overwritten.
        let mut block: Option<usize> = None;
        for line in file.shown.split_inclusive('\n') {
            let indentation = line.len() - line.trim_start().len();
            if block.is_some_and(|outer| indentation > outer || line.trim().is_empty()) {
                masked.extend(line.chars().map(star));
                continue;
            }
            block = None;
            match keys.iter().find_map(|key| value_of(line, key)) {
                None => masked.push_str(line),
                Some(start) => {
                    if line[start..].trim_start().starts_with(['|', '>']) {
                        block = Some(indentation);
                    }
                    masked.push_str(&line[..start]);
                    masked.extend(line[start..].chars().map(star));
                }
            }
        }
        file.shown = masked;
    }

    /// SHA-256 over the names and contents of all files, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut all = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for file in &self.0 {
            all.update(file.path.as_os_str().as_encoded_bytes());
            all.update(&[0]);
            all.update(&file.digest);
        }
        all.finish()
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl SourceFile {
    /// The text of a line, counted from 1.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.shown.lines().nth(index)
    }
}

/// Reads a file within its limits; what is wrong is a problem at `at`, or in the file itself.
pub(super) fn read(
    path: &Path,
    at: Place,
    sources: &mut Sources,
) -> Result<(u32, String), Box<Problem>> {
    let shown = shown_path(path);
    let fail = |what: String| {
        Box::new(Problem::error(
            "missing-file",
            at,
            format!("{} {what}", shown.display()),
        ))
    };
    let open = std::fs::File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = open.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => fail("does not exist".to_owned()),
        _ => fail(format!("cannot be read: {error}")),
    })?;
    check_size(path, bytes.len())?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((sources.add(path, &text), text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let before = &text[..good];
            let line = 1 + before.matches('\n').count();
            let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
            let place = Place {
                file: sources.add(path, &text),
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: u32::try_from(column).unwrap_or(u32::MAX),
                width: 1,
            };
            let problem = Problem::error("yaml-syntax", place, "the file is not UTF-8 text");
            Err(Box::new(problem.help("save it as UTF-8")))
        }
    }
}

/// Refuses a text that is larger than any configuration.
pub(super) fn check_size(path: &Path, bytes: usize) -> Result<(), Box<Problem>> {
    if bytes as u64 <= LARGEST_FILE {
        return Ok(());
    }
    let title = format!("{} is larger than 1 MiB", shown_path(path).display());
    let problem = Problem::error("file-too-large", Place::default(), title);
    Err(Box::new(problem.help(
        "split it: `include` takes up to 1000 scenario files",
    )))
}

/// Annotations in a pull request only land when the path is relative to the working directory.
fn shown_path(path: &Path) -> PathBuf {
    let relative = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf))
        .unwrap_or_else(|| path.to_path_buf());
    // `./a` and `a` are one file.
    relative
        .strip_prefix(".")
        .map(Path::to_path_buf)
        .unwrap_or(relative)
}

/// One star for each character keeps the columns.
fn star(c: char) -> char {
    if c.is_whitespace() { c } else { '*' }
}

/// Where the value begins, when the line has this key.
fn value_of(line: &str, key: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(key).find_map(|(start, _)| {
        let end = start + key.len();
        let behind = line[end..].trim_start_matches(['"', '\'']).trim_start();
        let whole = !line[..start].ends_with(word) && behind.starts_with(':');
        whole.then(|| line.len() - behind.len() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_secret_keys_are_overwritten() {
        let mut sources = Sources::default();
        let text = "\
a: { password: hün ter, b: c }
password_file: /run/secrets/a
title: forgot the password
my-password: x
password: |
  one

  two
tail: 1
";
        sources.add(Path::new("a.yaml"), text);
        sources.mask_secrets(0, &["password"]);
        let shown: Vec<&str> = sources.0[0].shown.lines().collect();
        assert_eq!(
            shown,
            [
                "a: { password: *** **** ** * *",
                "password_file: /run/secrets/a",
                "title: forgot the password",
                "my-password: x",
                "password: *",
                "  ***",
                "",
                "  ***",
                "tail: 1",
            ]
        );
    }
}
