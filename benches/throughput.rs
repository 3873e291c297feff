//! Mails into Postfix's `smtp-sink` on loopback: the whole program, its ledger durable, against Postfix's `smtp-source`.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use postrider::result::RunResult;

use crate::lab::{POSTRIDER, finish};
use crate::spread::{Spread, verdict};

const MAILS: usize = 3000;
const SIZE: usize = 4096;
/// As many as one address may get.
const CONNECTIONS: usize = 10;
const ROUNDS: usize = 7;
const TARGET: f64 = 0.5;

pub(crate) fn measure() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let sink = Sink::start()?;
    configure(directory.path(), sink.port)?;
    // Once before it counts: the store knows the checks then, as that of a daemon does.
    let (mut ours, mut runs, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for round in 0..=ROUNDS {
        let (wall, cpu) = source(sink.port)?;
        let (result, own_wall, own_cpu) = postrider(directory.path())?;
        if round > 0 {
            peer.push(MAILS as f64 / wall.as_secs_f64());
            ours.push(MAILS as f64 / own_wall.as_secs_f64());
            runs.push(MAILS as f64 / result.run.duration_seconds);
        }
        last = Some((result, own_cpu, cpu));
    }
    let (ours, runs, peer) = (
        Spread::of(ours, "mails/s")?,
        Spread::of(runs, "mails/s")?,
        Spread::of(peer, "mails/s")?,
    );
    println!(
        "  {MAILS} mails of {SIZE} bytes a round, {CONNECTIONS} connections at a time, one mail each"
    );
    println!("  smtp-source                      {peer}");
    println!("  postrider run, the whole process {ours}");
    println!("  postrider run, the run itself    {runs}");
    let ratio = ours.median() / peer.median();
    println!(
        "  ratio of the medians: {ratio:.2} (the run itself {:.2}); target >= {TARGET}: {}",
        runs.median() / peer.median(),
        verdict(ratio >= TARGET)
    );
    if let Some((result, own_cpu, cpu)) = last {
        println!(
            "  CPU each mail: postrider {:.0} µs, smtp-source {:.0} µs",
            own_cpu.as_secs_f64() * 1e6 / MAILS as f64,
            cpu.as_secs_f64() * 1e6 / MAILS as f64
        );
        phases(&result)?;
    }
    Ok(())
}

/// Where the time of a mail goes, in the last round.
fn phases(result: &RunResult) -> anyhow::Result<()> {
    let mut names: Vec<&String> = Vec::new();
    for check in &result.checks {
        for name in check.phases_seconds.keys() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    for name in names {
        let times = result
            .checks
            .iter()
            .filter_map(|check| check.phases_seconds.get(name))
            .map(|seconds| seconds * 1e3);
        println!("    {name:<12} {}", Spread::of(times, "ms")?);
    }
    let times = result.checks.iter().map(|check| {
        let waited = check.queued_seconds.unwrap_or_default();
        (check.duration_seconds - waited) * 1e3
    });
    println!("    {:<12} {}", "whole check", Spread::of(times, "ms")?);
    Ok(())
}

fn source(port: u16) -> anyhow::Result<(Duration, Duration)> {
    let mut command = Command::new("smtp-source");
    command
        .args(["-s", &CONNECTIONS.to_string(), "-m", &MAILS.to_string()])
        .args(["-l", &SIZE.to_string(), "-f", "probe@outside.test"])
        .args(["-t", "alice@example.net", "-M", "probe.outside.test"])
        .arg(format!("127.0.0.1:{port}"));
    let ended = finish(&mut command, &[0])?;
    Ok((ended.wall, ended.cpu))
}

fn postrider(directory: &Path) -> anyhow::Result<(RunResult, Duration, Duration)> {
    let mut command = Command::new(POSTRIDER);
    command
        .arg("--config")
        .arg(directory.join("postrider.yaml"))
        .arg("--storage.path")
        .arg(directory.join("state"))
        .args(["run", "--format", "json"]);
    let ended = finish(&mut command, &[0])?;
    let result: RunResult = serde_json::from_slice(&ended.output.stdout)?;
    anyhow::ensure!(result.checks.len() == MAILS, "{:?}", result.counts);
    Ok((result, ended.wall, ended.cpu))
}

/// One step for each mail, all at once; nobody looks for the mail.
fn configure(directory: &Path, port: u16) -> anyhow::Result<()> {
    let main = format!(
        "\
version: 1
vantage: laboratory
include: [load.yaml]
platform: {{ smtp_port: {port}, connections_per_address: {CONNECTIONS} }}
senders:
  outside: {{ address: probe@outside.test, helo: probe.outside.test, contact: postmaster@outside.test }}
mailboxes:
  alice: {{ address: alice@example.net }}
"
    );
    fs::write(directory.join("postrider.yaml"), main)?;
    let mut load = format!(
        "version: 1\nname: load\nsteps_run: together\ntimeout: 10m\n\
         message: {{ from: outside, to: alice, size: {SIZE}B }}\nsteps:\n"
    );
    for n in 0..MAILS {
        writeln!(
            load,
            "  - id: mail-{n}\n    timeout: 10m\n    deliver: {{ to_address: 127.0.0.1, tls: none }}"
        )?;
    }
    Ok(fs::write(directory.join("load.yaml"), load)?)
}

/// `smtp-sink`, ended with this.
struct Sink {
    process: Child,
    port: u16,
}

impl Sink {
    fn start() -> anyhow::Result<Self> {
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("smtp-sink")
            .args(["-u", "nobody", "-h", "mx1.example.net"])
            .args([&format!("127.0.0.1:{port}"), "1024"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let sink = Self { process, port };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(sink);
            }
            sleep(Duration::from_millis(50));
        }
        anyhow::bail!("smtp-sink does not listen")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
