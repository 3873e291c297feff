//! The platform of real servers, the configuration for it, and the program as it was built.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use postrider::result::RunResult;
use postrider_testkit::live::{
    ALICE, BOB, DKIM_SELECTOR, DOMAIN, FALLBACK, IMAP_NAME, PRIMARY, Platform, SENDER,
};
use tokio::time::Instant;

/// The program, built with the profile of the bench.
pub(crate) const POSTRIDER: &str = env!("CARGO_BIN_EXE_postrider");

/// A platform with a main file for it: alice is read with TLS, bob without.
pub(crate) struct Lab {
    pub(crate) platform: Platform,
}

/// A process that has ended.
pub(crate) struct Ended {
    pub(crate) output: Output,
    /// From before it was started until its end was known.
    pub(crate) wall: Duration,
    /// User and system time of it and of its descendants that it waited for.
    pub(crate) cpu: Duration,
}

impl Lab {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let lab = Self {
            platform: Platform::start().context("the platform of real servers")?,
        };
        fs::create_dir_all(lab.file("scenarios"))?;
        fs::write(lab.file("postrider.yaml"), lab.main_file())?;
        Ok(lab)
    }

    fn main_file(&self) -> String {
        let platform = &self.platform;
        format!(
            "\
version: 1
vantage: laboratory
include: [scenarios/*.yaml]
resolver: {dns}
platform:
  domains: [{DOMAIN}]
  smtp_port: {port}
  trust: {{ ca_file: {ca} }}
  nodes:
    filter1: {{ name: filter1.cluster.test, primary: [{}], fallback: [{}] }}
    filter2: {{ name: filter2.cluster.test, primary: [{}], fallback: [{}] }}
senders:
  outside:
    address: {SENDER}
    helo: probe.outside.test
    contact: postmaster@outside.test
    dkim: {{ selector: {DKIM_SELECTOR}, key_file: {dkim} }}
  unsigned:
    address: {SENDER}
    helo: probe.outside.test
    contact: postmaster@outside.test
mailboxes:
  alice:
    address: {ALICE}
    imap: {{ server: {IMAP_NAME}, port: {imaps}, tls: implicit, trust: {{ ca_file: {ca} }} }}
    password_file: {password}
  bob:
    address: {BOB}
    imap: {{ server: {imap_ip}, port: {imap}, tls: none }}
    password_file: {password}
",
            PRIMARY[0],
            FALLBACK[0],
            PRIMARY[1],
            FALLBACK[1],
            dns = platform.dns(),
            port = platform.smtp_port(),
            imaps = platform.imaps().port(),
            imap = platform.imap().port(),
            imap_ip = platform.imap().ip(),
            ca = platform.ca_file().display(),
            dkim = platform.dkim_key_file().display(),
            password = platform.password_file().display(),
        )
    }

    /// A file beside the main file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.platform.directory().join("probe").join(name)
    }

    /// Adds a scenario.
    pub(crate) fn scenario(&self, name: &str, rest: &str) -> anyhow::Result<()> {
        let path = self.file("scenarios").join(format!("{name}.yaml"));
        Ok(fs::write(
            path,
            format!("version: 1\nname: {name}\n{rest}"),
        )?)
    }

    /// The program with this configuration and its own state directory.
    pub(crate) fn postrider(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(POSTRIDER);
        command
            .arg("--config")
            .arg(self.file("postrider.yaml"))
            .arg("--storage.path")
            .arg(self.file("state"))
            .args(arguments);
        command
    }

    /// `run --format json` with more arguments; every check must pass.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<RunResult> {
        let mut command = self.postrider(&["run", "--format", "json"]);
        let ended = finish(command.args(arguments), &[0])?;
        Ok(serde_json::from_slice(&ended.output.stdout)?)
    }

    /// When the final reply to each mail was read, by the wall clock, from the ledger.
    pub(crate) fn final_replies(&self) -> anyhow::Result<BTreeMap<String, Duration>> {
        let path = self.file("state").join("postrider.db");
        let ledger = rusqlite::Connection::open(path)?;
        let mut query = ledger
            .prepare("SELECT id, attempted_at_us FROM entries WHERE attempted_at_us IS NOT NULL")?;
        let rows = query.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        rows.map(|row| {
            let (id, micros) = row?;
            Ok((id, Duration::from_micros(u64::try_from(micros)?)))
        })
        .collect()
    }

    /// When Dovecot had saved each mail, by the wall clock, by its [`mail_id`].
    pub(crate) fn saved(&self) -> BTreeMap<String, Duration> {
        let deliveries = self.platform.deliveries().into_iter();
        deliveries
            .filter_map(|delivery| Some((mail_id(&delivery.message_id)?, delivery.at)))
            .collect()
    }
}

/// What stands before the `@` of a Message-ID, in capitals: the ledger's entry, if it is the program's.
pub(crate) fn mail_id(message_id: &str) -> Option<String> {
    let (id, _) = message_id.strip_prefix('<')?.split_once('@')?;
    Some(id.to_ascii_uppercase())
}

/// Runs a program to its end; any other exit code than these is an error. No other child process may end meanwhile.
pub(crate) fn finish(command: &mut Command, codes: &[i32]) -> anyhow::Result<Ended> {
    command.stdin(Stdio::null());
    let cpu_before = cpu_of_children()?;
    let began = Instant::now();
    let output = command.output()?;
    let wall = began.elapsed();
    let cpu = cpu_of_children()?.saturating_sub(cpu_before);
    anyhow::ensure!(
        output
            .status
            .code()
            .is_some_and(|code| codes.contains(&code)),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(Ended { output, wall, cpu })
}

/// Of all that have ended and were waited for, with their own.
fn cpu_of_children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// The wall clock, since 1970.
pub(crate) fn wall_clock() -> Duration {
    since_1970(postrider::clock::now())
}

pub(crate) fn since_1970(at: jiff::Timestamp) -> Duration {
    at.duration_since(jiff::Timestamp::UNIX_EPOCH)
        .unsigned_abs()
}

/// `a - b`, in milliseconds.
pub(crate) fn milliseconds_between(a: Duration, b: Duration) -> f64 {
    (a.as_secs_f64() - b.as_secs_f64()) * 1e3
}
