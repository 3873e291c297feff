//! The real network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use crate::dialogue::stream::BoxStream;
use crate::net::connect::{connect, has_route, source_towards};
use crate::net::failure::server_words;
use crate::net::{Answer, AskError, BoxFuture, Net, Question, exchange};

/// The most name servers of a resolv.conf that are asked, as the C library does it.
const MOST_RESOLVERS: usize = 3;

/// The operating system's network: real sockets, one attempt each.
#[derive(Debug, Clone)]
pub struct SystemNet {
    resolver: Option<SocketAddr>,
    source: Option<IpAddr>,
}

impl SystemNet {
    /// `resolver`: whom to ask for names, the system's resolv.conf when `None`. `source`: the local address to use
    /// when a caller names none; it counts only towards addresses of its own family.
    #[must_use]
    pub fn new(resolver: Option<SocketAddr>, source: Option<IpAddr>) -> Self {
        Self { resolver, source }
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
        // An outside address cannot be the source towards a resolver on this very host.
        let source = self
            .source
            .filter(|source| source.is_loopback() || !server.ip().is_loopback());
        exchange::ask(server, question, within, source).await
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
