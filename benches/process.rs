//! What a process takes of the machine.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;

/// Memory that it has in RAM now, in MiB.
pub(crate) fn resident(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no VmRSS in /proc")?
        .parse()?;
    Ok(kibibytes / 1024.0)
}

/// User and system time of this process, all its threads together.
pub(crate) fn cpu_of_this() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// This thread, and those that it starts from now on, run on one core only.
pub(crate) fn stay_on_one_core() -> anyhow::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let core = (0..CpuSet::count())
        .find(|core| allowed.is_set(*core).unwrap_or(false))
        .context("no core is allowed")?;
    let mut one = CpuSet::new();
    one.set(core)?;
    Ok(sched_setaffinity(this, &one)?)
}
