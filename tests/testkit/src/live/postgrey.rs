//! postgrey: a greylisting policy server, asked by a filter.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use super::process::{Daemon, Group, Guard, user_ids};

const POSTGREY: &str = "/usr/sbin/postgrey";

/// Starts it with an empty memory; who comes again after `seconds` is let through.
pub(super) fn start(
    directory: &Path,
    address: SocketAddr,
    seconds: u32,
    guard: &Guard,
) -> io::Result<Daemon> {
    let memory = directory.join("db");
    fs::create_dir_all(&memory)?;
    let (user, group) = user_ids("postgrey")?;
    chown(&memory, Some(user), Some(group))?;
    let mut daemon = Daemon::start(
        "postgrey",
        Command::new(POSTGREY)
            .arg(format!("--inet={address}"))
            .arg(format!("--dbdir={}", memory.display()))
            .arg(format!("--delay={seconds}"))
            // Otherwise the fifth mail is not greylisted any more.
            .arg("--auto-whitelist-clients=0"),
        Group::Own,
        &directory.join("postgrey.log"),
        guard,
    )?;
    // It says so after it has begun to listen; asked on its port, it would wait for a whole request.
    daemon.await_output("Setting uid")?;
    Ok(daemon)
}
