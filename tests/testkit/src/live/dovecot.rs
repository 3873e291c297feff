//! Dovecot: the mailboxes, reached by LMTP from the store's Postfix and by IMAP from the tests.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::IMAP_NAME;
use super::ca::Issued;
use super::process::{Daemon, Group, Guard, user_ids};

const DOVECOT: &str = "/usr/sbin/dovecot";

/// A mail that Dovecot has put into a mailbox, as its log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When, since the Unix epoch, to the microsecond.
    pub at: Duration,
    /// The mailbox's user, `alice@example.test`.
    pub user: String,
    /// The Message-ID, with its angle brackets.
    pub message_id: String,
    /// `INBOX`, `Junk`, …
    pub folder: String,
}

/// Starts Dovecot. Its LMTP socket is [`lmtp_socket`].
pub(super) fn start(
    directory: &Path,
    imap: SocketAddr,
    imaps: SocketAddr,
    certificate: &Issued,
    users: &[&str],
    password: &str,
    guard: &Guard,
) -> io::Result<Daemon> {
    let mail = mail_directory(directory);
    fs::create_dir_all(&mail)?;
    let (uid, gid) = user_ids("mail")?;
    chown(&mail, Some(uid), Some(gid))?;
    let passwords: String = users
        .iter()
        .map(|user| format!("{user}:{{PLAIN}}{password}\n"))
        .collect();
    fs::write(directory.join("users"), passwords)?;
    let configuration = directory.join("dovecot.conf");
    fs::write(
        &configuration,
        dovecot_conf(directory, imap, imaps, certificate),
    )?;
    Daemon::start(
        "dovecot",
        Command::new(DOVECOT)
            .args(["-F", "-c"])
            .arg(configuration)
            .env("TZ", "UTC"),
        Group::Given,
        &directory.join("master.log"),
        guard,
    )
}

/// The socket on which Dovecot takes mail.
pub(super) fn lmtp_socket(directory: &Path) -> PathBuf {
    directory.join("run/lmtp")
}

/// Dovecot's log, with the time of each line in seconds and microseconds since the epoch.
pub(super) fn log(directory: &Path) -> PathBuf {
    directory.join("dovecot.log")
}

/// A user's Maildir.
pub(super) fn maildir(directory: &Path, user: &str) -> PathBuf {
    mail_directory(directory).join(user).join("Maildir")
}

fn mail_directory(directory: &Path) -> PathBuf {
    directory.join("mail")
}

fn dovecot_conf(
    directory: &Path,
    imap: SocketAddr,
    imaps: SocketAddr,
    certificate: &Issued,
) -> String {
    let mail = mail_directory(directory);
    let mail = mail.display();
    let directory = directory.display();
    let (ip, imap, imaps) = (imap.ip(), imap.port(), imaps.port());
    let (certificate, key) = (certificate.certificate.display(), certificate.key.display());
    format!(
        r#"protocols = imap lmtp
listen = {ip}
hostname = {IMAP_NAME}
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
# Microseconds: the true time of an arrival is read from here.
log_timestamp = "%s.%{{usecs}} "
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_failure_delay = 1 secs
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = username_format=%u {directory}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={mail}/%u allow_all_users=no
}}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_plugins = notify mail_log
recipient_delimiter = +
lmtp_save_to_detail_mailbox = yes
plugin {{
  mail_log_events = delete undelete expunge save copy mailbox_create mailbox_delete
  mail_log_fields = uid box msgid size
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \Drafts
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \Junk
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \Trash
    auto = subscribe
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"#
    )
}

/// The deliveries in a log of Dovecot's, oldest first.
pub(super) fn deliveries(log: &str) -> Vec<Delivery> {
    log.lines().filter_map(delivery).collect()
}

/// `1795251600.123456 lmtp(alice@example.test)<12><id>: Info: msgid=<x@y>: saved mail to INBOX`
fn delivery(line: &str) -> Option<Delivery> {
    let (time, rest) = line.split_once(" lmtp(")?;
    let (user, rest) = rest.split_once(')')?;
    let (_, rest) = rest.split_once(" msgid=")?;
    let (message_id, folder) = rest.split_once(": saved mail to ")?;
    let (seconds, microseconds) = time.split_once('.')?;
    Some(Delivery {
        at: Duration::from_secs(seconds.parse().ok()?)
            + Duration::from_micros(microseconds.parse().ok()?),
        user: user.to_owned(),
        message_id: message_id.to_owned(),
        folder: folder.to_owned(),
    })
}
