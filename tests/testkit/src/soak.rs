//! A long life in short: the daemon under load on the platform of real servers, killed and restarted while a node and
//! the mailboxes go away for a time. Afterwards every mail is accounted for, with the servers' logs as the truth.

mod balance;
mod timeline;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

pub use balance::{Balance, Entry};
use timeline::{Act, timeline};

use crate::live::{
    ALICE, DOMAIN, FALLBACK, IMAP_NAME, Node, PRIMARY, Platform, SENDER, wait_until,
};

/// Mails of one round of one scenario: one for each address.
const ADDRESSES: u32 = 4;
/// How long the last mails may take after the load has ended.
const SETTLE: Duration = Duration::from_secs(90);
/// How long the daemon may take to end when it is asked to.
const END: Duration = Duration::from_secs(40);
/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What a soak does.
#[derive(Debug, Clone)]
pub struct Soak {
    /// How long the load lasts.
    pub length: Duration,
    /// Mails a second, a multiple of 4.
    pub rate: u32,
    /// How often the process is killed with SIGKILL, at random times.
    pub kills: u32,
    /// How often it is ended with SIGTERM and started again.
    pub restarts: u32,
    /// A node and the mailboxes are stopped for a tenth of the time each.
    pub outages: bool,
    /// Of the random times.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was done.
    pub soak: Soak,
    /// The account of every mail.
    pub balance: Balance,
    /// How often the process was killed.
    pub killed: u32,
    /// How often it was ended in order.
    pub restarted: u32,
    /// Resident memory, in KiB, each half second.
    pub rss_kib: Vec<u64>,
    /// What the program has told on standard error when it should not: panics.
    pub complaints: Vec<String>,
}

impl Soak {
    /// Runs `program` on a platform of its own.
    ///
    /// # Errors
    /// The platform or the program does not start or end as it should. What the books say is in the report.
    pub fn run(&self, program: &Path) -> io::Result<Report> {
        let mut laboratory = Laboratory::start(program, self.rate)?;
        let began = Instant::now();
        let mut daemon = Some(laboratory.serve()?);
        let mut report = Report {
            soak: self.clone(),
            balance: Balance::default(),
            killed: 0,
            restarted: 0,
            rss_kib: Vec::new(),
            complaints: Vec::new(),
        };
        for (at, act) in timeline(self) {
            while began.elapsed() < at {
                thread::sleep((at - began.elapsed()).min(LOOK));
                report
                    .rss_kib
                    .extend(daemon.as_ref().and_then(Daemon::rss_kib));
            }
            match act {
                Act::Kill => {
                    drop(daemon.take());
                    report.killed += 1;
                    daemon = Some(laboratory.serve()?);
                }
                Act::Restart => {
                    if let Some(daemon) = daemon.take() {
                        daemon.end()?;
                    }
                    report.restarted += 1;
                    daemon = Some(laboratory.serve()?);
                }
                Act::StopNode => laboratory.platform.stop_node(Node::Filter2),
                Act::StartNode => laboratory.platform.start_node(Node::Filter2)?,
                Act::StopMailboxes => laboratory.platform.stop_mailboxes(),
                Act::StartMailboxes => laboratory.platform.start_mailboxes()?,
                Act::End => {}
            }
        }
        if let Some(daemon) = daemon.take() {
            daemon.end()?;
        }
        report.balance = laboratory.settle()?;
        report.complaints = laboratory.complaints()?;
        Ok(report)
    }
}

impl Report {
    /// Whether memory stays the same: the median of the last quarter against that of the second one, in percent.
    #[must_use]
    pub fn growth_percent(&self) -> f64 {
        let quarter = self.rss_kib.len() / 4;
        let median = |samples: &[u64]| {
            let mut samples = samples.to_vec();
            samples.sort_unstable();
            samples.get(samples.len() / 2).copied().unwrap_or(1).max(1) as f64
        };
        let early = median(&self.rss_kib[quarter..2 * quarter]);
        let late = median(&self.rss_kib[3 * quarter..]);
        (late / early - 1.0) * 100.0
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Soak { length, rate, .. } = &self.soak;
        let balance = &self.balance;
        let rss = |kib: Option<&u64>| kib.map_or(0, |kib| kib / 1024);
        writeln!(
            f,
            "{} s at {rate} mails/s, {} kills, {} restarts, outages: {}",
            length.as_secs(),
            self.killed,
            self.restarted,
            self.soak.outages
        )?;
        writeln!(
            f,
            "  servers: {} mails taken, {} put into the mailbox",
            balance.accepted, balance.delivered
        )?;
        let states: Vec<String> = balance
            .states
            .iter()
            .map(|(state, mails)| format!("{mails} {state}"))
            .collect();
        writeln!(f, "  ledger: {}", states.join(", "))?;
        writeln!(
            f,
            "  unexplained: {}, still awaited: {}, put into the mailbox twice by the platform: {}",
            balance.unexplained.len(),
            balance.awaited,
            balance.duplicated
        )?;
        writeln!(
            f,
            "  memory: {} MiB at first, {} MiB at last, growth {:+.1} % from the second quarter to the last",
            rss(self.rss_kib.first()),
            rss(self.rss_kib.last()),
            self.growth_percent()
        )?;
        for line in balance.unexplained.iter().chain(&self.complaints).take(20) {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// The platform, the configuration for it, and the program.
struct Laboratory {
    platform: Platform,
    program: PathBuf,
    starts: u32,
}

impl Laboratory {
    fn start(program: &Path, rate: u32) -> io::Result<Self> {
        let laboratory = Self {
            platform: Platform::start()?,
            program: program.to_owned(),
            starts: 0,
        };
        fs::create_dir_all(laboratory.file("scenarios"))?;
        fs::write(laboratory.file("postrider.yaml"), laboratory.main_file())?;
        laboratory.scenarios(rate, true)?;
        Ok(laboratory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.platform.directory().join("probe").join(name)
    }

    fn main_file(&self) -> String {
        let platform = &self.platform;
        format!(
            "\
version: 1
vantage: soak
include: [scenarios/*.yaml]
resolver: {dns}
platform:
  domains: [{DOMAIN}]
  smtp_port: {port}
  connections_per_address: 10
  trust: {{ ca_file: {ca} }}
  nodes:
    filter1: {{ name: filter1.cluster.test, primary: [{}], fallback: [{}] }}
    filter2: {{ name: filter2.cluster.test, primary: [{}], fallback: [{}] }}
senders:
  outside: {{ address: {SENDER}, helo: probe.outside.test, contact: postmaster@outside.test }}
mailboxes:
  alice:
    address: {ALICE}
    imap: {{ server: {IMAP_NAME}, port: {imaps}, tls: implicit, trust: {{ ca_file: {ca} }} }}
    password_file: {password}
",
            PRIMARY[0],
            FALLBACK[0],
            PRIMARY[1],
            FALLBACK[1],
            dns = platform.dns(),
            port = platform.smtp_port(),
            imaps = platform.imaps().port(),
            ca = platform.ca_file().display(),
            password = platform.password_file().display(),
        )
    }

    /// Each scenario sends one mail to each address, once a second.
    fn scenarios(&self, rate: u32, scheduled: bool) -> io::Result<()> {
        let schedule = match scheduled {
            true => "schedule: { every: 1s, max_in_flight: 20 }\n",
            false => "",
        };
        for number in 0..(rate / ADDRESSES).max(1) {
            let name = format!("soak-{number}");
            let text = format!(
                "version: 1
name: {name}
{schedule}timeout: 90s
steps_run: together
message: {{ from: outside, to: alice }}
steps:
  - id: every-address
    for_each: {{ mx_of: {DOMAIN}, addresses: all }}
    deliver:
      to_address: ${{item.address}}
      expect:
        arrives: {{ within: 60s, watch_copies_for: 0s }}
"
            );
            fs::write(self.file("scenarios").join(format!("{name}.yaml")), text)?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(self.file("postrider.yaml"))
            .arg("--storage.path")
            .arg(self.file("state"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    fn serve(&mut self) -> io::Result<Daemon> {
        self.starts += 1;
        let errors = fs::File::create(self.file(&format!("serve-{}.log", self.starts)))?;
        let child = self
            .command()
            .args(["serve", "--web.listen-address", "127.0.0.1:0"])
            .args(["--shutdown.grace", "1s"])
            .stdout(errors.try_clone()?)
            .stderr(errors)
            .spawn()?;
        Ok(Daemon { child })
    }

    /// Nothing more is sent; the daemon sees the rest arrive, and the books are balanced.
    fn settle(&mut self) -> io::Result<Balance> {
        for entry in fs::read_dir(self.file("scenarios"))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            let text: Vec<&str> = text
                .lines()
                .filter(|line| !line.starts_with("schedule:"))
                .collect();
            fs::write(&path, text.join("\n") + "\n")?;
        }
        let daemon = self.serve()?;
        let settled = wait_until(SETTLE, || {
            let balance = self.balance().ok()?;
            balance.is_settled().then_some(balance)
        });
        daemon.end()?;
        let verified = self
            .command()
            .args(["ledger", "verify"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
        let mut balance = match settled {
            Some(balance) => balance,
            None => self.balance()?,
        };
        if !verified.status.success() {
            balance.unexplained.push(format!(
                "`ledger verify`: {}{}",
                String::from_utf8_lossy(&verified.stdout),
                String::from_utf8_lossy(&verified.stderr)
            ));
        }
        Ok(balance)
    }

    fn balance(&self) -> io::Result<Balance> {
        let entries = balance::entries(&self.file("state").join("postrider.db"))?;
        let accepted = [Node::Filter1, Node::Filter2]
            .into_iter()
            .flat_map(|node| balance::accepted(&self.platform.smtp_log(node)))
            .collect();
        Ok(Balance::of(
            &entries,
            accepted,
            self.platform.delivered_message_ids(),
        ))
    }

    /// Panics, in any of the logs.
    fn complaints(&self) -> io::Result<Vec<String>> {
        let mut complaints = Vec::new();
        for number in 1..=self.starts {
            let text = fs::read_to_string(self.file(&format!("serve-{number}.log")))?;
            let bad = text
                .lines()
                .filter(|line| line.contains("panicked") || line.contains("internal"));
            complaints.extend(bad.take(3).map(str::to_owned));
        }
        Ok(complaints)
    }
}

/// The running program; killed when dropped.
#[derive(Debug)]
struct Daemon {
    child: Child,
}

impl Daemon {
    /// Resident memory.
    fn rss_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Ends it in order.
    fn end(mut self) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no process"))?;
        // It may have ended by itself; its status tells.
        let _ = kill_process(pid, Signal::TERM);
        let status = wait_until(END, || self.child.try_wait().transpose())
            .ok_or_else(|| io::Error::other("the daemon does not end"))??;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the daemon ended with {status}"))),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGKILL; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
