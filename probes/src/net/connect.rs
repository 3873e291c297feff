//! One TCP connection to exactly one address, with the socket options that keep the measurement true.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// The system has no route to the address: the fault is here, not there. Stands inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no route to it from here")]
pub struct NoRoute;

/// Connects once. `source` counts only for addresses of its own family: one source address says nothing about the other.
pub(super) async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<QuickStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(|error| without_route(error, to.ip()))?;
    if let Some(source) = source.filter(|source| source.is_ipv4() == to.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0)).map_err(|error| {
            io::Error::other(format!(
                "cannot use the source address {source}: {}",
                crate::net::failure::system_words(&error)
            ))
        })?;
    }
    let stream = socket
        .connect(to)
        .await
        .map_err(|error| without_route(error, to.ip()))?;
    stream.set_nodelay(true)?;
    let stream = QuickStream { tcp: stream };
    stream.acknowledge_at_once();
    Ok(stream)
}

/// A router may say "unreachable" as well; only our own routing table makes it our fault.
fn without_route(error: io::Error, to: IpAddr) -> io::Error {
    let local = matches!(
        error.kind(),
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable
    ) || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    if local && !has_route(to) {
        io::Error::new(ErrorKind::NetworkUnreachable, NoRoute)
    } else {
        error
    }
}

/// Looks the route up by connecting a UDP socket, which sends nothing.
pub(super) fn source_towards(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    // With nothing but link-local addresses the kernel may still offer one, and no answer could come back.
    let useless = match (source, to) {
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            source.is_unicast_link_local() && !to.is_unicast_link_local()
        }
        _ => false,
    };
    (!useless).then_some(source)
}

/// Whether there is a way at all.
pub(super) fn has_route(to: IpAddr) -> bool {
    source_towards(to).is_some()
}

/// A TCP connection that acknowledges at once. Without that our delayed ACK meets the server's Nagle algorithm and a step
/// of half a millisecond is measured as 41 ms. The kernel forgets the option, so it is set again after every write.
#[derive(Debug)]
pub(super) struct QuickStream {
    tcp: TcpStream,
}

impl QuickStream {
    fn acknowledge_at_once(&self) {
        // Only the measurement suffers when the system refuses.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.tcp).set_tcp_quickack(true);
    }

    fn after_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.acknowledge_at_once();
        }
        written
    }
}

impl AsyncRead for QuickStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for QuickStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.after_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, parts);
        self.after_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.tcp).poll_flush(cx);
        self.after_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
