//! One SMTP session of a filter node (RFC 5321), with its scripted departures from the rules.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::request::receiver::{DataReceiver, DummyDataReceiver, RequestReceiver};
use smtp_proto::{Error, Request};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::misbehaviour::{Answer, Connection, FLOOD_LIMIT, Point, StartTls};
use super::record::SmtpCounters;
use super::relay::{Mail, Relay};
use super::smtp::Conduct;
use super::smtp_wire::{End, Said, Transport, Wire};
use super::topology::{self, Address};

/// The largest message taken, in bytes; announced with SIZE (RFC 1870).
pub(super) const MAX_MESSAGE: usize = 1 << 20;
const MAX_RECIPIENTS: usize = 100;
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
struct Session {
    context: SessionContext,
    tls: Option<String>,
    helo: Option<(String, bool)>,
    mail_from: Option<String>,
    rcpt_to: Vec<String>,
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

    fn count(&self, note: impl FnOnce(&mut SmtpCounters)) {
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

    async fn say<S: Transport>(
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
        let said = self.say(wire, Point::Rcpt, &ordinary).await?;
        if known && said == Said::AsUsual {
            self.rcpt_to.push(address);
        }
        Ok(())
    }

    async fn data<S: Transport>(&mut self, wire: &mut Wire<S>) -> Result<(), End> {
        self.count(|seen| seen.data_commands += 1);
        if self.rcpt_to.is_empty() {
            wire.reply("503 5.5.1 No valid recipients");
            return Ok(());
        }
        let go_ahead = "354 End data with <CR><LF>.<CR><LF>";
        if self.say(wire, Point::Data, go_ahead).await? == Said::Otherwise {
            return Ok(());
        }
        let began = self.context.relay.clock.now();
        let content = self.content(wire).await?;
        let (Some((helo, esmtp)), Some(mail_from)) = (&self.helo, self.mail_from.take()) else {
            return Err(End::Close);
        };
        let rcpt_to = std::mem::take(&mut self.rcpt_to);
        let Some(content) = content else {
            wire.reply("552 5.3.4 Message size exceeds fixed limit");
            return Ok(());
        };
        let relay = &self.context.relay;
        // Kept twice, as received and as delivered, and the notes about it.
        if !relay.reserve(2 * content.len() + 2048) {
            wire.reply("452 4.3.1 Insufficient system storage");
            return Ok(());
        }
        let mail = Mail {
            address: self.context.address,
            peer: self.context.peer,
            esmtp: *esmtp,
            helo: helo.clone(),
            mail_from,
            rcpt_to,
            tls: self.tls.clone(),
            queue_id: relay.queue_id(self.context.address.node),
            began,
            raw: content.into(),
        };
        self.dispose(mail, wire).await
    }

    /// The final reply, and the delivery that it does or does not promise.
    async fn dispose<S: Transport>(&self, mail: Mail, wire: &mut Wire<S>) -> Result<(), End> {
        let (relay, misbehaviour) = (&self.context.relay, &self.context.conduct.misbehaviour);
        let promised = match misbehaviour.at(Point::Dot) {
            None | Some(Answer::Late(_)) => true,
            Some(Answer::Reply(text)) => text.starts_with('2'),
            Some(_) => false,
        };
        let deliver = promised || misbehaviour.deliver_unacknowledged;
        if deliver {
            relay.note(&mail);
        }
        let ordinary = format!("250 2.0.0 Ok: queued as {}", mail.queue_id);
        let said = self.say(wire, Point::Dot, &ordinary).await;
        if deliver {
            // The reply is on its way before the mail is: sent now, not with the next read.
            let _ = wire.flush().await;
            let handed = relay.hand_over(mail, misbehaviour.delivery).await;
            handed.map_err(|_| End::Close)?;
        }
        said.map(|_| ())
    }

    /// Reads up to the final dot; `None` if the message was too large.
    async fn content<S: Transport>(&self, wire: &mut Wire<S>) -> Result<Option<Vec<u8>>, End> {
        let mut content = Vec::new();
        let mut receiver = DataReceiver::new();
        // The receiver looks for CRLF before the dot; the CRLF of DATA counts as one.
        receiver.ingest(&mut b"\r\n".iter(), &mut content);
        let mut discard = None;
        let mut total = 0_usize;
        loop {
            if wire.unused().is_empty() {
                wire.fill().await?;
                total += wire.unused().len();
            }
            if total > FLOOD_LIMIT {
                return Err(End::Close);
            }
            // There is no ordinary reply here: what is scripted is said, and that is the end.
            if let Some(answer) = self.context.conduct.misbehaviour.at(Point::Content) {
                wire.say(Some(answer), "").await?;
                return Err(End::Close);
            }
            let mut bytes = wire.unused().iter();
            let done = match &mut discard {
                None => receiver.ingest(&mut bytes, &mut content),
                Some(rest) => DummyDataReceiver::ingest(rest, &mut bytes),
            };
            let left = bytes.as_slice().len();
            wire.keep_last(left);
            if done {
                content.drain(..2);
                return Ok((discard.is_none() && content.len() <= MAX_MESSAGE).then_some(content));
            }
            if discard.is_none() && content.len() > MAX_MESSAGE {
                discard = Some(DummyDataReceiver::new_data(&receiver));
            }
        }
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
