//! Finds every mistake of a file: reads it, takes what was wrong out of the tree, and reads again.

use std::cell::RefCell;
use std::collections::BTreeSet;

use postrider_probes::setting::{Place, Problem};
use serde::de::DeserializeOwned;

use super::describe::{Surroundings, describe, nearest};
use super::fault::{Fault, What};
use super::reader::{Reader, Templates};
use super::tree::{Entry, Key, Node, Scalar, Value};

/// Nobody reads more of them.
const PROBLEM_LIMIT: usize = 100;
/// Each round takes out or fills in at least one value; a hundred mistakes need a few hundred rounds.
const ROUND_LIMIT: usize = 2_000;

/// What could be read of a file.
#[derive(Debug)]
pub(in crate::config) struct Read<T> {
    /// Everything that is right; `None` when nothing could be kept.
    pub(in crate::config) value: Option<T>,
    /// What was left out: the place of the map, and the key. To keep quiet about what is missing because of it.
    pub(in crate::config) cuts: BTreeSet<(Place, String)>,
    /// Ids of the nodes that were read as templates.
    pub(in crate::config) templates: Vec<u32>,
}

/// Reads a tree as a `T`, and reports everything in it that is no part of one. What was wrong is taken out of the tree.
pub(in crate::config) fn read<T: DeserializeOwned>(
    tree: &mut Node,
    what: &'static str,
    problems: &mut Vec<Problem>,
) -> Read<T> {
    let mut repair = Repair {
        what,
        next_id: tree.last_id() + 1,
        fillers: Vec::new(),
        cuts: BTreeSet::new(),
        finishing: false,
    };
    let limit = problems.len() + PROBLEM_LIMIT;
    for _ in 0..ROUND_LIMIT {
        let templates = Templates::default();
        let result = T::deserialize(Reader {
            node: tree,
            templates: &templates,
        });
        let goes_on = match result {
            Ok(value) if repair.fillers.is_empty() => {
                return Read {
                    value: Some(value),
                    cuts: repair.cuts,
                    templates: RefCell::into_inner(templates),
                };
            }
            // All mistakes are known; what needed a filler cannot stay.
            Ok(_) => repair.drop_fillers(tree),
            Err(fault) => repair.after(fault, tree, problems),
        };
        if !goes_on || problems.len() >= limit {
            break;
        }
    }
    Read {
        value: None,
        cuts: repair.cuts,
        templates: Vec::new(),
    }
}

struct Repair {
    what: &'static str,
    next_id: u32,
    /// Values that stand in for missing ones, so that the mistakes behind them are found too.
    fillers: Vec<Filler>,
    cuts: BTreeSet<(Place, String)>,
    finishing: bool,
}

struct Filler {
    node: u32,
    /// The map that lacks the key.
    map: u32,
    tried: usize,
}

/// One of these satisfies most types.
fn filler_value(tried: usize) -> Option<Value> {
    let scalar = |text: &str, plain| {
        Some(Value::Scalar(Scalar {
            text: text.to_owned(),
            plain,
        }))
    };
    match tried {
        0 => scalar("filler.example", false),
        1 => scalar("filler@filler.example", false),
        2 => scalar("1s", false),
        3 => scalar("1", true),
        4 => scalar("true", true),
        5 => Some(Value::List(Vec::new())),
        6 => Some(Value::Map(Vec::new())),
        _ => None,
    }
}

impl Repair {
    /// Deals with one fault; whether another round makes sense.
    fn after(&mut self, fault: Fault, tree: &mut Node, problems: &mut Vec<Problem>) -> bool {
        let Some(id) = fault.node else {
            return false;
        };
        if let Some(index) = self.fillers.iter().position(|filler| filler.node == id) {
            return self.next_filler(index, tree);
        }
        let Some(steps) = path(tree, id) else {
            return false;
        };
        if let What::MissingKey(key) = fault.what {
            let map = node_at(tree, &steps);
            let known = self.cuts.contains(&(map.place, key.to_owned()));
            if known || self.finishing {
                return self.cut(tree, &steps);
            }
            problems.push(describe(fault.what, &surroundings(tree, &steps, self.what)));
            self.fill(tree, &steps, key);
            return true;
        }
        if let What::UnknownKey { key, known } = &fault.what
            && let Some(meant) = nearest(key, known.iter().copied())
        {
            // A misspelt key is not also missing.
            let map = node_at(tree, &steps).place;
            self.cuts.insert((map, meant.to_owned()));
        }
        problems.push(describe(fault.what, &surroundings(tree, &steps, self.what)));
        self.cut(tree, &steps)
    }

    fn fill(&mut self, tree: &mut Node, steps: &[Step], key: &str) {
        let Some(map) = node_at_mut(tree, steps) else {
            return;
        };
        let id = self.next_id;
        self.next_id += 2;
        self.fillers.push(Filler {
            node: id + 1,
            map: map.id,
            tried: 0,
        });
        let place = map.place;
        let Value::Map(entries) = &mut map.value else {
            return;
        };
        let text = key.to_owned();
        if let Some(value) = filler_value(0) {
            entries.push(Entry {
                key: Key {
                    id,
                    place,
                    scalar: Scalar { text, plain: false },
                },
                value: Node {
                    id: id + 1,
                    place,
                    value,
                },
            });
        }
    }

    fn next_filler(&mut self, index: usize, tree: &mut Node) -> bool {
        let filler = &mut self.fillers[index];
        filler.tried += 1;
        let (id, map) = (filler.node, filler.map);
        let value = filler_value(filler.tried);
        let node = path(tree, id).and_then(|steps| node_at_mut(tree, &steps));
        if let (Some(value), Some(node)) = (value, node) {
            node.value = value;
            return true;
        }
        self.fillers.remove(index);
        path(tree, map).is_some_and(|steps| self.cut(tree, &steps))
    }

    fn drop_fillers(&mut self, tree: &mut Node) -> bool {
        self.finishing = true;
        for filler in std::mem::take(&mut self.fillers) {
            if let Some(steps) = path(tree, filler.map)
                && !self.cut(tree, &steps)
            {
                return false;
            }
        }
        true
    }

    /// Takes a node out of the tree; the root stays, then reading is over.
    fn cut(&mut self, tree: &mut Node, steps: &[Step]) -> bool {
        let Some((last, parents)) = steps.split_last() else {
            return false;
        };
        let Some(parent) = node_at_mut(tree, parents) else {
            return false;
        };
        match (&mut parent.value, last) {
            (Value::Map(entries), Step::Key(index) | Step::Value(index)) => {
                let entry = entries.remove(*index);
                self.cuts.insert((parent.place, entry.key.scalar.text));
            }
            (Value::List(items), Step::Item(index)) => {
                items.remove(*index);
                self.cuts.insert((parent.place, String::new()));
            }
            _ => return false,
        }
        true
    }
}

/// One step from a node to what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Key(usize),
    Value(usize),
    Item(usize),
}

/// The way to the node, or key, with this id.
fn path(node: &Node, id: u32) -> Option<Vec<Step>> {
    fn walk(node: &Node, id: u32, steps: &mut Vec<Step>) -> bool {
        if node.id == id {
            return true;
        }
        match &node.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    steps.push(Step::Item(index));
                    if walk(item, id, steps) {
                        return true;
                    }
                    steps.pop();
                }
            }
            Value::Map(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    if entry.key.id == id {
                        steps.push(Step::Key(index));
                        return true;
                    }
                    steps.push(Step::Value(index));
                    if walk(&entry.value, id, steps) {
                        return true;
                    }
                    steps.pop();
                }
            }
        }
        false
    }
    let mut steps = Vec::new();
    walk(node, id, &mut steps).then_some(steps)
}

/// The node at the end of the way; for a key, the map that it is in.
fn node_at<'t>(mut node: &'t Node, steps: &[Step]) -> &'t Node {
    for step in steps {
        node = match (&node.value, step) {
            (Value::List(items), Step::Item(index)) => &items[*index],
            (Value::Map(entries), Step::Value(index)) => &entries[*index].value,
            _ => node,
        };
    }
    node
}

fn node_at_mut<'t>(node: &'t mut Node, steps: &[Step]) -> Option<&'t mut Node> {
    let Some((first, rest)) = steps.split_first() else {
        return Some(node);
    };
    // A key, the end of the way, leaves the map itself.
    if matches!(first, Step::Key(_)) {
        return Some(node);
    }
    match (&mut node.value, first) {
        (Value::List(items), Step::Item(index)) => node_at_mut(items.get_mut(*index)?, rest),
        (Value::Map(entries), Step::Value(index)) => {
            node_at_mut(&mut entries.get_mut(*index)?.value, rest)
        }
        _ => None,
    }
}

/// What is around the node: the names that a sentence about it needs.
fn surroundings<'t>(tree: &'t Node, steps: &[Step], what: &'static str) -> Surroundings<'t> {
    let mut around = Surroundings {
        what,
        owner: None,
        key: None,
        in_list: false,
        place: tree.place,
        scalar: None,
    };
    let mut node = tree;
    for step in steps {
        match (&node.value, step) {
            (Value::List(items), Step::Item(index)) => {
                node = &items[*index];
                around.in_list = true;
                around.place = node.place;
            }
            (Value::Map(entries), Step::Value(index)) => {
                let entry = &entries[*index];
                if let Some(key) = around.key {
                    around.owner = Some((key, around.in_list));
                }
                around.key = Some(&entry.key);
                around.in_list = false;
                around.place = entry.value.place;
                node = &entry.value;
            }
            (Value::Map(entries), Step::Key(index)) => {
                if let Some(key) = around.key {
                    around.owner = Some((key, around.in_list));
                }
                around.key = Some(&entries[*index].key);
                around.in_list = false;
                around.place = entries[*index].key.place;
                return around;
            }
            _ => {}
        }
    }
    if let Value::Scalar(scalar) = &node.value {
        around.scalar = Some(scalar);
    }
    around
}

#[cfg(test)]
mod tests {
    use postrider_probes::setting::{Parsed, Period, Spanned};
    use serde::Deserialize;

    use super::*;
    use crate::config::yaml::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Spanned<u8>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "they are only read")]
    struct Inner {
        text: String,
        period: Period,
        address: Parsed<std::net::IpAddr>,
        number: Option<u16>,
    }

    fn read_all(text: &str) -> (Option<Outer>, Vec<String>) {
        let mut problems = Vec::new();
        let mut tree = parse(0, text, &mut problems).unwrap();
        let read = read::<Outer>(&mut tree, "the test", &mut problems);
        let titles = problems.into_iter().map(|problem| problem.title).collect();
        (read.value, titles)
    }

    #[test]
    fn all_that_is_missing_is_said_at_once() {
        let (value, titles) = read_all("inner: { number: x }\nlist: [1, 300, a, 2]\n");
        assert_eq!(
            titles,
            [
                "`number` is a whole number from 0 to 65535, not the text `x`",
                "`inner` needs `text`",
                "`inner` needs `period`",
                "`inner` needs `address`",
                "an item of `list` is a whole number from 0 to 255, not `300`",
                "an item of `list` is a whole number from 0 to 255, not the text `a`",
            ]
        );
        let outer = value.unwrap();
        assert!(outer.inner.is_none(), "what lacks something is left out");
        let kept: Vec<u8> = outer.list.iter().map(|item| item.value).collect();
        assert_eq!(kept, [1, 2], "what is right is kept");
    }

    #[test]
    fn what_was_wrong_is_not_also_missing() {
        let (_, titles) = read_all("inner: { text: 1, peroid: 2s, address: here }\n");
        assert_eq!(
            titles,
            [
                "`1` without quotes is a number for some YAML readers, and a text is meant",
                "`peroid` is not a key of `inner`",
                "`here` is not an IP address",
            ]
        );
    }

    #[test]
    fn a_file_of_another_kind_is_one_mistake() {
        let (value, titles) = read_all("[1, 2]\n");
        assert!(value.is_none());
        assert_eq!(titles, ["the test has keys of its own below it"]);
    }
}
