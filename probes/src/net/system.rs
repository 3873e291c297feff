//! The real network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use crate::dialogue::stream::BoxStream;
use crate::net::connect::{connect, has_route, source_towards};
use crate::net::dnssec;
use crate::net::failure::server_words;
use crate::net::{
    Answer, AskError, BoxFuture, Net, Proven, Question, Security, TrustAnchors, exchange,
};

/// The most name servers of a resolv.conf that are asked, as the C library does it.
const MOST_RESOLVERS: usize = 3;

/// The operating system's network: real sockets, one attempt each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemNet {
    resolver: Option<SocketAddr>,
    source: Option<IpAddr>,
    anchors: TrustAnchors,
}

impl SystemNet {
    /// `resolver`: whom to ask for names, the system's resolv.conf when `None`. `source`: the local address to use
    /// when a caller names none; it counts only towards addresses of its own family.
    #[must_use]
    pub fn new(resolver: Option<SocketAddr>, source: Option<IpAddr>) -> Self {
        Self {
            resolver,
            source,
            anchors: TrustAnchors::default(),
        }
    }

    /// The same network with other keys where trust begins than IANA's.
    #[must_use]
    pub fn trusting(self, anchors: TrustAnchors) -> Self {
        Self { anchors, ..self }
    }

    /// Read at every question: a daemon that runs for a year sees its resolv.conf change.
    fn resolvers(&self) -> Vec<SocketAddr> {
        if let Some(resolver) = self.resolver {
            return vec![resolver];
        }
        let Ok((config, _)) = read_system_conf() else {
            return Vec::new();
        };
        config
            .name_servers
            .iter()
            .map(|server| SocketAddr::new(server.ip, 53))
            .take(MOST_RESOLVERS)
            .collect()
    }

    /// Asks one after the other and shares the time among them.
    async fn ask_one_of(
        &self,
        servers: &[SocketAddr],
        question: &Question,
    ) -> Result<Answer, AskError> {
        let began = Instant::now();
        let mut best = Err(AskError::NoResolver);
        for (index, &server) in servers.iter().enumerate() {
            let left = question.within.saturating_sub(began.elapsed());
            let servers_left = u32::try_from(servers.len() - index).unwrap_or(1);
            let answer = self.ask_one(server, question, left / servers_left).await;
            match &answer {
                // A resolver that is in trouble itself says so; the next one may know.
                Ok(answer) if ["SERVFAIL", "REFUSED", "NOTIMP"].contains(&&*answer.rcode) => {}
                Ok(_) | Err(AskError::BadQuestion(_)) => {
                    best = answer;
                    break;
                }
                Err(_) => {}
            }
            if best.is_err() || answer.is_ok() {
                best = answer;
            }
        }
        match best {
            Ok(answer) => Ok(Answer {
                took: began.elapsed(),
                ..answer
            }),
            // A time-out after several servers is a time-out of them all.
            Err(AskError::TimedOut { .. }) => Err(AskError::TimedOut {
                server: servers
                    .iter()
                    .map(|&server| server_words(server))
                    .collect::<Vec<_>>()
                    .join(", "),
                waited: began.elapsed(),
            }),
            other => other,
        }
    }

    async fn ask_one(
        &self,
        server: SocketAddr,
        question: &Question,
        within: Duration,
    ) -> Result<Answer, AskError> {
        exchange::ask(server, question, within, self.source_for(server)).await
    }

    /// As [`Self::ask_one_of`]; what a resolver proves or fails to prove is an answer.
    async fn prove_by_one_of(
        &self,
        servers: &[SocketAddr],
        question: &Question,
    ) -> Result<Proven, AskError> {
        let began = Instant::now();
        let mut last = Err(AskError::NoResolver);
        for (index, &server) in servers.iter().enumerate() {
            let left = question.within.saturating_sub(began.elapsed());
            let servers_left = u32::try_from(servers.len() - index).unwrap_or(1);
            let (within, source) = (left / servers_left, self.source_for(server));
            let proven = dnssec::ask(server, question, within, source, &self.anchors).await;
            match &proven {
                Ok(proven) if proven.security == Security::Indeterminate => {}
                Ok(_) | Err(AskError::BadQuestion(_)) => return proven,
                Err(_) => {}
            }
            if last.is_err() || proven.is_ok() {
                last = proven;
            }
        }
        last
    }

    /// An outside address cannot be the source towards a resolver on this very host.
    fn source_for(&self, server: SocketAddr) -> Option<IpAddr> {
        self.source
            .filter(|source| source.is_loopback() || !server.ip().is_loopback())
    }
}

impl Net for SystemNet {
    fn connect(
        &self,
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            let stream = connect(to, source.or(self.source)).await?;
            Ok(Box::new(stream) as BoxStream)
        })
    }

    fn ask(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Answer, AskError>> {
        Box::pin(async move {
            match server {
                Some(server) => self.ask_one(server, &question, question.within).await,
                None => self.ask_one_of(&self.resolvers(), &question).await,
            }
        })
    }

    fn ask_securely(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Proven, AskError>> {
        Box::pin(async move {
            let servers = server.map_or_else(|| self.resolvers(), |server| vec![server]);
            self.prove_by_one_of(&servers, &question).await
        })
    }

    fn datagram(
        &self,
        to: SocketAddr,
        bytes: Vec<u8>,
        within: Duration,
    ) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        Box::pin(async move { exchange::datagram(to, self.source, &bytes, within).await })
    }

    fn source_towards(&self, to: IpAddr) -> Option<IpAddr> {
        self.source
            .filter(|source| source.is_ipv4() == to.is_ipv4())
            .or_else(|| source_towards(to))
    }

    fn has_route(&self, to: IpAddr) -> bool {
        has_route(to)
    }
}
