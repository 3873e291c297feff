//! The platform's authoritative name server: two small zones in memory, over UDP and TCP.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::Name;
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponseBuilder, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use super::misbehaviour::NameFault;
use super::topology::{self, Address};
use super::{PlatformError, Setup};

/// The running server. Dropping it ends it.
pub(super) struct NameServer {
    _server: Server<Answers>,
    pub(super) addr: SocketAddr,
    pub(super) state: Arc<Mutex<NameState>>,
}

impl std::fmt::Debug for NameServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameServer").finish_non_exhaustive()
    }
}

/// What can change while the server runs, and what it has seen.
#[derive(Debug, Default)]
pub(super) struct NameState {
    pub(super) faults: BTreeMap<String, NameFault>,
    /// `example.test MX` → how often it was asked.
    pub(super) queries: BTreeMap<String, u64>,
}

/// Different questions that are counted; more are answered all the same.
const COUNTED_QUESTIONS: usize = 10_000;
/// Tries to find a port that is free for UDP and for TCP.
const PORT_TRIES: u32 = 50;
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Replies waiting on one TCP connection.
const TCP_REPLIES: usize = 32;

impl NameServer {
    pub(super) async fn start(setup: &Setup, addresses: &[Address]) -> Result<Self, PlatformError> {
        let state = Arc::new(Mutex::new(NameState {
            faults: setup.faults.names.clone(),
            queries: BTreeMap::new(),
        }));
        let mut catalog = Catalog::new();
        add_zone(
            &mut catalog,
            topology::DOMAIN,
            &platform_zone(setup, addresses),
        )?;
        add_zone(&mut catalog, topology::SENDER_DOMAIN, &sender_zone(setup))?;

        let (udp, tcp) = bind().await?;
        let addr = udp.local_addr().map_err(PlatformError::Dns)?;
        let mut server = Server::new(Answers {
            catalog,
            state: Arc::clone(&state),
        });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_REPLIES);
        Ok(Self {
            _server: server,
            addr,
            state,
        })
    }
}

async fn bind() -> Result<(UdpSocket, TcpListener), PlatformError> {
    let mut refusal = None;
    for _ in 0..PORT_TRIES {
        let udp = UdpSocket::bind((topology::DNS_ADDRESS, 0))
            .await
            .map_err(PlatformError::Dns)?;
        let addr = udp.local_addr().map_err(PlatformError::Dns)?;
        match TcpListener::bind(addr).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => refusal = Some(error),
        }
    }
    let error = refusal.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(PlatformError::Dns(error))
}

/// Zone file text of the receiving domain.
fn platform_zone(setup: &Setup, addresses: &[Address]) -> String {
    let mut zone = preamble(topology::DOMAIN);
    for (preference, exchange) in &setup.mx {
        let _ = writeln!(zone, "@ IN MX {preference} {exchange}");
    }
    for Address { ip, mx, .. } in addresses {
        let kind = if ip.is_ipv6() { "AAAA" } else { "A" };
        let _ = writeln!(zone, "{mx}. IN {kind} {ip}");
    }
    let _ = writeln!(zone, "imap IN A {}", topology::IMAP_ADDRESS);
    add_lines(&mut zone, &setup.records);
    zone
}

/// Zone file text of the foreign sender's domain. Its one address is the loopback address,
/// because that is where the probe's connections come from.
fn sender_zone(setup: &Setup) -> String {
    let mut zone = preamble(topology::SENDER_DOMAIN);
    let _ = writeln!(zone, "@ IN A 127.0.0.1");
    let _ = writeln!(zone, "@ IN MX 10 {}.", topology::SENDER_DOMAIN);
    add_lines(&mut zone, &setup.sender_records);
    zone
}

fn preamble(origin: &str) -> String {
    format!(
        "$TTL 60\n@ IN SOA ns1.{origin}. hostmaster.{origin}. 1 3600 600 86400 60\n\
         @ IN NS ns1.{origin}.\nns1 IN A {}\n",
        topology::DNS_ADDRESS
    )
}

fn add_lines(zone: &mut String, lines: &[String]) {
    for line in lines {
        zone.push_str(line);
        zone.push('\n');
    }
}

fn add_zone(catalog: &mut Catalog, origin: &str, text: &str) -> Result<(), PlatformError> {
    let refused = |problem: String| PlatformError::Zone {
        origin: origin.into(),
        problem,
    };
    let name = Name::from_ascii(format!("{origin}.")).map_err(|e| refused(e.to_string()))?;
    let (name, records) = Parser::new(text, None, Some(name))
        .parse()
        .map_err(|e| refused(e.to_string()))?;
    let zone: InMemoryZoneHandler =
        InMemoryZoneHandler::new(name.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)
            .map_err(refused)?;
    catalog.upsert(name.into(), vec![Arc::new(zone)]);
    Ok(())
}

/// The zones, with the scripted faults in front.
struct Answers {
    catalog: Catalog,
    state: Arc<Mutex<NameState>>,
}

impl Answers {
    /// Counts the question and tells what is wrong with its name.
    fn fault(&self, request: &Request) -> Option<NameFault> {
        let query = request.request_info().ok()?.query;
        let name = query.name().to_string();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let question = format!("{name} {}", query.query_type());
        if state.queries.contains_key(&question) || state.queries.len() < COUNTED_QUESTIONS {
            *state.queries.entry(question).or_default() += 1;
        }
        state.faults.get(&name).copied()
    }

    async fn answer<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut reply: R,
    ) -> ResponseInfo {
        let code = match self.fault(request) {
            None => return self.catalog.handle_request::<R, T>(request, reply).await,
            Some(NameFault::ServFail) => ResponseCode::ServFail,
            Some(NameFault::Refused) => ResponseCode::Refused,
            Some(NameFault::NxDomain) => ResponseCode::NXDomain,
            Some(NameFault::Silence) => return unsent(request),
        };
        let message = MessageResponseBuilder::from_message_request(request)
            .error_msg(&request.metadata, code);
        let sent = reply.send_response(message).await;
        sent.unwrap_or_else(|_| unsent(request))
    }
}

/// The account of a reply that was not sent; only the server's own log reads it.
fn unsent(request: &Request) -> ResponseInfo {
    let metadata = Metadata::response_from_request(&request.metadata);
    let counts = HeaderCounts::default();
    ResponseInfo::from(Header { metadata, counts })
}

// Written out because the trait is declared with `async_trait`, which needs no dependency this way.
impl RequestHandler for Answers {
    fn handle_request<'a, 'b, 'c, R, T>(
        &'a self,
        request: &'b Request,
        reply: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'c>>
    where
        R: ResponseHandler + 'c,
        T: Time + 'c,
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.answer::<R, T>(request, reply))
    }
}
