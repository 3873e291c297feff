//! Durations in classic buckets and, beside them, in the buckets of a native histogram.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Upper bounds of the classic buckets, seconds; the last bucket has none.
pub(super) const BOUNDS: [f64; 12] = [
    0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// Eight native buckets for each doubling: a value is known to 9 %.
const FINEST: i32 = 3;
/// The coarsest resolution that the format knows.
const COARSEST: i32 = -4;
/// Native buckets of one series; beyond that the resolution is halved.
const MOST_BUCKETS: usize = 160;
/// What is not more than this is in the bucket of zero: 2^-128, as others do.
pub(super) const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exemplar {
    pub(super) run: String,
    pub(super) value: f64,
    pub(super) at: Timestamp,
}

/// The distribution of one series.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    count: u64,
    sum: f64,
    /// Not cumulative.
    classic: [u64; BOUNDS.len() + 1],
    /// The newest of each classic bucket; empty for a metric without exemplars.
    exemplars: Vec<Option<Exemplar>>,
    schema: i32,
    zero: u64,
    native: BTreeMap<i32, u64>,
}

/// Consecutive native buckets: where they begin, counted from the end of the ones before, and how many there are in each,
/// as the difference to the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Native {
    pub(super) schema: i32,
    pub(super) zero: u64,
    pub(super) spans: Vec<(i32, u32)>,
    pub(super) deltas: Vec<i64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            classic: [0; BOUNDS.len() + 1],
            exemplars: Vec::new(),
            schema: FINEST,
            zero: 0,
            native: BTreeMap::new(),
        }
    }
}

impl Histogram {
    /// Takes a value in; anything but a finite number that is not negative is no duration.
    pub(super) fn observe(&mut self, value: f64, exemplar: Option<Exemplar>) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        self.count += 1;
        self.sum += value;
        let bucket = BOUNDS.partition_point(|bound| *bound < value);
        self.classic[bucket] += 1;
        if exemplar.is_some() {
            self.exemplars.resize(self.classic.len(), None);
            self.exemplars[bucket] = exemplar;
        }
        if value <= ZERO_THRESHOLD {
            self.zero += 1;
        } else {
            *self.native.entry(index(value, self.schema)).or_default() += 1;
        }
        while self.native.len() > MOST_BUCKETS && self.schema > COARSEST {
            self.halve();
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// Upper bound, how many are not above it, and an example; the last bound is infinite.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64, Option<&Exemplar>)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.enumerate().scan(0, |below, (bucket, bound)| {
            *below += self.classic[bucket];
            let exemplar = self.exemplars.get(bucket).and_then(Option::as_ref);
            Some((bound, *below, exemplar))
        })
    }

    /// The native buckets in the form of the exposition.
    pub(super) fn native(&self) -> Native {
        let mut native = Native {
            schema: self.schema,
            zero: self.zero,
            ..Native::default()
        };
        let mut next = 0;
        let mut before = 0;
        for (&index, &count) in &self.native {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            match native.spans.last_mut() {
                Some((_, length)) if index == next => *length += 1,
                _ => native.spans.push((index - next, 1)),
            }
            native.deltas.push(count - before);
            (next, before) = (index + 1, count);
        }
        native
    }

    /// Two neighbours become one bucket.
    fn halve(&mut self) {
        self.schema -= 1;
        let mut coarser = BTreeMap::new();
        for (index, count) in std::mem::take(&mut self.native) {
            *coarser.entry((index + 1).div_euclid(2)).or_default() += count;
        }
        self.native = coarser;
    }
}

/// The bucket of a value: above the bound of the one before, not above its own.
fn index(value: f64, schema: i32) -> i32 {
    // Durations: far inside the range of an i32.
    let mut index = (value.log2() * f64::from(schema).exp2()).ceil() as i32;
    // The logarithm is not exact; the bounds decide.
    while bound(index - 1, schema) >= value {
        index -= 1;
    }
    while bound(index, schema) < value {
        index += 1;
    }
    index
}

fn bound(index: i32, schema: i32) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.observe(*value, None);
        }
        histogram
    }

    fn counts(native: &Native) -> Vec<i64> {
        let running = native.deltas.iter().scan(0, |sum, delta| {
            *sum += delta;
            Some(*sum)
        });
        running.collect()
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        let below: Vec<u64> = of(&[0.25, 0.26, 600.0, 601.0])
            .cumulative()
            .map(|(_, count, _)| count)
            .collect();
        assert_eq!(below, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4]);
        let native = of(&[1.0, 2.0, 2.0]).native();
        // Powers of two are bounds at any resolution: 1 is bucket 0, 2 is bucket 8.
        assert_eq!(
            (native.schema, native.spans.clone()),
            (3, vec![(0, 1), (7, 1)])
        );
        assert_eq!(native.deltas, [1, 1]);
    }

    #[test]
    fn zero_has_its_own_bucket() {
        let native = of(&[0.0, 0.0, 0.5]).native();
        assert_eq!((native.zero, native.spans), (2, vec![(-8, 1)]));
    }

    #[test]
    fn what_is_no_duration_is_not_taken() {
        let histogram = of(&[f64::NAN, f64::INFINITY, -1.0]);
        assert_eq!(histogram.count(), 0);
    }

    #[test]
    fn newest_exemplar_of_a_bucket_is_kept() {
        let exemplar = |run: &str, value| Exemplar {
            run: run.to_owned(),
            value,
            at: Timestamp::UNIX_EPOCH,
        };
        let mut histogram = Histogram::default();
        histogram.observe(0.1, Some(exemplar("one", 0.1)));
        histogram.observe(0.2, Some(exemplar("two", 0.2)));
        let kept: Vec<_> = histogram
            .cumulative()
            .filter_map(|(bound, _, kept)| Some((bound, &*kept?.run)))
            .collect();
        assert_eq!(kept, [(0.25, "two")]);
    }

    proptest! {
        #[test]
        fn every_value_is_in_a_bucket_that_holds_it(value in 1e-9_f64..1e9, schema in COARSEST..=FINEST) {
            let index = index(value, schema);
            prop_assert!(bound(index - 1, schema) < value && value <= bound(index, schema));
        }

        #[test]
        fn nothing_is_lost_when_the_resolution_is_halved(values in proptest::collection::vec(-30.0_f64..30.0, 0..2000)) {
            let values: Vec<f64> = values.into_iter().map(f64::exp2).collect();
            let histogram = of(&values);
            let native = histogram.native();
            prop_assert!(native.deltas.len() <= MOST_BUCKETS);
            let total: i64 = counts(&native).iter().sum();
            prop_assert_eq!(u64::try_from(total).unwrap(), histogram.count());
            let spans: u32 = native.spans.iter().map(|(_, length)| *length).sum();
            prop_assert_eq!(usize::try_from(spans).unwrap(), native.deltas.len());
        }
    }
}
