//! `/probe` of a daemon beside real servers, asked as Prometheus asks, and scraped by a real one.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use postrider_testkit::live::{
    Certificate, IMAP_NAME, Node, PASSWORD, PRIMARY, Prometheus, Stage, promtool_check_metrics,
    wait_until,
};

use tokio::time::Instant;

use super::lab::{Lab, Running};

/// The password `open sesame`.
const USERS: &str = "basic_auth_users:\n  prometheus: $2b$04$I513pi3hCiktCzHYBsJn6OglcNyJbI.C4743h4VdQUXokQaIHTbqW\n";

struct Served {
    lab: Lab,
    address: SocketAddr,
    _running: Running,
}

impl Served {
    fn start(arguments: &[&str]) -> io::Result<Self> {
        let lab = Lab::start()?;
        // What it runs by itself is not the subject.
        lab.scenario("idle", "steps:\n  - { id: wait, wait: { for: 1s } }\n")?;
        let serve = ["serve", "--web.listen-address", "127.0.0.1:0"];
        let running = lab.spawn(&[&serve[..], arguments].concat())?;
        let address = wait_until(Duration::from_secs(30), || {
            let told = running.told();
            let (_, rest) = told.split_once("address=")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        let address = address.ok_or_else(|| io::Error::other(running.told()))?;
        Ok(Self {
            lab,
            address,
            _running: running,
        })
    }

    /// Status and body.
    fn get(&self, path: &str, headers: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned());
        status
            .zip(body)
            .ok_or_else(|| io::Error::other(format!("no answer: {answer:?}")))
    }

    fn probe(&self, module: &str, target: &str) -> io::Result<String> {
        let (status, body) = self.get(&format!("/probe?module={module}&target={target}"), "")?;
        assert_eq!(status, 200, "{module} {target}: {body}");
        Ok(body)
    }
}

/// The value of a sample, by its name with its labels.
fn sample(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| {
        let (sample, value) = line.rsplit_once(' ')?;
        (sample == name).then(|| value.parse().ok())?
    })
}

#[test]
fn every_module_measures_a_healthy_platform() -> io::Result<()> {
    let served = Served::start(&[])?;
    let platform = &served.lab.platform;
    let smtp = platform.smtp_port();
    let imaps = platform.imaps().port();
    // Module, target, what must be there beside the success.
    let cases = [
        (
            "smtp_starttls",
            format!("mx1.example.test:{smtp}"),
            &[
                "probe_smtp_duration_seconds{phase=\"starttls\"}",
                "probe_tls_version_info{version=\"TLS 1.3\"}",
            ][..],
        ),
        (
            "smtp_starttls",
            "filter2.cluster.test".to_owned(),
            &["probe_ssl_earliest_cert_expiry"],
        ),
        (
            "smtp_rcpt",
            format!("mx2.example.test:{smtp}"),
            &["probe_smtp_duration_seconds{phase=\"rcpt\"}"],
        ),
        (
            "smtp_rcpt",
            PRIMARY[0].to_string(),
            &["probe_smtp_duration_seconds{phase=\"banner\"}"],
        ),
        (
            "imap_tls",
            format!("{IMAP_NAME}:{imaps}"),
            &["probe_ssl_earliest_cert_expiry"],
        ),
        (
            "imap_login",
            "alice".to_owned(),
            &["probe_ssl_earliest_cert_expiry"],
        ),
        (
            "imap_login",
            IMAP_NAME.to_owned(),
            &["probe_ssl_earliest_cert_expiry"],
        ),
        (
            "dns_mx",
            "example.test".to_owned(),
            &["probe_dns_answer_rrs"],
        ),
    ];
    for (module, target, more) in cases {
        let metrics = served.probe(module, &target)?;
        assert_eq!(
            sample(&metrics, "probe_success"),
            Some(1.0),
            "{module} {target}: {metrics}"
        );
        for name in ["probe_duration_seconds", "probe_dns_lookup_time_seconds"]
            .iter()
            .chain(more)
        {
            assert!(
                sample(&metrics, name).is_some(),
                "{module}: no {name}: {metrics}"
            );
        }
        let protocol = if module == "dns_mx" { 0.0 } else { 4.0 };
        assert_eq!(
            sample(&metrics, "probe_ip_protocol"),
            Some(protocol),
            "{metrics}"
        );
        if let Some(end) = sample(&metrics, "probe_ssl_earliest_cert_expiry") {
            // 2045-01-01
            assert_eq!(end, 2_366_841_600.0, "{metrics}");
        }
        let judged = promtool_check_metrics(metrics.as_bytes(), served.lab.platform.directory())?;
        assert!(judged.status.success(), "{module}: {judged:?}\n{metrics}");
    }
    let mx = served.probe("dns_mx", "example.test")?;
    assert_eq!(sample(&mx, "probe_dns_answer_rrs"), Some(2.0));
    // No mail went out, and no run was recorded.
    assert!(served.lab.entries().is_empty());
    let (_, runs) = served.get("/api/v1/runs", "")?;
    assert!(runs.contains("\"runs\":[]"), "{runs}");
    Ok(())
}

#[test]
fn what_is_broken_is_no_success_and_debug_says_why() -> io::Result<()> {
    let mut served = Served::start(&[])?;
    let imaps = served.lab.platform.imaps().port();
    served
        .lab
        .platform
        .present_certificate(Node::Filter1, Certificate::Expired)?;
    let metrics = served.probe("smtp_starttls", "filter1.cluster.test")?;
    assert_eq!(sample(&metrics, "probe_success"), Some(0.0), "{metrics}");
    // 2021-01-01
    assert_eq!(
        sample(&metrics, "probe_ssl_earliest_cert_expiry"),
        Some(1_609_459_200.0)
    );

    served
        .lab
        .platform
        .refuse(Node::Filter2, Stage::Rcpt, "450 4.2.0 try later")?;
    let (status, log) = served.get(
        "/probe?module=smtp_rcpt&target=filter2.cluster.test&debug=true",
        "",
    )?;
    assert_eq!(status, 200, "{log}");
    assert!(
        log.contains("module smtp_rcpt target filter2.cluster.test: fail\n"),
        "{log}"
    );
    assert!(log.contains("smtp-4xx: 450 4.2.0"), "{log}");
    assert!(log.contains(" ~> RCPT TO:<alice@example.test>"), "{log}");
    assert!(log.contains("\nprobe_success 0\n"), "{log}");

    // One that waits before its greeting: the scraper is not kept waiting.
    served
        .lab
        .platform
        .delay(Node::Filter2, Stage::Connect, 5)?;
    let began = Instant::now();
    let (status, log) = served.get(
        "/probe?module=smtp_starttls&target=filter2.cluster.test&debug=true",
        "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n",
    )?;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(status, 200, "{log}");
    assert!(log.contains("the scrape's time limit"), "{log}");
    assert!(log.contains("\nprobe_success 0\n"), "{log}");

    served.lab.platform.stop_node(Node::Filter1);
    let (_, log) = served.get("/probe?module=smtp_rcpt&target=127.0.21.1&debug=true", "")?;
    assert!(log.contains("connect-refused: 127.0.21.1 port "), "{log}");
    assert_eq!(sample(&log, "probe_ip_protocol"), Some(4.0), "{log}");

    let target = format!("/probe?module=imap_login&target={IMAP_NAME}:{imaps}&debug=true");
    let (_, log) = served.get(&target, "")?;
    assert!(log.contains("probe_success 1"), "{log}");
    let encoded = base64::engine::general_purpose::STANDARD
        .encode(format!("\0alice@example.test\0{PASSWORD}"));
    assert!(!log.contains(PASSWORD) && !log.contains(&encoded), "{log}");
    assert!(served.lab.entries().is_empty());
    Ok(())
}

#[test]
fn nothing_is_contacted_that_the_configuration_does_not_name() -> io::Result<()> {
    let served = Served::start(&[])?;
    for (query, status, words) in [
        (
            "module=http_2xx&target=mx1.example.test",
            400,
            "no module is called `http_2xx`: there are smtp_starttls, smtp_rcpt, imap_login, imap_tls, dns_mx",
        ),
        ("target=mx1.example.test", 400, "say module="),
        ("module=dns_mx", 400, "say target="),
        (
            "module=dns_mx&target=example.test&verbose=1",
            400,
            "unknown field `verbose`",
        ),
        ("module=dns_mx&target=a..b", 400, "is no target for dns_mx"),
        (
            "module=smtp_rcpt&target=mx1.example.test:smtp",
            400,
            "is no target for smtp_rcpt",
        ),
        (
            "module=smtp_rcpt&target=$%7Bitem.address%7D",
            400,
            "is no target for smtp_rcpt",
        ),
        (
            "module=imap_login&target=mx1.example.test",
            400,
            "no mailbox is read at `mx1.example.test`",
        ),
        (
            "module=smtp_rcpt&target=mx1.elsewhere.test",
            403,
            "the configuration names no mx1.elsewhere.test port",
        ),
        (
            "module=smtp_starttls&target=127.0.0.1:25",
            403,
            "the configuration names no 127.0.0.1 port 25",
        ),
        (
            "module=smtp_starttls&target=169.254.169.254",
            403,
            "the configuration names no 169.254.169.254 port",
        ),
        (
            "module=smtp_starttls&target=mx1.example.test:6379",
            403,
            "the configuration names no mx1.example.test port 6379",
        ),
        (
            "module=imap_tls&target=localhost:993",
            403,
            "the configuration names no localhost port 993",
        ),
        (
            "module=dns_mx&target=elsewhere.test",
            403,
            "the configuration names no domain elsewhere.test",
        ),
    ] {
        let (got, body) = served.get(&format!("/probe?{query}"), "")?;
        assert_eq!(got, status, "{query}: {body}");
        assert!(body.contains(words), "{query}: {body}");
    }
    // A page of another site cannot ask for it.
    let path = "/probe?module=dns_mx&target=example.test";
    assert_eq!(served.get(path, "Sec-Fetch-Site: cross-site\r\n")?.0, 403);
    // A browser that does not say for whom it asks may ask for any page.
    let browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n";
    assert_eq!(served.get(path, browser)?.0, 403);
    let own = format!("{browser}Sec-Fetch-Site: none\r\n");
    assert_eq!(served.get(path, &own)?.0, 200);
    Ok(())
}

#[test]
fn row_67_blackbox_alerts_fire_on_it_unchanged() -> io::Result<()> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    std::fs::write(file.path(), USERS)?;
    let users = file.path().display().to_string();
    let mut served = Served::start(&["--web.config.file", &users])?;
    assert_eq!(
        served
            .get("/probe?module=dns_mx&target=example.test", "")?
            .0,
        401
    );
    served
        .lab
        .platform
        .present_certificate(Node::Filter1, Certificate::EndsInDays(5))?;
    served.lab.platform.stop_node(Node::Filter2);
    let address = served.address;
    let prometheus = Prometheus::start_with(
        &format!(
            "- job_name: blackbox
  metrics_path: /probe
  params: {{ module: [smtp_starttls] }}
  basic_auth: {{ username: prometheus, password: open sesame }}
  static_configs: [{{ targets: [filter1.cluster.test, filter2.cluster.test] }}]
  relabel_configs:
  - {{ source_labels: [__address__], target_label: __param_target }}
  - {{ source_labels: [__param_target], target_label: instance }}
  - {{ target_label: __address__, replacement: '{address}' }}
"
        ),
        &[],
    )?;
    // The expressions of the exporter's own mixin.
    for (alert, instance) in [
        ("probe_success == 0", "filter2.cluster.test"),
        (
            "last_over_time(probe_ssl_earliest_cert_expiry[10m]) - time() < 21 * 24 * 3600",
            "filter1.cluster.test",
        ),
    ] {
        let fires = wait_until(Duration::from_secs(20), || {
            let answer = prometheus.query(alert).ok()?;
            answer
                .contains(&format!("\"instance\":\"{instance}\""))
                .then_some(answer)
        });
        let answer = fires.unwrap_or_else(|| panic!("{alert}: {:?}", prometheus.targets()));
        assert_eq!(
            answer.matches("\"instance\"").count(),
            1,
            "{alert}: {answer}"
        );
    }
    Ok(())
}
