//! What is wrong with an `imap:` as it is written, before anything is contacted.

use super::{Expect, Imap, Read};
use crate::kind::Names;
use crate::setting::{Place, Problem};

/// Reports references and contradictions; `at` is the verb.
pub(super) fn check(imap: &Imap, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    names.mailbox(&imap.r#in, problems);
    names.readable(&imap.r#in, imap.r#in.at, problems);
    if imap.folder.is_empty() {
        problems.push(Problem::error(
            "bad-value",
            names.place("folder", at),
            "`folder` is empty",
        ));
    }
    if imap.folder.contains(['\r', '\n', '\0']) {
        problems.push(
            Problem::error(
                "line-break",
                names.place("folder", at),
                "`folder` holds a line break",
            )
            .help("write it on one line"),
        );
    }
    if imap
        .command_timeout
        .is_some_and(|period| period.0.is_zero())
    {
        problems.push(Problem::error(
            "bad-value",
            names.place("command_timeout", at),
            "`command_timeout` is zero",
        ));
    }
    for (name, expect) in [("expect", &imap.expect), ("prefer", &imap.prefer)] {
        if let Some(expect) = expect {
            let place = |key: &str| names.place(&format!("{name}.{key}"), at);
            limits(imap, expect, &place, problems);
        }
    }
}

fn limits(
    imap: &Imap,
    expect: &Expect,
    place: &dyn Fn(&str) -> Place,
    problems: &mut Vec<Problem>,
) {
    for (part, limit) in [
        ("login", expect.login),
        ("select", expect.select),
        ("fetch", expect.fetch),
    ] {
        if let Some(limit) = limit
            && let (Some(within), Some(warn)) = (limit.within, limit.warn_after)
            && warn >= within
        {
            let title = format!("`warn_after: {warn}` never comes before `within: {within}`");
            problems.push(
                Problem::error(
                    "warn-after-within",
                    place(&format!("{part}.warn_after")),
                    title,
                )
                .help("make `warn_after` the shorter one"),
            );
        }
    }
    if expect.fetch.is_some() && imap.read == Read::Nothing {
        problems.push(
            Problem::error(
                "conflicting-keys",
                place("fetch"),
                "`fetch` has a limit, and with `read: nothing` nothing is fetched",
            )
            .help("leave out one of the two"),
        );
    }
    for name in expect.capabilities.iter().flatten() {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            let title = format!("`{}` is not the name of a capability", name.escape_debug());
            problems.push(
                Problem::error("bad-value", place("capabilities"), title)
                    .help("write it as in `IDLE` or `AUTH=PLAIN`"),
            );
        }
    }
}
