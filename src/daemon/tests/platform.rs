//! The platform of the virtual day: one MX host that takes every mail, and a mailbox that gets it, each as the hour
//! says. Everything is in memory, so that no time passes but the virtual.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::dialogue::stream::BoxStream;
use postrider_probes::net::{Answer, AskError, BoxFuture, Net, Question};
use postrider_testkit::net::FakeNet;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::time::sleep;

use crate::clock::Clock;
use crate::mailbox::tests::server::{OnlyThis, Server};

/// From the final dot to the mailbox, on a good hour.
const TRANSIT: Duration = Duration::from_secs(3);
/// The same while the queue stands.
const HELD: Duration = Duration::from_secs(3600);
const SMTP: u16 = 25;

/// The platform and the way to it.
#[derive(Debug)]
pub(super) struct Platform {
    names: FakeNet,
    mailbox: OnlyThis,
    midnight: Timestamp,
    clock: Clock,
    /// Mails that were accepted and lie somewhere.
    vanished: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    pub(super) fn new(midnight: Timestamp, clock: Clock) -> Self {
        Self {
            names: FakeNet::new()
                .records("example.net", "MX", &["10 mx1.example.net"])
                .records("mx1.example.net", "A", &["192.0.2.1"]),
            mailbox: OnlyThis(Server::new()),
            midnight,
            clock,
            vanished: Arc::default(),
        }
    }

    /// Messages in the INBOX.
    pub(super) fn messages(&self) -> usize {
        self.mailbox.0.uids("INBOX").len()
    }

    /// What had vanished turns up; gives how many.
    pub(super) fn find(&self) -> usize {
        let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        for header in vanished.iter() {
            self.mailbox.0.deliver("INBOX", header);
        }
        std::mem::take(&mut *vanished).len()
    }

    fn minute(&self) -> i64 {
        (self.clock.now().as_second() - self.midnight.as_second()) / 60
    }

    fn taken(&self, header: String) {
        let transit = match self.minute() {
            360..420 => HELD,
            600..630 => {
                let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
                vanished.push(header);
                return;
            }
            _ => TRANSIT,
        };
        let mailbox = Arc::clone(&self.mailbox.0);
        tokio::spawn(async move {
            sleep(transit).await;
            mailbox.deliver("INBOX", &header);
        });
    }
}

/// The network in which there is nothing but the platform.
#[derive(Debug)]
pub(super) struct Way(pub(super) Arc<Platform>);

impl Net for Way {
    fn connect(
        &self,
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> BoxFuture<'_, io::Result<BoxStream>> {
        if to.port() != SMTP {
            return self.0.mailbox.connect(to, source);
        }
        Box::pin(async {
            if (1080..1100).contains(&self.0.minute()) {
                return Err(ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let platform = Arc::clone(&self.0);
            tokio::spawn(async move { converse(&platform, theirs).await });
            Ok(Box::new(ours) as BoxStream)
        })
    }

    fn ask(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Answer, AskError>> {
        self.0.names.ask(server, question)
    }
}

/// An SMTP server that takes everything.
async fn converse(platform: &Platform, stream: DuplexStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mx1.example.net ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-mx1.example.net\r\n250 8BITMIME\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let header = content(&mut stream).await?;
                platform.taken(header);
                "250 2.0.0 taken\r\n"
            }
            "QUIT" => "221 2.0.0 bye\r\n",
            _ => "250 2.1.0 ok\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
        if verb == "QUIT" {
            return Ok(());
        }
    }
}

/// Reads a mail to its final dot; gives its header without the empty line.
async fn content(stream: &mut BufReader<DuplexStream>) -> io::Result<String> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            let header = mail.split("\r\n\r\n").next().unwrap_or_default();
            return Ok(header.to_owned());
        }
        mail.push_str(&line);
    }
}
