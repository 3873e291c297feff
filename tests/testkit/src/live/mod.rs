//! A mail platform of real servers on loopback: BIND, three Postfix instances and Dovecot.
//!
//! ```text
//!  example.test  MX 10 mx1 ── 127.0.21.1 ─┐ filter1 ─┐
//!                          └─ 127.0.22.1 ─┼ filter2 ─┤
//!                MX 20 mx2 ── 127.0.21.2 ─┘ (1)      ├─ store ── LMTP ── Dovecot ── IMAP
//!                          └─ 127.0.22.2 ── (2) ─────┘  127.0.23.1
//! ```
//!
//! Everything lives below one temporary directory and on ports that were free; the system's own
//! servers and their files are not touched. Needs root and the packages that `tests/run` installs.
//! What the zones hold is in `bind.rs`.

mod bind;
mod ca;
mod dovecot;
mod faces;
mod mailbox;
mod names;
mod node;
mod postfix;
mod postgrey;
mod process;
mod prometheus;
mod smtp;
#[cfg(test)]
mod tests;
mod tlsa;
mod treatment;

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use ca::Certificate;
pub use dovecot::Delivery;
pub use faces::{FACE_NAME, Face, Faces};
pub use mailbox::StoredMail;
pub use names::{Liar, Lie, NAME_SERVERS, Names, Signing, Zone};
pub use node::Node;
pub use process::wait_until;
pub use prometheus::{Prometheus, promtool_check_metrics};
pub use smtp::send_plain;
pub use tlsa::tlsa_record;
pub use treatment::Stage;

use ca::{Authority, DkimKey};
use node::{make_nodes, smtp_addresses};
use postfix::Postfix;
use process::{Daemon, Guard, free_port, tail};

/// The domain whose mail the platform takes.
pub const DOMAIN: &str = "example.test";
/// The addresses of `mx1`: filter1's and filter2's.
pub const PRIMARY: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 21, 1), Ipv4Addr::new(127, 0, 22, 1)];
/// The addresses of `mx2`: filter1's and filter2's.
pub const FALLBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 21, 2), Ipv4Addr::new(127, 0, 22, 2)];
/// The address of the mail store, for SMTP and IMAP.
pub const STORE: Ipv4Addr = Ipv4Addr::new(127, 0, 23, 1);
/// Where BIND listens.
const RESOLVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The name for which the IMAP certificate is made.
pub const IMAP_NAME: &str = "imap.example.test";
/// The mailbox that tests use.
pub const ALICE: &str = "alice@example.test";
/// A second mailbox.
pub const BOB: &str = "bob@example.test";
/// The sender of the tests, with a mailbox of its own: bounces go there.
pub const SENDER: &str = "probe@outside.test";
/// The selector of the sender domain's DKIM key.
pub const DKIM_SELECTOR: &str = "lab";
/// The password of every mailbox.
pub const PASSWORD: &str = "correct horse";

/// What a platform may have or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `mx1` also has the address ::1, on filter1.
    pub ipv6: bool,
}

/// A running platform; dropping it stops all its processes and removes its files.
#[derive(Debug)]
pub struct Platform {
    options: Options,
    smtp_port: u16,
    dns: SocketAddr,
    store: SocketAddr,
    imap: SocketAddr,
    imaps: SocketAddr,
    authority: Authority,
    dkim_key: PathBuf,
    nodes: [Postfix; 3],
    dovecot: Option<Daemon>,
    bind: Option<Daemon>,
    postgrey: Option<Daemon>,
    guard: Guard,
    // Last: the directory goes after the processes.
    directory: TempDir,
}

impl Platform {
    /// Starts a platform on IPv4 and waits until every server listens.
    ///
    /// # Errors
    /// A server that is not installed, does not start, or does not listen within its deadline;
    /// the message holds the end of its log.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Options::default())
    }

    /// Starts a platform with the given options; otherwise as [`Self::start`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(options: Options) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other(
                "real mail servers need root: use tests/run",
            ));
        }
        let directory = tempfile::Builder::new()
            .prefix("postrider-live-")
            .tempdir()?;
        // The servers' own users must pass.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        fs::write(directory.path().join("password"), PASSWORD)?;
        let guard = Guard::start(directory.path())?;
        let authority = Authority::new(directory.path())?;
        let dkim = DkimKey::new(directory.path())?;

        let store_port = free_port(&[STORE.into()], &[])?;
        let imap_port = free_port(&[STORE.into()], &[store_port])?;
        let imaps_port = free_port(&[STORE.into()], &[store_port, imap_port])?;
        let smtp_port = free_port(&smtp_addresses(options), &[store_port])?;
        let mut platform = Self {
            options,
            smtp_port,
            dns: (RESOLVER, free_port(&[RESOLVER.into()], &[])?).into(),
            store: (STORE, store_port).into(),
            imap: (STORE, imap_port).into(),
            imaps: (STORE, imaps_port).into(),
            nodes: make_nodes(
                directory.path(),
                options,
                smtp_port,
                (STORE, store_port).into(),
            )?,
            authority,
            dkim_key: dkim.private,
            dovecot: None,
            bind: None,
            postgrey: None,
            guard,
            directory,
        };
        match platform.start_servers(&dkim.record) {
            Ok(()) => Ok(platform),
            Err(error) => Err(io::Error::other(format!(
                "{error}\n{}",
                platform.log_ends()
            ))),
        }
    }

    fn start_servers(&mut self, dkim_record: &str) -> io::Result<()> {
        for node in [Node::Filter1, Node::Filter2] {
            self.issue_certificate(node, Certificate::Valid)?;
        }
        // All at once, then wait for each.
        self.start_dovecot()?;
        let bind = self.bind.insert(bind::start(
            &self.directory.path().join("bind"),
            self.dns,
            &bind::zones(self.options.ipv6, dkim_record),
            &self.guard,
        )?);
        for node in &mut self.nodes {
            node.start(&self.guard)?;
        }
        bind.await_output(bind::READY)?;
        self.await_dovecot()?;
        self.nodes.iter_mut().try_for_each(Postfix::await_listening)
    }

    fn start_dovecot(&mut self) -> io::Result<()> {
        let directory = self.dovecot_directory();
        fs::create_dir_all(&directory)?;
        let certificate =
            self.authority
                .issue(Certificate::Valid, &[IMAP_NAME], &directory, "imap")?;
        self.dovecot = Some(dovecot::start(
            &directory,
            self.imap,
            self.imaps,
            &certificate,
            &[ALICE, BOB, SENDER],
            PASSWORD,
            &self.guard,
        )?);
        Ok(())
    }

    fn await_dovecot(&mut self) -> io::Result<()> {
        match &mut self.dovecot {
            // It opens both its ports at the same moment.
            Some(dovecot) => dovecot.await_listening(self.imap, b"1 LOGOUT\r\n"),
            None => Ok(()),
        }
    }

    /// The name server, for UDP and TCP.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The SMTP port of every MX address.
    #[must_use]
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// Every address of every MX, primary before fallback, IPv6 last.
    #[must_use]
    pub fn mx_addresses(&self) -> Vec<SocketAddr> {
        smtp_addresses(self.options)
            .into_iter()
            .map(|address| (address, self.smtp_port).into())
            .collect()
    }

    /// IMAP with STARTTLS; a password is taken in clear as well.
    #[must_use]
    pub fn imap(&self) -> SocketAddr {
        self.imap
    }

    /// IMAP with implicit TLS.
    #[must_use]
    pub fn imaps(&self) -> SocketAddr {
        self.imaps
    }

    /// The certificate of the authority that has signed every server's, as a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.authority.certificate()
    }

    /// The certificate that a filter presents, as a PEM file.
    #[must_use]
    pub fn certificate_file(&self, node: Node) -> PathBuf {
        let home = self.directory.path().join(node.name());
        home.join("etc").join("tls.pem")
    }

    /// The file with [`PASSWORD`] in it.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.directory.path().join("password")
    }

    /// The private DKIM key of the sender domain: Ed25519, PKCS #8 PEM.
    #[must_use]
    pub fn dkim_key_file(&self) -> &Path {
        &self.dkim_key
    }

    /// The platform's directory; a test may put files of its own there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A node's mail log.
    #[must_use]
    pub fn smtp_log(&self, node: Node) -> String {
        fs::read_to_string(self.nodes[node as usize].log()).unwrap_or_default()
    }

    /// Dovecot's log: log-ins, deliveries, and what was done to each mail.
    #[must_use]
    pub fn imap_log(&self) -> String {
        fs::read_to_string(dovecot::log(&self.dovecot_directory())).unwrap_or_default()
    }

    fn dovecot_directory(&self) -> PathBuf {
        self.directory.path().join("dovecot")
    }

    /// Ends of all logs, for the message of a test that fails.
    fn log_ends(&self) -> String {
        let mut logs: Vec<PathBuf> = self.nodes.iter().map(Postfix::log).collect();
        logs.push(dovecot::log(&self.dovecot_directory()));
        logs.iter()
            .map(|log| format!("--- {}\n{}\n", log.display(), tail(log, 30)))
            .collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "a failing test shows what the servers saw"
            )]
            {
                eprintln!("{}", self.log_ends());
            }
        }
        for node in &mut self.nodes {
            node.kill(&self.guard);
        }
        for daemon in [self.bind.take(), self.dovecot.take(), self.postgrey.take()]
            .into_iter()
            .flatten()
        {
            daemon.kill(&self.guard);
        }
        self.guard.dismiss();
    }
}
