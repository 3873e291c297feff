//! Memory of a daemon that has nothing to do: the examples' configuration, in a network without a way out.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::POSTRIDER;
use crate::process::resident;
use crate::spread::{Spread, verdict};

const STARTS: usize = 5;
const IDLE: Duration = Duration::from_secs(10);
const TARGET: f64 = 30.0;

pub(crate) fn measure() -> anyhow::Result<()> {
    let memory = (0..STARTS)
        .map(|_| idle())
        .collect::<anyhow::Result<Vec<f64>>>()?;
    let spread = Spread::of(memory, "MiB")?;
    println!("  RSS after {} s  {spread}", IDLE.as_secs());
    println!(
        "  target <= {TARGET} MiB, each time: {}",
        verdict(spread.max() <= TARGET)
    );
    Ok(())
}

/// One start, and what it holds in the end.
fn idle() -> anyhow::Result<f64> {
    let state = tempfile::tempdir()?;
    let log = state.path().join("log");
    let main = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/examples/postrider.yaml"
    );
    // Each program becomes the next one, so that the process is the daemon in the end.
    let mut daemon = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(POSTRIDER)
        .args(["--config", main, "--storage.path"])
        .arg(state.path().join("store"))
        .args(["serve", "--web.listen-address", "127.0.0.1:0"])
        .env("ALICE_PASSWORD", "not used")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()?;
    sleep(IDLE);
    let measured = resident(daemon.id());
    end(&mut daemon)?;
    let said = std::fs::read_to_string(log)?;
    anyhow::ensure!(said.contains("msg=ready"), "it was not ready:\n{said}");
    measured
}

fn end(daemon: &mut Child) -> anyhow::Result<()> {
    let pid = i32::try_from(daemon.id()).context("a process id")?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    daemon.wait()?;
    Ok(())
}
