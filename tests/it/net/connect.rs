//! TCP connections over loopback.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postrider_probes::net::{Net, SystemNet, connect_failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_connection_carries_bytes_both_ways_from_the_wanted_source() {
    let (listener, address) = listener().await;
    let source: IpAddr = "127.0.0.7".parse().unwrap();
    for (net, given) in [
        (SystemNet::new(None, None), Some(source)),
        (SystemNet::new(None, Some(source)), None),
    ] {
        let mut stream = net.connect(address, given).await.unwrap();
        let (mut peer, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), source);
        stream.write_all(b"EHLO probe\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut bytes = [0; 12];
        peer.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"EHLO probe\r\n");
        peer.write_all(b"250 ok\r\n").await.unwrap();
        drop(peer);
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert_eq!(reply, "250 ok\r\n");
    }
}

#[tokio::test]
async fn a_source_of_the_other_family_is_left_out() {
    let (_listener, address) = listener().await;
    let net = SystemNet::new(None, None);
    let source: IpAddr = "2001:db8::1".parse().unwrap();
    assert!(net.connect(address, Some(source)).await.is_ok());
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let (listener, address) = listener().await;
    drop(listener);
    let error = SystemNet::new(None, None)
        .connect(address, None)
        .await
        .err()
        .unwrap();
    let failure = connect_failure(&error, address, Duration::ZERO);
    assert_eq!(
        failure.line(),
        format!(
            "connect-refused: 127.0.0.1 port {} refused the connection",
            address.port()
        )
    );
}

#[tokio::test]
async fn a_source_that_is_not_ours_is_the_probes_fault() {
    let (_listener, address) = listener().await;
    let source: IpAddr = "192.0.2.1".parse().unwrap();
    let error = SystemNet::new(None, None)
        .connect(address, Some(source))
        .await
        .err()
        .unwrap();
    let line = connect_failure(&error, address, Duration::ZERO).line();
    assert!(line.starts_with("internal: "), "{line}");
    assert!(
        line.contains("cannot use the source address 192.0.2.1"),
        "{line}"
    );
}

#[tokio::test]
async fn loopback_has_a_route() {
    assert!(SystemNet::new(None, None).has_route("127.0.21.2".parse().unwrap()));
}

/// Nagle on the peer's side and a delayed acknowledgement on ours would make each of these round trips 40 ms.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_writes_in_two_parts_is_not_held_up() {
    const ROUNDS: u32 = 20;
    let (listener, address) = listener().await;
    let peer = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut command = [0; 6];
        for _ in 0..ROUNDS {
            peer.read_exact(&mut command).await.unwrap();
            peer.write_all(b"250-").await.unwrap();
            peer.write_all(b"ok\r\n").await.unwrap();
        }
    });
    let mut stream = SystemNet::new(None, None)
        .connect(address, None)
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let mut reply = [0; 8];
    for _ in 0..ROUNDS {
        stream.write_all(b"NOOP\r\n").await.unwrap();
        stream.read_exact(&mut reply).await.unwrap();
    }
    let took = began.elapsed();
    peer.await.unwrap();
    // 40 ms each would be 800 ms; a busy machine needs some of that, too.
    assert!(took < Duration::from_millis(400), "{took:?}");
}
