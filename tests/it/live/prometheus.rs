//! What promtool and a real Prometheus make of the expositions.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use postrider::config;
use postrider::config::plan::{Plan, Source};
use postrider::metrics::{Format, Metrics, VantageFamily};
use postrider::pipeline::{LedgerChange, Situation, Witness as _};
use postrider::run::event::{
    CheckFinished, CheckName, Event, RunFinished, RunMissed, RunStarted, WhyMissed,
};
use postrider_probes::outcome::{Finding, Outcome, SmtpReply, Status, TlsFacts};
use postrider_probes::phase::Phase;
use postrider_probes::post::EntryState;
use postrider_probes::reason::Reason;
use postrider_probes::target::{Role, Target};
use postrider_testkit::live::{Prometheus, promtool_check_metrics, wait_until};
use postrider_wire::message::tag::EntryId;

fn plan() -> Plan {
    let loaded = config::load(Path::new("scenarios/examples/postrider.yaml"));
    let text = loaded.render(config::Format::Full, false);
    loaded.plan.unwrap_or_else(|| panic!("{text}"))
}

fn now() -> Timestamp {
    postrider::clock::now()
}

/// Metrics after something of everything.
fn lived() -> Metrics {
    let plan = plan();
    let metrics = Metrics::new(&plan, now());
    metrics.vantage(VantageFamily::Ipv4, true);
    metrics.vantage(VantageFamily::Ipv6, false);
    metrics.write_failed();
    for scenario in &plan.scenarios {
        let run = format!("01{}", scenario.name);
        metrics.happened(&Event::RunStarted(RunStarted {
            run: run.clone(),
            origin: "schedule".to_owned(),
            vantage: plan.vantage.clone(),
            config_sha256: plan.sha256.clone(),
            scenarios: vec![(scenario.name.clone(), None)],
            planned_at: now(),
            late: Duration::ZERO,
            started_at: now(),
        }));
        for step in &scenario.steps {
            for (address, reason) in [
                ("192.0.2.1", None),
                ("2001:db8::1", Some(Reason::Smtp5xx)),
                ("192.0.2.2", Some(Reason::CannotObserve)),
            ] {
                let target = Target {
                    domain: "example.net".to_owned(),
                    mx: "mx1.\"example\".net\\".to_owned(),
                    preference: 10,
                    address: address.parse().unwrap(),
                    node: None,
                    role: Role::Primary,
                };
                let check = CheckName {
                    run: run.clone(),
                    number: 1,
                    scenario: scenario.name.clone(),
                    step: step.id.clone(),
                    kind: step.probe.name(),
                    target: Some(target),
                    port: Some(25),
                };
                metrics.happened(&Event::CheckFinished(Box::new(CheckFinished {
                    check,
                    title: None,
                    source: Source {
                        file: "x.yaml".into(),
                        line: 1,
                    },
                    started_at: now(),
                    took: Duration::from_millis(1500),
                    outcome: outcome(reason),
                })));
            }
            delivered(&metrics, &run, &scenario.name, &step.id);
        }
        metrics.happened(&Event::RunFinished(RunFinished {
            run,
            status: Status::Fail,
            took: Duration::from_secs(2),
            cancelled: None,
        }));
        metrics.happened(&Event::RunMissed(RunMissed {
            scenario: scenario.name.clone(),
            planned_at: now(),
            times: 1,
            why: WhyMissed::InFlight,
        }));
    }
    metrics
}

fn outcome(reason: Option<Reason>) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(reason) = reason {
        outcome.add(Finding::new(reason, "it is so"));
    }
    for (phase, millis) in [(Phase::Dns, 3), (Phase::Connect, 40), (Phase::Data, 900)] {
        outcome.phases.add(phase, Duration::from_millis(millis));
    }
    outcome.evidence.replies.push(SmtpReply {
        host: Some("mx1.example.net".to_owned()),
        verb: "dot",
        code: 250,
    });
    outcome.evidence.tls = Some(TlsFacts {
        host: "mx1.example.net".to_owned(),
        address: Some(([192, 0, 2, 1], 25).into()),
        not_after: Some(now()),
        ..TlsFacts::default()
    });
    outcome
}

fn delivered(metrics: &Metrics, run: &str, scenario: &str, step: &str) {
    let mut before = None;
    for (state, millis) in [
        (EntryState::Accepted, None),
        (EntryState::Delivered, Some(1500)),
    ] {
        let after = Situation {
            state,
            copies: usize::from(millis.is_some()),
            latency: millis.map(|millis| postrider::ledger::fact::Latency {
                on_wall_clock: false,
                after: Duration::from_millis(millis),
                pushed_after: None,
            }),
        };
        metrics.changed(&LedgerChange {
            entry: EntryId::from_parts(1_790_000_000_000, 1),
            at: now(),
            run: run.to_owned(),
            scenario: scenario.to_owned(),
            step: step.to_owned(),
            mx: Some("mx1.example.net".to_owned()),
            address: Some(([192, 0, 2, 1], 25).into()),
            within: Some(Duration::from_secs(60)),
            before,
            after,
        });
        before = Some(after);
    }
}

/// Row 61: `promtool check metrics` is silent.
#[test]
fn row_61_promtool_has_nothing_to_say() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let exposition = lived().exposition(Format::Text, Some(1 << 20));
    let text = String::from_utf8(exposition.clone()).unwrap();
    // What is judged holds something of every metric.
    for family in postrider::metrics::Family::ALL {
        let name = family.description().name;
        let is_there = text.contains(&format!("# TYPE {name} "));
        // The examples have no schedule of their own.
        let may_be_absent = name == "postrider_scenario_interval_seconds";
        assert!(is_there || may_be_absent, "{name}");
    }
    let said = promtool_check_metrics(&exposition, directory.path())?;
    assert!(said.status.success(), "{said:?}");
    assert_eq!((said.stdout.len(), said.stderr.len()), (0, 0), "{said:?}");
    // It would say something: this test can fail.
    let said = promtool_check_metrics(b"# TYPE bad_total gauge\nbad_total 1\n", directory.path())?;
    assert!(
        !said.status.success() || !said.stderr.is_empty(),
        "{said:?}"
    );
    Ok(())
}

/// A server that gives each scraper what it asks for, until it is dropped.
struct Served {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                // A scraper that goes away is not this test's business.
                let _ = stream.and_then(|stream| answer(&stream, &metrics));
            }
        });
        Ok(Self {
            address,
            ending,
            thread: Some(thread),
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: &std::net::TcpStream, metrics: &Metrics) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut accept = None;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("accept")
        {
            accept = Some(value.to_owned());
        }
    }
    let format = Format::negotiate(accept.as_deref());
    let body = metrics.exposition(format, Some(4096));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        format.content_type(),
        body.len()
    )?;
    stream.write_all(&body)
}

/// The values of an instant query once there are any, as JSON.
fn answered(prometheus: &Prometheus, query: &str) -> Vec<serde_json::Value> {
    let found = wait_until(Duration::from_secs(20), || {
        let answer: serde_json::Value =
            serde_json::from_str(&prometheus.query(query).ok()?).ok()?;
        let result = answer["data"]["result"].as_array()?.clone();
        (!result.is_empty()).then_some(result)
    });
    found.unwrap_or_else(|| panic!("nothing for {query}; {:?}", prometheus.targets()))
}

/// The number of a query with one answer.
fn number(prometheus: &Prometheus, query: &str) -> String {
    let answers = answered(prometheus, query);
    assert_eq!(answers.len(), 1, "{query}: {answers:?}");
    answers[0]["value"][1]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn prometheus_takes_every_format() -> io::Result<()> {
    for features in [
        vec!["exemplar-storage"],
        vec!["native-histograms", "exemplar-storage"],
    ] {
        let native = features.contains(&"native-histograms");
        let served = Served::start(lived())?;
        let prometheus = Prometheus::start(served.address, &features)?;
        let scraped = wait_until(Duration::from_secs(20), || {
            let up = prometheus.query("up == 1").ok()?;
            up.contains("\"value\"").then_some(())
        });
        assert!(scraped.is_some(), "{:?}", prometheus.targets());
        let deliveries = "postrider_delivery_duration_seconds";
        if native {
            // A query by the bare name finds only native histograms.
            let answers = answered(&prometheus, &format!("histogram_count({deliveries})"));
            assert_eq!(answers[0]["value"][1], "1", "{answers:?}");
            let median = number(
                &prometheus,
                &format!("histogram_quantile(0.5, sum({deliveries}))"),
            );
            let median: f64 = median.parse().unwrap();
            assert!((1.35..=1.65).contains(&median), "{median}");
        } else {
            let count = number(&prometheus, &format!("max({deliveries}_count)"));
            assert_eq!(count, "1");
            let below = format!("max({deliveries}_bucket{{le=\"1.0\"}})");
            assert_eq!(number(&prometheus, &below), "0");
            let with_infinity = format!("max({deliveries}_bucket{{le=\"+Inf\"}})");
            assert_eq!(number(&prometheus, &with_infinity), "1");
        }
        // Row 62, seen from the other side: every step of the examples, and the state set.
        let steps: usize = plan()
            .scenarios
            .iter()
            .map(|scenario| scenario.steps.len())
            .sum();
        let seen = number(
            &prometheus,
            "count(count by (scenario, step) (postrider_check_success))",
        );
        assert_eq!(seen, steps.to_string());
        let set = number(
            &prometheus,
            "count(count by (status) (postrider_check_status))",
        );
        assert_eq!(set, "5");
        assert_eq!(number(&prometheus, "max(postrider_runs_missed_total)"), "1");
        assert_eq!(number(&prometheus, "postrider_build_info"), "1");
        let escaped = r#"count(postrider_check_success{mx="mx1.\"example\".net\\"}) > 0"#;
        assert_eq!(answered(&prometheus, escaped).len(), 1);
    }
    Ok(())
}
