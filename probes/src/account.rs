//! Whom the probes send as and where they look: senders, mailboxes, and the secrets of both.

use std::path::PathBuf;

use postrider_wire::address::{EhloName, Mailbox};

use crate::outcome::Failure;
use crate::reason::Reason;
use crate::setting::Secret;

/// A foreign sender.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Its name in the configuration.
    pub name: String,
    /// Envelope sender and `From`.
    pub address: Mailbox,
    /// What EHLO says.
    pub helo: EhloName,
    /// Whom to ask about the test mail: an address or a URL, written into each body. The sender's address by default.
    pub contact: String,
    /// Signs the mail when there is one.
    pub dkim: Option<DkimKey>,
}

/// A DKIM key (RFC 6376).
#[derive(Debug, Clone)]
pub struct DkimKey {
    /// `s=`
    pub selector: String,
    /// `d=`; the sender's domain by default.
    pub domain: String,
    /// The private key in PEM (RSA in PKCS#1 or PKCS#8, or Ed25519 in PKCS#8).
    pub key: SecretSource,
}

/// A mailbox that test mail is sent to and looked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxAccount {
    /// Its name in the configuration.
    pub name: String,
    /// Its address.
    pub address: Mailbox,
    /// Where it is read.
    pub imap: Option<ImapEndpoint>,
    /// The login name; the address by default. It need not hold an `@`.
    pub username: String,
    /// The password.
    pub password: Option<SecretSource>,
}

/// Where IMAP is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapEndpoint {
    /// Host name or address literal.
    pub server: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// What is trusted.
    pub trust: Trust,
}

/// How a client connection is protected (RFC 8314).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Implicit,
    /// STARTTLS, required.
    Starttls,
    /// None: only for a laboratory; a password goes in the clear, so it must be asked for by name.
    None,
}

/// What a TLS peer must prove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM file of authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the certificate: when given, it alone decides.
    pub pin: Option<[u8; 32]>,
    /// Accept anything, and say so in every result.
    pub insecure: bool,
}

/// A SHA-256 fingerprint: 64 hexadecimal digits, colons between them allowed.
#[must_use]
pub fn parse_pin(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|digit| *digit != ':')
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 64)
        .then(|| bytes.try_into().ok())
        .flatten()
}

/// Where a secret is. The text itself never stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A file; one trailing line end is dropped. Read at each use.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// No secret is larger than this.
const SECRET_LIMIT: u64 = 64 * 1024;

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// `secret-missing` or `secret-unreadable`, naming the file and the fix, never the content.
    pub fn read(&self) -> Result<Secret, Failure> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| {
                Failure::new(
                    Reason::SecretMissing,
                    format!("the environment variable {name} is not set"),
                )
            })?,
            Self::File(path) => read_file(path)?,
        };
        if text.is_empty() {
            return Err(Failure::new(
                Reason::SecretMissing,
                format!("{self} is empty"),
            ));
        }
        Ok(Secret::new(text))
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<String, Failure> {
    use std::io::Read as _;

    let unreadable = |error: &std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Failure::new(
                Reason::SecretMissing,
                format!("{} does not exist", path.display()),
            );
        }
        Failure::new(
            Reason::SecretUnreadable,
            format!("{}{}", path.display(), denied(path, error)),
        )
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    file.take(SECRET_LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(&error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Names owner, mode and our own user, because "permission denied" alone sends people searching.
fn denied(path: &std::path::Path, error: &std::io::Error) -> String {
    use std::os::unix::fs::MetadataExt as _;

    match (error.kind(), std::fs::metadata(path)) {
        (std::io::ErrorKind::PermissionDenied, Ok(file)) => format!(
            " is owned by {} with mode {:04o}, postrider runs as {}; make it readable for that user",
            file.uid(),
            file.mode() & 0o7777,
            rustix::process::geteuid().as_raw(),
        ),
        _ => format!(": {error}"),
    }
}
