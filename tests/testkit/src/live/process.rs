//! Starting, watching and stopping the servers' processes.
//!
//! A server is stopped by the id of the process that was started, never by a name. Should the
//! test process die without a chance to clean up, the [`Guard`] does it.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    waitpgid,
};
use tokio::time::Instant;

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a server may take to end before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Pause between two looks at a condition.
const TICK: Duration = Duration::from_millis(5);

/// A running server, in a process group of its own.
#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    child: Child,
    output: PathBuf,
}

/// Whether the server makes its own process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// We make one for it.
    Given,
    /// The server calls `setsid`, which fails for the leader of a group.
    Own,
}

impl Daemon {
    /// Starts `command`, which must stay in the foreground; its output is appended to `output`.
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        group: Group,
        output: &Path,
        guard: &Guard,
    ) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(output)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if group == Group::Given {
            command.process_group(0);
        }
        let child = command
            .spawn()
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        let daemon = Self {
            name: name.to_owned(),
            child,
            output: output.to_owned(),
        };
        guard.tell("started", daemon.pid())?;
        Ok(daemon)
    }

    /// Waits until the server on `address` greets, and leaves with `farewell`.
    /// Fails at once when the server ends.
    pub(super) fn await_listening(
        &mut self,
        address: SocketAddr,
        farewell: &[u8],
    ) -> io::Result<()> {
        self.await_ready(&format!("answer on {address}"), || {
            visit(address, farewell).is_ok()
        })
    }

    /// Waits until the server's output holds `mark`. Fails at once when the server ends.
    pub(super) fn await_output(&mut self, mark: &str) -> io::Result<()> {
        let output = self.output.clone();
        self.await_ready(&format!("say {mark:?}"), || {
            fs::read_to_string(&output).is_ok_and(|text| text.contains(mark))
        })
    }

    fn await_ready(&mut self, what: &str, ready: impl Fn() -> bool) -> io::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if ready() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "{} does not {what} ({}); its output:\n{}",
                    self.name,
                    ended.map_or("in time".to_owned(), |status| status.to_string()),
                    tail(&self.output, 20),
                )));
            }
            thread::sleep(TICK);
        }
    }

    /// Asks the server to end and waits until it and all processes of its group are gone;
    /// kills them when they do not go.
    pub(super) fn stop(mut self, guard: &Guard) {
        if let Some(group) = self.pid() {
            let _ended_already = kill_process(group, Signal::TERM);
            match self.await_end(group) {
                true => guard.forget(group),
                false => self.kill(guard),
            }
        }
    }

    /// Ends the server and all processes of its group at once.
    pub(super) fn kill(mut self, guard: &Guard) {
        if let Some(group) = self.pid() {
            // Before its `setsid` a server is in our group, and its own does not exist.
            let _ended_already = kill_process_group(group, Signal::KILL);
            let _ended_already = self.child.kill();
            self.await_end(group);
            guard.forget(group);
        }
    }

    /// Whether the server itself has ended.
    #[cfg(test)]
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Collects the server, then its children: they became ours when it ended. False when
    /// some are still there after a while.
    fn await_end(&mut self, group: Pid) -> bool {
        let gone = wait_until(STOP_LIMIT, || {
            if matches!(self.child.try_wait(), Ok(None)) {
                return None;
            }
            loop {
                match waitpgid(group, WaitOptions::NOHANG) {
                    Ok(Some(_collected)) => {}
                    Ok(None) => return None,
                    Err(_none_left) => return Some(()),
                }
            }
        });
        gone.is_some()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

/// A shell that outlives the test process by a moment: when its standard input ends without
/// a word of farewell, it stops the servers still running and removes their directory.
#[derive(Debug)]
pub(super) struct Guard {
    child: Mutex<Child>,
    input: Mutex<Option<ChildStdin>>,
}

const GUARD_SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r verb group; do
    case $verb in
    started) groups="$groups-$group " ;;
    stopped) groups="${groups%% -$group *} ${groups#* -$group }" ;;
    farewell) exit 0 ;;
    esac
done
for signal in TERM KILL; do
    for group in $groups; do kill -s "$signal" -- "$group"; done
    sleep 1
done
rm -rf -- "$1"
"#;

impl Guard {
    /// Starts the guard of the servers below `directory`.
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        // What a server leaves behind comes to us, so that we can wait for its end.
        set_child_subreaper(Some(getpid()))?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", GUARD_SCRIPT, "guard"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let input = child.stdin.take();
        Ok(Self {
            child: Mutex::new(child),
            input: Mutex::new(input),
        })
    }

    fn tell(&self, verb: &str, pid: Option<Pid>) -> io::Result<()> {
        let group = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
        match &mut *self.input.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(input) => writeln!(input, "{verb} {group}"),
            None => Ok(()),
        }
    }

    fn forget(&self, group: Pid) {
        let _guard_gone = self.tell("stopped", Some(group));
    }

    /// Ends the guard's input, as the death of the test process does.
    pub(super) fn fall_silent(&self) {
        self.input
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Lets the guard go: everything has been stopped.
    pub(super) fn dismiss(&self) {
        let _guard_gone = self.tell("farewell", None);
        self.fall_silent();
        let _status = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}

/// Reads a greeting, says `farewell` and waits for the end of the connection, as a polite client does.
fn visit(address: SocketAddr, farewell: &[u8]) -> io::Result<()> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut greeting = [0; 1024];
    if stream.read(&mut greeting)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.write_all(farewell)?;
    while stream.read(&mut greeting)? > 0 {}
    Ok(())
}

/// Looks at `condition` until it holds, at most for `limit`.
pub fn wait_until<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(TICK);
    }
}

/// A port that is free on every one of `addresses`, for TCP and UDP, and not in `taken`.
///
/// It lies below the range from which systems choose the ports of outgoing connections.
pub(super) fn free_port(addresses: &[IpAddr], taken: &[u16]) -> io::Result<u16> {
    for attempt in 0..1000_u32 {
        let random = RandomState::new().hash_one(attempt) % 20_000;
        let port = 10_000 + u16::try_from(random).map_err(io::Error::other)?;
        let free = |address: &IpAddr| {
            TcpListener::bind((*address, port)).is_ok() && UdpSocket::bind((*address, port)).is_ok()
        };
        if !taken.contains(&port) && addresses.iter().all(free) {
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no free port on {addresses:?}")))
}

/// The last lines of a file, for a message.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The numeric ids of a system user: `(uid, gid)`.
pub(super) fn user_ids(name: &str) -> io::Result<(u32, u32)> {
    let fields = account("/etc/passwd", name)?;
    Ok((number(&fields, 2)?, number(&fields, 3)?))
}

/// The numeric id of a system group.
pub(super) fn group_id(name: &str) -> io::Result<u32> {
    number(&account("/etc/group", name)?, 2)
}

fn account(file: &str, name: &str) -> io::Result<Vec<String>> {
    fs::read_to_string(file)?
        .lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
        .find(|fields| fields.first().is_some_and(|first| first == name))
        .ok_or_else(|| io::Error::other(format!("{file} has no {name}: run tests/run once")))
}

fn number(fields: &[String], index: usize) -> io::Result<u32> {
    fields
        .get(index)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("an account line without a number"))
}
