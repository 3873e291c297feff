//! The values, by metric and labels. Bounded: what a hostile answer makes up cannot fill the memory.

use std::collections::BTreeMap;

use postrider_wire::text::RemoteText;

use super::catalogue::{Family, Kind};
use super::histogram::{Exemplar, Histogram};

/// Label sets that are held at most.
pub(super) const MOST_LABEL_SETS: usize = 50_000;
/// Characters of a label's value; no host name is longer.
const LONGEST_VALUE: usize = 255;

/// The values of a metric's labels, in the order of its description.
pub(super) type Labels = Vec<Box<str>>;

/// What a series holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(f64),
    Histogram(Box<Histogram>),
}

/// All series.
#[derive(Debug, Clone)]
pub(super) struct Table {
    families: Vec<BTreeMap<Labels, Value>>,
    held: usize,
    most: usize,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            families: vec![BTreeMap::new(); Family::ALL.len()],
            held: 0,
            most,
        }
    }

    /// Makes a series that begins with nothing, if there is none.
    pub(super) fn ensure(&mut self, family: Family, labels: &[&str]) {
        self.value(family, labels);
    }

    /// Sets a gauge, or a counter that somebody else counts.
    pub(super) fn set(&mut self, family: Family, labels: &[&str], number: f64) {
        if let Some(Value::Number(held)) = self.value(family, labels) {
            *held = number;
        }
    }

    /// Counts.
    pub(super) fn add(&mut self, family: Family, labels: &[&str], number: f64) {
        if let Some(Value::Number(held)) = self.value(family, labels) {
            *held += number;
        }
    }

    /// Takes a duration in.
    pub(super) fn observe(
        &mut self,
        family: Family,
        labels: &[&str],
        seconds: f64,
        exemplar: Option<Exemplar>,
    ) {
        if let Some(Value::Histogram(held)) = self.value(family, labels) {
            held.observe(seconds, exemplar);
        }
    }

    /// Removes the series of a metric that are not wanted any more.
    pub(super) fn retain(&mut self, family: Family, wanted: impl Fn(&[Box<str>]) -> bool) {
        let series = &mut self.families[family as usize];
        let before = series.len();
        series.retain(|labels, _| wanted(labels));
        self.held -= before - series.len();
    }

    /// Removes one series.
    pub(super) fn remove(&mut self, family: Family, labels: &[&str]) {
        let labels: Labels = labels.iter().copied().map(bounded).collect();
        self.held -= usize::from(self.families[family as usize].remove(&labels).is_some());
    }

    /// Removes the unwanted series among those that begin with these labels.
    pub(super) fn retain_of(
        &mut self,
        family: Family,
        first: &[&str],
        wanted: impl Fn(&[Box<str>]) -> bool,
    ) {
        let unwanted: Vec<Labels> = self
            .beginning(family, first)
            .filter(|(labels, _)| !wanted(labels))
            .map(|(labels, _)| labels.clone())
            .collect();
        let series = &mut self.families[family as usize];
        for labels in unwanted {
            self.held -= usize::from(series.remove(&labels).is_some());
        }
    }

    /// The series of a metric that begin with these labels: found without looking at the others.
    pub(super) fn beginning(
        &self,
        family: Family,
        first: &[&str],
    ) -> impl Iterator<Item = (&Labels, &Value)> {
        let first: Labels = first.iter().copied().map(bounded).collect();
        let series = &self.families[family as usize];
        let from = series.range(first.clone()..);
        from.take_while(move |(labels, _)| labels.starts_with(&first))
    }

    /// Whether there is such a series.
    pub(super) fn has(&self, family: Family, labels: &[&str]) -> bool {
        let labels: Labels = labels.iter().copied().map(bounded).collect();
        self.families[family as usize].contains_key(&labels)
    }

    /// The series of a metric, in the order of their labels.
    pub(super) fn of(&self, family: Family) -> impl Iterator<Item = (&Labels, &Value)> {
        self.families[family as usize].iter()
    }

    /// How many label sets there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held
    }

    fn value(&mut self, family: Family, labels: &[&str]) -> Option<&mut Value> {
        let description = family.description();
        debug_assert_eq!(
            labels.len(),
            description.labels.len(),
            "{}",
            description.name
        );
        let labels: Labels = labels.iter().copied().map(bounded).collect();
        let series = &mut self.families[family as usize];
        if !series.contains_key(&labels) {
            if self.held >= self.most && !description.labels.is_empty() {
                let dropped = self.families[Family::SeriesDropped as usize].entry(Vec::new());
                if let Value::Number(dropped) = dropped.or_insert(Value::Number(0.0)) {
                    *dropped += 1.0;
                }
                return None;
            }
            self.held += 1;
        }
        let new = || match description.kind {
            Kind::Counter | Kind::Gauge => Value::Number(0.0),
            Kind::Histogram => Value::Histogram(Box::default()),
        };
        Some(
            self.families[family as usize]
                .entry(labels)
                .or_insert_with(new),
        )
    }
}

/// What the network says, fit for a label.
fn bounded(value: &str) -> Box<str> {
    RemoteText::new(value.as_bytes(), LONGEST_VALUE)
        .as_str()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(table: &Table, family: Family) -> f64 {
        table
            .of(family)
            .map(|(_, value)| match value {
                Value::Number(number) => *number,
                Value::Histogram(_) => panic!("a histogram"),
            })
            .sum()
    }

    #[test]
    fn one_label_set_too_many_is_dropped_and_counted() {
        let mut table = Table::new(3);
        for name in ["a", "b", "c", "d", "e", "a"] {
            table.add(Family::Runs, &[name], 1.0);
        }
        assert_eq!(table.of(Family::Runs).count(), 3);
        assert_eq!(number(&table, Family::Runs), 4.0);
        assert_eq!(number(&table, Family::SeriesDropped), 2.0);
        // There is room again.
        table.retain(Family::Runs, |labels| *labels[0] != *"a");
        table.add(Family::Runs, &["d"], 1.0);
        assert_eq!((table.len(), number(&table, Family::Runs)), (3, 3.0));
    }

    #[test]
    fn metrics_without_labels_have_their_place_whatever_happens() {
        let mut table = Table::new(1);
        table.add(Family::Runs, &["a"], 1.0);
        table.set(Family::StoreSize, &[], 7.0);
        assert_eq!(number(&table, Family::StoreSize), 7.0);
    }

    #[test]
    fn label_from_the_network_is_short_and_printable() {
        let name = format!("mx\u{202e}\n\0{}", "x".repeat(10_000));
        let label = bounded(&name);
        assert!(label.chars().count() < 400, "{}", label.len());
        assert!(!label.contains(['\n', '\0', '\u{202e}']), "{label}");
    }
}
