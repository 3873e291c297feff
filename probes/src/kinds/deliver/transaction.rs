//! One connection and one mail transaction on it.

use std::net::SocketAddr;

use postrider_wire::smtp::ehlo::Capabilities;
use postrider_wire::smtp::queue_id;
use postrider_wire::smtp::reply::Reply;
use postrider_wire::text::visible;
use tokio::time::{Instant, timeout};

use super::prepare::Prepared;
use super::route::{Host, Slot};
use super::settings::{StopAfter, TlsPolicy};
use crate::context::Context;
use crate::dialogue::smtp::{self, Sent, Session};
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::net::connect_failure;
use crate::observation::What;
use crate::outcome::{Failure, Mark, SmtpFacts, TlsFacts};
use crate::phase::Phase;
use crate::post::Attempt;
use crate::reason::Reason;
use crate::span::duration;
use crate::tls;

/// How a transaction ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// It did not come to a deciding reply, and nothing was sent.
    Failed(Failure),
    /// The reply that decided, and when it came: `after RCPT TO`.
    Replied {
        reply: Reply,
        when: &'static str,
        /// Whether it is the final reply to the message; then it is never intermediate.
        final_reply: bool,
    },
    /// The final dot may have been read and no reply came.
    Unknown(Failure),
}

impl End {
    /// Whether a sender would stop here: taken, refused for good, or unknown.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Failed(_) => false,
            Self::Replied { reply, .. } => !reply.is_transient(),
            Self::Unknown(_) => true,
        }
    }

    /// For the ledger.
    pub(super) fn attempt(&self) -> Attempt {
        match self {
            Self::Failed(failure) => Attempt::NotSent {
                why: failure.line(),
            },
            Self::Unknown(failure) => Attempt::Uncertain {
                why: failure.line(),
            },
            Self::Replied {
                reply, final_reply, ..
            } => {
                let text = format!("{} {}", reply.code, visible(&reply.text()));
                if reply.is_permanent() {
                    Attempt::Refused { reply: text }
                } else if reply.is_transient() {
                    Attempt::Deferred { reply: text }
                } else if *final_reply {
                    Attempt::Accepted {
                        reply: text,
                        queue_id: queue_id::from_reply(reply),
                    }
                } else {
                    Attempt::NotSent { why: text }
                }
            }
        }
    }
}

/// A transaction that ended.
#[derive(Debug)]
pub(super) struct Transaction<'c, 'a> {
    pub(super) end: End,
    /// When the deciding reply was read; the clock of the delivery starts here.
    pub(super) ended: Instant,
    pub(super) host: Host,
    /// The connection, as long as it answers.
    session: Option<Session<'c, 'a>>,
    /// Held as long as the connection is.
    slot: Slot,
}

impl<'c, 'a> Transaction<'c, 'a> {
    /// Holds it, in a slot for the host's address. Whatever happens is in `end`.
    pub(super) async fn hold(
        cx: &'c Context<'a>,
        prepared: &Prepared<'_>,
        host: &Host,
        slot: Slot,
    ) -> Self {
        cx.say(
            Mark::Info,
            &format!("connecting to {} port {}", host.label(), prepared.port),
        );
        cx.evidence(|evidence| {
            // What an earlier host of the route said is not said by this one.
            evidence.smtp = Some(SmtpFacts {
                host: host.name.clone(),
                address: Some(host.address),
                ..SmtpFacts::default()
            });
            evidence.tls = None;
        });
        let (end, mut session) = converse(cx, prepared, host).await;
        let end = end.unwrap_or_else(End::Failed);
        let ended = Instant::now();
        match &end {
            End::Failed(failure) | End::Unknown(failure) => {
                cx.say(Mark::Unexpected, &failure.line());
                if is_broken(failure.reason) {
                    session = None;
                }
            }
            End::Replied { reply, .. } => cx.evidence(|evidence| {
                let facts = evidence.smtp.get_or_insert_default();
                facts.final_reply = Some(format!("{} {}", reply.code, visible(&reply.text())));
                facts.queue_id = queue_id::from_reply(reply);
            }),
        }
        Self {
            end,
            ended,
            host: host.clone(),
            session,
            slot,
        }
    }

    /// Leaves with QUIT, if the connection still answers, and frees the slot. A second time it does nothing.
    pub(super) async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            session.quit().await;
        }
        drop(self.slot.take());
    }
}

/// Whether a connection that ended so is not worth a QUIT.
fn is_broken(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConnectReset
            | Reason::BannerTimeout
            | Reason::SmtpTimeout
            | Reason::SmtpUnexpectedReply
    )
}

/// How the dialogue goes on after the first EHLO.
enum Begun {
    /// It does not: it has come to its last reply.
    Decided(End),
    /// In the clear.
    Clear(Reply, Capabilities),
    /// With the handshake.
    Encrypt,
}

/// Gives the session whenever it can still be spoken to.
async fn converse<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    host: &Host,
) -> (Result<End, Failure>, Option<Session<'c, 'a>>) {
    let mut session = match connect(cx, prepared, host).await {
        Ok(stream) => Session::new(cx, stream, false),
        Err(failure) => return (Err(failure), None),
    };
    let address = SocketAddr::new(host.address, prepared.port);
    let end = match begin(cx, prepared, address, &mut session).await {
        Ok(Begun::Decided(end)) => Ok(end),
        Ok(Begun::Clear(greeted, capabilities)) => {
            proceed(prepared, &mut session, greeted, capabilities).await
        }
        // The session in the clear ends here, whatever comes of the handshake.
        Ok(Begun::Encrypt) => match encrypt(cx, prepared, host, session).await {
            Ok(encrypted) => {
                session = encrypted;
                greet_again(prepared, address, &mut session).await
            }
            Err(failure) => return (Err(failure), None),
        },
        Err(failure) => Err(failure),
    };
    (end, Some(session))
}

async fn connect(
    cx: &Context<'_>,
    prepared: &Prepared<'_>,
    host: &Host,
) -> Result<BoxStream, Failure> {
    let within = prepared.limits.connect;
    let to = SocketAddr::new(host.address, prepared.port);
    let missing = format!("no answer on port {}", to.port());
    let connecting = timeout(within, cx.around.net.connect(to, prepared.source));
    let owed = Awaited::new(Reason::ConnectTimeout, missing.clone());
    let connecting = cx.awaiting(owed, connecting);
    cx.phase(Phase::Connect, connecting)
        .await
        .map_err(|_| {
            let waited = duration(within);
            Failure::new(Reason::ConnectTimeout, format!("{missing} within {waited}"))
        })?
        .map_err(|error| connect_failure(&error, to, within))
}

/// The greeting, EHLO and, where it is wanted and offered, STARTTLS.
async fn begin(
    cx: &Context<'_>,
    prepared: &Prepared<'_>,
    address: SocketAddr,
    session: &mut Session<'_, '_>,
) -> Result<Begun, Failure> {
    let banner = session.greeting(prepared.limits.banner).await?;
    // A refusal says how the server is now, not what it is.
    if banner.is_positive_completion() {
        cx.observe(What::Banner, address, [banner.text()]);
    }
    if let Some(end) = welcome(prepared, &banner, StopAfter::Banner)? {
        return Ok(Begun::Decided(end));
    }
    let (greeted, capabilities) = ehlo(prepared, session).await?;
    let goes_on = greeted.is_positive_completion();
    if goes_on {
        cx.observe(What::Ehlo, address, capabilities.to_string().lines());
    }
    if goes_on
        && wants_tls(prepared.tls, &capabilities)?
        && start_tls(cx, prepared, session).await?
    {
        return Ok(Begun::Encrypt);
    }
    Ok(Begun::Clear(greeted, capabilities))
}

async fn ehlo(
    prepared: &Prepared<'_>,
    session: &mut Session<'_, '_>,
) -> Result<(Reply, Capabilities), Failure> {
    let name = prepared.helo.to_string();
    session.ehlo(&name, prepared.limits.command).await
}

/// What was said in the clear counts for nothing after the handshake (RFC 3207 §4.2).
async fn greet_again(
    prepared: &Prepared<'_>,
    address: SocketAddr,
    session: &mut Session<'_, '_>,
) -> Result<End, Failure> {
    let (greeted, capabilities) = ehlo(prepared, session).await?;
    if greeted.is_positive_completion() {
        let subject = format!("{address} after STARTTLS");
        let keywords = capabilities.to_string();
        session
            .context()
            .observe(What::Ehlo, subject, keywords.lines());
    }
    proceed(prepared, session, greeted, capabilities).await
}

/// From the EHLO that counts to the end.
async fn proceed(
    prepared: &Prepared<'_>,
    session: &mut Session<'_, '_>,
    greeted: Reply,
    capabilities: Capabilities,
) -> Result<End, Failure> {
    match welcome(prepared, &greeted, StopAfter::Ehlo)? {
        Some(end) => Ok(end),
        None => transaction(prepared, session, &capabilities).await,
    }
}

/// What a greeting or the reply to EHLO means. `None`: the dialogue goes on. A refusal of the session fails the check,
/// unless this is the reply that decides and `expect` wants it to refuse.
fn welcome(prepared: &Prepared<'_>, reply: &Reply, at: StopAfter) -> Result<Option<End>, Failure> {
    let when = match at {
        StopAfter::Banner => "as greeting",
        StopAfter::Ehlo | StopAfter::Mail | StopAfter::Rcpt => "after EHLO",
    };
    let decides = prepared.stop_after == Some(at);
    if decides && (reply.is_positive_completion() || prepared.refusal_expected) {
        return Ok(Some(decided(reply.clone(), when)));
    }
    match reply.is_positive_completion() {
        true => Ok(None),
        false => Err(smtp::refusal(Reason::GreetingRejected, reply, when)),
    }
}

/// A reply that decides, and is not the final one.
fn decided(reply: Reply, when: &'static str) -> End {
    End::Replied {
        reply,
        when,
        final_reply: false,
    }
}

fn wants_tls(policy: TlsPolicy, capabilities: &Capabilities) -> Result<bool, Failure> {
    let offered = capabilities.has("STARTTLS");
    match policy {
        TlsPolicy::None => Ok(false),
        TlsPolicy::Opportunistic => Ok(offered),
        TlsPolicy::Required | TlsPolicy::RequiredAndVerified if offered => Ok(true),
        TlsPolicy::Required | TlsPolicy::RequiredAndVerified => Err(Failure::new(
            Reason::TlsNotOffered,
            "TLS is required and the server does not offer STARTTLS",
        )),
    }
}

/// STARTTLS; whether the handshake may begin. A server that offers it and refuses it fails the check, unless TLS is
/// opportunistic: then senders go on in the clear (RFC 3207 §4), and the refusal is told.
async fn start_tls(
    cx: &Context<'_>,
    prepared: &Prepared<'_>,
    session: &mut Session<'_, '_>,
) -> Result<bool, Failure> {
    let asked = session.starttls(prepared.limits.command);
    let reply = cx.phase(Phase::Starttls, asked).await?;
    if reply.is_positive_completion() {
        return Ok(true);
    }
    let mut refused = smtp::refusal(Reason::TlsHandshake, &reply, "after STARTTLS");
    if prepared.tls != TlsPolicy::Opportunistic {
        return Err(refused);
    }
    refused.message.push_str("; the mail goes in the clear");
    cx.find(refused.as_preference());
    Ok(false)
}

/// The handshake, timed together with STARTTLS.
async fn encrypt<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    host: &Host,
    session: Session<'c, 'a>,
) -> Result<Session<'c, 'a>, Failure> {
    let limits = prepared.limits;
    let verify = match prepared.tls {
        TlsPolicy::RequiredAndVerified => tls::Verify::Enforce,
        TlsPolicy::None | TlsPolicy::Opportunistic | TlsPolicy::Required => tls::Verify::Record,
    };
    let name = host
        .name
        .clone()
        .unwrap_or_else(|| host.address.to_string());
    let address = SocketAddr::new(host.address, prepared.port);
    let work = async {
        let stream = session.into_stream()?;
        timeout(
            limits.handshake,
            tls::client(stream, &name, &prepared.trust, verify),
        )
        .await
        .map_err(|_| {
            Failure::new(
                Reason::TlsHandshake,
                format!("no TLS handshake within {}", duration(limits.handshake)),
            )
        })?
        .map_err(|problem| {
            let facts = problem.facts.map(|facts| TlsFacts {
                address: Some(address),
                ..*facts
            });
            if let Some(facts) = &facts {
                cx.observe_tls(address, facts);
            }
            cx.evidence(|evidence| evidence.tls = facts);
            problem.failure
        })
    };
    let owed = Awaited::new(Reason::TlsHandshake, "no TLS handshake");
    let work = cx.awaiting(owed, work);
    let (stream, mut facts) = cx.phase(Phase::Starttls, work).await?;
    cx.say(
        Mark::Info,
        &format!(
            "TLS started: {} {}, certificate for {}",
            facts.version,
            facts.cipher,
            facts.names.join(", ")
        ),
    );
    if let Some(fault) = &facts.fault {
        cx.say(Mark::Unexpected, &format!("certificate: {fault}"));
    }
    cx.observe_tls(address, &facts);
    facts.address = Some(address);
    cx.evidence(|evidence| evidence.tls = Some(facts));
    Ok(Session::new(cx, stream, true))
}

/// MAIL, RCPT, DATA, the message (RFC 5321 §3.3). One recipient a transaction.
async fn transaction(
    prepared: &Prepared<'_>,
    session: &mut Session<'_, '_>,
    capabilities: &Capabilities,
) -> Result<End, Failure> {
    let command = prepared.limits.command;
    let size = if capabilities.has("SIZE") && !prepared.message.is_empty() {
        format!(" SIZE={}", prepared.message.len())
    } else {
        String::new()
    };
    let mail = format!("MAIL FROM:<{}>{size}", prepared.sender.address);
    let mail = session.command(Phase::Mail, &mail, command).await?;
    if !mail.is_positive_completion() || prepared.stop_after == Some(StopAfter::Mail) {
        return Ok(decided(mail, "after MAIL FROM"));
    }
    let rcpt = format!("RCPT TO:<{}>", prepared.envelope_to);
    let rcpt = session.command(Phase::Rcpt, &rcpt, command).await?;
    if !rcpt.is_positive_completion() || prepared.stop_after == Some(StopAfter::Rcpt) {
        return Ok(decided(rcpt, "after RCPT TO"));
    }
    let data = session.command(Phase::Data, "DATA", command).await?;
    if data.is_positive_completion() {
        // No refusal, but no invitation either: nothing can be sent, so this must not look like a success.
        return Err(smtp::refusal(
            Reason::SmtpUnexpectedReply,
            &data,
            "after DATA",
        ));
    }
    if !data.is_intermediate() {
        return Ok(decided(data, "after DATA"));
    }
    let cx = session.context();
    let limits = prepared.limits;
    let completing = || {
        if let Some(draft) = &prepared.draft {
            cx.around.post.completing(draft.id);
        }
    };
    let sent = session.message(
        &prepared.message,
        completing,
        limits.data,
        limits.final_reply,
    );
    let sent = cx.phase(Phase::Data, sent).await;
    if let (Sent::Replied(reply), Some(draft)) = (&sent, &prepared.draft)
        && (reply.is_transient() || reply.is_permanent())
    {
        cx.around.post.refused(draft.id);
    }
    match sent {
        // An invitation to go on is no success (RFC 5321 §4.2.1), and no refusal that could be relied on.
        Sent::Replied(reply) if reply.is_intermediate() => Ok(End::Unknown(smtp::refusal(
            Reason::SmtpUnexpectedReply,
            &reply,
            "after the final dot",
        ))),
        Sent::Replied(reply) => Ok(End::Replied {
            reply,
            when: "after the final dot",
            final_reply: true,
        }),
        Sent::Refused(reply) => Ok(decided(reply, "during DATA")),
        Sent::Not(failure) => Err(failure),
        Sent::Unknown(failure) => Ok(End::Unknown(failure)),
    }
}
