//! A network in memory: scripted DNS answers by question, streams by address. Nothing waits for real, so time can be paused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_probes::dialogue::stream::BoxStream;
use postrider_probes::net::{
    Answer, AskError, BoxFuture, Net, NoRoute, Proven, Question, Record, RecordData, Security,
};
use tokio::io::DuplexStream;

/// Bytes on the way in one direction of a stream.
const PIPE: usize = 64 * 1024;
/// The time to live of a scripted record unless it is given.
const TTL: u32 = 300;

/// A scripted network. A question about an unknown name gets `NXDOMAIN`, about an unknown type of a known name an empty
/// answer; an unknown address refuses the connection.
#[derive(Debug, Default)]
pub struct FakeNet(Mutex<Script>);

#[derive(Debug, Default)]
struct Script {
    answers: BTreeMap<Key, Reaction>,
    peers: BTreeMap<SocketAddr, VecDeque<DuplexStream>>,
    silent: BTreeSet<SocketAddr>,
    unroutable: BTreeSet<IpAddr>,
    proofs: BTreeMap<Key, Security>,
    signed: bool,
    without_ipv6: bool,
    lame: BTreeSet<SocketAddr>,
    questions: Vec<(Option<SocketAddr>, Question)>,
    connections: Vec<(SocketAddr, Option<IpAddr>)>,
}

/// Server (`None`: the resolver), name, type.
type Key = (Option<SocketAddr>, String, String);

#[derive(Debug, Clone)]
enum Reaction {
    Records(Vec<Record>),
    Rcode(String),
    Silence,
    Error(AskError),
}

impl FakeNet {
    /// A network without names and hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another network with the same answers so far.
    #[must_use]
    pub fn again(&self) -> Self {
        let net = Self::new();
        net.lock().answers.clone_from(&self.lock().answers);
        net
    }

    /// The resolver answers with these records in presentation form; see [`record`].
    #[must_use]
    pub fn records(self, name: &str, record_type: &str, data: &[&str]) -> Self {
        self.reacts(
            None,
            name,
            record_type,
            records(name, record_type, data, TTL),
        )
    }

    /// The authoritative server `server` answers with these records.
    #[must_use]
    pub fn records_at(
        self,
        server: SocketAddr,
        name: &str,
        record_type: &str,
        data: &[&str],
    ) -> Self {
        let reaction = records(name, record_type, data, TTL);
        self.reacts(Some(server), name, record_type, reaction)
    }

    /// The resolver answers with records of another time to live, in seconds.
    #[must_use]
    pub fn records_with_ttl(self, name: &str, record_type: &str, data: &[&str], ttl: u32) -> Self {
        self.reacts(
            None,
            name,
            record_type,
            records(name, record_type, data, ttl),
        )
    }

    /// The same of the authoritative server `server`.
    #[must_use]
    pub fn records_with_ttl_at(
        self,
        server: SocketAddr,
        name: &str,
        record_type: &str,
        data: &[&str],
        ttl: u32,
    ) -> Self {
        let reaction = records(name, record_type, data, ttl);
        self.reacts(Some(server), name, record_type, reaction)
    }

    /// The resolver answers a question of this type with an alias and then with records of the alias.
    #[must_use]
    pub fn alias(self, name: &str, target: &str, record_type: &str, data: &[&str]) -> Self {
        let mut chain = vec![record(name, "CNAME", target, TTL)];
        chain.extend(
            data.iter()
                .map(|data| record(target, record_type, data, TTL)),
        );
        self.reacts(None, name, record_type, Reaction::Records(chain))
    }

    /// The server (`None`: the resolver) answers with an error code.
    #[must_use]
    pub fn rcode(
        self,
        server: Option<SocketAddr>,
        name: &str,
        record_type: &str,
        rcode: &str,
    ) -> Self {
        self.reacts(server, name, record_type, Reaction::Rcode(rcode.to_owned()))
    }

    /// The server (`None`: the resolver) does not answer this question.
    #[must_use]
    pub fn silence(self, server: Option<SocketAddr>, name: &str, record_type: &str) -> Self {
        self.reacts(server, name, record_type, Reaction::Silence)
    }

    /// The question fails.
    #[must_use]
    pub fn ask_error(
        self,
        server: Option<SocketAddr>,
        name: &str,
        record_type: &str,
        error: AskError,
    ) -> Self {
        self.reacts(server, name, record_type, Reaction::Error(error))
    }

    /// Everything is proven secure, unless [`proves`](Self::proves) says otherwise; without this, insecure.
    #[must_use]
    pub fn signed(self) -> Self {
        self.lock().signed = true;
        self
    }

    /// What is proven of the resolver's answer to this question.
    #[must_use]
    pub fn proves(self, name: &str, record_type: &str, security: Security) -> Self {
        let key = (None, name.to_owned(), record_type.to_owned());
        self.lock().proofs.insert(key, security);
        self
    }

    /// The server's answers are not authoritative.
    #[must_use]
    pub fn lame(self, server: SocketAddr) -> Self {
        self.lock().lame.insert(server);
        self
    }

    /// The address never answers a connection attempt.
    #[must_use]
    pub fn silent_address(self, address: SocketAddr) -> Self {
        self.lock().silent.insert(address);
        self
    }

    /// There is no way to the address.
    #[must_use]
    pub fn unroutable(self, address: IpAddr) -> Self {
        self.lock().unroutable.insert(address);
        self
    }

    /// There is no way to any IPv6 address.
    #[must_use]
    pub fn without_ipv6(self) -> Self {
        self.lock().without_ipv6 = true;
        self
    }

    /// The next connection to `address` reaches the returned end. Call it once for each connection.
    pub fn peer(&self, address: SocketAddr) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.lock()
            .peers
            .entry(address)
            .or_default()
            .push_back(ours);
        theirs
    }

    /// What was asked, in order.
    pub fn questions(&self) -> Vec<(Option<SocketAddr>, Question)> {
        self.lock().questions.clone()
    }

    /// What was connected to, with the source address, in order.
    pub fn connections(&self) -> Vec<(SocketAddr, Option<IpAddr>)> {
        self.lock().connections.clone()
    }

    fn reacts(
        self,
        server: Option<SocketAddr>,
        name: &str,
        record_type: &str,
        reaction: Reaction,
    ) -> Self {
        let key = (server, name.to_owned(), record_type.to_owned());
        self.lock().answers.insert(key, reaction);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unroutable(&self, address: IpAddr) -> bool {
        let script = self.lock();
        script.unroutable.contains(&address) || (script.without_ipv6 && address.is_ipv6())
    }
}

impl Script {
    fn reaction(&self, server: Option<SocketAddr>, question: &Question) -> Reaction {
        let name = question.name.trim_end_matches('.').to_ascii_lowercase();
        let key = (server, name.clone(), question.record_type.clone());
        if let Some(reaction) = self.answers.get(&key) {
            return reaction.clone();
        }
        let is_known = self
            .answers
            .keys()
            .any(|(at, known, _)| *at == server && *known == name);
        match is_known {
            true => Reaction::Records(Vec::new()),
            false => Reaction::Rcode("NXDOMAIN".to_owned()),
        }
    }
}

impl Net for FakeNet {
    fn connect(
        &self,
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            self.lock().connections.push((to, source));
            if self.is_unroutable(to.ip()) {
                return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, NoRoute));
            }
            if self.lock().silent.contains(&to) {
                std::future::pending::<()>().await;
            }
            let peer = self.lock().peers.get_mut(&to).and_then(VecDeque::pop_front);
            match peer {
                Some(stream) => Ok(Box::new(stream) as BoxStream),
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }

    fn ask(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Answer, AskError>> {
        Box::pin(async move {
            let (reaction, authoritative) = {
                let mut script = self.lock();
                script.questions.push((server, question.clone()));
                let reaction = script.reaction(server, &question);
                let authoritative = server.is_some_and(|server| !script.lame.contains(&server));
                (reaction, authoritative)
            };
            let from = server.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 53)));
            let (rcode, records) = match reaction {
                Reaction::Records(records) => ("NOERROR".to_owned(), records),
                Reaction::Rcode(rcode) => (rcode, Vec::new()),
                Reaction::Silence => {
                    tokio::time::sleep(question.within).await;
                    return Err(AskError::TimedOut {
                        server: from.ip().to_string(),
                        waited: question.within,
                    });
                }
                Reaction::Error(error) => return Err(error),
            };
            Ok(Answer {
                rcode,
                records,
                authoritative,
                server: from,
                took: Duration::from_millis(1),
            })
        })
    }

    fn ask_securely(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Proven, AskError>> {
        Box::pin(async move {
            let answer = self.ask(server, question.clone()).await?;
            let script = self.lock();
            let name = question.name.trim_end_matches('.').to_ascii_lowercase();
            let key = (server, name, question.record_type);
            let usual = match (answer.rcode.as_str(), script.signed) {
                ("NOERROR" | "NXDOMAIN", true) => Security::Secure,
                ("NOERROR" | "NXDOMAIN", false) => Security::Insecure,
                _ => Security::Indeterminate,
            };
            let security = script.proofs.get(&key).cloned().unwrap_or(usual);
            Ok(Proven { answer, security })
        })
    }

    fn has_route(&self, to: IpAddr) -> bool {
        !self.is_unroutable(to)
    }
}

fn records(name: &str, record_type: &str, data: &[&str], ttl: u32) -> Reaction {
    Reaction::Records(
        data.iter()
            .map(|data| record(name, record_type, data, ttl))
            .collect(),
    )
}

/// A record from its presentation form: `10 mx1.example.test`, `192.0.2.1`, a name, a text.
///
/// # Panics
/// When an address or an MX does not have its form: the test itself is wrong.
#[must_use]
pub fn record(name: &str, record_type: &str, data: &str, ttl: u32) -> Record {
    #[expect(clippy::expect_used, reason = "a wrong script is a wrong test")]
    let data = match record_type {
        "A" | "AAAA" => RecordData::Address(data.parse().expect("an address")),
        "MX" => {
            let (preference, host) = data.split_once(' ').expect("preference and host");
            RecordData::Mx {
                preference: preference.parse().expect("a preference"),
                host: host.to_owned(),
            }
        }
        "CNAME" | "NS" | "PTR" => RecordData::Name(data.to_owned()),
        "TXT" => RecordData::Text(data.to_owned()),
        _ => RecordData::Other(data.to_owned()),
    };
    Record {
        name: name.to_owned(),
        record_type: record_type.to_owned(),
        ttl,
        data,
    }
}
