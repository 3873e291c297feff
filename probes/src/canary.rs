//! Canaries of the vantage: small looks at hosts outside the platform under test. They tell a dead platform from a dead
//! probe. A canary proves that something works; its failure alone proves nothing, hence one asks several.

mod sntp;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use postrider_wire::text::RemoteText;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use crate::dialogue::stream::BoxStream;
use crate::kinds::deliver::Family;
use crate::net::{Addresses, Net, Question, addresses, connect_failure, lookup};
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::span::Span;

/// How far the wall clock may be from the time server's. Mail knows seconds; a filter looks at hours.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// Bytes of a banner that are read.
const BANNER: usize = 512;

/// One thing that works as long as the vantage is all right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// A TCP connection can be opened.
    Tcp {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
        /// Which addresses of the host.
        family: Family,
    },
    /// A name can be resolved.
    Dns {
        /// The name.
        query: String,
        /// Mnemonic of the record type.
        record_type: String,
    },
    /// An SMTP server greets: outgoing port 25 is not blocked.
    Smtp {
        /// Name or address.
        host: String,
        /// The port; 25 but in a laboratory.
        port: u16,
        /// Which addresses of the host.
        family: Family,
    },
    /// A time server agrees with our clock (RFC 5905, as SNTP).
    Ntp {
        /// Name or address.
        host: String,
        /// The port, 123.
        port: u16,
    },
}

/// What a canary is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The network of a family.
    Network,
    /// The resolver.
    Resolver,
    /// Outgoing SMTP of a family.
    Smtp,
    /// The clock.
    Clock,
}

/// One look at one canary, over one family.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What it is good for.
    pub proof: Proof,
    /// For people: `tcp canary.example.org:443 over IPv6`.
    pub name: String,
    /// `Ipv4` or `Ipv6` where the family matters, else `Both`.
    pub family: Family,
    /// What was seen, when all is well: `connected`, the banner, the offset.
    pub saw: String,
    /// What is wrong; a reason of the platform's kind, since a canary knows nothing of whose fault it is.
    pub failure: Option<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Canary {
    /// What it is good for.
    #[must_use]
    pub fn proof(&self) -> Proof {
        match self {
            Self::Tcp { .. } => Proof::Network,
            Self::Dns { .. } => Proof::Resolver,
            Self::Smtp { .. } => Proof::Smtp,
            Self::Ntp { .. } => Proof::Clock,
        }
    }

    /// Looks once, over each of its families at the same time; each look may take `within`.
    pub async fn look(&self, net: &dyn Net, now: fn() -> Timestamp, within: Duration) -> Vec<Look> {
        match self {
            Self::Dns { query, record_type } => {
                let began = Instant::now();
                let question = Question::new(query, record_type, within);
                let answer = lookup(net, None, question).await;
                vec![self.seen(
                    Family::Both,
                    began,
                    answer.map(|answer| format!("{} records", answer.records.len())),
                )]
            }
            Self::Ntp { host, port } => {
                let began = Instant::now();
                let offset = clock_offset(net, host, *port, now, within).await;
                vec![self.seen(Family::Both, began, offset)]
            }
            Self::Tcp { host, port, family } | Self::Smtp { host, port, family } => {
                let one = |of| async move {
                    let began = Instant::now();
                    let address = first_address(net, host, of, within).await;
                    let seen = match address {
                        // Without an address of this family it says nothing about it.
                        Ok(None) => return None,
                        Ok(Some(address)) => {
                            let to = SocketAddr::new(address, *port);
                            self.reach(net, to, began, within).await
                        }
                        Err(failure) => Err(failure),
                    };
                    Some(self.seen(of, began, seen))
                };
                let v4 = async {
                    match family {
                        Family::Ipv6 => None,
                        Family::Ipv4 | Family::Both => one(Family::Ipv4).await,
                    }
                };
                let v6 = async {
                    match family {
                        Family::Ipv4 => None,
                        Family::Ipv6 | Family::Both => one(Family::Ipv6).await,
                    }
                };
                let (v4, v6) = tokio::join!(v4, v6);
                v4.into_iter().chain(v6).collect()
            }
        }
    }

    /// Connects, and for SMTP waits for the greeting.
    async fn reach(
        &self,
        net: &dyn Net,
        to: SocketAddr,
        began: Instant,
        within: Duration,
    ) -> Result<String, Failure> {
        let port = to.port();
        let left = within.saturating_sub(began.elapsed());
        let mut stream = match timeout(left, net.connect(to, None)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(connect_failure(&error, to, within)),
            Err(_) => {
                return Err(Failure::new(
                    Reason::ConnectTimeout,
                    format!(
                        "no answer from {} port {port} within {}",
                        to.ip(),
                        Span(within)
                    ),
                ));
            }
        };
        if self.proof() == Proof::Network {
            return Ok(format!("{} answers", to.ip()));
        }
        let left = within.saturating_sub(began.elapsed());
        let banner = match timeout(left, greeting(&mut stream)).await {
            Ok(Ok(banner)) => banner,
            Ok(Err(error)) => return Err(connect_failure(&error, to, within)),
            Err(_) => {
                return Err(Failure::new(
                    Reason::BannerTimeout,
                    format!(
                        "{} is connected, but sends no greeting within {}",
                        to.ip(),
                        Span(within)
                    ),
                ));
            }
        };
        // Politeness; whether it is heard changes nothing.
        let _ = timeout(Duration::from_secs(1), stream.write_all(b"QUIT\r\n")).await;
        match banner.as_bytes() {
            // Also a server that refuses us proves that the port is open.
            [b'2' | b'4' | b'5', ..] => Ok(banner),
            _ => Err(Failure::new(
                Reason::SmtpUnexpectedReply,
                format!("{} sends `{banner}` as greeting", to.ip()),
            )),
        }
    }

    fn seen(&self, family: Family, began: Instant, seen: Result<String, Failure>) -> Look {
        let over = match family {
            Family::Ipv4 => " over IPv4",
            Family::Ipv6 => " over IPv6",
            Family::Both => "",
        };
        let (saw, failure) = match seen {
            Ok(saw) => (saw, None),
            Err(failure) => (String::new(), Some(failure)),
        };
        Look {
            proof: self.proof(),
            name: format!("{self}{over}"),
            family,
            saw,
            failure,
            took: began.elapsed(),
        }
    }
}

impl std::fmt::Display for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port, .. } => write!(f, "tcp {host} port {port}"),
            Self::Dns { query, record_type } => write!(f, "dns {query} {record_type}"),
            Self::Smtp { host, port, .. } => write!(f, "smtp {host} port {port}"),
            Self::Ntp { host, .. } => write!(f, "ntp {host}"),
        }
    }
}

/// An address of the family, if the host has one.
async fn first_address(
    net: &dyn Net,
    host: &str,
    family: Family,
    within: Duration,
) -> Result<Option<IpAddr>, Failure> {
    if let Ok(address) = host.parse() {
        return Ok(Some(address).filter(|address| family.holds(*address)));
    }
    let Addresses {
        addresses, failure, ..
    } = addresses(net, None, host, family, within).await;
    match (addresses.first(), failure) {
        (Some(address), _) => Ok(Some(*address)),
        (None, None) => Ok(None),
        (None, Some(failure)) => Err(failure),
    }
}

/// The first line, at most [`BANNER`] bytes, safe to print.
async fn greeting(stream: &mut BoxStream) -> std::io::Result<String> {
    let mut bytes = Vec::with_capacity(BANNER);
    let mut block = [0_u8; BANNER];
    while bytes.len() < BANNER && !bytes.contains(&b'\n') {
        let room = BANNER - bytes.len();
        let read = stream.read(&mut block[..room]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        bytes.extend_from_slice(&block[..read]);
    }
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(RemoteText::new(line, RemoteText::LINE).to_string())
}

async fn clock_offset(
    net: &dyn Net,
    host: &str,
    port: u16,
    now: fn() -> Timestamp,
    within: Duration,
) -> Result<String, Failure> {
    let began = Instant::now();
    let address = first_address(net, host, Family::Both, within).await?;
    let address = address
        .ok_or_else(|| Failure::new(Reason::DnsNxdomain, format!("{host} has no address")))?;
    let to = SocketAddr::new(address, port);
    let (query, sent) = sntp::query(now());
    let left = within.saturating_sub(began.elapsed());
    let answer = net
        .datagram(to, query, left)
        .await
        .map_err(|error| connect_failure(&error, to, within))?;
    let offset = sntp::offset(&answer, sent, now()).map_err(|problem| {
        Failure::new(
            Reason::ClockSkew,
            format!("cannot tell: {host} is no usable time server: {problem}"),
        )
    })?;
    let seconds = offset.as_secs_f64();
    if offset.unsigned_abs() > CLOCK_TOLERANCE {
        return Err(Failure::new(
            Reason::ClockSkew,
            format!(
                "this clock is {:.1} s {} {host}'s",
                seconds.abs(),
                if seconds > 0.0 { "behind" } else { "ahead of" }
            ),
        ));
    }
    Ok(format!("{seconds:+.3} s"))
}
