//! `${run.id}`, `${item.…}` and `${env.NAME}`: whether each has a value where it stands.

use std::ops::RangeInclusive;

use postrider_probes::setting::{Place, Template};

use super::{Scope, did_you_mean};
use crate::config::yaml::{Node, Value};

/// What `for_each` gives a step.
const ITEM_KEYS: [&str; 8] = [
    "mx",
    "host",
    "address",
    "family",
    "preference",
    "node",
    "role",
    "port",
];

/// Where `${item.…}` has a value, by node ids.
pub(super) struct Items {
    /// Parts of the tree in which it has one.
    pub(super) defined: Vec<RangeInclusive<u32>>,
    /// Parts of these in which it has none: `for_each` itself.
    pub(super) undefined: Vec<RangeInclusive<u32>>,
}

impl Items {
    fn has(&self, id: u32) -> bool {
        let within =
            |ranges: &[RangeInclusive<u32>]| ranges.iter().any(|range| range.contains(&id));
        within(&self.defined) && !within(&self.undefined)
    }
}

impl Scope<'_> {
    /// Checks every template of a file; `templates` are the ids of their nodes.
    pub(super) fn templates(&mut self, tree: &Node, templates: &[u32], items: &Items) {
        let mut wanted = templates.to_vec();
        wanted.sort_unstable();
        let mut found = Vec::new();
        collect(tree, &wanted, &mut found);
        for (id, at, text) in found {
            // A text that is no template was reported when it was read.
            if let Ok(template) = text.parse::<Template>() {
                for name in template.names() {
                    self.variable(name, at, items.has(id));
                }
            }
        }
    }

    fn variable(&mut self, name: &str, at: Place, has_item: bool) {
        match name.split_once('.') {
            Some(("run", "id")) => {}
            Some(("run", _)) => {
                self.error(
                    "unknown-variable",
                    at,
                    format!("`${{{name}}}` is not known"),
                )
                .help = Some("of the run there is `${run.id}`".to_owned());
            }
            Some(("item", key)) if !ITEM_KEYS.contains(&key) => {
                let problem = self.error(
                    "unknown-variable",
                    at,
                    format!("`${{{name}}}` is not known"),
                );
                did_you_mean(problem, key, ITEM_KEYS);
                if let Some(help) = &mut problem.help {
                    *help = help.replacen('`', "`${item.", 1).replacen("`?", "}`?", 1);
                }
                problem.note = Some(format!("an item has {}", ITEM_KEYS.join(", ")));
            }
            Some(("item", _)) if !has_item => {
                self.error(
                    "item-without-for-each",
                    at,
                    format!("`${{{name}}}` has a value only in a step with `for_each`"),
                )
                .help = Some("add `for_each` to the step, or write the value itself".to_owned());
            }
            Some(("env", variable)) => match self.environment.get(variable) {
                None => {
                    self.error(
                        "unknown-variable",
                        at,
                        format!("the environment variable {variable} is not set"),
                    )
                    .help = Some(format!("set {variable} before postrider starts"));
                }
                Some(value) if value.contains(['\r', '\n']) => {
                    self.line_break(&format!("the environment variable {variable}"), at);
                }
                Some(_) => {
                    self.used_environment.insert(variable.to_owned());
                }
            },
            _ => {}
        }
    }
}

fn collect<'t>(node: &'t Node, wanted: &[u32], found: &mut Vec<(u32, Place, &'t str)>) {
    match &node.value {
        Value::Scalar(scalar) => {
            if wanted.binary_search(&node.id).is_ok() {
                found.push((node.id, node.place, &scalar.text));
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, wanted, found)),
        Value::Map(entries) => entries
            .iter()
            .for_each(|entry| collect(&entry.value, wanted, found)),
    }
}
