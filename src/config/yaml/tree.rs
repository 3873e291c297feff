//! A parsed file: values with their places.

use postrider_probes::setting::Place;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(in crate::config) struct Node {
    /// Unique in the file, rising in the order of the text once aliases are written out.
    pub(in crate::config) id: u32,
    pub(in crate::config) place: Place,
    pub(in crate::config) value: Value,
}

#[derive(Debug, Clone)]
pub(in crate::config) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar as written. Its type is decided by who asks for it.
#[derive(Debug, Clone)]
pub(in crate::config) struct Scalar {
    pub(in crate::config) text: String,
    /// Without quotes: it may be a number, a truth value or nothing.
    pub(in crate::config) plain: bool,
}

/// One line of a map.
#[derive(Debug, Clone)]
pub(in crate::config) struct Entry {
    pub(in crate::config) key: Key,
    pub(in crate::config) value: Node,
}

#[derive(Debug, Clone)]
pub(in crate::config) struct Key {
    pub(in crate::config) id: u32,
    pub(in crate::config) place: Place,
    pub(in crate::config) scalar: Scalar,
}

impl Node {
    /// The value under a key, when the node is a map that has it.
    pub(in crate::config) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|entry| entry.key.scalar.text == key)
            .map(|entry| &entry.value)
    }

    pub(in crate::config) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(in crate::config) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The largest id in the node: together with its own, the range of everything inside.
    pub(in crate::config) fn last_id(&self) -> u32 {
        match &self.value {
            Value::Scalar(_) => self.id,
            Value::List(items) => items.last().map_or(self.id, Self::last_id),
            Value::Map(entries) => entries
                .last()
                .map_or(self.id, |entry| entry.value.last_id()),
        }
    }

    /// Calls `visit` with each entry of each map, outermost first.
    pub(in crate::config) fn for_each_entry_mut(&mut self, visit: &mut dyn FnMut(&mut Entry)) {
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                for item in items {
                    item.for_each_entry_mut(visit);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    visit(entry);
                    entry.value.for_each_entry_mut(visit);
                }
            }
        }
    }
}
