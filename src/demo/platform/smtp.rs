//! One listening SMTP address: opens and shuts the door, starts a session per connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::misbehaviour::{Connection, Misbehaviour};
use super::relay::Relay;
use super::smtp_session::{self, SessionContext};
use super::topology::{self, Address};
use super::{Ipv6, PlatformError, Setup};

/// How an address behaves at the moment.
#[derive(Debug, Clone)]
pub(super) struct Conduct {
    pub(super) misbehaviour: Misbehaviour,
    pub(super) tls: Arc<ServerConfig>,
}

/// A change of conduct, and where to say that it is in force.
pub(super) type Order = (Conduct, oneshot::Sender<io::Result<()>>);

/// Limits of one address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) idle: Duration,
}

/// Not the system's maximum: a client that opens more than this at once is the one at fault.
const BACKLOG: u32 = 128;

/// The state of the listening port. The port stays ours in every state.
#[derive(Debug)]
pub(super) enum Door {
    Open(TcpListener),
    /// Bound without listening: the kernel answers with RST.
    Shut {
        _bound: TcpSocket,
    },
    /// The accept queue has one place, and our own connection sits in it: the kernel drops
    /// every further SYN.
    Filtered {
        _listener: TcpListener,
        _sitter: TcpStream,
    },
}

impl Door {
    /// Binds the address, with port 0 to any free port.
    pub(super) async fn at(addr: SocketAddr, connection: Connection) -> io::Result<Self> {
        let socket = if addr.is_ipv6() {
            TcpSocket::new_v6()
        } else {
            TcpSocket::new_v4()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        match connection {
            Connection::Accept | Connection::Reset => Ok(Self::Open(socket.listen(BACKLOG)?)),
            Connection::Refuse => Ok(Self::Shut { _bound: socket }),
            Connection::Filter => {
                let listener = socket.listen(0)?;
                let sitter = TcpStream::connect(listener.local_addr()?).await?;
                Ok(Self::Filtered {
                    _listener: listener,
                    _sitter: sitter,
                })
            }
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Open(listener) => listener.accept().await,
            Self::Shut { .. } | Self::Filtered { .. } => std::future::pending().await,
        }
    }
}

/// Tries to find a port that is free on all SMTP addresses.
const PORT_TRIES: u32 = 50;

/// Binds every SMTP address on one port that is free on all of them.
pub(super) async fn open_doors(
    setup: &Setup,
) -> Result<(u16, Vec<(Address, Door)>), PlatformError> {
    let mut refusal = None;
    for _ in 0..PORT_TRIES {
        match try_doors(setup).await {
            Ok(doors) => return Ok(doors),
            Err(PlatformError::Listen { address, source })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                refusal = Some(PlatformError::Listen { address, source });
            }
            Err(error) => return Err(error),
        }
    }
    Err(refusal.unwrap_or(PlatformError::Stopped))
}

async fn try_doors(setup: &Setup) -> Result<(u16, Vec<(Address, Door)>), PlatformError> {
    let mut port = 0;
    let mut doors = Vec::new();
    let wanted = match setup.ipv6 {
        Ipv6::Auto => topology::IPV4.into_iter().chain([topology::IPV6]).collect(),
        Ipv6::Off => topology::IPV4.to_vec(),
    };
    for address in wanted {
        if port == 0 {
            port = free_port(address.ip)?;
        }
        let addr = SocketAddr::new(address.ip, port);
        let fault = setup.faults.smtp.get(&address.ip);
        let connection = fault.map(|fault| fault.connection).unwrap_or_default();
        match Door::at(addr, connection).await {
            Ok(door) => doors.push((address, door)),
            // A host without IPv6, which is no fault of the platform.
            Err(source) if addr.is_ipv6() && source.kind() != io::ErrorKind::AddrInUse => {}
            Err(source) => {
                let address = addr;
                return Err(PlatformError::Listen { address, source });
            }
        }
    }
    Ok((port, doors))
}

/// A port that was free a moment ago.
fn free_port(ip: IpAddr) -> Result<u16, PlatformError> {
    let address = SocketAddr::new(ip, 0);
    let bound = std::net::TcpListener::bind(address).and_then(|socket| socket.local_addr());
    let bound = bound.map_err(|source| PlatformError::Listen { address, source })?;
    Ok(bound.port())
}

/// Serves one address until dropped or until the platform is gone.
pub(super) async fn serve(
    address: Address,
    addr: SocketAddr,
    door: Door,
    mut conduct: Conduct,
    relay: Arc<Relay>,
    limits: Limits,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut sessions = JoinSet::new();
    let mut door = Some(door);
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((next, done)) = order else { return };
                let connection = next.misbehaviour.connection;
                // Sessions keep the conduct they began with.
                let reopened = if connection == conduct.misbehaviour.connection {
                    Ok(())
                } else {
                    door = None;
                    Door::at(addr, connection).await.map(|opened| door = Some(opened))
                };
                conduct = next;
                // Nobody waiting for the answer is no reason to stop.
                let _ = done.send(reopened);
            }
            accepted = accept(door.as_ref()) => {
                let Ok((stream, peer)) = accepted else {
                    // Out of file descriptors, most likely: give others time to close some.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let context = SessionContext {
                    address,
                    peer: peer.ip(),
                    conduct: conduct.clone(),
                    relay: Arc::clone(&relay),
                    idle: limits.idle,
                };
                let busy = sessions.len() >= limits.connections;
                if busy {
                    relay.record.smtp(address.ip, |seen| seen.turned_away += 1);
                }
                sessions.spawn(smtp_session::run(stream, context, busy));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn accept(door: Option<&Door>) -> io::Result<(TcpStream, SocketAddr)> {
    match door {
        Some(door) => door.accept().await,
        None => std::future::pending().await,
    }
}
