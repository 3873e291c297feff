//! A scrape of ten thousand series: how long the exposition takes, during which the pipeline waits, and how large it is.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use postrider::config;
use postrider::config::plan::Source;
use postrider::metrics::{Format, Metrics};
use postrider::pipeline::Witness as _;
use postrider::run::event::{CheckFinished, CheckName, Event};
use postrider_probes::outcome::Outcome;
use postrider_probes::phase::Phase;
use postrider_probes::target::{Role, Target};
use tokio::time::Instant;

use crate::spread::Spread;

const SERIES: usize = 10_000;
const SCRAPES: usize = 200;

pub(crate) fn measure() -> anyhow::Result<()> {
    let metrics = filled()?;
    println!("  {} series", metrics.series());
    for (name, format) in [
        ("text 0.0.4 ", Format::Text),
        ("OpenMetrics", Format::OpenMetrics),
        ("protobuf   ", Format::Protobuf),
    ] {
        let mut bytes = 0;
        let times = (0..SCRAPES).map(|_| {
            let began = Instant::now();
            bytes = metrics.exposition(format, Some(1)).len();
            began.elapsed().as_secs_f64() * 1e3
        });
        let spread = Spread::of(times, "ms")?;
        println!("  {name}  {spread}  {} KiB", bytes / 1024);
    }
    Ok(())
}

/// Checks of more and more addresses, until there are enough series.
fn filled() -> anyhow::Result<Metrics> {
    let main = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/examples/postrider.yaml"
    );
    let plan = config::load(Path::new(main))
        .plan
        .ok_or_else(|| anyhow::anyhow!("the examples do not load"))?;
    let now = postrider::clock::now();
    let metrics = Metrics::new(&plan, now);
    let (scenario, step) = plan
        .scenarios
        .iter()
        .find_map(|scenario| Some((scenario, scenario.steps.first()?)))
        .ok_or_else(|| anyhow::anyhow!("the examples have no step"))?;
    let mut number = 0;
    while metrics.series() < SERIES {
        number += 1;
        let mut outcome = Outcome::default();
        for phase in [Phase::Connect, Phase::Ehlo, Phase::Data] {
            outcome
                .phases
                .add(phase, Duration::from_millis(u64::from(number % 977)));
        }
        let check = CheckName {
            run: "01RUN".to_owned(),
            number,
            scenario: scenario.name.clone(),
            step: step.id.clone(),
            kind: step.probe.name(),
            target: Some(Target {
                domain: "example.net".to_owned(),
                mx: format!("mx{}.example.net", number % 100),
                preference: 10,
                address: Ipv4Addr::from(0x7f00_0000 + number).into(),
                node: None,
                role: Role::Primary,
            }),
            port: Some(25),
        };
        metrics.happened(&Event::CheckFinished(Box::new(CheckFinished {
            check,
            title: None,
            source: Source {
                file: "x.yaml".into(),
                line: 1,
            },
            started_at: now,
            took: Duration::from_millis(20),
            outcome,
        })));
    }
    Ok(metrics)
}
