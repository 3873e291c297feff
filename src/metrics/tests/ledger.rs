//! From the ledger's changes.

use postrider_probes::post::EntryState::{self, *};

use super::*;

fn situation(state: EntryState, copies: usize, millis: Option<u64>) -> Situation {
    Situation {
        state,
        copies,
        latency: millis.map(|millis| Latency {
            on_wall_clock: false,
            after: Duration::from_millis(millis),
            pushed_after: None,
        }),
    }
}

/// One mail's life, told change by change.
fn tell(metrics: &Metrics, situations: &[Situation]) {
    let mut before = None;
    for after in situations {
        metrics.changed(&LedgerChange {
            entry: id(1),
            at: at(1),
            run: "01RUN".to_owned(),
            scenario: "flow".to_owned(),
            step: "primary".to_owned(),
            mx: Some("mx1.example.net".to_owned()),
            address: Some(([192, 0, 2, 10], 25).into()),
            within: Some(Duration::from_secs(60)),
            before,
            after: *after,
        });
        before = Some(*after);
    }
}

/// sent, delivered, lost, late, duplicated, in flight
fn counts(metrics: &Metrics) -> [u32; 6] {
    let labels = r#"{scenario="flow",step="primary",mx="mx1.example.net"}"#;
    let count = |series: String| {
        let value = value(metrics, &series);
        value.map_or(0, |value| value.parse().expect("a number"))
    };
    let of = |name: &str| count(format!("postrider_messages_{name}_total{labels}"));
    [
        of("sent"),
        of("delivered"),
        of("lost"),
        of("late"),
        of("duplicated"),
        count("postrider_messages_in_flight".to_owned()),
    ]
}

#[test]
fn each_life_of_a_mail_is_counted_once() {
    let s = situation;
    let table: &[(&[Situation], [u32; 6])] = &[
        (&[s(Planned, 0, None)], [0, 0, 0, 0, 0, 0]),
        (
            &[s(Planned, 0, None), s(Refused, 0, None)],
            [0, 0, 0, 0, 0, 0],
        ),
        (
            &[s(Planned, 0, None), s(Accepted, 0, None)],
            [1, 0, 0, 0, 0, 1],
        ),
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Delivered, 1, Some(1500)),
            ],
            [1, 1, 0, 0, 0, 0],
        ),
        // Seen before the final reply was recorded.
        (
            &[
                s(Planned, 0, None),
                s(Delivered, 1, None),
                s(Delivered, 1, Some(30)),
            ],
            [1, 1, 0, 0, 0, 0],
        ),
        (
            &[
                s(Planned, 0, None),
                s(Uncertain, 0, None),
                s(Delivered, 1, None),
            ],
            [1, 1, 0, 0, 0, 0],
        ),
        // Lost, and found after all: nothing is taken back.
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Overdue, 0, None),
                s(Lost, 0, None),
                s(Delivered, 1, Some(500_000)),
                s(Delivered, 3, Some(500_000)),
            ],
            [1, 1, 1, 1, 2, 0],
        ),
        // Too slow, though nobody had noticed that it was due.
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Delivered, 1, Some(60_001)),
            ],
            [1, 1, 0, 1, 0, 0],
        ),
        // In the junk folder, then where it belongs.
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Overdue, 0, None),
                s(Junked, 1, Some(70_000)),
                s(Delivered, 2, Some(80_000)),
            ],
            [1, 1, 0, 1, 1, 0],
        ),
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Overdue, 0, None),
            ],
            [1, 0, 0, 0, 0, 1],
        ),
        (
            &[
                s(Planned, 0, None),
                s(Accepted, 0, None),
                s(Unverifiable, 0, None),
            ],
            [1, 0, 0, 0, 0, 0],
        ),
    ];
    for (life, expected) in table {
        let metrics = metrics();
        tell(&metrics, life);
        assert_eq!(counts(&metrics), *expected, "{life:?}");
    }
}

#[test]
fn delivery_is_measured_once_and_shows_its_run() {
    let metrics = metrics();
    let s = situation;
    tell(
        &metrics,
        &[
            s(Planned, 0, None),
            s(Delivered, 1, None),
            s(Delivered, 1, Some(1500)),
            s(Delivered, 2, Some(1500)),
        ],
    );
    let series = of("postrider_delivery_duration_seconds_count", ONE, "");
    assert_eq!(value(&metrics, &series).as_deref(), Some("1"));
    let open_metrics = metrics.exposition(Format::OpenMetrics, None);
    let open_metrics = String::from_utf8(open_metrics).expect("text");
    assert!(
        open_metrics.contains(r#"le="2.0"} 1 # {run_id="01RUN"} 1.5 1790000001.000"#),
        "{open_metrics}"
    );
}

#[test]
fn what_is_in_flight_at_the_start_is_counted_on() {
    let metrics = metrics();
    let mut balance = Balance::default();
    balance.add(Accepted, 3, 0);
    balance.add(Overdue, 1, 0);
    balance.add(Delivered, 100, 0);
    metrics.opened(&balance);
    let value = || value(&metrics, "postrider_messages_in_flight");
    assert_eq!(value().as_deref(), Some("4"));
    metrics.changed(&LedgerChange {
        entry: id(1),
        at: at(1),
        run: "01RUN".to_owned(),
        // Of a scenario that is not configured any more.
        scenario: "gone".to_owned(),
        step: "primary".to_owned(),
        mx: None,
        address: None,
        within: None,
        before: Some(situation(Overdue, 0, None)),
        after: situation(Lost, 0, None),
    });
    assert_eq!(value().as_deref(), Some("3"));
    assert!(!text(&metrics).contains("gone"));
}
