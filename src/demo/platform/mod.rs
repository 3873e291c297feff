//! A mail platform inside the process, over real loopback sockets: DNS, two filter nodes with
//! SMTP, a store with IMAP. `postrider demo` runs against it, and fast tests do.
//!
//! ```text
//!  DNS 127.0.0.1          filter1 127.0.21.1 (mx1) 127.0.21.2 (mx2) ::1 (mx1) ─┐
//!  zones example.test,                                                        ├─ queue ─ store1 ─ IMAP 127.0.23.1
//!  outside.test           filter2 127.0.22.1 (mx1) 127.0.22.2 (mx2) ───────────┘
//! ```
//!
//! All SMTP addresses share one port. Everything that can go wrong on request is named in
//! [`misbehaviour`]; what happened is read from [`Platform`]'s accessors.

mod certificates;
mod clock;
mod dns;
mod message;
pub mod misbehaviour;
mod record;
mod relay;
mod setup;
mod smtp;
mod smtp_session;
mod smtp_wire;
mod store;
#[cfg(test)]
mod tests;
pub mod topology;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use certificates::Authority;
use clock::WallClock;
use dns::NameServer;
use misbehaviour::{Misbehaviour, NameFault};
use record::Record;
use relay::Relay;
use smtp::{Conduct, Door, Limits, Order};
use store::Store;
use topology::Address;

pub use record::{Accepted, Change, Delivered, ImapCounters, SmtpCounters};
pub use setup::{Ipv6, Setup};
pub use store::StoredMessage;

/// Why the platform could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// An address of the platform can't be used; on Linux all of 127.0.0.0/8 can.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address and, if one was chosen already, the port.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// No port is free for DNS.
    #[error("cannot start the name server: {0}")]
    Dns(io::Error),
    /// A line of a zone makes no sense.
    #[error("zone {origin}: {problem}")]
    Zone {
        /// The zone.
        origin: String,
        /// The parser's reason.
        problem: String,
    },
    /// A certificate can't be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate can't be used.
    #[error("cannot use a certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The address is none of the platform's SMTP addresses.
    #[error("{0} is no SMTP address of the platform")]
    UnknownAddress(IpAddr),
    /// A part of the platform has ended already.
    #[error("the platform has stopped")]
    Stopped,
}

/// The running platform. Dropping it ends every task and connection of it.
#[derive(Debug)]
pub struct Platform {
    setup: Setup,
    authority: Authority,
    ca_pem: String,
    addresses: Vec<Address>,
    smtp_port: u16,
    orders: BTreeMap<IpAddr, mpsc::Sender<Order>>,
    names: NameServer,
    relay: Arc<Relay>,
    store: Arc<Store>,
    record: Arc<Record>,
    tasks: JoinSet<()>,
}

/// Tries to find a port that is free on all SMTP addresses.
const PORT_TRIES: u32 = 50;

impl Platform {
    /// Starts everything; when it returns, every port answers.
    pub async fn start(setup: Setup) -> Result<Self, PlatformError> {
        let clock = WallClock::starting_at(setup.now);
        let authority = Authority::new(setup.now)?;
        let record = Arc::new(Record::default());
        let store = Arc::new(Store::new(clock, Arc::clone(&record)));
        let mut tasks = JoinSet::new();
        let relay = Relay::start(
            &setup,
            clock,
            Arc::clone(&record),
            Arc::clone(&store),
            &mut tasks,
        );

        let (smtp_port, doors) = open_doors(&setup).await?;
        let addresses: Vec<Address> = doors.iter().map(|(address, _)| *address).collect();
        let names = NameServer::start(&setup, &addresses).await?;
        let mut platform = Self {
            ca_pem: authority.pem(),
            authority,
            addresses,
            smtp_port,
            orders: BTreeMap::new(),
            names,
            relay: Arc::new(relay),
            store,
            record,
            tasks,
            setup,
        };
        for (address, door) in doors {
            platform.serve_smtp(address, door)?;
        }
        Ok(platform)
    }

    fn serve_smtp(&mut self, address: Address, door: Door) -> Result<(), PlatformError> {
        let misbehaviour = self.setup.faults.smtp.get(&address.ip).cloned();
        let conduct = self.conduct(address, misbehaviour.unwrap_or_default())?;
        let limits = Limits {
            connections: self.setup.connections_per_address,
            idle: self.setup.idle_timeout,
        };
        let (order, orders) = mpsc::channel(1);
        self.orders.insert(address.ip, order);
        let addr = SocketAddr::new(address.ip, self.smtp_port);
        let relay = Arc::clone(&self.relay);
        let serving = smtp::serve(address, addr, door, conduct, relay, limits, orders);
        self.tasks.spawn(serving);
        Ok(())
    }

    fn conduct(
        &self,
        address: Address,
        misbehaviour: Misbehaviour,
    ) -> Result<Conduct, PlatformError> {
        let names = [address.mx.to_owned(), address.node_host()];
        let tls = self
            .authority
            .server_config(&misbehaviour.certificate, &names)?;
        Ok(Conduct { misbehaviour, tls })
    }

    /// Ends every task and waits until they are gone.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }

    /// The name server, UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.names.addr
    }

    /// The port of all SMTP addresses.
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// The authority that issued every certificate that is not self-signed.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The SMTP addresses that exist, IPv4 first.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The IMAP user.
    pub fn username(&self) -> &str {
        &self.setup.username
    }

    /// The IMAP user's password.
    pub fn password(&self) -> &str {
        &self.setup.password
    }

    /// The address that receives mail.
    pub fn recipient(&self) -> &str {
        &self.setup.recipient
    }

    /// Every mail that was taken over, in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.record.lock().accepted.clone()
    }

    /// Every mail that was put into a folder, in order.
    pub fn deliveries(&self) -> Vec<Delivered> {
        self.record.lock().delivered.clone()
    }

    /// What the folder holds now; empty if there is no such folder.
    pub fn mailbox(&self, folder: &str) -> Vec<StoredMessage> {
        let messages = self.store.read(folder, |folder| folder.messages.clone());
        messages.unwrap_or_default()
    }

    /// Puts a message into the INBOX that did not come through the nodes; gives its UID.
    pub fn put_foreign(&self, raw: &[u8]) -> u32 {
        self.put("INBOX", raw).unwrap_or_default()
    }

    /// Puts a message into a folder; `None` if there is no such folder.
    pub fn put(&self, folder: &str, raw: &[u8]) -> Option<u32> {
        self.store.put(folder, "", raw.into())
    }

    /// What happened on an SMTP address so far.
    pub fn smtp_counters(&self, address: IpAddr) -> SmtpCounters {
        let seen = self.record.lock();
        seen.smtp.get(&address).copied().unwrap_or_default()
    }

    /// DATA commands on all addresses.
    pub fn data_commands(&self) -> u64 {
        let seen = self.record.lock();
        seen.smtp.values().map(|one| one.data_commands).sum()
    }

    /// How often each question was asked of the name server: `"example.test MX"` → count.
    pub fn dns_queries(&self) -> BTreeMap<String, u64> {
        let state = self.names.state.lock();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .queries
            .clone()
    }

    /// Another conduct for an SMTP address, in force for connections that begin after this
    /// returns. Sessions under way keep theirs.
    pub async fn set_misbehaviour(
        &self,
        address: IpAddr,
        misbehaviour: Misbehaviour,
    ) -> Result<(), PlatformError> {
        let known = self.addresses.iter().find(|known| known.ip == address);
        let (Some(known), Some(orders)) = (known, self.orders.get(&address)) else {
            return Err(PlatformError::UnknownAddress(address));
        };
        let conduct = self.conduct(*known, misbehaviour)?;
        let (done, in_force) = oneshot::channel();
        let sent = orders.send((conduct, done)).await;
        sent.map_err(|_| PlatformError::Stopped)?;
        let reopened = in_force.await.map_err(|_| PlatformError::Stopped)?;
        reopened.map_err(|source| PlatformError::Listen {
            address: SocketAddr::new(address, self.smtp_port),
            source,
        })
    }

    /// From now on the node keeps mail this long in its queue.
    pub fn set_hold(&self, node: &str, hold: Duration) {
        self.relay.set_hold(node, hold);
    }

    /// From now on the name is answered so; `None` is the zone's content again.
    pub fn set_name_fault(&self, name: &str, fault: Option<NameFault>) {
        let state = self.names.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => state.faults.insert(name.to_ascii_lowercase(), fault),
            None => state.faults.remove(&name.to_ascii_lowercase()),
        };
    }

    /// Gives the folder another UIDVALIDITY and new UIDs, and cuts sessions that have it
    /// selected. `None` if there is no such folder.
    pub fn change_uid_validity(&self, folder: &str) -> Option<u32> {
        self.store.change_uid_validity(folder)
    }
}

/// Binds every SMTP address on one port that is free on all of them.
async fn open_doors(setup: &Setup) -> Result<(u16, Vec<(Address, Door)>), PlatformError> {
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
