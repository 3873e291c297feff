//! Whether each secret of a plan can be read: the second depth of `validate`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use postrider_probes::account::SecretSource;
use postrider_probes::setting::{Place, Problem};

use super::loaded::Loaded;

/// No secret is larger, in bytes.
const LARGEST_SECRET: u64 = 64 * 1024;

impl Loaded {
    /// Looks at every secret that the plan names and adds what is wrong with it to the mistakes. Nothing of a secret is
    /// kept or shown.
    pub fn check_secrets(&mut self) {
        let Some(plan) = &self.plan else {
            return;
        };
        let passwords = plan.mailboxes.values().filter_map(|mailbox| {
            Some((
                format!("the password of `{}`", mailbox.name),
                mailbox.password.as_ref()?,
                false,
            ))
        });
        let keys = plan.senders.values().filter_map(|sender| {
            Some((
                format!("the DKIM key of `{}`", sender.name),
                &sender.dkim.as_ref()?.key,
                true,
            ))
        });
        let found: Vec<Problem> = passwords
            .chain(keys)
            .flat_map(|(what, source, is_key)| {
                let at = self.secret_places.get(source).copied().unwrap_or_default();
                look(&what, source, is_key, at)
            })
            .collect();
        self.problems.extend(found);
        self.sort();
        if self.errors() > 0 {
            self.plan = None;
        }
    }
}

fn look(what: &str, source: &SecretSource, is_key: bool, at: Place) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut oddities = |text: &str| {
        // A key in PEM is lines, and may have any end.
        if !is_key {
            problems.extend(line_ends(what, text, at));
        }
    };
    match source {
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(text) if !text.is_empty() => oddities(&text),
            _ => {
                return vec![missing(
                    what,
                    &format!("the environment variable {name}"),
                    at,
                )];
            }
        },
        SecretSource::File(path) => {
            match text_of(path) {
                Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => {
                    return vec![
                        Problem::error(
                            "secret-missing",
                            at,
                            format!("{} is empty", path.display()),
                        )
                        .help(format!("write {what} into it")),
                    ];
                }
                // The line end that every editor writes is dropped when the secret is used.
                Ok(text) => oddities(text.strip_suffix('\n').unwrap_or(&text)),
                Err(problem) => return vec![unreadable(what, path, &problem, at)],
            }
            problems.extend(permissions(path, at));
        }
    }
    problems
}

fn text_of(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;

    let mut text = String::new();
    std::fs::File::open(path)?
        .take(LARGEST_SECRET + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_SECRET {
        return Err(std::io::Error::other("it is larger than 64 KiB"));
    }
    Ok(text)
}

fn missing(what: &str, from: &str, at: Place) -> Problem {
    Problem::error("secret-missing", at, format!("{from} is not set or empty"))
        .help(format!("it should hold {what}"))
}

fn unreadable(what: &str, path: &Path, error: &std::io::Error, at: Place) -> Problem {
    let path_shown = path.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Problem::error("secret-missing", at, format!("{path_shown} does not exist"))
            .help(format!("it should hold {what}"));
    }
    let problem = Problem::error(
        "secret-unreadable",
        at,
        format!("{path_shown} cannot be read: {error}"),
    );
    match (error.kind(), std::fs::metadata(path)) {
        (std::io::ErrorKind::PermissionDenied, Ok(file)) => problem
            .note(format!(
                "it is owned by {} with mode {:04o}, and postrider runs as {}",
                file.uid(),
                file.mode() & 0o7777,
                rustix::process::geteuid().as_raw()
            ))
            .help("make it readable for that user"),
        _ => problem.help(format!("it should hold {what} as text")),
    }
}

fn line_ends(what: &str, text: &str, at: Place) -> Option<Problem> {
    let surprise = if text.contains('\r') {
        "a carriage return"
    } else if text.contains('\n') {
        "more than one line"
    } else if text.trim() != text {
        "a space at its beginning or end"
    } else {
        return None;
    };
    Some(
        Problem::warning("secret-line-end", at, format!("{what} holds {surprise}"))
            .help("write it without, for instance with `printf %s`"),
    )
}

fn permissions(path: &Path, at: Place) -> Option<Problem> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    (mode & 0o044 != 0).then(|| {
        Problem::warning(
            "secret-readable-by-others",
            at,
            format!(
                "{} is readable by others: its mode is {mode:04o}",
                path.display()
            ),
        )
        .help(format!("chmod 0600 {}", path.display()))
    })
}
