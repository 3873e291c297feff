//! The reference is made from the program: what stands between `<!-- generated: NAME -->` and `<!-- end -->` is
//! compared, and written anew with `POSTRIDER_BLESS=1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::builder::PossibleValue;
use postrider::cli::{self, Exit};
use postrider::explain::{self, Area, Effect};
use postrider::metrics::{Description, Family};
use postrider::schema;
use postrider_probes::Probe;
use postrider_probes::phase::Phase;
use serde_json::Value;

use super::{pages, read};

#[test]
fn generated_parts_are_what_the_program_says() {
    let generators: BTreeMap<&str, fn() -> String> = BTreeMap::from([
        ("commands", commands as fn() -> String),
        ("diagnostics", diagnostics),
        ("environment", environment),
        ("history", history),
        ("kinds", kinds),
        ("main-file", main_file),
        ("metrics", metrics),
        ("period", period),
        ("reasons", reasons),
        ("result", result),
        ("scenario", scenario),
    ]);
    let mut met = Vec::new();
    for page in pages() {
        let text = read(&page);
        let mut made = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("<!-- generated: ") {
            let (name, after) = after.split_once(" -->\n").expect("the marker ends");
            let (_, after) = after.split_once("<!-- end -->").expect("the part ends");
            let generate = generators
                .get(name)
                .unwrap_or_else(|| panic!("{page}: nothing makes {name}"));
            let _ = write!(
                made,
                "{before}<!-- generated: {name} -->\n\n{}\n<!-- end -->",
                generate().trim_start()
            );
            met.push(name.to_owned());
            rest = after;
        }
        made.push_str(rest);
        if std::env::var_os("POSTRIDER_BLESS").is_some() && made != text {
            std::fs::write(&page, &made).unwrap();
        } else {
            assert!(
                made == text,
                "{page} is not what the program says: POSTRIDER_BLESS=1 writes it anew"
            );
        }
    }
    met.sort();
    assert_eq!(met, generators.into_keys().collect::<Vec<_>>());
}

#[test]
fn exit_codes_and_phases_are_documented() {
    let codes = read("docs/src/reference/exit-codes.md");
    let all = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotTested,
        Exit::NothingToRun,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    for exit in all {
        assert!(
            codes.contains(&format!("\n| {} | ", exit.code())),
            "{exit:?}"
        );
    }
    let phases = read("docs/src/explanation/what-we-measure.md");
    for phase in Phase::ALL {
        assert!(phases.contains(&format!("`{phase}`")), "{phase}");
    }
}

/// One table: name, type, labels, meaning.
fn metrics() -> String {
    let mut text = String::from("| metric | type | labels | what it says |\n|---|---|---|---|\n");
    for family in Family::ALL {
        let Description {
            name,
            kind,
            labels,
            help,
        } = family.description();
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {help} |",
            kind.name(),
            labels.join(" ")
        );
    }
    text
}

fn commands() -> String {
    let mut root = cli::command();
    root.build();
    let mut text = String::from("Every command also knows these options:\n\n");
    let global = |arg: &&clap::Arg| arg.is_global_set();
    for arg in root.get_arguments().filter(global) {
        text.push_str(&option(arg));
    }
    let of_run: Vec<String> = root
        .find_subcommand("run")
        .into_iter()
        .flat_map(own_arguments)
        .map(option)
        .collect();
    for command in root
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = write!(
            text,
            "\n## `postrider {}`\n\n{about}.\n\n",
            command.get_name()
        );
        let mut as_run = Vec::new();
        for arg in own_arguments(command) {
            let is_shared = command.get_name() != "run" && of_run.contains(&option(arg));
            match arg.get_long().filter(|_| is_shared) {
                Some(long) => as_run.push(format!("`--{long}`")),
                None => text.push_str(&option(arg)),
            }
        }
        for below in command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
        {
            let about = below.get_about().map(ToString::to_string);
            let name = below.get_name();
            let _ = writeln!(text, "- `{name}`: {}", about.unwrap_or_default());
        }
        if !as_run.is_empty() {
            let _ = writeln!(text, "- {}: as `postrider run`", as_run.join(", "));
        }
    }
    text
}

fn own_arguments(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str()))
}

/// One option as an item of a list.
fn option(arg: &clap::Arg) -> String {
    let mut names = Vec::new();
    if let Some(short) = arg.get_short() {
        names.push(format!("-{short}"));
    }
    if let Some(long) = arg.get_long() {
        names.push(format!("--{long}"));
    }
    names.extend(
        arg.get_visible_aliases()
            .unwrap_or_default()
            .iter()
            .map(|alias| format!("--{alias}")),
    );
    let takes_value = arg.get_action().takes_values();
    let value = arg
        .get_value_names()
        .map(|names| {
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .filter(|_| takes_value)
        .unwrap_or_default();
    let name = match (names.is_empty(), value.is_empty()) {
        (true, _) => format!("`{value}`"),
        (false, true) => format!("`{}`", names.join("`, `")),
        (false, false) => format!("`{} {value}`", names.join("`, `")),
    };
    let mut text = format!(
        "- {name}: {}",
        arg.get_help().map(ToString::to_string).unwrap_or_default()
    );
    let words: Vec<String> = match takes_value {
        true => arg.get_possible_values().iter().map(possible).collect(),
        false => Vec::new(),
    };
    if !words.is_empty() {
        let _ = write!(text, ": {}", words.join(", "));
    }
    let defaults = arg.get_default_values();
    if let (true, [default]) = (takes_value, defaults) {
        let _ = write!(text, " (default: `{}`)", default.to_string_lossy());
    }
    if let Some(env) = arg.get_env() {
        let _ = write!(text, " (also `{}`)", env.to_string_lossy());
    }
    text + "\n"
}

fn possible(value: &PossibleValue) -> String {
    format!("`{}`", value.get_name())
}

fn environment() -> String {
    let mut root = cli::command();
    root.build();
    // Each variable, its option, and the commands that know it.
    let mut variables: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for command in std::iter::once(&root).chain(root.get_subcommands()) {
        for arg in command.get_arguments() {
            if let (Some(variable), Some(long)) = (arg.get_env(), arg.get_long()) {
                let entry = variables.entry(variable.to_string_lossy().into_owned());
                let (_, commands) = entry.or_insert_with(|| (format!("`--{long}`"), Vec::new()));
                if !arg.is_global_set() {
                    commands.push(format!("`{}`", command.get_name()));
                }
            }
        }
    }
    let mut text = String::from("| variable | same as |\n|---|---|\n");
    for (name, (option, commands)) in variables {
        let of = if commands.is_empty() {
            String::new()
        } else {
            format!(" of {}", commands.join(", "))
        };
        let _ = writeln!(text, "| `{name}` | {option}{of} |");
    }
    text
}

fn reasons() -> String {
    let mut text = String::new();
    let pages = explain::pages();
    for area in Area::ALL
        .into_iter()
        .filter(|area| *area != Area::Configuration)
    {
        let _ = write!(
            text,
            "\n### {}\n\n| code | status | meaning |\n|---|---|---|\n",
            area.title()
        );
        for page in pages.iter().filter(|page| page.area == area) {
            let Effect::Check(status) = page.effect else {
                continue;
            };
            let reserved = if page.is_reserved {
                " *Reserved: no check gives it yet.*"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "| `{}` | `{status}` | {}{reserved} |",
                page.code, page.summary
            );
        }
    }
    text
}

fn diagnostics() -> String {
    let mut text = String::from("| code | | meaning |\n|---|---|---|\n");
    for page in explain::pages()
        .iter()
        .filter(|page| page.area == Area::Configuration)
    {
        let Effect::Configuration(severity) = page.effect else {
            continue;
        };
        let severity = format!("{severity:?}").to_lowercase();
        let _ = writeln!(text, "| `{}` | {severity} | {} |", page.code, page.summary);
    }
    text
}

fn main_file() -> String {
    let root = schema::config();
    let mut text = String::from(HEAD);
    keys(&root, &root, "", &[], &mut text);
    text
}

fn scenario() -> String {
    let root = schema::scenario();
    let mut text = String::from(HEAD);
    let verbs: Vec<&str> = Probe::CATALOGUE.iter().map(|(verb, _)| *verb).collect();
    keys(&root, &root, "", &verbs, &mut text);
    text
}

fn result() -> String {
    printed(schema::result())
}

fn period() -> String {
    printed(schema::period())
}

fn history() -> String {
    printed(schema::history())
}

fn printed(root: Value) -> String {
    let mut text = String::from(HEAD);
    keys(&root, &root, "", &[], &mut text);
    // Everything is required but for what may be absent; the other way round is shorter to read.
    text.replace(" **Required.**", "")
}

fn kinds() -> String {
    let root = schema::scenario();
    let mut text = String::new();
    for (verb, about) in Probe::CATALOGUE {
        let example = read(format!("scenarios/examples/{verb}.yaml"));
        let example = example
            .split_once('\n')
            .map_or("", |(_, behind_modeline)| behind_modeline);
        let about = about.trim().replace('\n', " ");
        let _ = write!(text, "\n## `{verb}`\n\n{about}\n\n{HEAD}");
        let settings = target(&root["$defs"]["Step"]["properties"][*verb], &root);
        keys(settings, &root, "", &[], &mut text);
        let _ = write!(text, "\n```yaml\n{example}```\n");
    }
    text
}

const HEAD: &str = "| key | takes | meaning |\n|---|---|---|\n";

/// One row for each key, and for each key below it.
fn keys(object: &Value, root: &Value, above: &str, leave_out: &[&str], text: &mut String) {
    let required: Vec<&str> = object["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (key, value) in object["properties"].as_object().into_iter().flatten() {
        if leave_out.contains(&key.as_str()) {
            continue;
        }
        let inner = target(value, root);
        let path = format!("{above}{key}");
        let description = [value, inner]
            .into_iter()
            .find_map(|schema| schema["description"].as_str())
            .unwrap_or_default()
            .replace('\n', " ");
        if key == "prefer"
            && value["$ref"].is_string()
            && value["$ref"] == object["properties"]["expect"]["$ref"]
        {
            let _ = writeln!(text, "| `{path}` | keys as `expect` | {description} |");
            continue;
        }
        let must = if required.contains(&key.as_str()) {
            " **Required.**"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| `{path}` | {} | {description}{}{must} |",
            takes(value, inner),
            words(inner)
        );
        let (below, mark) = match (&inner["additionalProperties"], &inner["items"]) {
            (map @ Value::Object(_), _) => (target(map, root), ".NAME."),
            (_, list @ Value::Object(_)) => (target(list, root), "[]."),
            _ => (inner, "."),
        };
        keys(below, root, &format!("{path}{mark}"), leave_out, text);
    }
}

/// What stands behind a reference, also one that may be absent.
fn target<'s>(value: &'s Value, root: &'s Value) -> &'s Value {
    match value["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix("#/$defs/"))
    {
        Some(name) => &root["$defs"][name],
        None => match value["anyOf"].as_array() {
            Some(choices) => target(&choices[0], root),
            None => value,
        },
    }
}

/// The values that are possible, with what they mean.
fn words(schema: &Value) -> String {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let words: Vec<String> = choices
        .filter_map(|one| {
            let meaning = one["description"]
                .as_str()?
                .trim_end_matches('.')
                .replace('\n', " ");
            Some(format!(" `{}`: {meaning}.", one["const"].as_str()?))
        })
        .collect();
    words.concat()
}

fn takes(value: &Value, inner: &Value) -> String {
    let name = value["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix("#/$defs/"));
    match (name, inner["type"].as_str().or(inner["type"][0].as_str())) {
        (Some("Duration"), _) => "duration".to_owned(),
        (Some("Size"), _) => "size".to_owned(),
        (Some("Reply"), _) => "code or class".to_owned(),
        _ if inner["oneOf"][0]["const"].is_string() || inner["enum"].is_array() => {
            "word".to_owned()
        }
        (_, Some("object")) if inner["additionalProperties"].is_object() => {
            "keys by name".to_owned()
        }
        (_, Some("object")) => "keys".to_owned(),
        (_, Some("array")) if inner["items"]["$ref"].is_string() => "list of keys".to_owned(),
        (_, Some("array")) => "list".to_owned(),
        (_, Some("string")) => "text".to_owned(),
        (_, Some("integer")) => "whole number".to_owned(),
        (_, Some("number")) => "number".to_owned(),
        (_, Some("boolean")) => "`true`, `false`".to_owned(),
        (_, other) => other.unwrap_or("").to_owned(),
    }
}

#[test]
fn http_page_names_every_part_that_can_be_unready() {
    let page = read("docs/src/reference/http.md");
    let row = page
        .lines()
        .find(|line| line.contains("`/-/ready`"))
        .unwrap();
    let (_, named) = row.split_once("as JSON: ").unwrap();
    let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
    let all_wrong = postrider::daemon::Facts {
        store: Some("disk full".to_owned()),
        since_tick: std::time::Duration::from_secs(3600),
        ending: true,
    };
    let reasons = postrider::daemon::readiness(&all_wrong);
    let parts: Vec<&str> = reasons.iter().map(|reason| reason.what).collect();
    assert_eq!(named, parts);
}
