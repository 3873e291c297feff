//! One SMTP session of a filter node (RFC 5321), with its scripted departures from the rules.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::request::receiver::RequestReceiver;
use smtp_proto::{Error, Request};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::misbehaviour::{Connection, Point, StartTls};
use super::record::SmtpCounters;
use super::relay::Relay;
use super::smtp::Conduct;
use super::smtp_wire::{End, Said, Transport, Wire};
use super::topology::{self, Address};

/// The largest message taken, in bytes; announced with SIZE (RFC 1870).
/// More than the kernel buffers of a loopback connection hold, so that a cut in the middle can be told from one
/// after the end.
pub(super) const MAX_MESSAGE: usize = 10 << 20;
const MAX_RECIPIENTS: usize = 100;
const BEFORE_RESET: Duration = Duration::from_millis(100);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a session is about.
#[derive(Debug)]
pub(super) struct SessionContext {
    pub(super) address: Address,
    pub(super) peer: IpAddr,
    pub(super) conduct: Conduct,
    pub(super) relay: Arc<Relay>,
    pub(super) idle: Duration,
}

/// Serves one connection to its end; a `busy` server only says so.
pub(super) async fn run(stream: TcpStream, context: SessionContext, busy: bool) {
    let _open = OpenConnection::count(&context);
    // Small replies must not wait for the client's delayed ACK.
    let _ = stream.set_nodelay(true);
    let misbehaviour = &context.conduct.misbehaviour;
    let mut wire = Wire::new(stream, misbehaviour.trickle, context.idle);
    if busy {
        wire.reply("421 4.7.0 Too many connections");
        return wire.finish(End::Close).await;
    }
    if misbehaviour.connection == Connection::Reset {
        tokio::time::sleep(BEFORE_RESET).await;
        return wire.finish(End::Reset).await;
    }

    let mut session = Session::new(context);
    let end = match session.greet(&mut wire).await {
        Ok(()) => session.converse(&mut wire).await,
        Err(end) => end,
    };
    if end != End::StartTls {
        return wire.finish(end).await;
    }
    // What arrived in clear behind STARTTLS goes down with the wire (RFC 3207 §4.2).
    let acceptor = TlsAcceptor::from(Arc::clone(&session.context.conduct.tls));
    let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(wire.stream));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    session.secure(describe(stream.get_ref().1));
    let trickle = session.context.conduct.misbehaviour.trickle;
    let mut wire = Wire::new(stream, trickle, session.context.idle);
    let end = session.converse(&mut wire).await;
    wire.finish(end).await;
}

fn describe(tls: &rustls::ServerConnection) -> String {
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let suite = tls
        .negotiated_cipher_suite()
        .and_then(|s| s.suite().as_str());
    let suite = suite.unwrap_or("unknown").replace("TLS13_", "TLS_");
    format!("{version} with cipher {suite}")
}

/// Counts a connection for as long as it lives.
struct OpenConnection {
    relay: Arc<Relay>,
    ip: IpAddr,
}

impl OpenConnection {
    fn count(context: &SessionContext) -> Self {
        let ip = context.address.ip;
        context.relay.record.smtp(ip, |seen| {
            seen.connections += 1;
            seen.open += 1;
            seen.most_open = seen.most_open.max(seen.open);
        });
        let relay = Arc::clone(&context.relay);
        Self { relay, ip }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.relay.record.smtp(self.ip, |seen| seen.open -= 1);
    }
}

/// Where the dialogue stands.
pub(super) struct Session {
    pub(super) context: SessionContext,
    pub(super) tls: Option<String>,
    pub(super) helo: Option<(String, bool)>,
    pub(super) mail_from: Option<String>,
    pub(super) rcpt_to: Vec<String>,
    /// After a banner that refuses service only QUIT is served (RFC 5321 §3.1).
    refused: bool,
}

impl Session {
    fn new(context: SessionContext) -> Self {
        Self {
            context,
            tls: None,
            helo: None,
            mail_from: None,
            rcpt_to: Vec::new(),
            refused: false,
        }
    }

    /// RFC 3207 §4.2: after the handshake the server forgets what it knew.
    fn secure(&mut self, tls: String) {
        self.count(|seen| seen.handshakes += 1);
        self.tls = Some(tls);
        self.helo = None;
        self.reset();
    }

    fn reset(&mut self) {
        self.mail_from = None;
        self.rcpt_to.clear();
    }

    pub(super) fn count(&self, note: impl FnOnce(&mut SmtpCounters)) {
        self.context
            .relay
            .record
            .smtp(self.context.address.ip, note);
    }

    async fn greet<S: Transport>(&mut self, wire: &mut Wire<S>) -> Result<(), End> {
        let banner = format!("220 {} ESMTP", self.context.address.node_host());
        self.refused = self.say(wire, Point::Banner, &banner).await? == Said::Otherwise;
        Ok(())
    }

    pub(super) async fn say<S: Transport>(
        &self,
        wire: &mut Wire<S>,
        point: Point,
        ordinary: &str,
    ) -> Result<Said, End> {
        let scripted = self.context.conduct.misbehaviour.at(point);
        wire.say(scripted, ordinary).await
    }

    /// Command by command; replies of pipelined commands leave together (RFC 2920).
    async fn converse<S: Transport>(&mut self, wire: &mut Wire<S>) -> End {
        let mut receiver = RequestReceiver::default();
        loop {
            let mut bytes = wire.unused().iter();
            let request = receiver.ingest(&mut bytes).map(Request::into_owned);
            let left = bytes.as_slice().len();
            wire.keep_last(left);
            let step = match request {
                Ok(request) => self.obey(request, wire).await,
                Err(Error::NeedsMoreData { .. }) => wire.fill().await,
                Err(Error::ResponseTooLong) => {
                    wire.reply("500 5.5.2 Line too long");
                    Err(End::Close)
                }
                Err(error) => {
                    self.count(|seen| seen.unknown += 1);
                    wire.reply(syntax_reply(&error));
                    Ok(())
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn obey<S: Transport>(
        &mut self,
        request: Request<String>,
        wire: &mut Wire<S>,
    ) -> Result<(), End> {
        if self.refused && request != Request::Quit {
            wire.reply("503 5.5.1 No service here, only QUIT");
            return Ok(());
        }
        match request {
            Request::Ehlo { host } => {
                let keywords = self.keywords();
                if self.say(wire, Point::Ehlo, &keywords).await? == Said::AsUsual {
                    self.helo = Some((host, true));
                    self.reset();
                }
            }
            Request::Helo { host } => {
                let hello = format!("250 {}", self.context.address.node_host());
                if self.say(wire, Point::Helo, &hello).await? == Said::AsUsual {
                    self.helo = Some((host, false));
                    self.reset();
                }
            }
            Request::StartTls => return self.start_tls(wire).await,
            Request::Mail { .. } if self.helo.is_none() || self.mail_from.is_some() => {
                wire.reply("503 5.5.1 Bad sequence of commands");
            }
            Request::Mail { from } if from.size > MAX_MESSAGE => {
                wire.reply("552 5.3.4 Message size exceeds fixed limit");
            }
            Request::Mail { from } => {
                if self.say(wire, Point::Mail, "250 2.1.0 Ok").await? == Said::AsUsual {
                    self.mail_from = Some(from.address);
                }
            }
            Request::Rcpt { to } => return self.recipient(to.address, wire).await,
            Request::Data => return self.data(wire).await,
            Request::Rset => {
                self.reset();
                wire.reply("250 2.0.0 Ok");
            }
            Request::Noop { .. } => wire.reply("250 2.0.0 Ok"),
            Request::Quit => {
                self.count(|seen| seen.quits += 1);
                self.say(wire, Point::Quit, "221 2.0.0 Bye").await?;
                return Err(End::Close);
            }
            _ => {
                self.count(|seen| seen.unknown += 1);
                wire.reply("502 5.5.1 Command not implemented");
            }
        }
        Ok(())
    }

    fn keywords(&self) -> String {
        let host = self.context.address.node_host();
        let offer = self.tls.is_none()
            && self.context.conduct.misbehaviour.starttls != StartTls::NotOffered;
        let starttls = if offer { "250-STARTTLS\r\n" } else { "" };
        format!(
            "250-{host}\r\n250-PIPELINING\r\n250-SIZE {MAX_MESSAGE}\r\n{starttls}\
             250-ENHANCEDSTATUSCODES\r\n250 8BITMIME"
        )
    }

    async fn start_tls<S: Transport>(&mut self, wire: &mut Wire<S>) -> Result<(), End> {
        let kind = self.context.conduct.misbehaviour.starttls;
        if kind == StartTls::NotOffered {
            wire.reply("502 5.5.1 Command not implemented");
            return Ok(());
        }
        if self.tls.is_some() {
            wire.reply("503 5.5.1 TLS is already active");
            return Ok(());
        }
        let said = self.say(wire, Point::StartTls, "220 2.0.0 Ready to start TLS");
        if said.await? == Said::Otherwise {
            return Ok(());
        }
        match kind {
            StartTls::Offered | StartTls::NotOffered => {}
            StartTls::Garbage => {
                // The reply to the client's first record: earlier it would be plain text behind the 220.
                wire.fill().await?;
                wire.raw(b"This is no TLS record, however long one waits for it.\r\n");
                wire.flush().await?;
                return Err(End::Hold);
            }
            // In one write with the 220, so that both are in the client's buffer together.
            StartTls::InjectedPlaintext => {
                wire.raw(b"250-injected.example.test\r\n250 AUTH PLAIN LOGIN\r\n");
            }
            StartTls::Stalled => {
                wire.flush().await?;
                return Err(End::Hold);
            }
        }
        wire.flush().await?;
        Err(End::StartTls)
    }

    async fn recipient<S: Transport>(
        &mut self,
        address: String,
        wire: &mut Wire<S>,
    ) -> Result<(), End> {
        if self.mail_from.is_none() {
            wire.reply("503 5.5.1 MAIL first");
            return Ok(());
        }
        if self.rcpt_to.len() >= MAX_RECIPIENTS {
            wire.reply("452 4.5.3 Too many recipients");
            return Ok(());
        }
        let known = self.context.relay.recipient.eq_ignore_ascii_case(&address);
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let ordinary = if known {
            "250 2.1.5 Ok".to_owned()
        } else if domain.eq_ignore_ascii_case(topology::DOMAIN) {
            format!("550 5.1.1 <{address}>: Recipient address rejected: User unknown")
        } else {
            format!("550 5.7.1 <{address}>: Relay access denied")
        };
        let greylist = self.context.conduct.misbehaviour.greylist;
        if let (true, Some(delay), Some(sender)) = (known, greylist, &self.mail_from)
            && self.context.relay.is_grey(sender, &address, delay)
        {
            wire.reply(&format!(
                "451 4.7.1 <{address}>: Recipient address rejected: Greylisted, try again later"
            ));
            return Ok(());
        }
        let said = self.say(wire, Point::Rcpt, &ordinary).await?;
        if known && said == Said::AsUsual {
            self.rcpt_to.push(address);
        }
        Ok(())
    }
}

fn syntax_reply(error: &Error) -> &'static str {
    match error {
        Error::UnknownCommand => "500 5.5.2 Command not recognized",
        Error::InvalidSenderAddress => "501 5.1.7 Bad sender address syntax",
        Error::InvalidRecipientAddress => "501 5.1.3 Bad recipient address syntax",
        Error::InvalidParameter { .. } | Error::UnsupportedParameter { .. } => {
            "555 5.5.4 Unsupported parameter"
        }
        _ => "501 5.5.4 Syntax error",
    }
}
