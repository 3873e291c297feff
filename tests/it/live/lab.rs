//! A running platform, the configuration for it, and the program.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use postrider::result::{CheckResult, RunResult, StatusWord};
use postrider_testkit::live::{
    ALICE, BOB, DKIM_SELECTOR, DOMAIN, FALLBACK, IMAP_NAME, Node, Options, PRIMARY, Platform,
    SENDER, wait_until,
};

/// No run of these tests takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The platform's every IPv4 address, one check for each: `primary` before `fallback`.
pub(super) const ADDRESSES: [Ipv4Addr; 4] = [PRIMARY[0], PRIMARY[1], FALLBACK[0], FALLBACK[1]];
/// filter1's addresses.
pub(super) const FILTER1: [Ipv4Addr; 2] = [PRIMARY[0], FALLBACK[0]];
/// filter2's addresses.
pub(super) const FILTER2: [Ipv4Addr; 2] = [PRIMARY[1], FALLBACK[1]];

/// One mail through every address of every MX.
pub(super) const EVERY_ADDRESS: &str = "
steps_run: together
steps:
  - id: primary
    for_each: { mx_of: example.test, preference: lowest, addresses: all }
    deliver:
      to_address: ${item.address}
      expect:
        certificate: { matches: mx-name, valid_for: 14d }
        arrives: { within: 3s, watch_copies_for: 0s }
  - id: fallback
    for_each: { mx_of: example.test, preference: not-lowest, addresses: all }
    deliver:
      to_address: ${item.address}
      expect:
        certificate: { matches: mx-name, valid_for: 14d }
        arrives: { within: 3s, watch_copies_for: 0s }
";

/// A platform, a main file for it, and a place for what the program remembers.
pub(super) struct Lab {
    pub(super) platform: Platform,
    runs: Cell<u32>,
}

/// A mail as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) open: bool,
    pub(super) copies: u32,
    /// Microseconds since 1970.
    pub(super) first_seen_us: Option<i64>,
}

impl Entry {
    /// With angle brackets.
    pub(super) fn message_id(&self) -> String {
        format!("<{}@outside.test>", self.id.to_lowercase())
    }
}

/// How the program ended and what it said.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The program while it runs. Killed when dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Lab {
    /// Starts everything, on IPv4.
    pub(super) fn start() -> io::Result<Self> {
        Self::start_with(Options::default())
    }

    pub(super) fn start_with(options: Options) -> io::Result<Self> {
        let lab = Self {
            platform: Platform::start_with(options)?,
            runs: Cell::new(0),
        };
        fs::create_dir_all(lab.file("scenarios"))?;
        fs::write(lab.file("postrider.yaml"), lab.main_file(options))?;
        Ok(lab)
    }

    fn main_file(&self, options: Options) -> String {
        let platform = &self.platform;
        let ipv6 = if options.ipv6 { ", \"::1\"" } else { "" };
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
    filter1: {{ name: filter1.cluster.test, primary: [{}{ipv6}], fallback: [{}] }}
    filter2: {{ name: filter2.cluster.test, primary: [{}], fallback: [{}] }}
senders:
  outside:
    address: {SENDER}
    helo: probe.outside.test
    contact: postmaster@outside.test
    dkim: {{ selector: {DKIM_SELECTOR}, key_file: {dkim} }}
mailboxes:
  alice:
    address: {ALICE}
    imap: {{ server: {IMAP_NAME}, port: {imaps}, tls: implicit, trust: {{ ca_file: {ca} }} }}
    password_file: {password}
  unread:                              # its mail stays where it is
    address: {BOB}
",
            PRIMARY[0],
            FALLBACK[0],
            PRIMARY[1],
            FALLBACK[1],
            dns = platform.dns(),
            port = platform.smtp_port(),
            imaps = platform.imaps().port(),
            ca = platform.ca_file().display(),
            dkim = platform.dkim_key_file().display(),
            password = platform.password_file().display(),
        )
    }

    /// From now on the sender's bounces are read.
    pub(super) fn read_bounces(&self) -> io::Result<()> {
        let platform = &self.platform;
        let main = fs::read_to_string(self.file("postrider.yaml"))?;
        let main = main.replace(
            "    helo: probe.outside.test\n",
            "    helo: probe.outside.test\n    bounces_to: returns\n",
        );
        let returns = format!(
            "  returns:\n    address: {SENDER}\n    imap: {{ server: {IMAP_NAME}, port: {imaps}, tls: implicit, \
             trust: {{ ca_file: {ca} }} }}\n    password_file: {password}\n",
            imaps = platform.imaps().port(),
            ca = platform.ca_file().display(),
            password = platform.password_file().display(),
        );
        fs::write(self.file("postrider.yaml"), main + &returns)
    }

    /// A file beside the main file.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.platform.directory().join("probe").join(name)
    }

    /// Adds the scenario `name`, from outside to alice.
    pub(super) fn scenario(&self, name: &str, rest: &str) -> io::Result<()> {
        let head = format!("version: 1\nname: {name}\nmessage: {{ from: outside, to: alice }}\n");
        fs::write(
            self.file("scenarios").join(format!("{name}.yaml")),
            head + rest,
        )
    }

    /// Starts the program.
    pub(super) fn spawn(&self, arguments: &[&str]) -> io::Result<Running> {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let output = self.file(&format!("{number}.stdout"));
        let errors = self.file(&format!("{number}.stderr"));
        let child = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .arg("--config")
            .arg(self.file("postrider.yaml"))
            .arg("--storage.path")
            .arg(self.file("state"))
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()?;
        Ok(Running {
            child,
            output,
            errors,
        })
    }

    /// Runs the program on a terminal, to its end, and gives all that it wrote there.
    pub(super) fn on_terminal(&self, arguments: &[&str]) -> io::Result<String> {
        let shown = self.file("typescript");
        let words = [
            env!("CARGO_BIN_EXE_postrider"),
            "--config",
            &self.file("postrider.yaml").display().to_string(),
            "--storage.path",
            &self.file("state").display().to_string(),
        ];
        let command = [&words, arguments].concat().join(" ");
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command])
            .arg(&shown)
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let ended = wait_until(RUN_LIMIT, || script.try_wait().transpose());
        let _ended_already = script.kill();
        ended.ok_or_else(|| io::Error::other("it does not end"))??;
        fs::read_to_string(&shown)
    }

    /// Runs the program to its end.
    pub(super) fn postrider(&self, arguments: &[&str]) -> io::Result<Ended> {
        self.spawn(arguments)?.finish()
    }

    /// Every mail of the ledger, oldest first; none as long as there is no ledger.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.read_entries().unwrap_or_default()
    }

    fn read_entries(&self) -> rusqlite::Result<Vec<Entry>> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        let file = self.file("state").join("postrider.db");
        let connection = rusqlite::Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let sql = "SELECT id, state, open, copies, first_seen_at_us FROM entries ORDER BY id";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(Entry {
                id: row.get(0)?,
                state: row.get(1)?,
                open: row.get(2)?,
                copies: row.get(3)?,
                first_seen_us: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    /// The states of [`Self::entries`].
    pub(super) fn states(&self) -> Vec<String> {
        self.entries()
            .into_iter()
            .map(|entry| entry.state)
            .collect()
    }

    /// What the probe's own mails have left in a mailbox, by folder and Message-ID.
    pub(super) fn mailbox(&self, user: &str) -> io::Result<Vec<(String, String)>> {
        let mails = self.platform.list_mailbox(user)?;
        Ok(mails
            .into_iter()
            .map(|mail| {
                let id = mail.header("message-id").unwrap_or_default();
                (mail.folder, id)
            })
            .collect())
    }

    /// Waits until the log of a node says something.
    pub(super) fn await_log(&self, node: Node, words: &str) -> io::Result<()> {
        let said = || self.platform.smtp_log(node).contains(words).then_some(());
        wait_until(Duration::from_secs(15), said)
            .ok_or_else(|| io::Error::other(format!("{} never says {words:?}", node.name())))
    }

    /// `run --format json` with more arguments.
    pub(super) fn run(&self, arguments: &[&str]) -> io::Result<RunResult> {
        let ended = self.postrider(&[&["run", "--format", "json"], arguments].concat())?;
        serde_json::from_str(&ended.stdout)
            .map_err(|error| io::Error::other(format!("{error}: {ended:?}")))
    }
}

impl Running {
    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no process"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// What it has printed so far.
    pub(super) fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// What it has told on standard error so far.
    pub(super) fn told(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Waits for the end.
    pub(super) fn finish(mut self) -> io::Result<Ended> {
        let ended = wait_until(RUN_LIMIT, || self.child.try_wait().transpose());
        let said = |file| fs::read_to_string(file).unwrap_or_default();
        let (stdout, stderr) = (said(&self.output), said(&self.errors));
        match ended {
            Some(status) => Ok(Ended {
                status: status?,
                stdout,
                stderr,
            }),
            None => Err(io::Error::other(format!(
                "it does not end:\n{stdout}\n{stderr}"
            ))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
        } = self;
        write!(f, "{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Ended {
    pub(super) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// The checks of one step, in the order of the plan.
pub(super) fn of_step<'r>(result: &'r RunResult, step: &str) -> Vec<&'r CheckResult> {
    result
        .checks
        .iter()
        .filter(|check| check.step == step)
        .collect()
}

/// `reason: message` of the worst finding; `pass` when there is none.
pub(super) fn line(check: &CheckResult) -> String {
    match (&check.reason, &check.message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        _ => "pass".to_owned(),
    }
}

/// `host [address]` that was connected to last; nothing when there was no connection.
pub(super) fn led_to(check: &CheckResult) -> String {
    let smtp = check
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.smtp.as_ref());
    smtp.map_or_else(String::new, |smtp| {
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{} [{}]", name(&smtp.host), name(&smtp.address))
    })
}

/// The check of one address; the only one of its run.
pub(super) fn at(result: &RunResult, address: impl Into<IpAddr>) -> &CheckResult {
    let address = address.into().to_string();
    let mut found = result.checks.iter().filter(|check| {
        check
            .target
            .as_ref()
            .is_some_and(|target| target.address == address)
    });
    match (found.next(), found.next()) {
        (Some(check), None) => check,
        _ => panic!("not one check of {address}: {result:#?}"),
    }
}

/// Asserts that these addresses, and only these, have this reason; all the others pass.
#[track_caller]
pub(super) fn assert_blamed(result: &RunResult, addresses: &[Ipv4Addr], reason: &str) {
    for address in ADDRESSES {
        let check = at(result, address);
        let expected = addresses.contains(&address).then_some(reason);
        assert_eq!(
            check.reason.as_deref(),
            expected,
            "{address}: {:#?}",
            check.findings
        );
        if expected.is_none() {
            assert_eq!(check.status, StatusWord::Pass, "{address}");
        }
    }
}
