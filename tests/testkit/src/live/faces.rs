//! One Dovecot with many faces: on each of its addresses it shows another certificate, or none, or speaks what is too old.
//! IMAP, POP3 and ManageSieve with STARTTLS, and IMAP with TLS from the first byte. Nobody can log in.

use std::fs::{self, Permissions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::ca::{Authority, Certificate, Issued};
use super::process::{Daemon, Group, Guard, free_port, tail};

const DOVECOT: &str = "/usr/sbin/dovecot";
/// The name that the good certificates are for.
pub const FACE_NAME: &str = "imap.faces.test";

/// What one address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// A good certificate.
    Good,
    /// The same, with an old version and old ciphers beside the new ones.
    Old,
    /// For another name.
    WrongName,
    /// Expired in 2021.
    Expired,
    /// Signed by its own key.
    SelfSigned,
    /// An RSA key of 1024 bits.
    ShortKey,
    /// Good for five days more.
    EndsSoon,
    /// Issued by an intermediate authority whose certificate is sent.
    Chain,
    /// The same, and it is not sent.
    BrokenChain,
    /// No TLS at all.
    Plain,
}

impl Face {
    /// Every face.
    pub const ALL: [Self; 10] = [
        Self::Good,
        Self::Old,
        Self::WrongName,
        Self::Expired,
        Self::SelfSigned,
        Self::ShortKey,
        Self::EndsSoon,
        Self::Chain,
        Self::BrokenChain,
        Self::Plain,
    ];

    /// Where it is shown.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 24, 1 + self as u8)
    }
}

/// The running server; dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Faces {
    ports: [u16; 4],
    authority: Authority,
    dovecot: Option<Daemon>,
    guard: Guard,
    // Last: the directory goes after the processes.
    directory: TempDir,
}

impl Faces {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Dovecot or openssl is not installed, or it does not start; the message holds the end of its log.
    pub fn start() -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("postrider-live-")
            .tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let guard = Guard::start(directory.path())?;
        let authority = Authority::new(directory.path())?;
        let addresses = Face::ALL.map(|face| face.address().into());
        let mut ports = [0; 4];
        for index in 0..ports.len() {
            ports[index] = free_port(&addresses, &ports[..index])?;
        }
        let mut faces = Self {
            ports,
            authority,
            dovecot: None,
            guard,
            directory,
        };
        faces.run().map_err(|error| {
            let log = tail(&faces.directory.path().join("dovecot.log"), 30);
            io::Error::other(format!("{error}\n{log}"))
        })?;
        Ok(faces)
    }

    fn run(&mut self) -> io::Result<()> {
        let directory = self.directory.path();
        let mut configuration = self.configuration();
        for face in Face::ALL {
            configuration.push_str(&self.local(face)?);
        }
        fs::write(directory.join("dovecot.conf"), configuration)?;
        let mut dovecot = Daemon::start(
            "dovecot",
            Command::new(DOVECOT)
                .args(["-F", "-c"])
                .arg(directory.join("dovecot.conf"))
                .env("TZ", "UTC"),
            Group::Given,
            &directory.join("master.log"),
            &self.guard,
        )?;
        // It opens all its ports at the same moment.
        let good = (Face::Good.address(), self.imap()).into();
        let listening = dovecot.await_listening(good, b"1 LOGOUT\r\n");
        self.dovecot = Some(dovecot);
        listening
    }

    /// IMAP with STARTTLS.
    #[must_use]
    pub fn imap(&self) -> u16 {
        self.ports[0]
    }

    /// IMAP with TLS from the first byte.
    #[must_use]
    pub fn imaps(&self) -> u16 {
        self.ports[1]
    }

    /// POP3 with STLS.
    #[must_use]
    pub fn pop3(&self) -> u16 {
        self.ports[2]
    }

    /// ManageSieve with STARTTLS.
    #[must_use]
    pub fn sieve(&self) -> u16 {
        self.ports[3]
    }

    /// The certificate of the authority, as a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.authority.certificate()
    }

    /// What Dovecot has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("dovecot.log")).unwrap_or_default()
    }

    fn configuration(&self) -> String {
        let directory = self.directory.path().display();
        let listen = Face::ALL.map(|face| face.address().to_string()).join(", ");
        let [imap, imaps, pop3, sieve] = self.ports;
        format!(
            r"protocols = imap pop3 sieve
listen = {listen}
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
ssl = yes
ssl_min_protocol = TLSv1.2
passdb {{
  driver = static
  args = nologin=yes nopassword=yes
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={directory}/nobody
}}
mail_location = maildir:~/Maildir
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
"
        )
    }

    /// What is special on an address.
    fn local(&self, face: Face) -> io::Result<String> {
        let directory = self.directory.path();
        let stem = format!("{face:?}").to_lowercase();
        let (kind, special) = match face {
            Face::Good | Face::ShortKey => (Certificate::Valid, ""),
            Face::Old => (
                Certificate::Valid,
                "  ssl_min_protocol = TLSv1\n  ssl_cipher_list = ALL:@SECLEVEL=0\n",
            ),
            Face::WrongName => (Certificate::WrongName, ""),
            Face::Expired => (Certificate::Expired, ""),
            Face::SelfSigned => (Certificate::SelfSigned, ""),
            Face::EndsSoon => (Certificate::EndsInDays(5), ""),
            Face::Chain | Face::BrokenChain => (Certificate::ByIntermediate, ""),
            Face::Plain => (Certificate::Valid, "  ssl = no\n"),
        };
        let issued = match face {
            Face::ShortKey => short_key(directory, &stem)?,
            _ => self
                .authority
                .issue(kind, &[FACE_NAME, "pop.faces.test"], directory, &stem)?,
        };
        if face == Face::Chain {
            let own = fs::read_to_string(&issued.certificate)?;
            let intermediate = fs::read_to_string(self.authority.intermediate())?;
            fs::write(&issued.certificate, own + &intermediate)?;
        }
        let special = match face {
            Face::ShortKey => "  ssl_cipher_list = ALL:@SECLEVEL=0\n",
            _ => special,
        };
        Ok(format!(
            "local {} {{\n  ssl_cert = <{}\n  ssl_key = <{}\n{special}}}\n",
            face.address(),
            issued.certificate.display(),
            issued.key.display(),
        ))
    }
}

/// A key that no library of ours would make.
fn short_key(directory: &Path, stem: &str) -> io::Result<Issued> {
    let issued = Issued {
        certificate: directory.join(format!("{stem}.pem")),
        key: directory.join(format!("{stem}.key")),
    };
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha256"])
        .args(["-days", "3650", "-subj", &format!("/CN={FACE_NAME}")])
        .args(["-addext", &format!("subjectAltName=DNS:{FACE_NAME}")])
        .arg("-keyout")
        .arg(&issued.key)
        .arg("-out")
        .arg(&issued.certificate)
        .stdin(Stdio::null())
        .output()?;
    match made.status.success() {
        true => Ok(issued),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&made.stderr).into_owned(),
        )),
    }
}

impl Drop for Faces {
    fn drop(&mut self) {
        if let Some(dovecot) = self.dovecot.take() {
            dovecot.kill(&self.guard);
        }
        self.guard.dismiss();
    }
}
