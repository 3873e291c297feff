//! The codes of mistakes, each with a page for `explain`.

/// Every code that a mistake in the configuration can have, with what it means and what to do, sorted.
pub const CODES: &[(&str, &str)] = &[
    (
        "bad-address",
        "A mail address has the form local@domain (RFC 5321 §4.1.2), in ASCII and on one line. An IP address is written \
         as 192.0.2.10 or 2001:db8::10, without brackets; a resolver may have a port behind it.",
    ),
    (
        "bad-cron",
        "A cron pattern has five fields: minute, hour, day of the month, month, day of the week. A field is a number, a \
         name as TUE, a list, a range or a step as */15. A pattern that never comes true, as 30 February, is refused, too.",
    ),
    (
        "bad-host",
        "A host name is made of letters, digits, hyphens and dots (RFC 1123). An EHLO name is fully qualified, or an \
         address in brackets (RFC 5321 §4.1.1.1).",
    ),
    (
        "bad-value",
        "The value is of the right kind, but not one of those that are possible. The help line names them.",
    ),
    (
        "conflicting-keys",
        "Two keys exclude each other, or one makes the other impossible: nothing can arrive when nothing is sent. \
         Remove one of them.",
    ),
    (
        "duplicate-address",
        "An address stands in the inventory twice. It belongs to one node and has one role; with two, a result could be \
         blamed on the wrong node.",
    ),
    (
        "duplicate-id",
        "Two steps of a scenario, or two scenarios, have the same name. Results are filed under names, so each needs its \
         own.",
    ),
    (
        "duplicate-key",
        "A key stands twice in the same map. YAML readers differ in which one they take, so neither is taken. Remove one.",
    ),
    (
        "file-too-large",
        "A configuration file is at most 1 MiB. Split it; the main file's `include` takes any number of files up to 1000.",
    ),
    (
        "inline-secret",
        "A secret never stands in the configuration, where it ends up in version control, backups and reports. Put it \
         into a file and name the file (`password_file`), or name an environment variable (`password_env`).",
    ),
    (
        "item-without-for-each",
        "`${item.…}` is the target that `for_each` found. A step without `for_each` has none.",
    ),
    (
        "line-break",
        "A header field, an address or a title is one line. A line break in it could add header fields or commands, so it \
         is refused.",
    ),
    (
        "missing-file",
        "A file that is named does not exist or cannot be read, or a pattern of `include` matches nothing. Paths are \
         relative to the file that they stand in. Files with secrets are looked at by `validate --secrets`.",
    ),
    (
        "missing-key",
        "Something that has no default is not there. The help line says what to add.",
    ),
    (
        "missing-unit",
        "A duration or a size needs a unit: `60s`, `2m`, `8KiB`. A number alone means seconds to one reader and \
         milliseconds to the next.",
    ),
    (
        "secret-line-end",
        "A secret holds more than one line, a carriage return, or a space at its edge: mostly an accident of the editor. \
         One line end behind it is dropped and does no harm.",
    ),
    (
        "secret-missing",
        "A file or environment variable that should hold a secret does not exist or is empty.",
    ),
    (
        "secret-readable-by-others",
        "A secret's file can be read by other users of this machine. `chmod 0600` it.",
    ),
    (
        "secret-unreadable",
        "A secret's file exists and cannot be read by the user that postrider runs as.",
    ),
    (
        "timeout-too-short",
        "The time limit ends the run, or the step, before its own limits do. What a slow platform then gets is an error \
         of the probe instead of its own failure. Raise `timeout` or lower `within`.",
    ),
    (
        "too-deep",
        "Lists and maps lie inside each other deeper than 32 levels; the language itself needs less than ten.",
    ),
    ("too-many-files", "`include` matches more than 1000 files."),
    (
        "too-many-nodes",
        "A file holds more than 100000 values once its aliases are written out. Mostly it is an alias of aliases.",
    ),
    (
        "unknown-key",
        "The key means nothing where it stands: a misspelling, a wrong indentation, or a key of another place.",
    ),
    (
        "unknown-reference",
        "A name of a sender or mailbox that the main file does not define.",
    ),
    (
        "unknown-timezone",
        "Time zones have IANA names, as Europe/Amsterdam or UTC. Abbreviations as CET name no place and are refused.",
    ),
    (
        "unknown-variable",
        "In a text there are `${run.id}`, `${item.…}` in a step with `for_each`, and `${env.NAME}`, which must be set \
         when postrider starts. `$$` is a dollar sign.",
    ),
    (
        "unused-mailbox",
        "A mailbox is defined and no scenario uses it: a leftover, or a scenario that is not included.",
    ),
    (
        "verb-count",
        "A step does exactly one thing, so it has exactly one verb beside its `id`.",
    ),
    (
        "warn-after-within",
        "`warn_after` makes a result degraded and `within` makes it failed, so the warning comes first: it is the shorter \
         time.",
    ),
    (
        "wrong-type",
        "A value of another kind is wanted: a list, a text, a number, `true` or `false`, or a map with keys of its own.",
    ),
    (
        "yaml-ambiguous",
        "Without quotes, YAML readers take the value for different things: `no` is false for some, `0123` is 83, `1e3` is \
         1000. Write it in quotes.",
    ),
    (
        "yaml-syntax",
        "The file is no YAML. Mostly it is indentation, a tab, a missing quote, or a colon inside an unquoted text.",
    ),
];

/// What a code means, and what to do.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    let index = CODES.binary_search_by_key(&code, |(name, _)| name).ok()?;
    Some(CODES[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found() {
        for (code, text) in CODES {
            assert_eq!(explain(code), Some(*text), "{code} is not in its place");
        }
        assert_eq!(explain("no-such-code"), None);
    }
}
