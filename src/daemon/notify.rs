//! What systemd is told (sd_notify(3)): one datagram for each state, and nothing when nobody listens.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::clock;

/// The socket that a service manager listens on.
#[derive(Debug, Default)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    #[must_use]
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok());
        let is_for_us =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_for_us && *micros > 0);
        Self::new(
            variable("NOTIFY_SOCKET").as_deref(),
            watchdog.map(Duration::from_micros),
        )
    }

    /// To the socket with this path or, after an `@`, abstract name.
    #[must_use]
    pub fn new(socket: Option<&str>, watchdog: Option<Duration>) -> Self {
        let connect = |name: &str| {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(name)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A service manager that does not read must not hold up the scheduler.
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = socket.and_then(|name| match connect(name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "the service manager's socket cannot be used");
                None
            }
        });
        Self { socket, watchdog }
    }

    /// How long the service manager waits for a sign of life.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog)
    }

    /// The daemon does its work.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// The configuration is being read again; [`Self::ready`] ends it. systemd wants the time in the same datagram.
    pub fn reloading(&self) {
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={}",
            clock::monotonic_micros()
        ));
    }

    /// The daemon ends.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", line(status)));
    }

    /// What the daemon does now.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", line(status)));
    }

    /// The scheduler is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // Whoever does not take it gets the next one.
            let _ = socket.send(state.as_bytes());
        }
    }
}

fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (tempfile::TempDir, UnixDatagram, Notify) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let notify = Notify::new(path.to_str(), Some(Duration::from_secs(60)));
        (directory, listener, notify)
    }

    fn next(listener: &UnixDatagram) -> String {
        let mut datagram = [0; 512];
        let length = listener.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_state_is_one_datagram_and_reloading_carries_its_time() {
        let (_directory, listener, notify) = listener();
        notify.ready("2 scenarios\nREADY=0");
        assert_eq!(next(&listener), "READY=1\nSTATUS=2 scenarios READY=0");
        notify.reloading();
        let reloading = next(&listener);
        let time = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        notify.alive();
        notify.stopping("draining");
        assert_eq!(next(&listener), "WATCHDOG=1");
        assert_eq!(next(&listener), "STOPPING=1\nSTATUS=draining");
        assert_eq!(notify.watchdog(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn nobody_listening_is_no_error() {
        let notify = Notify::new(None, Some(Duration::from_secs(1)));
        notify.ready("fine");
        assert_eq!(notify.watchdog(), None);
        Notify::new(Some("/nonexistent/socket"), None).alive();
    }

    #[test]
    fn service_manager_that_does_not_read_holds_nothing_up() {
        let (_directory, listener, notify) = listener();
        for _ in 0..100_000 {
            notify.alive();
        }
        assert_eq!(next(&listener), "WATCHDOG=1");
    }
}
