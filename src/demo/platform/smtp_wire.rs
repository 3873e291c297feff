//! Bytes of an SMTP session: a bounded input buffer, replies, and the scripted kinds of bad answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::misbehaviour::{Answer, FLOOD_LIMIT};

/// A byte stream whose TCP connection can be reached.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// The connection underneath.
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Why a session goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Closed by either side, or broken.
    Close,
    /// To be reset.
    Reset,
    /// To be kept open without a word.
    Hold,
    /// STARTTLS was agreed on.
    StartTls,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Close
    }
}

/// Whether the dialogue goes on as if the ordinary reply had been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The ordinary reply, or a scripted one of the same class.
    AsUsual,
    /// A scripted reply of another class.
    Otherwise,
}

const CHUNK: usize = 64 << 10;

/// A session's stream with what has been read and not used, and what has to be written.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    input: Vec<u8>,
    used: usize,
    output: Vec<u8>,
    trickle: Option<Duration>,
    idle: Duration,
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(stream: S, trickle: Option<Duration>, idle: Duration) -> Self {
        Self {
            stream,
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            trickle,
            idle,
        }
    }

    /// What has been read and not been used.
    pub(super) fn unused(&self) -> &[u8] {
        self.input.get(self.used..).unwrap_or_default()
    }

    /// The parser left so many bytes of [`Self::unused`].
    pub(super) fn keep_last(&mut self, bytes: usize) {
        self.used = self.input.len().saturating_sub(bytes);
    }

    /// Sends what is queued, then reads more; all earlier input must have been used.
    pub(super) async fn fill(&mut self) -> Result<(), End> {
        self.flush().await?;
        self.input.clear();
        self.used = 0;
        self.input.resize(CHUNK, 0);
        let read = tokio::time::timeout(self.idle, self.stream.read(&mut self.input)).await;
        let count = read.map_err(|_| End::Close)??;
        self.input.truncate(count);
        if count == 0 { Err(End::Close) } else { Ok(()) }
    }

    /// Queues a reply; its last CRLF is added.
    pub(super) fn reply(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// Queues bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let output = std::mem::take(&mut self.output);
        let Some(pause) = self.trickle else {
            return self.write(&output).await;
        };
        for byte in output {
            tokio::time::sleep(pause).await;
            self.write(&[byte]).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        let written = tokio::time::timeout(self.idle, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        Ok(written.await.map_err(|_| End::Close)??)
    }

    /// Gives the ordinary reply, or what is scripted instead of it.
    pub(super) async fn say(
        &mut self,
        scripted: Option<&Answer>,
        ordinary: &str,
    ) -> Result<Said, End> {
        let Some(answer) = scripted else {
            self.reply(ordinary);
            return Ok(Said::AsUsual);
        };
        match answer {
            Answer::Late(pause) => {
                self.flush().await?;
                tokio::time::sleep(*pause).await;
                self.reply(ordinary);
                Ok(Said::AsUsual)
            }
            Answer::Reply(text) => {
                self.reply(text);
                if text.starts_with("421") {
                    self.flush().await?;
                    return Err(End::Close);
                }
                let as_usual = text.as_bytes().first() == ordinary.as_bytes().first();
                Ok(if as_usual {
                    Said::AsUsual
                } else {
                    Said::Otherwise
                })
            }
            Answer::Silence => self.then(End::Hold).await,
            Answer::Close => self.then(End::Close).await,
            Answer::Reset => self.then(End::Reset).await,
            Answer::Truncated => {
                let half = ordinary.get(..ordinary.len() / 2).unwrap_or("2");
                self.raw(half.as_bytes());
                self.then(End::Close).await
            }
            Answer::Garbage => {
                self.raw(b"\x00\xff\xfe not SMTP \x1b[2J\x07\r\n");
                Ok(Said::Otherwise)
            }
            Answer::EndlessLines => {
                let line = "250-X-NEVER-ENDING-LIST-OF-KEYWORDS\r\n";
                self.flood(line.repeat(CHUNK / line.len()).as_bytes()).await
            }
            Answer::OversizedLine => {
                self.raw(b"250-");
                self.flood(&[b'x'; CHUNK]).await
            }
        }
    }

    async fn then(&mut self, end: End) -> Result<Said, End> {
        self.flush().await?;
        Err(end)
    }

    async fn flood(&mut self, chunk: &[u8]) -> Result<Said, End> {
        self.flush().await?;
        for _ in 0..FLOOD_LIMIT / chunk.len().max(1) {
            self.write(chunk).await?;
        }
        Err(End::Close)
    }

    /// Ends the session in the way it has to.
    pub(super) async fn finish(mut self, end: End) {
        match end {
            End::Close | End::StartTls => {
                // The peer may be gone already.
                let _ = self.flush().await;
                let _ = self.stream.shutdown().await;
            }
            End::Reset => {
                let _ = self.stream.tcp().set_zero_linger();
            }
            End::Hold => while self.fill().await.is_ok() {},
        }
    }
}
