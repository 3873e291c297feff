//! Postfix: one private instance per node, each with its own configuration, queue and log.
//!
//! `master` is started directly, in the foreground: no `postfix` script, no set-up of the
//! system's, and the process that we know is the one that we stop.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use super::process::{Daemon, Group, Guard, group_id, user_ids};

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const POSTQUEUE: &str = "/usr/sbin/postqueue";

/// A Postfix instance. Stopping it leaves its queue as it is.
#[derive(Debug)]
pub(super) struct Postfix {
    name: &'static str,
    directory: PathBuf,
    listeners: Vec<SocketAddr>,
    /// What makes the node what it is.
    role: BTreeMap<String, String>,
    /// What a test has changed for a while; wins over `role`.
    treatment: BTreeMap<String, String>,
    daemon: Option<Daemon>,
}

impl Postfix {
    /// Prepares the directories of an instance below `directory`; starts nothing.
    pub(super) fn new(
        name: &'static str,
        directory: PathBuf,
        listeners: Vec<SocketAddr>,
        role: BTreeMap<String, String>,
    ) -> io::Result<Self> {
        let (postfix, _) = user_ids("postfix")?;
        let postdrop = group_id("postdrop")?;
        fs::create_dir_all(directory.join("etc"))?;
        let queue = directory.join("queue");
        for below in [
            "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
            "private", "saved", "trace",
        ] {
            make_directory(&queue.join(below), 0o700, postfix, 0)?;
        }
        make_directory(&queue.join("public"), 0o710, postfix, postdrop)?;
        make_directory(&queue.join("maildrop"), 0o730, postfix, postdrop)?;
        make_directory(&queue.join("pid"), 0o755, 0, 0)?;
        make_directory(&directory.join("data"), 0o700, postfix, 0)?;
        Ok(Self {
            name,
            directory,
            listeners,
            role,
            treatment: BTreeMap::new(),
            daemon: None,
        })
    }

    /// Starts the instance if it does not run. It may not listen yet: [`Self::await_listening`].
    pub(super) fn start(&mut self, guard: &Guard) -> io::Result<()> {
        if self.daemon.is_some() {
            return Ok(());
        }
        let configuration = self.configuration();
        write_settled(&configuration.join("main.cf"), &self.main_cf())?;
        write_settled(
            &configuration.join("master.cf"),
            &master_cf(&self.listeners),
        )?;
        self.daemon = Some(Daemon::start(
            self.name,
            Command::new(MASTER).arg("-c").arg(configuration),
            Group::Own,
            &self.directory.join("master.log"),
            guard,
        )?);
        Ok(())
    }

    pub(super) fn await_listening(&mut self) -> io::Result<()> {
        for listener in &self.listeners {
            if let Some(daemon) = &mut self.daemon {
                daemon.await_listening(*listener, b"QUIT\r\n")?;
            }
        }
        Ok(())
    }

    /// Stops the instance and waits until its processes are gone.
    pub(super) fn stop(&mut self, guard: &Guard) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop(guard);
        }
    }

    /// Ends the instance's processes at once, without regard for its queue.
    pub(super) fn kill(&mut self, guard: &Guard) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill(guard);
        }
    }

    /// Replaces what a test has changed. A running instance is stopped and started again:
    /// after a reload an idle process could still serve one client with the old settings.
    pub(super) fn treat(
        &mut self,
        treatment: BTreeMap<String, String>,
        guard: &Guard,
    ) -> io::Result<()> {
        self.treatment = treatment;
        self.restart(guard)
    }

    /// Stops and starts a running instance.
    pub(super) fn restart(&mut self, guard: &Guard) -> io::Result<()> {
        if self.daemon.is_none() {
            return Ok(());
        }
        self.stop(guard);
        self.start(guard)?;
        self.await_listening()
    }

    /// Has every deferred mail tried again now.
    pub(super) fn flush(&self) -> io::Result<()> {
        let status = Command::new(POSTQUEUE)
            .arg("-c")
            .arg(self.configuration())
            .arg("-f")
            .stdin(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{POSTQUEUE}: {status}"))),
        }
    }

    /// The instance's mail log.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("mail.log")
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("etc")
    }

    fn main_cf(&self) -> String {
        let directory = self.directory.display();
        let mut settings = BTreeMap::from(
            [
                ("compatibility_level", "3.6".to_owned()),
                ("queue_directory", format!("{directory}/queue")),
                ("data_directory", format!("{directory}/data")),
                ("maillog_file", self.log().display().to_string()),
                ("maillog_file_prefixes", directory.to_string()),
                ("syslog_name", self.name.to_owned()),
                ("mail_owner", "postfix".to_owned()),
                ("setgid_group", "postdrop".to_owned()),
                ("myhostname", format!("{}.cluster.test", self.name)),
                ("mydestination", String::new()),
                ("local_recipient_maps", String::new()),
                ("alias_maps", String::new()),
                ("alias_database", String::new()),
                ("recipient_delimiter", "+".to_owned()),
                ("inet_protocols", self.inet_protocols().to_owned()),
                ("biff", "no".to_owned()),
                // The system's resolver is never asked, not even for a client's name.
                ("smtpd_peername_lookup", "no".to_owned()),
                ("smtp_dns_support_level", "disabled".to_owned()),
                ("smtp_host_lookup", "native".to_owned()),
                (
                    "default_transport",
                    "error:5.4.4 no way out of here".to_owned(),
                ),
                // Deferred mail is tried again within seconds: a test cannot wait for minutes.
                ("queue_run_delay", "1s".to_owned()),
                ("minimal_backoff_time", "1s".to_owned()),
                ("maximal_backoff_time", "3s".to_owned()),
                ("transport_retry_time", "1s".to_owned()),
                // Every test comes from one address; the limits per client are not the subject.
                (
                    "smtpd_client_event_limit_exceptions",
                    "127.0.0.0/8 [::1]/128".to_owned(),
                ),
                ("smtpd_client_connection_count_limit", "0".to_owned()),
                (
                    "smtpd_relay_restrictions",
                    "permit_mynetworks, reject_unauth_destination".to_owned(),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        settings.extend(self.role.clone());
        settings.extend(self.treatment.clone());
        settings
            .iter()
            .fold(String::new(), |mut text, (name, value)| {
                let _infallible = writeln!(text, "{name} = {value}");
                text
            })
    }

    fn inet_protocols(&self) -> &'static str {
        match self.listeners.iter().any(SocketAddr::is_ipv6) {
            true => "all",
            false => "ipv4",
        }
    }
}

/// The text of `master.cf`: the listeners, and Postfix's usual services without chroot.
fn master_cf(listeners: &[SocketAddr]) -> String {
    let mut text = String::from("# service type private unpriv chroot wakeup maxproc command\n");
    for listener in listeners {
        let _infallible = writeln!(text, "{listener} inet n - n - - smtpd");
    }
    text.push_str(
        "postlog unix-dgram n - n - 1 postlogd\n\
         pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\n\
         smtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\n\
         lmtp unix - - n - - lmtp\n\
         showq unix n - n - - showq\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         anvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\n",
    );
    text
}

/// Writes a file that looks old. A file younger than a second Postfix takes for half written:
/// every process would wait a second and a half before it believes it.
fn write_settled(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    File::options()
        .append(true)
        .open(path)?
        .set_modified(UNIX_EPOCH + Duration::from_hours(24 * 365 * 40))
}

fn make_directory(path: &Path, mode: u32, user: u32, group: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    chown(path, Some(user), Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
