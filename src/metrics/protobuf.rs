//! The protobuf exposition: the only one that carries native histograms.
//!
//! The messages are those parts of `io.prometheus.client` that are used here; the numbers are the protocol's.

use jiff::Timestamp;
use prost::Message;

use super::catalogue::{Description, Family, Kind};
use super::histogram::{self, Exemplar, Histogram, Native};
use super::series::{Table, Value};

/// Writes all series, each family with its length before it.
pub(super) fn encode(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in Family::ALL {
        let description = family.description();
        let metric: Vec<MetricMessage> = table
            .of(*family)
            .map(|(labels, value)| metric(&description, labels, value))
            .collect();
        if metric.is_empty() {
            continue;
        }
        let message = FamilyMessage {
            name: description.name.to_owned(),
            help: description.help.to_owned(),
            kind: match description.kind {
                Kind::Counter => 0,
                Kind::Gauge => 1,
                Kind::Histogram => 4,
            },
            metric,
            unit: description.unit().to_owned(),
        };
        bytes.extend(message.encode_length_delimited_to_vec());
    }
    bytes
}

fn metric(description: &Description, labels: &[Box<str>], value: &Value) -> MetricMessage {
    let pairs = description.labels.iter().zip(labels);
    let label = pairs
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| pair(name, value))
        .collect();
    let mut metric = MetricMessage {
        label,
        ..MetricMessage::default()
    };
    match value {
        Value::Number(number) if description.kind == Kind::Counter => {
            metric.counter = Some(NumberMessage { value: *number });
        }
        Value::Number(number) => metric.gauge = Some(NumberMessage { value: *number }),
        Value::Histogram(histogram) => metric.histogram = Some(of_histogram(histogram)),
    }
    metric
}

fn of_histogram(histogram: &Histogram) -> HistogramMessage {
    let Native {
        schema,
        zero,
        spans,
        deltas,
    } = histogram.native();
    let span = |(offset, length)| SpanMessage { offset, length };
    let bucket =
        |(upper_bound, cumulative_count, exemplar): (f64, u64, Option<&Exemplar>)| BucketMessage {
            cumulative_count,
            upper_bound,
            exemplar: exemplar.map(of_exemplar),
        };
    HistogramMessage {
        sample_count: histogram.count(),
        sample_sum: histogram.sum(),
        bucket: histogram.cumulative().map(bucket).collect(),
        schema,
        // Greater than 0: that makes it a native histogram even while it is empty.
        zero_threshold: histogram::ZERO_THRESHOLD,
        zero_count: zero,
        positive_span: spans.into_iter().map(span).collect(),
        positive_delta: deltas,
    }
}

fn of_exemplar(exemplar: &Exemplar) -> ExemplarMessage {
    ExemplarMessage {
        label: vec![pair("run_id", &exemplar.run)],
        value: exemplar.value,
        timestamp: Some(of_time(exemplar.at)),
    }
}

fn of_time(at: Timestamp) -> TimeMessage {
    let micros = at.as_microsecond();
    TimeMessage {
        seconds: micros.div_euclid(1_000_000),
        // Below a second: it fits.
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0),
    }
}

fn pair(name: &str, value: &str) -> PairMessage {
    PairMessage {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

#[derive(Clone, PartialEq, Message)]
struct FamilyMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<MetricMessage>,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct MetricMessage {
    #[prost(message, repeated, tag = "1")]
    label: Vec<PairMessage>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<NumberMessage>,
    #[prost(message, optional, tag = "3")]
    counter: Option<NumberMessage>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<HistogramMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PairMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct NumberMessage {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramMessage {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<BucketMessage>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<SpanMessage>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct BucketMessage {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<ExemplarMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    label: Vec<PairMessage>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<TimeMessage>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
struct TimeMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Vec<FamilyMessage> {
        let mut rest = bytes;
        let mut families = Vec::new();
        while !rest.is_empty() {
            families.push(FamilyMessage::decode_length_delimited(&mut rest).expect("a message"));
        }
        families
    }

    #[test]
    fn histogram_has_classic_and_native_buckets_and_its_exemplar() {
        let mut table = Table::new(100);
        let labels = ["flow", "primary", "mx1.example.net", "192.0.2.1"];
        let exemplar = Exemplar {
            run: "01RUN".to_owned(),
            value: 1.5,
            at: Timestamp::from_microsecond(1_790_000_000_000_007).expect("a time"),
        };
        table.observe(Family::DeliveryDuration, &labels, 1.5, Some(exemplar));
        table.observe(Family::DeliveryDuration, &labels, 0.0, None);
        let families = decode(&encode(&table));
        let [family] = families.as_slice() else {
            panic!("one family, not {families:?}");
        };
        assert_eq!((family.kind, family.unit.as_str()), (4, "seconds"));
        let histogram = family.metric[0].histogram.as_ref().expect("a histogram");
        assert_eq!((histogram.sample_count, histogram.sample_sum), (2, 1.5));
        assert_eq!(histogram.bucket.len(), 13);
        assert_eq!(histogram.bucket[12].upper_bound, f64::INFINITY);
        assert_eq!(histogram.bucket[12].cumulative_count, 2);
        let exemplar = histogram.bucket[3].exemplar.as_ref().expect("an exemplar");
        assert_eq!(exemplar.label, [pair("run_id", "01RUN")]);
        let at = exemplar.timestamp.as_ref().expect("a time");
        assert_eq!((at.seconds, at.nanos), (1_790_000_000, 7_000));
        // 1.5 is in the bucket up to 2^(5/8).
        assert_eq!((histogram.schema, histogram.zero_count), (3, 1));
        assert_eq!(
            histogram.positive_span,
            [SpanMessage {
                offset: 5,
                length: 1
            }]
        );
        assert_eq!(histogram.positive_delta, [1]);
    }

    #[test]
    fn counters_and_gauges_are_told_apart_and_empty_labels_left_out() {
        let mut table = Table::new(100);
        table.add(Family::Checks, &["flow", "names", "", ""], 3.0);
        table.set(Family::StoreSize, &[], 7.0);
        let families = decode(&encode(&table));
        assert_eq!(families.len(), 2);
        assert_eq!(
            (families[0].name.as_str(), families[0].kind),
            ("postrider_checks_total", 0)
        );
        let metric = &families[0].metric[0];
        assert_eq!(
            metric.label,
            [pair("scenario", "flow"), pair("step", "names")]
        );
        assert_eq!(metric.counter, Some(NumberMessage { value: 3.0 }));
        assert_eq!(
            families[1].metric[0].gauge,
            Some(NumberMessage { value: 7.0 })
        );
    }
}
