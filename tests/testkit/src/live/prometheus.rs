//! A real Prometheus with its own small configuration and data directory, and promtool.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Daemon, Group, Guard, free_port};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A running Prometheus; dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    daemon: Option<Daemon>,
    guard: Guard,
    // Last: the directory goes after the process.
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `http://TARGET/metrics` every second, with these feature flags.
    ///
    /// # Errors
    /// When it is not installed or does not start; the message holds the end of its log.
    pub fn start(target: SocketAddr, features: &[&str]) -> io::Result<Self> {
        let scrape =
            format!("- job_name: postrider\n  static_configs: [{{ targets: ['{target}'] }}]\n");
        Self::start_with(&scrape, features)
    }

    /// Starts one with these `scrape_configs`, every second, with these feature flags.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(scrape_configs: &str, features: &[&str]) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("postrider-prometheus-")
            .tempdir()?;
        let guard = Guard::start(directory.path())?;
        let configuration = directory.path().join("prometheus.yml");
        fs::write(
            &configuration,
            format!(
                "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n{scrape_configs}"
            ),
        )?;
        let host = Ipv4Addr::LOCALHOST.into();
        let address = SocketAddr::new(host, free_port(&[host], &[])?);
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(directory.path());
        if !features.is_empty() {
            command.arg(format!("--enable-feature={}", features.join(",")));
        }
        let log = directory.path().join("log");
        let mut daemon = Daemon::start("prometheus", &mut command, Group::Given, &log, &guard)?;
        daemon.await_output("Server is ready to receive web requests")?;
        Ok(Self {
            address,
            daemon: Some(daemon),
            guard,
            _directory: directory,
        })
    }

    /// The JSON answer to an instant query.
    ///
    /// # Errors
    /// When it does not answer, or not with 200.
    pub fn query(&self, expression: &str) -> io::Result<String> {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        self.get(&format!("/api/v1/query?query={encoded}"))
    }

    /// The JSON answer that tells how the scrapes go.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn targets(&self) -> io::Result<String> {
        self.get("/api/v1/targets")
    }

    fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(answer)),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop(&self.guard);
        }
        self.guard.dismiss();
    }
}

/// What `promtool check metrics` says of an exposition in the classic text format.
///
/// # Errors
/// When promtool is not installed.
pub fn promtool_check_metrics(exposition: &[u8], scratch: &Path) -> io::Result<Output> {
    let path = scratch.join("exposition.txt");
    fs::write(&path, exposition)?;
    Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::from(fs::File::open(path)?))
        .output()
}
