//! The platform from outside: raw sockets against what RFC 5321 and RFC 3501 promise.

mod delivery;
mod imap;
mod imap_faults;
mod names;
mod smtp_faults;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::misbehaviour::{Faults, Misbehaviour};
use super::topology::FILTER1_PRIMARY;
use super::{Platform, Setup};

/// Longer than anything here takes, shorter than the patience of whoever waits for the result.
const DEADLINE: Duration = Duration::from_secs(10);

#[expect(
    clippy::disallowed_methods,
    reason = "certificates must be valid at the time of the test"
)]
fn setup() -> Setup {
    Setup::new(jiff::Timestamp::now())
}

async fn platform() -> Platform {
    Platform::start(setup()).await.unwrap()
}

/// A platform on which filter1's primary address does this.
async fn platform_with(misbehaviour: Misbehaviour) -> Platform {
    let mut faults = Faults::default();
    faults.smtp.insert(FILTER1_PRIMARY, misbehaviour);
    Platform::start(setup().with_faults(faults)).await.unwrap()
}

/// A line-by-line client. Every wait has a deadline.
struct Client<S> {
    stream: BufReader<S>,
}

impl Client<TcpStream> {
    async fn connect(ip: IpAddr, port: u16) -> Self {
        let stream = TcpStream::connect((ip, port)).await.unwrap();
        let stream = BufReader::new(stream);
        Self { stream }
    }

    async fn smtp(platform: &Platform, ip: IpAddr) -> Self {
        Self::connect(ip, platform.smtp_port()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// One line without its CRLF; `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        let read = tokio::time::timeout(DEADLINE, read).await.unwrap();
        if read.unwrap_or(0) == 0 {
            return None;
        }
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// A whole SMTP reply, lines joined by `|`.
    async fn reply(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        while let Some(line) = self.line().await {
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                break;
            }
        }
        lines.join("|")
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a command and gives its reply.
    async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.reply().await
    }

    /// Up to the envelope and the content; the reply to the dot, empty if there was none.
    async fn deliver(&mut self, content: &str) -> String {
        self.ask("MAIL FROM:<probe@outside.test>").await;
        self.ask("RCPT TO:<alice@example.test>").await;
        let go_ahead = self.ask("DATA").await;
        assert!(go_ahead.starts_with("354"), "{go_ahead}");
        self.ask(&format!("{content}\r\n.")).await
    }

    /// Whether the connection stays open and silent for this long.
    async fn is_silent_for(&mut self, pause: Duration) -> bool {
        let mut byte = [0; 1];
        let read = self.stream.read(&mut byte);
        tokio::time::timeout(pause, read).await.is_err()
    }
}

/// An IMAP client that has read the greeting.
async fn imap(platform: &Platform) -> Client<TcpStream> {
    let addr = platform.imap_addr();
    let mut client = Client::connect(addr.ip(), addr.port()).await;
    let greeting = client.line().await.unwrap();
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4REV1 "),
        "{greeting}"
    );
    client
}

/// An IMAP client with the INBOX selected.
async fn inbox(platform: &Platform) -> Client<TcpStream> {
    let mut client = imap(platform).await;
    let (username, password) = (platform.username(), platform.password());
    let login = client
        .command(&format!("LOGIN {username} {password}"))
        .await;
    assert!(login.ends_with("Logged in"), "{login}");
    client.command("SELECT INBOX").await;
    client
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends an IMAP command; all lines up to the tagged one, joined by `|`.
    async fn command(&mut self, command: &str) -> String {
        self.send(&format!("a {command}\r\n")).await;
        self.tagged().await
    }

    /// All lines up to the tagged one, or to the end of the connection.
    async fn tagged(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        while let Some(line) = self.line().await {
            let last = line.starts_with("a ");
            lines.push(line);
            if last {
                break;
            }
        }
        lines.join("|")
    }
}

/// Looks again and again until `look` finds something.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    found.await.expect("the condition came true in time")
}
