//! Which files `include` means.

use std::path::{Path, PathBuf};

use postrider_probes::setting::{Problem, Spanned};

/// Files of a configuration.
pub(super) const FILES_LIMIT: usize = 1_000;

/// The files that a pattern matches, relative to `base`, sorted; never more than the limit and one.
pub(super) fn matching(
    base: &Path,
    pattern: &Spanned<String>,
) -> Result<Vec<PathBuf>, Box<Problem>> {
    let error = |code, title: String| Problem::error(code, pattern.at, title);
    if pattern.contains("**") {
        // It would walk whole trees, links included.
        return Err(Box::new(
            error("bad-value", "`**` is not known in `include`".to_owned())
                .help("write one pattern for each directory"),
        ));
    }
    let full = if Path::new(&pattern.value).is_absolute() {
        pattern.value.clone()
    } else {
        let base = glob::Pattern::escape(&base.to_string_lossy());
        Path::new(&base)
            .join(&pattern.value)
            .to_string_lossy()
            .into_owned()
    };
    let options = glob::MatchOptions {
        // `..data` of a mounted ConfigMap is not meant.
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let matches = glob::glob_with(&full, options).map_err(|wrong| {
        Box::new(error(
            "bad-value",
            format!("`{}` is not a pattern: {}", pattern.value, wrong.msg),
        ))
    })?;
    let files: Vec<PathBuf> = matches
        .filter_map(Result::ok)
        .filter(|path| path.is_file())
        .take(FILES_LIMIT + 1)
        .collect();
    if files.is_empty() {
        return Err(Box::new(
            error(
                "missing-file",
                format!("`{}` matches no file", pattern.value),
            )
            .help("patterns are relative to this file"),
        ));
    }
    Ok(files)
}
