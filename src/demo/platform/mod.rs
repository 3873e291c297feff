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
mod imap;
mod imap_fetch;
mod imap_folder;
mod imap_list;
mod imap_reply;
mod imap_search;
mod imap_session;
mod message;
pub mod misbehaviour;
mod record;
mod relay;
mod setup;
mod smtp;
mod smtp_data;
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
use imap::ImapServer;
use misbehaviour::{ImapMisbehaviour, Misbehaviour, NameFault};
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
    imap: Arc<ImapServer>,
    imap_addr: SocketAddr,
    imaps_addr: SocketAddr,
    tasks: JoinSet<()>,
}

impl Platform {
    /// Starts everything; when it returns, every port answers.
    pub async fn start(setup: Setup) -> Result<Self, PlatformError> {
        let known = |ip: &IpAddr| {
            let addresses = topology::IPV4.into_iter().chain([topology::IPV6]);
            addresses.into_iter().any(|address| address.ip == *ip)
        };
        if let Some(unknown) = setup.faults.smtp.keys().find(|ip| !known(ip)) {
            return Err(PlatformError::UnknownAddress(*unknown));
        }
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

        let (smtp_port, doors) = smtp::open_doors(&setup).await?;
        let addresses: Vec<Address> = doors.iter().map(|(address, _)| *address).collect();
        let names = NameServer::start(&setup, &addresses).await?;
        let imap = imap_server(&setup, &authority, &store, &record)?;
        let imap_addr = serve_imap(&imap, false, &mut tasks).await?;
        let imaps_addr = serve_imap(&imap, true, &mut tasks).await?;
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
            imap,
            imap_addr,
            imaps_addr,
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

    /// The IMAP server without TLS at the start; STARTTLS is offered.
    pub fn imap_addr(&self) -> SocketAddr {
        self.imap_addr
    }

    /// The IMAP server with TLS from the start.
    pub fn imaps_addr(&self) -> SocketAddr {
        self.imaps_addr
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

    /// What happened on the IMAP server so far.
    pub fn imap_counters(&self) -> ImapCounters {
        self.record.lock().imap.clone()
    }

    /// Successful IMAP logins.
    pub fn imap_login_count(&self) -> u64 {
        self.record.lock().imap.logins
    }

    /// Every change that an IMAP client made to a message, in order.
    pub fn imap_changes(&self) -> Vec<Change> {
        self.record.lock().changes.clone()
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

    /// Another conduct of the IMAP server, in force for the next connection or command.
    pub fn set_imap_misbehaviour(
        &self,
        misbehaviour: ImapMisbehaviour,
    ) -> Result<(), PlatformError> {
        let names = [topology::IMAP_HOST.to_owned()];
        let tls = self
            .authority
            .server_config(&misbehaviour.certificate, &names)?;
        self.imap.set_conduct(misbehaviour, tls);
        Ok(())
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

fn imap_server(
    setup: &Setup,
    authority: &Authority,
    store: &Arc<Store>,
    record: &Arc<Record>,
) -> Result<Arc<ImapServer>, PlatformError> {
    let misbehaviour = setup.faults.imap.clone();
    let names = [topology::IMAP_HOST.to_owned()];
    let tls = authority.server_config(&misbehaviour.certificate, &names)?;
    let credentials = (setup.username.clone(), setup.password.clone());
    let conduct = (misbehaviour, tls);
    let server = ImapServer::new(Arc::clone(store), Arc::clone(record), credentials, conduct);
    Ok(Arc::new(server))
}

async fn serve_imap(
    server: &Arc<ImapServer>,
    implicit_tls: bool,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, PlatformError> {
    let (listener, address) = imap::listen().await?;
    tasks.spawn(imap::serve(listener, Arc::clone(server), implicit_tls));
    Ok(address)
}
