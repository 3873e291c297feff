//! One sentence for each mistake, and what to do about it.

use postrider_probes::setting::{Place, Problem};

use super::fault::What;
use super::tree::{Key, Scalar};
use crate::config::raw::STEP_KEYS;

/// What is known about the place of a mistake.
pub(super) struct Surroundings<'t> {
    /// What the file is: `a scenario`, `the main file`.
    pub(super) what: &'static str,
    /// The key whose value holds the map that `key` is in, and whether that map is an item of a list.
    pub(super) owner: Option<(&'t Key, bool)>,
    /// The key whose value is wrong, or that is wrong itself.
    pub(super) key: Option<&'t Key>,
    /// The value is an item of the key's list.
    pub(super) in_list: bool,
    pub(super) place: Place,
    pub(super) scalar: Option<&'t Scalar>,
}

/// A fault as a problem.
pub(super) fn describe(what: What, around: &Surroundings<'_>) -> Problem {
    let at = around.place;
    match what {
        What::UnknownKey { key, known } => unknown_key(&key, known, around),
        What::MissingKey(key) => Problem::error(
            "missing-key",
            // A map's own place is its first key; the key that it belongs to says more.
            around
                .key
                .filter(|_| !around.in_list)
                .map_or(at, |key| key.place),
            format!("{} needs `{key}`", around.map_name()),
        )
        .help(format!("add `{key}:`")),
        What::UnknownWord { word, known } => {
            let problem = Problem::error(
                "bad-value",
                at,
                format!("`{word}` is not a value of {}", around.key_name()),
            )
            .note(format!("the values are {}", list(known)));
            match nearest(&word, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }
        }
        What::WrongType { found, wanted } => {
            let problem = Problem::error(
                "wrong-type",
                at,
                format!(
                    "{} is {}, not {}",
                    around.key_name(),
                    wanted_words(&wanted),
                    found_words(&found)
                ),
            );
            let word = around.scalar.map(|scalar| scalar.text.as_str());
            let lower = word.map(str::to_ascii_lowercase);
            match (wanted.as_str(), lower.as_deref()) {
                ("a boolean", Some("yes" | "on" | "y")) => problem.help("write `true`"),
                ("a boolean", Some("no" | "off" | "n")) => problem.help("write `false`"),
                ("a sequence", Some(_)) => {
                    problem.help(format!("write `[{}]`", word.unwrap_or_default()))
                }
                _ => problem,
            }
        }
        What::WrongValue { found, wanted } => Problem::error(
            "bad-value",
            at,
            format!(
                "{} is {}, not {}",
                around.key_name(),
                wanted_words(&wanted),
                found_words(&found)
            ),
        ),
        What::NoMap { known } => Problem::error(
            "wrong-type",
            at,
            format!("{} has keys of its own below it", around.key_name()),
        )
        .note(format!("its keys are {}", list(known))),
        What::Empty => Problem::error(
            "wrong-type",
            at,
            format!("{} has no value", around.key_name()),
        )
        .help("write one, or remove the key"),
        What::Ambiguous { text, taken_for } => Problem::error(
            "yaml-ambiguous",
            at,
            format!(
                "`{text}` without quotes is {taken_for} for some YAML readers, and a text is meant"
            ),
        )
        .help(format!("write `\"{text}\"`")),
        What::Said(message) => said(&message, around),
    }
}

fn unknown_key(key: &str, known: &'static [&'static str], around: &Surroundings<'_>) -> Problem {
    let at = around.place;
    if SECRET_KEYS.contains(&key) {
        return Problem::error("inline-secret", at, "a secret does not belong in this file")
            .help(format!(
                "write it into a file of its own and name that with `{key}_file`, or use `{key}_env`"
            ));
    }
    let near = nearest(key, known.iter().copied());
    let verbs: Vec<&str> = postrider_probes::Probe::CATALOGUE
        .iter()
        .map(|(verb, _)| *verb)
        .collect();
    let is_step = std::ptr::eq(known, &**STEP_KEYS);
    let problem = if is_step && near.is_none_or(|near| verbs.contains(&near)) {
        Problem::error("unknown-key", at, format!("`{key}` is not a step")).note(format!(
            "steps are {}; beside its verb a step has {}",
            verbs.join(", "),
            list_plain(known.iter().filter(|key| !verbs.contains(key)))
        ))
    } else {
        let owner = if is_step {
            "a step".to_owned()
        } else {
            around.owner_name()
        };
        Problem::error(
            "unknown-key",
            at,
            format!("`{key}` is not a key of {owner}"),
        )
        .note(format!("its keys are {}", list_plain(known.iter())))
    };
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// Values of these keys are never shown.
pub(in crate::config) const SECRET_KEYS: [&str; 6] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
];

/// The types of the settings say `what is wrong: what to do`.
fn said(message: &str, around: &Surroundings<'_>) -> Problem {
    let at = around.place;
    if message == "invalid IP address syntax" {
        let text = around.scalar.map_or("", |scalar| scalar.text.as_str());
        return Problem::error("bad-address", at, format!("`{text}` is not an IP address"));
    }
    let code = if message.contains("needs a unit") {
        "missing-unit"
    } else if message.starts_with("`${") {
        "unknown-variable"
    } else if message.contains("line break") {
        "line-break"
    } else {
        "bad-value"
    };
    match message.split_once(": ") {
        Some((title, help)) => Problem::error(code, at, title).help(help),
        None => Problem::error(code, at, message),
    }
}

impl Surroundings<'_> {
    /// The value, by its key.
    fn key_name(&self) -> String {
        match self.key {
            Some(key) if self.in_list => format!("an item of `{}`", key.scalar.text),
            Some(key) => format!("`{}`", key.scalar.text),
            None => self.what.to_owned(),
        }
    }

    /// The map itself, by the key that it belongs to.
    fn map_name(&self) -> String {
        match self.key {
            Some(key) if self.in_list && key.scalar.text == "steps" => "a step".to_owned(),
            _ => self.key_name(),
        }
    }

    /// The map that the key is in.
    fn owner_name(&self) -> String {
        match self.owner {
            Some((key, true)) => format!("an item of `{}`", key.scalar.text),
            Some((key, false)) => format!("`{}`", key.scalar.text),
            None => self.what.to_owned(),
        }
    }
}

/// The candidate that was probably meant.
pub(in crate::config) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, &lower), candidate))
        // A third of the letters may be wrong: `recieve` and `titel`, not any word of the same length.
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(lower.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in back quotes.
pub(super) fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn list_plain<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    words.copied().collect::<Vec<_>>().join(", ")
}

/// What serde wanted, in a person's words.
fn wanted_words(wanted: &str) -> String {
    match wanted {
        "a string" | "a borrowed string" | "path string" | "a character" => "a text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map with keys of its own".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number".to_owned(),
        other => other.to_owned(),
    }
}

/// What serde found, in a person's words.
fn found_words(found: &str) -> String {
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "unit value" => "nothing".to_owned(),
        _ => match found.split_once(' ') {
            Some(("string", text)) => format!("the text {}", text.replace('"', "`")),
            // ``integer `70000` ``, ``floating point `1.5` ``.
            Some((_, value)) => value.rsplit(' ').next().unwrap_or(value).to_owned(),
            None => found.to_owned(),
        },
    }
}
