//! The binary, started as an operator starts it, and what it said.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider::result::{CheckResult, RunResult};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// No test is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, about to be started.
#[derive(Debug)]
pub(crate) struct Program(Command);

impl Program {
    /// With the main file and the state in this directory, and nothing of our own environment.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command
            .env_clear()
            .env("LANG", "C.UTF-8")
            .env("HOME", directory)
            .current_dir(directory)
            .args(["--config", "postrider.yaml", "--storage.path", "state"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Begins as this shell script in a mount namespace of its own; the script becomes the program by `exec "$@"`.
    pub(crate) fn in_a_mount_namespace(self, script: &str) -> Self {
        let inner = self.0.as_std();
        let mut command = Command::new("unshare");
        // Who is not root may mount in a user namespace.
        command
            .arg(match rustix::process::geteuid().is_root() {
                true => "-m",
                false => "-rm",
            })
            .args(["sh", "-c", script, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(directory) = inner.get_current_dir() {
            command.current_dir(directory);
        }
        Self(command)
    }

    /// What it says on standard error goes to this file, so that it can be read while it runs.
    pub(crate) fn telling(mut self, file: &Path) -> Self {
        self.0.stderr(std::fs::File::create(file).unwrap());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn end(self) -> Ran {
        self.start().end().await
    }

    pub(crate) fn start(mut self) -> Running {
        let began = Instant::now();
        let mut child = self.0.spawn().unwrap();
        Running {
            began,
            stdout: Collected::from(child.stdout.take().unwrap()),
            stderr: child.stderr.take().map(Collected::from),
            child,
        }
    }
}

/// The binary, running.
#[derive(Debug)]
pub(crate) struct Running {
    began: Instant,
    child: Child,
    stdout: Collected,
    /// Unless it goes to a file.
    stderr: Option<Collected>,
}

/// What came out of a pipe so far.
#[derive(Debug)]
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&text);
        let reading = tokio::spawn(async move {
            let mut part = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut part).await {
                all.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { text, reading }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    async fn all(self) -> String {
        self.reading.await.unwrap();
        String::from_utf8(std::mem::take(&mut *self.text.lock().unwrap())).unwrap()
    }
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        use rustix::process::{Pid, Signal, kill_process};

        let signal = match name {
            "INT" => Signal::INT,
            "HUP" => Signal::HUP,
            "KILL" => Signal::KILL,
            _ => Signal::TERM,
        };
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it has written to standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.so_far()
    }

    pub(crate) async fn end(mut self) -> Ran {
        let id = self.child.id().unwrap();
        let mut ran = Ran::default();
        let mut peak = 0;
        let ended = timeout(PATIENCE, async {
            let watched = async {
                let mut often = tokio::time::interval(Duration::from_millis(5));
                loop {
                    tokio::select! {
                        status = self.child.wait() => return status.unwrap(),
                        // It only grows, so the last reading is the peak but for the last few milliseconds.
                        _ = often.tick() => peak = peak.max(peak_memory(id)),
                    }
                }
            };
            let err = async {
                match self.stderr {
                    Some(stderr) => stderr.all().await,
                    None => String::new(),
                }
            };
            let (status, out, err) = tokio::join!(watched, self.stdout.all(), err);
            (ran.stdout, ran.stderr) = (out, err);
            status.code()
        });
        let code = ended.await.expect("the program has not ended in time");
        ran.code = code.expect("the program was killed");
        ran.took = self.began.elapsed();
        ran.peak_kib = peak;
        ran
    }
}

/// KiB at the peak, without the pages of the program's own file; 0 when the process is gone.
fn peak_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let of = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let all = of("VmHWM:").unwrap_or(0);
    all.saturating_sub(of("RssFile:").unwrap_or(0))
}

/// What it said.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    /// The most memory that it held.
    pub(crate) peak_kib: u64,
}

impl Ran {
    /// The result document.
    pub(crate) fn result(&self) -> RunResult {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The same as plain JSON, as a reader that knows nothing of our types sees it.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The only check of this step.
    pub(crate) fn check(&self, step: &str) -> CheckResult {
        let mut checks = self.result().checks;
        checks.retain(|check| check.step == step);
        let found = checks.len();
        match checks.pop() {
            Some(check) if found == 1 => check,
            _ => panic!("{found} checks of {step}: {}{}", self.stdout, self.stderr),
        }
    }
}

/// `code: message` of the worst finding; empty when it passed.
pub(crate) fn line(check: &CheckResult) -> String {
    match (&check.reason, &check.message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        _ => String::new(),
    }
}
