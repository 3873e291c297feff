//! What a reload changed: two plans in, lines out. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::setting::Period;
use serde_json::{Map, Value, json};

use crate::config::plan::{Plan, Scenario, Schedule, When};

/// Changes of one thing that are told; the others are counted.
const TOLD_CHANGES: usize = 3;
/// Characters of a value that are told.
const TOLD_VALUE: usize = 40;
/// Keys of the main file whose entries have names, and what such an entry is called.
const NAMED: [(&str, &str); 2] = [("mailboxes", "mailbox"), ("senders", "sender")];

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The configuration of before, by its hash.
    pub from: String,
    /// The new one.
    pub to: String,
    /// Scenarios first, then the main file; each in the order of names.
    pub items: Vec<Item>,
    /// Scenarios that are as they were.
    pub unchanged: usize,
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `scenario`, `mailbox`, `sender`, `platform`, `setting`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How.
    pub change: Change,
}

/// How a thing is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new; a scenario says when it runs.
    Added(Option<String>),
    /// It is gone.
    Removed,
    /// These keys are different: `arrives.within 2m → 90s`.
    Changed(Vec<String>),
}

/// What the lines say beside the difference.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// How long the reload took.
    pub took: Duration,
    /// Now.
    pub now: Timestamp,
    /// The first planned starts of scenarios.
    pub first: BTreeMap<String, Timestamp>,
    /// How long history is kept.
    pub kept: Duration,
}

impl Difference {
    /// Compares two plans.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let by_name = |plan| -> BTreeMap<String, &Scenario> {
            let plan: &Plan = plan;
            let scenarios = plan.scenarios.iter();
            scenarios
                .map(|scenario| (scenario.name.clone(), scenario))
                .collect()
        };
        let (before, now) = (by_name(old), by_name(new));
        let mut items = Vec::new();
        let mut unchanged = 0;
        for (name, scenario) in &now {
            let change = match before.get(name) {
                None => Change::Added(Some(when(scenario.schedule.as_ref()))),
                Some(known) if known.written == scenario.written => {
                    unchanged += 1;
                    continue;
                }
                Some(known) => Change::Changed(changes(&known.written, &scenario.written)),
            };
            items.push(item("scenario", name, change));
        }
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            items.push(item("scenario", name, Change::Removed));
        }
        main_file(&old.written, &new.written, &mut items);
        Self {
            from: old.sha256.clone(),
            to: new.sha256.clone(),
            items,
            unchanged,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self, told: &Told) -> String {
        let mut text = format!(
            "reloaded {} → {} in {} ms\n",
            short(&self.from),
            short(&self.to),
            told.took.as_millis()
        );
        for Item { kind, name, change } in &self.items {
            let (mark, words) = match change {
                Change::Added(None) => ('+', String::new()),
                Change::Added(Some(when)) => {
                    let first = told
                        .first
                        .get(name)
                        .map(|first| clock_time(*first, told.now));
                    let first =
                        first.map_or_else(String::new, |first| format!(", first run {first}"));
                    ('+', format!("{when}{first}"))
                }
                Change::Removed if *kind == "scenario" => {
                    let until = told.now.saturating_add(told.kept).unwrap_or(Timestamp::MAX);
                    ('-', format!("history kept until {}", until.strftime("%F")))
                }
                Change::Removed => ('-', "mails under way are still looked for".to_owned()),
                Change::Changed(keys) => {
                    let mut words = keys
                        .iter()
                        .take(TOLD_CHANGES)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ");
                    if keys.len() > TOLD_CHANGES {
                        // A String never refuses to be written to.
                        let _ = write!(words, ", and {} more", keys.len() - TOLD_CHANGES);
                    }
                    ('~', words)
                }
            };
            let line = format!("  {mark} {kind:<8}  {name:<24}  {words}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "  = {} unchanged, schedules not disturbed",
            self.unchanged
        );
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let items = self.items.iter().map(|Item { kind, name, change }| {
            let (what, details) = match change {
                Change::Added(when) => ("added", when.iter().cloned().collect()),
                Change::Removed => ("removed", Vec::new()),
                Change::Changed(keys) => ("changed", keys.clone()),
            };
            json!({ "kind": kind, "name": name, "change": what, "details": details })
        });
        json!({
            "from": self.from,
            "to": self.to,
            "items": items.collect::<Vec<Value>>(),
            "unchanged": self.unchanged,
        })
    }
}

/// The first characters of a hash: enough to tell two of them apart.
#[must_use]
pub(super) fn short(sha256: &str) -> &str {
    sha256.get(..6).unwrap_or(sha256)
}

/// `every 15m`, `17 3 * * * Europe/Berlin`, `when asked`.
#[must_use]
fn when(schedule: Option<&Schedule>) -> String {
    match schedule.map(|schedule| &schedule.when) {
        None => "when asked".to_owned(),
        Some(When::Every(every)) => format!("every {}", Period(*every)),
        Some(When::Cron { pattern, timezone }) => format!("{pattern} {timezone}"),
    }
}

/// UTC, with the date when it is not today.
fn clock_time(moment: Timestamp, now: Timestamp) -> String {
    let day = |moment: Timestamp| moment.strftime("%F").to_string();
    match day(moment) == day(now) {
        true => moment.strftime("%H:%M").to_string(),
        false => moment.strftime("%F %H:%M").to_string(),
    }
}

fn item(kind: &'static str, name: &str, change: Change) -> Item {
    Item {
        kind,
        name: name.to_owned(),
        change,
    }
}

fn main_file(old: &Value, new: &Value, items: &mut Vec<Item>) {
    let nothing = Map::new();
    let (old, new) = (
        old.as_object().unwrap_or(&nothing),
        new.as_object().unwrap_or(&nothing),
    );
    for (key, kind) in NAMED {
        let entries = |file: &Map<String, Value>| file.get(key).and_then(Value::as_object).cloned();
        let (before, now) = (
            entries(old).unwrap_or_default(),
            entries(new).unwrap_or_default(),
        );
        let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let change = match (before.get(name), now.get(name)) {
                (None, _) => Change::Added(None),
                (_, None) => Change::Removed,
                (Some(before), Some(now)) if before == now => continue,
                (Some(before), Some(now)) => Change::Changed(changes(before, now)),
            };
            items.push(item(kind, name, change));
        }
    }
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        // Which files are read shows in the scenarios.
        if key == "include"
            || NAMED.iter().any(|(named, _)| named == key)
            || old.get(key) == new.get(key)
        {
            continue;
        }
        let (before, now) = (old.get(key), new.get(key));
        if key == "platform"
            && let (Some(before), Some(now)) = (before, now)
        {
            items.push(item("platform", "", Change::Changed(changes(before, now))));
        } else {
            let words = format!("{} → {}", shown(before), shown(now));
            items.push(item("setting", key, Change::Changed(vec![words])));
        }
    }
}

/// The keys that are different, each with both values.
fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), Some(old), Some(new), &mut found);
    found
}

fn compare(
    path: &mut Vec<String>,
    old: Option<&Value>,
    new: Option<&Value>,
    found: &mut Vec<String>,
) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                path.push(key.clone());
                compare(path, old.get(key), new.get(key), found);
                path.pop();
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new)))
            if by_id(old).is_some() && by_id(new).is_some() =>
        {
            let (old, new) = (
                by_id(old).unwrap_or_default(),
                by_id(new).unwrap_or_default(),
            );
            let before = found.len();
            for (id, value) in &new {
                match old.iter().find(|(known, _)| known == id) {
                    None => found.push(format!("step {id} added")),
                    Some((_, known)) => compare(path, Some(known), Some(value), found),
                }
            }
            for (id, _) in old
                .iter()
                .filter(|(id, _)| !new.iter().any(|(known, _)| known == id))
            {
                found.push(format!("step {id} removed"));
            }
            if found.len() == before {
                found.push("order of the steps".to_owned());
            }
        }
        _ => {
            // The last two keys say it; the whole path would fill the line.
            let name = path[path.len().saturating_sub(2)..].join(".");
            found.push(
                format!("{name} {} → {}", shown(old), shown(new))
                    .trim_start()
                    .to_owned(),
            );
        }
    }
}

/// The elements of a list by their ids, when each has one.
fn by_id(list: &[Value]) -> Option<Vec<(&str, &Value)>> {
    list.iter()
        .map(|element| Some((element.get("id")?.as_str()?, element)))
        .collect()
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(_)) => "{…}".to_owned(),
        Some(other) => other.to_string(),
    };
    let mut text: String = text
        .chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if text.chars().count() > TOLD_VALUE {
        text = text.chars().take(TOLD_VALUE - 1).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_the_manual_shows_them() {
        let difference = Difference {
            from: "a1b2c3d4".to_owned(),
            to: "d4e5f6a7".to_owned(),
            items: vec![
                item(
                    "scenario",
                    "caldav-roundtrip",
                    Change::Added(Some("every 15m".to_owned())),
                ),
                item(
                    "scenario",
                    "mx-delivery",
                    Change::Changed(vec!["arrives.within 2m → 90s".to_owned()]),
                ),
                item("scenario", "legacy-pop3", Change::Removed),
            ],
            unchanged: 18,
        };
        let now: Timestamp = "2026-11-24T04:20:00Z".parse().unwrap();
        let told = Told {
            took: Duration::from_millis(41),
            now,
            first: [(
                "caldav-roundtrip".to_owned(),
                "2026-11-24T04:31:07Z".parse().unwrap(),
            )]
            .into(),
            kept: Duration::from_secs(400 * 86_400),
        };
        assert_eq!(
            difference.text(&told),
            "\
reloaded a1b2c3 → d4e5f6 in 41 ms
  + scenario  caldav-roundtrip          every 15m, first run 04:31
  ~ scenario  mx-delivery               arrives.within 2m → 90s
  - scenario  legacy-pop3               history kept until 2027-12-29
  = 18 unchanged, schedules not disturbed
"
        );
    }

    #[test]
    fn a_changed_value_is_named_by_its_last_two_keys() {
        let step = |within: &str| json!({ "id": "a", "deliver": { "expect": { "arrives": { "within": within } } } });
        let old = json!({ "name": "x", "steps": [step("2m"), { "id": "b", "wait": { "for": "1s" } }], "tags": ["a"] });
        let new = json!({ "name": "x", "steps": [step("90s"), { "id": "c" }], "schedule": { "every": "5m" } });
        assert_eq!(
            changes(&old, &new),
            [
                "arrives.within 2m → 90s",
                "step c added",
                "step b removed",
                "schedule none → {…}",
                r#"tags ["a"] → none"#,
            ]
        );
        let (one, two) = (json!({ "id": "1" }), json!({ "id": "2" }));
        assert_eq!(
            changes(&json!([one, two]), &json!([two, one])),
            ["order of the steps"]
        );
    }

    #[test]
    fn main_file_tells_of_names_and_of_settings() {
        let old = json!({ "mailboxes": { "alice": { "address": "a@x" }, "bob": {} }, "lost_after": "5d", "include": ["a"] });
        let new = json!({ "mailboxes": { "alice": { "address": "b@x" } }, "senders": { "out": {} }, "include": ["b"] });
        let mut items = Vec::new();
        main_file(&old, &new, &mut items);
        assert_eq!(
            items,
            [
                item(
                    "mailbox",
                    "alice",
                    Change::Changed(vec!["address a@x → b@x".to_owned()])
                ),
                item("mailbox", "bob", Change::Removed),
                item("sender", "out", Change::Added(None)),
                item(
                    "setting",
                    "lost_after",
                    Change::Changed(vec!["5d → none".to_owned()])
                ),
            ]
        );
    }
}
