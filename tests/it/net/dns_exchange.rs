//! Questions over real sockets on loopback, to servers that answer well, badly or not at all.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use postrider_probes::net::{Answer, AskError, Net, Question, SystemNet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

/// Long enough for a busy machine; no good answer waits for it.
const LONG: Duration = Duration::from_secs(20);
/// For the cases that must end by their deadline.
const SHORT: Duration = Duration::from_millis(300);

/// A server whose UDP and TCP ports are the same.
struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Server {
    async fn bind(ip: &str) -> Self {
        for _ in 0..50 {
            let tcp = TcpListener::bind((ip, 0)).await.unwrap();
            let address = tcp.local_addr().unwrap();
            if let Ok(udp) = UdpSocket::bind(address).await {
                return Self { udp, tcp, address };
            }
        }
        panic!("no port is free for both UDP and TCP");
    }

    async fn query(&self) -> (Message, SocketAddr) {
        let mut buffer = [0; 4096];
        let (length, from) = self.udp.recv_from(&mut buffer).await.unwrap();
        (Message::from_vec(&buffer[..length]).unwrap(), from)
    }

    async fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.udp.send_to(bytes, to).await.unwrap();
    }
}

fn answer_to(query: &Message, records: impl IntoIterator<Item = RData>) -> Message {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.queries = query.queries.clone();
    let name = query.queries[0].name().clone();
    for data in records {
        answer.add_answer(Record::from_rdata(name.clone(), 60, data));
    }
    answer
}

fn mx(preference: u16, host: &str) -> RData {
    RData::MX(MX::new(preference, Name::from_ascii(host).unwrap()))
}

fn addresses(count: u32) -> impl Iterator<Item = RData> {
    (0..count).map(|number| RData::A(A(number.into())))
}

async fn ask(server: SocketAddr, within: Duration) -> Result<Answer, AskError> {
    let question = Question::new("example.test", "MX", within);
    SystemNet::new(None, None).ask(Some(server), question).await
}

fn shown(answer: &Answer) -> Vec<String> {
    answer
        .records
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

fn malformed(result: Result<Answer, AskError>) -> String {
    match result {
        Err(AskError::Malformed { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_is_taken_over_udp() {
    for ip in ["127.0.0.1", "::1"] {
        let server = Server::bind(ip).await;
        let serve = async {
            let (query, from) = server.query().await;
            assert!(query.metadata.recursion_desired);
            let mut answer = answer_to(&query, [mx(20, "mx2.test."), mx(10, "mx1.test.")]);
            answer.metadata.authoritative = true;
            server.send(&answer.to_vec().unwrap(), from).await;
        };
        let (answer, ()) = tokio::join!(ask(server.address, LONG), serve);
        let answer = answer.unwrap();
        assert_eq!(shown(&answer), ["20 mx2.test", "10 mx1.test"]);
        assert_eq!(answer.server, server.address);
        assert!(answer.authoritative);
        assert!(answer.took < LONG);
    }
}

#[tokio::test]
async fn the_configured_resolver_is_asked() {
    let server = Server::bind("127.0.0.1").await;
    let net = SystemNet::new(Some(server.address), Some("192.0.2.1".parse().unwrap()));
    let serve = async {
        let (query, from) = server.query().await;
        let answer = Message::error_msg(query.metadata.id, OpCode::Query, ResponseCode::ServFail);
        server.send(&answer.to_vec().unwrap(), from).await;
    };
    let question = Question::new("example.test", "MX", LONG);
    let (answer, ()) = tokio::join!(net.ask(None, question), serve);
    // An error code is an answer; the server left the question out.
    assert_eq!(answer.unwrap().rcode, "SERVFAIL");
}

#[tokio::test]
async fn strays_are_passed_over_until_the_answer_comes() {
    let server = Server::bind("127.0.0.1").await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let serve = async {
        let (query, from) = server.query().await;
        let forged = answer_to(&query, [mx(1, "forged.test.")]);
        stranger
            .send_to(&forged.to_vec().unwrap(), from)
            .await
            .unwrap();
        let mut wrong_id = forged.clone();
        wrong_id.metadata.id = query.metadata.id.wrapping_add(1);
        server.send(&wrong_id.to_vec().unwrap(), from).await;
        let mut wrong_name = forged;
        wrong_name.queries[0].set_name(Name::from_ascii("other.test.").unwrap());
        server.send(&wrong_name.to_vec().unwrap(), from).await;
        server.send(b"", from).await;
        server.send(b"garbage", from).await;
        let answer = answer_to(&query, [mx(10, "mx1.test.")]);
        server.send(&answer.to_vec().unwrap(), from).await;
    };
    let (answer, ()) = tokio::join!(ask(server.address, LONG), serve);
    assert_eq!(shown(&answer.unwrap()), ["10 mx1.test"]);
}

#[tokio::test]
async fn nothing_but_strays_ends_at_the_deadline() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        loop {
            let (query, from) = server.query().await;
            let mut wrong = answer_to(&query, []);
            wrong.metadata.id = query.metadata.id.wrapping_add(1);
            server.send(&wrong.to_vec().unwrap(), from).await;
        }
    };
    let result = tokio::select! {
        result = ask(server.address, SHORT) => result,
        () = serve => unreachable!(),
    };
    assert!(malformed(result).contains("none belongs to the question"));
}

#[tokio::test]
async fn a_flood_of_strays_ends_early() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        let (_, from) = server.query().await;
        loop {
            server.send(b"flood", from).await;
            tokio::task::yield_now().await;
        }
    };
    let result = tokio::select! {
        result = ask(server.address, LONG) => result,
        () = serve => unreachable!(),
    };
    assert!(malformed(result).contains("none belongs to the question"));
}

#[tokio::test]
async fn silence_is_asked_twice_and_then_a_time_out() {
    let server = Server::bind("127.0.0.1").await;
    let error = ask(server.address, SHORT).await.unwrap_err();
    assert!(
        matches!(error, AskError::TimedOut { waited, .. } if waited >= SHORT),
        "{error:?}"
    );
    let mut buffer = [0; 512];
    let first = server.udp.try_recv(&mut buffer);
    let second = server.udp.try_recv(&mut buffer);
    assert!(first.is_ok() && second.is_ok());
    assert!(server.udp.try_recv(&mut buffer).is_err());
}

#[tokio::test]
async fn a_closed_port_is_known_at_once() {
    let server = Server::bind("127.0.0.1").await;
    let address = server.address;
    drop(server);
    let began = Instant::now();
    let error = ask(address, LONG).await.unwrap_err();
    assert!(
        matches!(&error, AskError::Unreachable { problem, .. } if problem == "Connection refused"),
        "{error:?}"
    );
    assert!(began.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_broken_answer_is_told_at_once() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        let (query, from) = server.query().await;
        let mut bytes = answer_to(&query, [mx(10, "mx1.test.")]).to_vec().unwrap();
        // The record's owner, behind header and question, points to itself.
        let owner = 12 + query.queries[0].name().len() + 4;
        bytes[owner..owner + 2].copy_from_slice(&(0xc000 | owner as u16).to_be_bytes());
        server.send(&bytes, from).await;
    };
    let began = Instant::now();
    let (result, ()) = tokio::join!(ask(server.address, LONG), serve);
    malformed(result);
    assert!(began.elapsed() < LONG / 2);
}

/// Answers the UDP question with TC and hands the TCP connection's query over.
async fn over_tcp(server: &Server) -> (Message, tokio::net::TcpStream) {
    let (query, from) = server.query().await;
    let mut cut = answer_to(&query, []);
    cut.metadata.truncation = true;
    server.send(&cut.to_vec().unwrap(), from).await;
    let (mut stream, _) = server.tcp.accept().await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.unwrap();
    (Message::from_vec(&bytes).unwrap(), stream)
}

async fn reply(stream: &mut tokio::net::TcpStream, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap();
    stream.write_u16(length).await.unwrap();
    stream.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn a_cut_answer_is_fetched_over_tcp() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        let (query, mut stream) = over_tcp(&server).await;
        let bytes = answer_to(&query, addresses(1000)).to_vec().unwrap();
        // In pieces, as a network may deliver it.
        let length = u16::try_from(bytes.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        for piece in bytes.chunks(1000) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream
    };
    let (answer, _stream) = tokio::join!(ask(server.address, LONG), serve);
    assert_eq!(answer.unwrap().records.len(), 1000);
}

#[tokio::test]
async fn the_largest_answer_with_too_many_records_is_refused() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        let (query, mut stream) = over_tcp(&server).await;
        let mut bytes = answer_to(&query, addresses(1001)).to_vec().unwrap();
        bytes.resize(usize::from(u16::MAX), 0);
        reply(&mut stream, &bytes).await;
        stream
    };
    let (result, _stream) = tokio::join!(ask(server.address, LONG), serve);
    assert_eq!(malformed(result), "more than 1000 records");
}

#[tokio::test]
async fn a_text_as_long_as_a_message_is_read_whole() {
    let server = Server::bind("127.0.0.1").await;
    let strings = vec!["x".repeat(255); 253];
    let length = 255 * 253;
    let serve = async {
        let (query, mut stream) = over_tcp(&server).await;
        let answer = answer_to(&query, [RData::TXT(TXT::new(strings))]);
        reply(&mut stream, &answer.to_vec().unwrap()).await;
    };
    let (answer, ()) = tokio::join!(ask(server.address, LONG), serve);
    assert_eq!(shown(&answer.unwrap())[0].len(), length);
}

#[tokio::test]
async fn what_goes_wrong_over_tcp_is_told() {
    for (case, wanted) in [
        ("closes", "the connection ended early"),
        ("cut again", "cut even over TCP"),
        ("stray", "it belongs to another question"),
        ("garbage", "it belongs to another question"),
    ] {
        let server = Server::bind("127.0.0.1").await;
        let serve = async {
            let (query, mut stream) = over_tcp(&server).await;
            let mut answer = answer_to(&query, []);
            match case {
                "closes" => stream.write_all(&[2, 0, 1]).await.unwrap(),
                "garbage" => reply(&mut stream, b"garbage").await,
                _ => {
                    answer.metadata.truncation = case == "cut again";
                    answer.metadata.id ^= u16::from(case == "stray");
                    reply(&mut stream, &answer.to_vec().unwrap()).await;
                }
            }
        };
        let (result, ()) = tokio::join!(ask(server.address, LONG), serve);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(wanted), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_tcp_answer_that_never_ends_is_a_time_out() {
    let server = Server::bind("127.0.0.1").await;
    let serve = async {
        let (_, mut stream) = over_tcp(&server).await;
        stream.write_u16(u16::MAX).await.unwrap();
        stream.write_all(&[0; 100]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        result = ask(server.address, SHORT) => result.unwrap_err(),
        () = serve => unreachable!(),
    };
    assert!(matches!(error, AskError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_asked() {
    let net = SystemNet::new(Some(([127, 0, 0, 1], 9).into()), None);
    for (name, record_type) in [("a..b", "MX"), ("example.test", "NOTYPE")] {
        let question = Question::new(name, record_type, SHORT);
        let error = net.ask(None, question).await.unwrap_err();
        assert!(matches!(error, AskError::BadQuestion(_)), "{error:?}");
    }
}
