//! What is wrong with an `imap:` as it is written, before anything is contacted.

use std::time::Duration;

use super::{Expect, Imap, Limit};
use crate::kind::Names;
use crate::setting::{Place, Problem};

/// A command without a limit of its own may take this long.
const COMMAND: Duration = Duration::from_secs(30);
/// Greeting, STARTTLS, CAPABILITY, LOGIN, EXAMINE, FETCH, LOGOUT and the connection itself.
const COMMANDS: u32 = 8;

/// Reports references, contradictions and values that the types cannot refuse; `at` is the verb.
pub(super) fn check(imap: &Imap, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    names.mailbox(&imap.r#in, problems);
    names.readable(&imap.r#in, imap.r#in.at, problems);
    if imap.folder.contains(['\r', '\n']) {
        problems.push(
            Problem::error(
                "line-break",
                names.place("folder", at),
                "`folder` holds a line break",
            )
            .help("write it on one line"),
        );
    }
    if imap.folder.is_empty() {
        problems.push(Problem::error(
            "bad-value",
            names.place("folder", at),
            "`folder` is empty",
        ));
    }
    for (name, expect) in [("expect", &imap.expect), ("prefer", &imap.prefer)] {
        for (part, limit) in expect.iter().flat_map(parts) {
            if let (Some(within), Some(warn)) = (limit.within, limit.warn_after)
                && warn >= within
            {
                problems.push(
                    Problem::error(
                        "warn-after-within",
                        names.place(&format!("{name}.{part}.warn_after"), at),
                        format!("`warn_after: {warn}` never comes before `within: {within}`"),
                    )
                    .help("make `warn_after` the shorter one"),
                );
            }
        }
    }
}

/// By the time limit of each command.
pub(super) fn longest(imap: &Imap) -> Duration {
    imap.command_timeout.map_or(COMMAND, |limit| limit.0) * COMMANDS
}

/// By the limits that are expected, where there are some.
pub(super) fn patience(imap: &Imap) -> Duration {
    let expected: Duration = imap
        .expect
        .iter()
        .flat_map(parts)
        .filter_map(|(_, limit)| limit.within)
        .map(|within| within.0)
        .sum();
    if expected.is_zero() {
        COMMAND
    } else {
        expected
    }
}

fn parts(expect: &Expect) -> impl Iterator<Item = (&'static str, Limit)> {
    [
        ("login", expect.login),
        ("select", expect.select),
        ("fetch", expect.fetch),
    ]
    .into_iter()
    .filter_map(|(part, limit)| Some((part, limit?)))
}
