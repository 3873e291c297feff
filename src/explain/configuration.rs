//! What the configuration reader can say. Their list is `config::CODES`.

use postrider_probes::setting::Severity;

use super::{Area, Effect, Page, Text};

/// One diagnostic.
#[derive(Debug)]
pub(super) struct Diagnostic {
    code: &'static str,
    severity: Severity,
    summary: &'static str,
    text: Text,
}

impl Diagnostic {
    pub(super) fn page(&self) -> Page {
        Page {
            code: self.code,
            area: Area::Configuration,
            effect: Effect::Configuration(self.severity),
            summary: self.summary,
            text: self.text,
            is_reserved: false,
        }
    }
}

const fn error(
    code: &'static str,
    summary: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        summary,
        text: Text {
            meaning,
            causes,
            advice,
        },
    }
}

const fn warning(
    code: &'static str,
    summary: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        ..error(code, summary, meaning, causes, advice)
    }
}

/// Every diagnostic, sorted by code.
pub(super) const PAGES: &[Diagnostic] = &[
    error(
        "bad-address",
        "A mail address or an IP address is not one.",
        "The text cannot be what this key wants; the note says why.",
        &[
            "A missing `@` or domain, a host name where an address is wanted, a port without brackets around IPv6.",
        ],
        &[
            "Write `alice@example.net`, `192.0.2.10`, `2001:db8::10`, or `[2001:db8::53]:5353` with a port.",
        ],
    ),
    error(
        "bad-cron",
        "A cron pattern cannot be read, or never comes true.",
        "Patterns have five fields: minute, hour, day of the month, month, day of the week.",
        &[
            "Six fields (seconds are not known here), a word like `@daily`, a day that no month has.",
        ],
        &[
            "Write for example `30 12 * * TUE` for Tuesdays at half past twelve, and name the `timezone`.",
        ],
    ),
    error(
        "bad-host",
        "A host name, domain or EHLO name is not one.",
        "Labels hold letters, digits and hyphens; an EHLO name needs at least two of them, since filters refuse the rest.",
        &["An underscore, a space, an address where a name is wanted, a URL instead of its host."],
        &["Write the bare name, as `mx1.example.net`."],
    ),
    error(
        "bad-value",
        "The value is of the right type and not one that this key can have.",
        "The message says what the key takes.",
        &[
            "A word that is none of the known ones, a number out of range, a name with a space in it.",
        ],
        &["Take one of the values in the note; the help line names the nearest."],
    ),
    error(
        "conflicting-keys",
        "Two keys exclude each other.",
        "With both, one of them could never have an effect.",
        &[
            "`to_address` and `route`, `every` and `cron`, `password_file` and `password_env`, `stop_after` and `arrives`.",
        ],
        &["Remove one of the two."],
    ),
    error(
        "duplicate-address",
        "An address stands in the inventory twice.",
        "An address belongs to one node and has one role, primary or fallback; results name targets by it.",
        &["A copied line, or an address that moved from one node to another."],
        &["Remove it where it does not belong any more."],
    ),
    error(
        "duplicate-id",
        "Two steps of a scenario, or two scenarios, have the same name.",
        "Results, series and the command line name them by it.",
        &["A copied step or file whose name was not changed."],
        &["Give the second one a name of its own."],
    ),
    error(
        "duplicate-key",
        "A key stands twice in the same map.",
        "YAML readers disagree about which of the two counts, so neither is taken.",
        &["A copied block."],
        &["Remove one of the two, or make it an item of a list."],
    ),
    error(
        "file-too-large",
        "A file is larger than 1 MiB.",
        "It is not read at all, so that no file can take the memory of the program.",
        &["A wrong path: a log, a mailbox, an archive."],
        &["Split it: `include` takes any number of files up to 1000."],
    ),
    error(
        "inline-secret",
        "A password or token stands in the file itself.",
        "Configuration is shown, copied and kept in version control; secrets are read from elsewhere. What stands there is not shown.",
        &["A key such as `password` or `token`."],
        &[
            "Write the secret to a file of its own and name it with `password_file`, or name a variable with `password_env`. Change the secret.",
        ],
    ),
    error(
        "item-without-for-each",
        "`${item.…}` is used where there is no item.",
        "An item is one MX address; only a step with `for_each` has one.",
        &["The `for_each` line was removed, or the text stands in `for_each` itself."],
        &["Add `for_each: {mx_of: DOMAIN}` to the step, or write the value."],
    ),
    error(
        "line-break",
        "A line break stands where it could add a header or a command.",
        "Subjects, addresses and names are one line; a value with CR or LF could change the message or the dialogue.",
        &[
            "A block of text (`|`) where one line is meant, or an environment variable with a line end.",
        ],
        &["Write it on one line."],
    ),
    error(
        "missing-file",
        "A file does not exist or cannot be read, or a pattern matches none.",
        "Paths and patterns are relative to the file that they stand in, not to the working directory.",
        &["A moved file, a path from another directory, a missing read permission."],
        &["Correct the path. Secrets are not looked at here: `postrider validate --secrets` does."],
    ),
    error(
        "missing-key",
        "Something that must be written is not.",
        "There is no safe default for it.",
        &[
            "A step without an `id`, a mail without `from` or `to`, a `deliver` that does not say where to connect.",
        ],
        &["Add the line that the help shows."],
    ),
    error(
        "missing-unit",
        "A duration or a size has no unit.",
        "A bare number means seconds to one reader and milliseconds or minutes to the next.",
        &["`within: 60` instead of `within: 60s`."],
        &["Durations end in ms, s, m, h or d; sizes in B, KiB, MiB and the like."],
    ),
    warning(
        "schedule-too-often",
        "The schedule sends test mail to the same target more than once a minute.",
        "Test mail is a guest on somebody's servers: more of it measures nothing more, and filters learn to dislike its sender.",
        &["`every` is shorter than a minute in a scenario that sends mail."],
        &["Write `every: 1m` or longer; several addresses are tested at the same time anyway."],
    ),
    warning(
        "secret-line-end",
        "A secret holds more than one line, a carriage return, or a space at its edge.",
        "It is sent as it is, and the server compares every character. One line end behind it is dropped and does no harm.",
        &["An editor or a copied line added it; a file from Windows."],
        &[
            "Write it anew, for example with `printf %s`, unless the character belongs to the secret.",
        ],
    ),
    warning(
        "secret-readable-by-others",
        "A secret's file can be read by other users of this machine.",
        "Nothing fails because of it, but the secret is not one any more for whoever has an account here.",
        &["A file with mode 0644, as editors make it."],
        &["`chmod 0600` it, for the user that runs postrider."],
    ),
    warning(
        "timeout-too-short",
        "A time limit ends the check or the run before its own steps could.",
        "It would end as `overrun`, which blames the probe, or as a time-out, and never say what it saw.",
        &["`within:` was raised and `timeout:` was not."],
        &["Set `timeout` as the help says, leave it out, or lower `within`."],
    ),
    error(
        "too-deep",
        "More than 32 lists and maps lie inside each other.",
        "A limit that keeps the reader safe; no useful file comes near it.",
        &["A generator that went wrong, or an alias inside what it stands for."],
        &["Look at how the file is made."],
    ),
    error(
        "too-many-files",
        "The patterns of `include` match more than 1000 files.",
        "A limit that keeps the reader safe.",
        &["A pattern that reaches into a directory with other things in it."],
        &["Narrow the pattern, or keep scenarios in a directory of their own."],
    ),
    error(
        "too-many-nodes",
        "A file has more than 100 000 values, with its aliases written out.",
        "A limit that keeps the reader safe from a small file that grows.",
        &["Aliases of aliases."],
        &["Split the file, or use fewer aliases."],
    ),
    error(
        "unknown-key",
        "A key is not known here.",
        "Unknown keys are never ignored: a misspelt `within` would be a check that never fails.",
        &["A spelling mistake, or a key one level too high or too low."],
        &[
            "The help names the nearest key, the note all of them. With the first line of the shipped files, editors complete them.",
        ],
    ),
    error(
        "unknown-reference",
        "A sender or mailbox is named that the main file does not define.",
        "Senders and mailboxes are defined once, in the main file.",
        &["A spelling mistake, or a file that is checked without its main file (`--config`)."],
        &["Take one of the names in the help, or define it."],
    ),
    error(
        "unknown-timezone",
        "A time zone is not known.",
        "Zones have IANA names, so that daylight saving is right.",
        &["A city alone, an abbreviation such as CET, an offset."],
        &["Write `Europe/Amsterdam`, or `UTC`."],
    ),
    error(
        "unknown-variable",
        "`${…}` names nothing.",
        "There are `${run.id}`, `${item.…}` in steps with `for_each`, and `${env.NAME}`; an undefined one is never an empty text.",
        &[
            "A spelling mistake, an environment variable that is not set, a dollar sign that is meant as such.",
        ],
        &["Set the variable before the program starts, or write `$$` for a dollar sign."],
    ),
    warning(
        "unused-mailbox",
        "A mailbox is defined and no step uses it.",
        "It is probably a check that somebody wanted and that does not exist.",
        &["A removed step, or a step that names another mailbox."],
        &["Use it in a step, or remove it."],
    ),
    error(
        "verb-count",
        "A step has no verb, or several.",
        "A step does one thing, so that its result means one thing.",
        &["The verb stands one level too deep, or two steps were written as one (a missing `-`)."],
        &["Write one verb below each `id`; `postrider list` and the note name them."],
    ),
    error(
        "warn-after-within",
        "`warn_after` is not shorter than `within`.",
        "The warning could never come: the failure comes first.",
        &["The two values were exchanged, or one of them was changed alone."],
        &["Make `warn_after` the shorter one, or leave it out."],
    ),
    error(
        "wrong-type",
        "The value has another shape than this key wants.",
        "A list where one word is meant, a word where there are keys below it, or nothing at all.",
        &["A missing `-`, a wrong indentation, a key left empty."],
        &["The message says what is wanted and what is there."],
    ),
    error(
        "yaml-ambiguous",
        "YAML readers disagree about this value.",
        "Without quotes it is a truth value, a number, a date or nothing for some of them, and a text is meant.",
        &["`no`, `on`, `0123`, `1e3`, `12:30`, or a merge key `<<`."],
        &["Put it in quotes, as the help shows."],
    ),
    error(
        "yaml-syntax",
        "The file is not YAML, or not the part of it that is used here.",
        "One document, UTF-8, spaces for indentation, no tags and no directives.",
        &[
            "A tab, a missing space after a colon, a bracket that is never closed, a text with `: ` in it.",
        ],
        &[
            "Look at the marked place and the line above it; put quotes around texts with special characters.",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use postrider_probes::reason::Reason;

    use super::PAGES;
    use crate::config::CODES;

    #[test]
    fn every_code_of_the_reader_has_its_page() {
        assert!(PAGES.is_sorted_by_key(|page| page.code));
        // A missing secret is found by `validate --secrets` and by a check: one code, one page.
        let codes: BTreeSet<&str> = CODES
            .iter()
            .copied()
            .filter(|code| Reason::from_code(code).is_none())
            .collect();
        let pages: BTreeSet<&str> = PAGES.iter().map(|page| page.code).collect();
        assert_eq!(pages, codes);
    }
}
