//! One question to one server: UDP first, TCP when the answer was cut (RFC 1035 §4.2, RFC 7766).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::net::answer::{Asked, Received, Reply};
use crate::net::connect::connect;
use crate::net::failure::{server_words, system_words};
use crate::net::{Answer, AskError, Question};

/// Larger than any datagram that an honest server sends to [`super::answer::PAYLOAD`].
const DATAGRAM: usize = 4096;
/// After so many datagrams that are not for us, somebody is playing.
const MOST_STRAYS: u32 = 1000;

/// Asks `server`, in all for at most `within`.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    within: Duration,
    source: Option<IpAddr>,
) -> Result<Answer, AskError> {
    let began = Instant::now();
    let asked = Asked::new(question).map_err(AskError::BadQuestion)?;
    let message = message(server, asked, within, source).await?;
    let reply = Reply::of(&message);
    Ok(Answer {
        rcode: reply.rcode,
        records: reply.records,
        authoritative: reply.authoritative,
        server,
        took: began.elapsed(),
    })
}

/// The same, and the whole message that came.
pub(super) async fn message(
    server: SocketAddr,
    asked: Asked,
    within: Duration,
    source: Option<IpAddr>,
) -> Result<Message, AskError> {
    let began = Instant::now();
    let attempt = Attempt {
        asked,
        server,
        source,
        began,
        deadline: began + within,
    };
    match attempt.over_udp().await? {
        Some(message) => Ok(message),
        None => attempt.over_tcp().await,
    }
}

/// One datagram there and one back.
pub(super) async fn datagram(
    to: SocketAddr,
    source: Option<IpAddr>,
    bytes: &[u8],
    within: Duration,
) -> io::Result<Vec<u8>> {
    let exchange = async {
        let socket = socket_towards(to, source).await?;
        socket.send(bytes).await?;
        let mut buffer = vec![0; DATAGRAM];
        // The socket is connected: nobody else is heard.
        let length = socket.recv(&mut buffer).await?;
        buffer.truncate(length);
        Ok(buffer)
    };
    tokio::time::timeout(within, exchange)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn socket_towards(to: SocketAddr, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = source
        .filter(|source| source.is_ipv4() == to.is_ipv4())
        .unwrap_or(any);
    let socket = UdpSocket::bind(SocketAddr::new(source, 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

struct Attempt {
    asked: Asked,
    server: SocketAddr,
    source: Option<IpAddr>,
    began: Instant,
    deadline: Instant,
}

impl Attempt {
    /// `None` when the answer does not fit into a datagram.
    async fn over_udp(&self) -> Result<Option<Message>, AskError> {
        let query = self.asked.message().map_err(AskError::BadQuestion)?;
        let socket = socket_towards(self.server, self.source)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let mut buffer = vec![0; DATAGRAM];
        let mut strays = 0;
        // One datagram may get lost, so the question is sent once more at half time; an answer to either counts.
        let half = self.began + (self.deadline - self.began) / 2;
        for until in [half, self.deadline] {
            timeout_at(self.deadline, socket.send(&query))
                .await
                .map_err(|_| self.timed_out())?
                .map_err(|error| self.unreachable(&error))?;
            while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
                // The socket is connected, so a closed port is known at once.
                let length = received.map_err(|error| self.unreachable(&error))?;
                if length >= DATAGRAM {
                    return Ok(None);
                }
                match self.asked.read(buffer.get(..length).unwrap_or_default()) {
                    Received::Answer(message) => return Ok(Some(message)),
                    Received::Truncated => return Ok(None),
                    Received::Broken(problem) => return Err(self.malformed(problem)),
                    Received::Stray if strays < MOST_STRAYS => strays += 1,
                    Received::Stray => return Err(self.only_strays(strays)),
                }
            }
        }
        Err(if strays > 0 {
            self.only_strays(strays)
        } else {
            self.timed_out()
        })
    }

    async fn over_tcp(&self) -> Result<Message, AskError> {
        let query = self.asked.message().map_err(AskError::BadQuestion)?;
        let exchange = async {
            let mut stream = connect(self.server, self.source).await?;
            // Length and message leave in one segment, as RFC 7766 §8 asks.
            let length = u16::try_from(query.len()).map_err(io::Error::other)?;
            let mut framed = length.to_be_bytes().to_vec();
            framed.extend_from_slice(&query);
            stream.write_all(&framed).await?;
            stream.flush().await?;
            let length = stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await?;
            Ok(message)
        };
        let message = timeout_at(self.deadline, exchange)
            .await
            .map_err(|_| self.timed_out())?
            .map_err(|error: io::Error| AskError::Unreachable {
                server: server_words(self.server),
                problem: format!(
                    "the answer needs TCP, and there: {}",
                    match error.kind() {
                        io::ErrorKind::UnexpectedEof => "the connection ended early".to_owned(),
                        _ => system_words(&error),
                    }
                ),
            })?;
        match self.asked.read(&message) {
            Received::Answer(message) => Ok(message),
            Received::Truncated => Err(self.malformed("cut even over TCP".to_owned())),
            Received::Stray => Err(self.malformed("it belongs to another question".to_owned())),
            Received::Broken(problem) => Err(self.malformed(problem)),
        }
    }

    fn unreachable(&self, error: &io::Error) -> AskError {
        AskError::Unreachable {
            server: server_words(self.server),
            problem: system_words(error),
        }
    }

    fn malformed(&self, problem: String) -> AskError {
        AskError::Malformed {
            server: server_words(self.server),
            problem,
        }
    }

    fn only_strays(&self, strays: u32) -> AskError {
        self.malformed(format!(
            "{strays} datagrams came and none belongs to the question"
        ))
    }

    fn timed_out(&self) -> AskError {
        AskError::TimedOut {
            server: server_words(self.server),
            waited: self.began.elapsed(),
        }
    }
}
