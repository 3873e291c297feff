//! The IMAP server: its two listeners, and the loop that moves bytes between a connection and
//! imap-next's server state machine. What commands mean is in [`super::imap_session`].

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imap_codec::imap_types::response::Response;
use imap_next::server::{Options, Server};
use imap_next::{Interrupt, Io, State};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::imap_reply::Next;
use super::imap_session::Session;
use super::misbehaviour::{FLOOD_LIMIT, Greeting, ImapMisbehaviour};
use super::record::Record;
use super::store::Store;
use super::{PlatformError, topology};

/// What all IMAP sessions share.
#[derive(Debug)]
pub(super) struct ImapServer {
    pub(super) store: Arc<Store>,
    pub(super) record: Arc<Record>,
    pub(super) username: String,
    pub(super) password: String,
    conduct: Mutex<(ImapMisbehaviour, Arc<ServerConfig>)>,
}

impl ImapServer {
    pub(super) fn new(
        store: Arc<Store>,
        record: Arc<Record>,
        (username, password): (String, String),
        conduct: (ImapMisbehaviour, Arc<ServerConfig>),
    ) -> Self {
        let conduct = Mutex::new(conduct);
        Self {
            store,
            record,
            username,
            password,
            conduct,
        }
    }

    /// From now on.
    pub(super) fn set_conduct(&self, misbehaviour: ImapMisbehaviour, tls: Arc<ServerConfig>) {
        let mut conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        *conduct = (misbehaviour, tls);
    }

    pub(super) fn misbehaviour(&self) -> ImapMisbehaviour {
        let conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        conduct.0.clone()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&conduct.1))
    }
}

/// Connections per listener; more wait in the kernel.
const CONNECTIONS: usize = 100;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// RFC 3501 §5.4: the autologout timer is at least 30 minutes.
const AUTOLOGOUT: Duration = Duration::from_mins(30);
/// Before login nobody may keep a connection for long.
const LOGIN_TIME: Duration = Duration::from_mins(1);
/// The largest literal, as in a SEARCH key; nobody can APPEND here.
const MAX_LITERAL: u32 = 64 << 10;
const MAX_COMMAND: u32 = 128 << 10;
const CHUNK: usize = 64 << 10;

/// Serves one listener until dropped.
pub(super) async fn serve(listener: TcpListener, server: Arc<ImapServer>, implicit_tls: bool) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if sessions.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    sessions.spawn(run(stream, Arc::clone(&server), implicit_tls));
                }
                // Out of file descriptors, most likely: give others time to close some.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// Binds a listener on any free port.
pub(super) async fn listen() -> Result<(TcpListener, SocketAddr), PlatformError> {
    let address = SocketAddr::new(topology::IMAP_ADDRESS, 0);
    let bound = TcpListener::bind(address).await;
    let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    match bound {
        Ok((address, listener)) => Ok((listener, address)),
        Err(source) => Err(PlatformError::Listen { address, source }),
    }
}

struct OpenConnection(Arc<Record>);

impl OpenConnection {
    fn count(record: &Arc<Record>) -> Self {
        record.imap(|seen| {
            seen.connections += 1;
            seen.open += 1;
            seen.most_open = seen.most_open.max(seen.open);
        });
        Self(Arc::clone(record))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.imap(|seen| seen.open -= 1);
    }
}

async fn run(stream: TcpStream, server: Arc<ImapServer>, implicit_tls: bool) {
    let _open = OpenConnection::count(&server.record);
    // Small replies must not wait for the client's delayed ACK.
    let _ = stream.set_nodelay(true);
    let misbehaviour = server.misbehaviour();
    let cut = misbehaviour.close_after.map(|after| Instant::now() + after);
    let acceptor = server.acceptor();
    let session = Session::new(Arc::clone(&server), implicit_tls);
    // Every way out of a connection is the same to the client, so errors end here.
    if implicit_tls {
        let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
        if let Ok(Ok(stream)) = handshake {
            let _ = Connection::new(stream, session, cut)
                .greet(misbehaviour.greeting)
                .await;
        }
        return;
    }
    let connection = Connection::new(stream, session, cut);
    let Ok(Some((stream, session))) = connection.greet(misbehaviour.greeting).await else {
        return;
    };
    let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    if let Ok(Ok(stream)) = handshake {
        let session = session.secured();
        let _ = Connection::new(stream, session, cut)
            .go_on_without_greeting()
            .await;
    }
}

/// One connection: a stream, the protocol's state machine, and the session it is about.
struct Connection<S> {
    stream: S,
    protocol: Server,
    session: Session,
    output: Vec<u8>,
    changes: watch::Receiver<u64>,
    /// When a scripted cut is due.
    cut: Option<Instant>,
    cut_in_idle: Option<Instant>,
    /// When a change is to be announced during IDLE.
    push: Option<Instant>,
}

/// The stream and the session, if STARTTLS was agreed on.
type Upgrade<S> = io::Result<Option<(S, Session)>>;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S, session: Session, cut: Option<Instant>) -> Self {
        let mut options = Options::default();
        options.max_literal_size = MAX_LITERAL;
        options.max_command_size = MAX_COMMAND;
        Self {
            protocol: Server::new(options, session.greeting()),
            changes: session.changes(),
            stream,
            session,
            output: Vec::new(),
            cut,
            cut_in_idle: None,
            push: None,
        }
    }

    async fn greet(mut self, greeting: Greeting) -> Upgrade<S> {
        match greeting {
            Greeting::Ok => self.converse().await,
            Greeting::Bye => {
                self.write(b"* BYE not now\r\n").await?;
                self.close().await
            }
            Greeting::Silence => self.hang().await,
        }
    }

    /// After STARTTLS there is no second greeting (RFC 3501 §6.2.1), but a new state machine
    /// begins with one, so its bytes are dropped. A new one it must be: the old one may hold
    /// bytes that came in clear.
    async fn go_on_without_greeting(mut self) -> Upgrade<S> {
        let _greeting = self.protocol.next();
        self.converse().await
    }

    async fn converse(mut self) -> Upgrade<S> {
        loop {
            let next = match self.protocol.next() {
                Ok(event) => self.session.handle(event, &mut self.protocol),
                Err(Interrupt::Error(error)) => self.session.malformed(&error),
                Err(Interrupt::Io(Io::Output(bytes))) => {
                    self.output.extend(bytes);
                    if self.output.len() >= CHUNK {
                        self.flush().await?;
                    }
                    continue;
                }
                Err(Interrupt::Io(Io::NeedMoreInput)) => {
                    self.flush().await?;
                    self.wait().await?
                }
            };
            match next {
                Next::Go => {}
                Next::Say(responses) => self.enqueue(responses),
                Next::IdleBegins { cut_after } => {
                    self.cut_in_idle = cut_after.map(|after| Instant::now() + after);
                    // What came since the last command is not to be missed.
                    self.changes.borrow_and_update();
                    let news = self.session.news();
                    self.enqueue(news);
                }
                Next::IdleEnds(responses) => {
                    self.cut_in_idle = None;
                    self.push = None;
                    self.enqueue(responses);
                }
                Next::Close(responses) => {
                    self.enqueue(responses);
                    self.drain().await?;
                    return self.close().await;
                }
                Next::StartTls(responses) => {
                    self.enqueue(responses);
                    self.drain().await?;
                    return Ok(Some((self.stream, self.session)));
                }
                Next::Hang => {
                    self.drain().await?;
                    return self.hang().await;
                }
                Next::Flood { head, endless } => {
                    self.drain().await?;
                    self.write(&head).await?;
                    return if endless {
                        self.flood().await
                    } else {
                        self.hang().await
                    };
                }
            }
        }
    }

    /// Input, a change to announce, a scripted cut or the end of patience, whichever is first.
    async fn wait(&mut self) -> io::Result<Next> {
        let mut input = [0; 8192];
        let patience = if self.session.is_logged_in() {
            AUTOLOGOUT
        } else {
            LOGIN_TIME
        };
        let idling = self.session.is_idling();
        let cut = [self.cut, self.cut_in_idle].into_iter().flatten().min();
        tokio::select! {
            read = self.stream.read(&mut input) => {
                let count = read?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.protocol.enqueue_input(input.get(..count).unwrap_or_default());
                Ok(Next::Go)
            }
            changed = self.changes.changed(), if idling && self.push.is_none() => {
                if changed.is_err() {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                let Some(delay) = self.session.push_delay() else {
                    return Ok(self.announcement());
                };
                self.push = Some(Instant::now() + delay);
                Ok(Next::Go)
            }
            () = until(self.push) => {
                self.push = None;
                Ok(self.announcement())
            }
            () = until(cut) => Err(io::ErrorKind::ConnectionAborted.into()),
            () = tokio::time::sleep(patience) => Ok(Next::Close(Session::autologout())),
        }
    }

    /// What an idling client has to hear of.
    fn announcement(&mut self) -> Next {
        self.changes.borrow_and_update();
        match self.session.stale() {
            Some(farewell) => Next::Close(farewell),
            None => Next::Say(self.session.news()),
        }
    }

    fn enqueue(&mut self, responses: Vec<Response<'static>>) {
        for response in responses {
            match response {
                Response::Data(data) => {
                    self.protocol.enqueue_data(data);
                }
                Response::Status(status) => {
                    self.protocol.enqueue_status(status);
                }
                Response::CommandContinuationRequest(request) => {
                    self.protocol.enqueue_continuation_request(request);
                }
            }
        }
    }

    /// Sends everything that is queued, without looking at what the client says meanwhile.
    async fn drain(&mut self) -> io::Result<()> {
        loop {
            match self.protocol.next() {
                Err(Interrupt::Io(Io::Output(bytes))) => self.output.extend(bytes),
                // Notices that something was sent.
                Ok(imap_next::server::Event::ResponseSent { .. }) => {}
                _ => return self.flush().await,
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        self.write(&output).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(LOGIN_TIME, written).await?
    }

    async fn close(mut self) -> Upgrade<S> {
        self.stream.shutdown().await?;
        Ok(None)
    }

    /// Keeps the connection open without a word.
    async fn hang(mut self) -> Upgrade<S> {
        let mut ignored = vec![0; CHUNK];
        let cut = self.cut;
        tokio::select! {
            () = until(cut) => {}
            () = tokio::time::sleep(AUTOLOGOUT) => {}
            () = async { while matches!(self.stream.read(&mut ignored).await, Ok(1..)) {} } => {}
        }
        Ok(None)
    }

    async fn flood(mut self) -> Upgrade<S> {
        for _ in 0..FLOOD_LIMIT / CHUNK {
            self.write(&[b'x'; CHUNK]).await?;
        }
        Ok(None)
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}
