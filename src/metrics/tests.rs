//! What the expositions say after what happened.

use std::time::Duration;

use postrider_probes::outcome::{ArrivalFacts, Finding, Outcome, SmtpReply, Status, TlsFacts};
use postrider_probes::phase::Phase;
use postrider_probes::reason::Reason;
use postrider_probes::target::{Role, Target};
use proptest::prelude::*;

use super::*;
use crate::config;
use crate::config::plan::Source;
use crate::ledger::fact::Latency;
use crate::ledger::sample::{at, id};
use crate::pipeline::Situation;
use crate::run::event::{CheckFinished, CheckName, RunFinished, RunMissed, RunStarted, WhyMissed};

mod ledger;

const MAIN: &str = "\
version: 1
include: [flow.yaml]
vantage: fra-1
platform:
  domains: [example.net]
  nodes:
    filter1: { primary: [192.0.2.10, '2001:db8::10'], fallback: [198.51.100.10] }
    filter2: { primary: [192.0.2.20], fallback: [198.51.100.20] }
senders:
  outside: { address: probe@outside.example.org, helo: fra-1.outside.example.org }
mailboxes:
  alice:
    address: alice@example.net
    imap: { server: imap.example.net }
    password_env: ALICE_PASSWORD
";

const FLOW: &str = "\
version: 1
name: flow
schedule: { every: 5m }
message: { from: outside, to: alice }
steps:
  - id: primary
    for_each: { mx_of: example.net, preference: lowest, family: ipv4 }
    deliver: { to_address: '${item.address}', expect: { arrives: { within: 2m } } }
  - id: names
    dns: { query: example.net, type: MX, expect: { answers: ['10 mx1.example.net'] } }
";

pub(super) fn plan(main: &str, flow: &str) -> Plan {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text| std::fs::write(directory.path().join(name), text);
    write("postrider.yaml", main)
        .and_then(|()| write("flow.yaml", flow))
        .expect("they are written");
    let loaded = config::load(&directory.path().join("postrider.yaml"));
    let text = loaded.render(config::Format::Full, false);
    loaded.plan.unwrap_or_else(|| panic!("{text}"))
}

pub(super) fn metrics() -> Metrics {
    Metrics::new(&plan(MAIN, FLOW), at(0))
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.exposition(Format::Text, Some(4096))).expect("text")
}

/// The value of a series, as it is written.
#[track_caller]
pub(super) fn value(metrics: &Metrics, series: &str) -> Option<String> {
    let text = text(metrics);
    let mut found = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()));
    let value = found.next();
    assert_eq!(found.next(), None, "{series} stands twice");
    value
}

/// Lines that begin so.
fn lines(metrics: &Metrics, start: &str) -> Vec<String> {
    let text = text(metrics);
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

fn target(mx: &str, address: &str) -> Target {
    Target {
        domain: "example.net".to_owned(),
        mx: mx.to_owned(),
        preference: 10,
        address: address.parse().expect("an address"),
        node: None,
        role: Role::Primary,
    }
}

#[test]
fn the_pipeline_tells_while_an_exposition_is_encoded_and_no_second_one_is() {
    let metrics = metrics();
    let reload = |table: &Table| {
        let (_, value) = table.of(Family::ConfigReloadSuccessful).next().unwrap();
        format!("{value:?}")
    };
    let encoded = metrics.expose(None, |table| {
        assert!(metrics.exposing.try_lock().is_err());
        // Else the next line would wait for ever.
        assert!(metrics.state.try_lock().is_ok());
        metrics.reload_failed();
        reload(table)
    });
    assert_eq!(encoded, "Number(1.0)", "what is encoded does not move");
    assert_eq!(metrics.expose(None, reload), "Number(0.0)");
}

struct Run<'m> {
    metrics: &'m Metrics,
    id: &'static str,
}

impl<'m> Run<'m> {
    fn begin(metrics: &'m Metrics, id: &'static str, origin: &str, late: u64) -> Self {
        metrics.happened(&Event::RunStarted(RunStarted {
            run: id.to_owned(),
            origin: origin.to_owned(),
            vantage: "fra-1".to_owned(),
            config_sha256: "00".to_owned(),
            scenarios: vec![("flow".to_owned(), None)],
            planned_at: at(0),
            late: Duration::from_secs(late),
            started_at: at(0),
        }));
        Self { metrics, id }
    }

    fn name(&self, step: &str, target: Option<Target>) -> CheckName {
        CheckName {
            run: self.id.to_owned(),
            number: 1,
            scenario: "flow".to_owned(),
            step: step.to_owned(),
            kind: "deliver",
            port: target.as_ref().map(|_| 25),
            target,
        }
    }

    fn check(&self, step: &str, target: Option<Target>, outcome: Outcome) {
        let check = self.name(step, target);
        self.metrics.happened(&Event::CheckStarted(check.clone()));
        self.metrics
            .happened(&Event::CheckFinished(Box::new(CheckFinished {
                check,
                title: None,
                source: Source {
                    file: "flow.yaml".into(),
                    line: 1,
                },
                started_at: at(10),
                took: Duration::from_millis(2500),
                outcome,
            })));
    }

    fn end(self, cancelled: Option<&str>) {
        self.metrics.happened(&Event::RunFinished(RunFinished {
            run: self.id.to_owned(),
            status: Status::Pass,
            took: Duration::from_secs(3),
            cancelled: cancelled.map(str::to_owned),
        }));
    }
}

fn found(reason: Reason) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.add(Finding::new(reason, "it is so"));
    outcome
}

const ONE: &str = r#"{scenario="flow",step="primary",mx="mx1.example.net",address="192.0.2.10"}"#;
const NAMES: &str = r#"{scenario="flow",step="names"}"#;

fn of(name: &str, labels: &str, more: &str) -> String {
    let open = labels.strip_suffix('}').expect("labels");
    let comma = if more.is_empty() { "" } else { "," };
    format!("{name}{open}{comma}{more}}}")
}

/// Row 62: every configured check has its series at the first scrape.
#[test]
fn row_62_every_configured_check_has_its_series_at_the_first_scrape() {
    let metrics = metrics();
    let success = lines(&metrics, "postrider_check_success{");
    // The inventory's IPv4 addresses of the primary, and the step without `for_each`.
    assert_eq!(
        success,
        [
            r#"postrider_check_success{scenario="flow",step="names"} 0"#,
            r#"postrider_check_success{scenario="flow",step="primary",address="192.0.2.10"} 0"#,
            r#"postrider_check_success{scenario="flow",step="primary",address="192.0.2.20"} 0"#,
        ]
    );
    assert_eq!(lines(&metrics, "postrider_check_status{").len(), 15);
    assert_eq!(lines(&metrics, "postrider_checks_total{").len(), 3);
    let scenario = r#"{scenario="flow"}"#;
    for (name, expected) in [
        ("postrider_runs_total", "0"),
        ("postrider_runs_missed_total", "0"),
        ("postrider_run_start_delay_seconds_count", "0"),
        ("postrider_scenario_interval_seconds", "300"),
    ] {
        let value = value(&metrics, &format!("{name}{scenario}"));
        assert_eq!(value.as_deref(), Some(expected), "{name}");
    }
    let info = r#"postrider_vantage_info{vantage="fra-1"}"#;
    assert_eq!(value(&metrics, info).as_deref(), Some("1"));
    let reloaded = "postrider_config_last_reload_successful";
    assert_eq!(value(&metrics, reloaded).as_deref(), Some("1"));
    let in_flight = value(&metrics, "postrider_messages_in_flight");
    assert_eq!(in_flight.as_deref(), Some("0"));
    assert!(value(&metrics, "process_resident_memory_bytes").is_some());
    assert_eq!(
        value(&metrics, "postrider_store_size_bytes").as_deref(),
        Some("4096")
    );
    // Without an inventory one series stands for the step, until its addresses are known.
    let main = MAIN.replace("example.net]", "example.org]");
    let metrics = Metrics::new(&plan(&main, FLOW), at(0));
    let success = lines(&metrics, "postrider_check_success{");
    assert_eq!(success.len(), 2, "{success:?}");
    assert!(success[1].contains(r#"{scenario="flow",step="primary"}"#));
}

/// Row 64: success and failure counters are separate metrics.
#[test]
fn row_64_success_and_failure_are_counted_apart() {
    let metrics = metrics();
    let run = Run::begin(&metrics, "01", "schedule", 0);
    let one = || Some(target("mx1.example.net", "192.0.2.10"));
    run.check("primary", one(), Outcome::default());
    run.check("primary", one(), found(Reason::Smtp5xx));
    run.check("primary", one(), found(Reason::Slow));
    run.check("primary", one(), found(Reason::CannotObserve));
    run.check("primary", one(), found(Reason::NeedsStep));
    let get = |series: &str| value(&metrics, series);
    assert_eq!(
        get(&of("postrider_checks_total", ONE, "")).as_deref(),
        Some("5")
    );
    let failures = of(
        "postrider_check_failures_total",
        ONE,
        r#"reason="smtp-5xx""#,
    );
    assert_eq!(get(&failures).as_deref(), Some("1"));
    assert_eq!(lines(&metrics, "postrider_check_failures_total{").len(), 1);
    let errors =
        r#"postrider_check_errors_total{scenario="flow",step="primary",reason="cannot-observe"}"#;
    assert_eq!(get(errors).as_deref(), Some("1"));
    assert_eq!(lines(&metrics, "postrider_check_errors_total{").len(), 1);
}

#[test]
fn success_is_one_only_for_what_was_proved_and_the_status_is_one_of_five() {
    for (reason, status, success) in [
        (None, "pass", "1"),
        (Some(Reason::Slow), "degraded", "1"),
        (Some(Reason::Smtp5xx), "fail", "0"),
        (Some(Reason::CannotObserve), "error", "0"),
        (Some(Reason::NeedsStep), "skip", "0"),
    ] {
        let metrics = metrics();
        let run = Run::begin(&metrics, "01", "schedule", 0);
        // A success before must not stay.
        run.check("names", None, Outcome::default());
        run.check("names", None, reason.map(found).unwrap_or_default());
        let get = |name: &str, more: &str| value(&metrics, &of(name, NAMES, more));
        assert_eq!(
            get("postrider_check_success", "").as_deref(),
            Some(success),
            "{status}"
        );
        for one in Status::ALL {
            let label = format!("status=\"{one}\"");
            let expected = if one.name() == status { "1" } else { "0" };
            assert_eq!(
                get("postrider_check_status", &label).as_deref(),
                Some(expected)
            );
        }
        let ended = get("postrider_check_last_run_timestamp_seconds", "");
        assert_eq!(ended.as_deref(), Some("1790000012.5"));
        let proved = get("postrider_check_last_success_timestamp_seconds", "");
        assert_eq!(proved.as_deref(), Some("1790000012.5"));
    }
}

#[test]
fn names_of_targets_replace_what_stood_for_them_and_gone_ones_disappear() {
    let metrics = metrics();
    let run = Run::begin(&metrics, "01", "schedule", 0);
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        Outcome::default(),
    );
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.99")),
        Outcome::default(),
    );
    run.end(None);
    let series = || {
        lines(
            &metrics,
            r#"postrider_check_success{scenario="flow",step="primary""#,
        )
    };
    // 192.0.2.20 is in the inventory and not in DNS.
    assert_eq!(series().len(), 2, "{:?}", series());
    assert!(
        series()
            .iter()
            .all(|line| line.contains("mx1.example.net") && line.ends_with(" 1"))
    );

    // Who asks for one address says nothing of the others, and neither does a run that was cut off.
    for (id, origin, cancelled) in [
        ("02", "cli root@lab", None),
        ("03", "schedule", Some("shutdown")),
    ] {
        let run = Run::begin(&metrics, id, origin, 0);
        run.check(
            "primary",
            Some(target("mx1.example.net", "192.0.2.10")),
            Outcome::default(),
        );
        run.end(cancelled);
        assert_eq!(series().len(), 2);
    }
    let run = Run::begin(&metrics, "04", "schedule", 0);
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        Outcome::default(),
    );
    run.end(None);
    assert_eq!(series().len(), 1);
}

#[test]
fn addresses_whose_look_up_failed_are_not_shown_as_working() {
    let metrics = metrics();
    let run = Run::begin(&metrics, "01", "schedule", 0);
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        Outcome::default(),
    );
    run.end(None);
    let run = Run::begin(&metrics, "02", "schedule", 0);
    run.check("primary", None, found(Reason::DnsServfail));
    run.end(None);
    let success = value(&metrics, &of("postrider_check_success", ONE, ""));
    assert_eq!(success.as_deref(), Some("0"));
    let status = value(
        &metrics,
        &of("postrider_check_status", ONE, r#"status="fail""#),
    );
    assert_eq!(status.as_deref(), Some("1"));
    // When the names are back, nothing is left of it.
    let run = Run::begin(&metrics, "03", "schedule", 0);
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        Outcome::default(),
    );
    run.end(None);
    let series = lines(
        &metrics,
        r#"postrider_check_success{scenario="flow",step="primary""#,
    );
    assert_eq!(series, [of("postrider_check_success", ONE, "") + " 1"]);
}

#[test]
fn row_54_late_start_is_measured_for_scheduled_runs_alone() {
    let metrics = metrics();
    Run::begin(&metrics, "01", "schedule", 3).end(None);
    Run::begin(&metrics, "02", "cli root@lab", 50).end(None);
    Run::begin(&metrics, "03", "schedule", 0).end(None);
    let get = |series: &str| value(&metrics, series);
    let labels = r#"{scenario="flow"}"#;
    let delay = |end: &str| get(&format!("postrider_run_start_delay_seconds_{end}{labels}"));
    assert_eq!(delay("count").as_deref(), Some("2"));
    assert_eq!(delay("sum").as_deref(), Some("3"));
    assert_eq!(
        get(&format!("postrider_runs_total{labels}")).as_deref(),
        Some("3")
    );
    for scenario in ["flow", "no such scenario"] {
        metrics.happened(&Event::RunMissed(RunMissed {
            scenario: scenario.to_owned(),
            planned_at: at(0),
            times: 3,
            why: WhyMissed::InFlight,
        }));
    }
    assert_eq!(
        lines(&metrics, "postrider_runs_missed_total{"),
        [format!("postrider_runs_missed_total{labels} 3")]
    );
}

#[test]
fn phases_replies_look_ups_and_certificates_are_taken_from_the_check() {
    let metrics = metrics();
    let run = Run::begin(&metrics, "01", "schedule", 0);
    let outcome = |arrived: bool| {
        let mut outcome = Outcome::default();
        outcome.phases.add(Phase::Dns, Duration::from_millis(40));
        outcome
            .phases
            .add(Phase::Connect, Duration::from_millis(20));
        outcome.phases.add(Phase::Transit, Duration::from_secs(120));
        let host = Some("MX1.example.net".to_owned());
        outcome.evidence.replies = [("rcpt", 250), ("dot", 250), ("dot", 250), ("dot", 599)]
            .map(|(verb, code)| SmtpReply {
                host: host.clone(),
                verb,
                code,
            })
            .to_vec();
        outcome.evidence.tls = Some(TlsFacts {
            host: "mx1.example.net".to_owned(),
            address: Some(([192, 0, 2, 10], 25).into()),
            not_after: Some(at(1000)),
            ..TlsFacts::default()
        });
        outcome.evidence.more_tls.push(TlsFacts {
            host: "mx1.example.net".to_owned(),
            address: Some(([192, 0, 2, 11], 993).into()),
            not_after: Some(at(2000)),
            ..TlsFacts::default()
        });
        if arrived {
            outcome.evidence.arrivals.push(ArrivalFacts {
                mailbox: "alice".to_owned(),
                folder: "INBOX".to_owned(),
                uid: 7,
                after: None,
                pushed_after: None,
                internal_date: None,
                hops: Vec::new(),
                skew_seconds: None,
                authentication_results: Vec::new(),
            });
        }
        outcome
    };
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        outcome(true),
    );
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.20")),
        outcome(false),
    );
    let get = |series: &str| value(&metrics, series);
    let mx = r#"scenario="flow",step="primary",mx="mx1.example.net""#;
    let phase = |phase: &str| {
        get(&format!(
            "postrider_phase_duration_seconds_count{{{mx},phase=\"{phase}\"}}"
        ))
    };
    assert_eq!(phase("connect").as_deref(), Some("2"));
    // The second mail was never seen: two minutes are our patience, not its transit.
    assert_eq!(phase("transit").as_deref(), Some("1"));
    // Both checks show the one look-up that they share.
    let looked_up = r#"postrider_dns_lookup_duration_seconds_count{scenario="flow",step="primary",record_type="MX"}"#;
    assert_eq!(get(looked_up).as_deref(), Some("1"));
    let replies = |verb: &str, code: &str| {
        get(&format!(
            "postrider_smtp_replies_total{{{mx},verb=\"{verb}\",code=\"{code}\"}}"
        ))
    };
    assert_eq!(replies("dot", "250").as_deref(), Some("4"));
    assert_eq!(replies("dot", "5xx").as_deref(), Some("2"));
    let certificate = r#"postrider_certificate_not_after_timestamp_seconds{scenario="flow",step="primary",host="mx1.example.net",address="192.0.2.10",port="25"}"#;
    assert_eq!(get(certificate).as_deref(), Some("1790001000"));
    let other = r#"postrider_certificate_not_after_timestamp_seconds{scenario="flow",step="primary",host="mx1.example.net",address="192.0.2.11",port="993"}"#;
    assert_eq!(get(other).as_deref(), Some("1790002000"));
}

#[test]
fn after_a_reload_counters_go_on_and_removed_scenarios_are_gone() {
    let metrics = metrics();
    let run = Run::begin(&metrics, "01", "schedule", 0);
    run.check(
        "primary",
        Some(target("mx1.example.net", "192.0.2.10")),
        Outcome::default(),
    );
    run.check("names", None, Outcome::default());
    // The run ends after the reload that removes one of its steps.
    let without_names = FLOW.split("  - id: names").next().expect("text");
    metrics.reloaded(&plan(MAIN, without_names), at(60));
    run.check("names", None, Outcome::default());
    run.end(None);
    assert_eq!(lines(&metrics, "postrider_check_success{").len(), 1);
    assert_eq!(
        value(&metrics, &of("postrider_checks_total", ONE, "")).as_deref(),
        Some("1")
    );
    let timestamp = "postrider_config_last_reload_success_timestamp_seconds";
    assert_eq!(value(&metrics, timestamp).as_deref(), Some("1790000060"));
    assert!(!text(&metrics).contains("names"));

    metrics.reload_failed();
    let successful = "postrider_config_last_reload_successful";
    assert_eq!(value(&metrics, successful).as_deref(), Some("0"));
    metrics.reloaded(&plan(MAIN, &FLOW.replace("flow", "other")), at(70));
    assert_eq!(value(&metrics, successful).as_deref(), Some("1"));
    assert!(!text(&metrics).contains(r#"scenario="flow""#));
    assert_eq!(
        lines(&metrics, r#"postrider_check_success{scenario="other""#).len(),
        3
    );
}

#[test]
fn after_a_restart_no_series_is_missing() {
    let metrics = metrics();
    let last = |step: &str, target: Option<(&str, &str)>, status| LastCheck {
        scenario: "flow".to_owned(),
        step: step.to_owned(),
        mx: target.map(|(mx, _)| mx.to_owned()),
        address: target.map(|(_, address)| address.to_owned()),
        status,
        ended_at: at(5),
        last_success_at: Some(at(2)),
    };
    metrics.restore(&[
        last(
            "primary",
            Some(("mx1.example.net", "192.0.2.10")),
            Status::Fail,
        ),
        // Of when its look-up failed, of another configuration.
        last("primary", None, Status::Fail),
        last("gone", None, Status::Pass),
        last("names", None, Status::Degraded),
    ]);
    let get = |name: &str, labels: &str| value(&metrics, &of(name, labels, ""));
    assert_eq!(get("postrider_check_success", ONE).as_deref(), Some("0"));
    assert_eq!(get("postrider_check_success", NAMES).as_deref(), Some("1"));
    let run_at = get("postrider_check_last_run_timestamp_seconds", ONE);
    assert_eq!(run_at.as_deref(), Some("1790000005"));
    let success_at = get("postrider_check_last_success_timestamp_seconds", ONE);
    assert_eq!(success_at.as_deref(), Some("1790000002"));
    assert_eq!(get("postrider_checks_total", ONE).as_deref(), Some("0"));
    // One for each address and one for the step without.
    assert_eq!(lines(&metrics, "postrider_check_success{").len(), 3);
}

#[test]
fn hostile_names_cannot_fill_the_memory() {
    let metrics = Metrics::with_room(&plan(MAIN, FLOW), at(0), 200);
    let run = Run::begin(&metrics, "01", "schedule", 0);
    for n in 0..500_u32 {
        let address = std::net::Ipv4Addr::from(n).to_string();
        run.check(
            "primary",
            Some(target(&format!("mx{n}.example.net"), &address)),
            Outcome::default(),
        );
    }
    assert!(metrics.state().table.len() <= 200 + 20);
    let dropped = value(&metrics, "postrider_metric_observations_dropped_total");
    let dropped: f64 = dropped.expect("it is there").parse().expect("a number");
    assert!(dropped > 1000.0, "{dropped}");
}

/// Row 63: not more series than `validate` says.
#[test]
fn row_63_there_are_not_more_series_than_foretold() {
    let plan = plan(MAIN, FLOW);
    let metrics = Metrics::new(&plan, at(0));
    let run = Run::begin(&metrics, "01", "schedule", 0);
    for address in ["192.0.2.10", "192.0.2.20"] {
        for reason in [
            Reason::Smtp5xx,
            Reason::ConnectTimeout,
            Reason::NotDelivered,
        ] {
            let mut outcome = found(reason);
            for phase in [
                Phase::Dns,
                Phase::Connect,
                Phase::Banner,
                Phase::Ehlo,
                Phase::Starttls,
                Phase::Mail,
                Phase::Rcpt,
                Phase::Data,
            ] {
                outcome.phases.add(phase, Duration::from_millis(5));
            }
            let mx = format!("mx-{address}");
            outcome.evidence.replies = [
                "connect", "ehlo", "starttls", "mail", "rcpt", "data", "dot", "quit",
            ]
            .map(|verb| SmtpReply {
                host: Some(mx.clone()),
                verb,
                code: 250,
            })
            .to_vec();
            run.check("primary", Some(target(&mx, address)), outcome);
        }
    }
    run.check("names", None, Outcome::default());
    run.end(None);
    let _ = text(&metrics);
    assert!(metrics.series() > 200);
    assert!(
        metrics.series() <= expected_series(&plan),
        "{} > {}",
        metrics.series(),
        expected_series(&plan)
    );
}

proptest! {
    /// A name from the network cannot begin a line, end a label, or break the format.
    #[test]
    fn any_name_makes_one_well_formed_line(mx in "\\PC*|[\\x00-\\x7f]*") {
        let metrics = metrics();
        let run = Run::begin(&metrics, "01", "schedule", 0);
        run.check("primary", Some(target(&mx, "192.0.2.10")), Outcome::default());
        for line in text(&metrics).lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').expect("a value");
            prop_assert!(value.parse::<f64>().is_ok(), "{line}");
            prop_assert!(line.starts_with("postrider_") || line.starts_with("process_"), "{line}");
        }
    }
}
