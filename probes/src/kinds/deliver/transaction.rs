//! One connection and one mail transaction on it.

use std::net::SocketAddr;

use postrider_wire::smtp::ehlo::Capabilities;
use postrider_wire::smtp::queue_id;
use postrider_wire::smtp::reply::Reply;
use postrider_wire::text::visible;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::prepare::Prepared;
use super::route::Host;
use super::settings::{StopAfter, TlsPolicy};
use crate::context::Context;
use crate::dialogue::smtp::{self, Sent, Session};
use crate::net::connect_failure;
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
    /// The reply that decided, and the command that it answers.
    Replied {
        reply: Reply,
        after: &'static str,
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
    slot: Option<OwnedSemaphorePermit>,
}

impl<'c, 'a> Transaction<'c, 'a> {
    /// Holds it. Whatever happens is in `end`.
    pub(super) async fn hold(cx: &'c Context<'a>, prepared: &Prepared<'_>, host: &Host) -> Self {
        let slot = cx.around.slots.acquire(host.address).await;
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
        let mut session = None;
        let end = match converse(cx, prepared, host, &mut session).await {
            Ok(end) => end,
            Err(failure) => End::Failed(failure),
        };
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

    /// Leaves with QUIT, if the connection still answers. Comes after the ledger knows the outcome: a server that is slow
    /// to say goodbye must not delay that.
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

/// Leaves the session in `open` whenever it can still be spoken to.
async fn converse<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    host: &Host,
    open: &mut Option<Session<'c, 'a>>,
) -> Result<End, Failure> {
    let limits = prepared.limits;
    let to = SocketAddr::new(host.address, prepared.port);
    let stream = cx
        .phase(
            Phase::Connect,
            timeout(limits.connect, cx.around.net.connect(to, prepared.source)),
        )
        .await
        .map_err(|_| {
            let waited = duration(limits.connect);
            Failure::new(
                Reason::ConnectTimeout,
                format!("no answer on port {} within {waited}", to.port()),
            )
        })?
        .map_err(|error| connect_failure(&error, to, limits.connect))?;
    let session = open.insert(Session::new(cx, stream, false));
    let decided = |reply, after| End::Replied {
        reply,
        after,
        final_reply: false,
    };
    let banner = session.greeting(limits.banner).await?;
    if prepared.stop_after == Some(StopAfter::Banner) {
        return Ok(decided(banner, "connecting"));
    }
    let helo = prepared.helo.to_string();
    let (mut greeted, mut capabilities) = session.ehlo(&helo, limits.command).await?;
    if wants_tls(prepared.tls, &capabilities)? && start_tls(cx, prepared, session).await? {
        // The session in the clear ends here, whatever comes of the handshake.
        let encrypted = match open.take() {
            Some(plain) => encrypt(cx, prepared, host, plain).await?,
            None => return Err(gone()),
        };
        let session = open.insert(encrypted);
        (greeted, capabilities) = session.ehlo(&helo, limits.command).await?;
    }
    if prepared.stop_after == Some(StopAfter::Ehlo) {
        return Ok(decided(greeted, "EHLO"));
    }
    match open {
        Some(session) => transaction(prepared, session, &capabilities).await,
        None => Err(gone()),
    }
}

/// Never: the session is there since the connection was opened.
fn gone() -> Failure {
    Failure::new(Reason::Internal, "the session is gone")
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
    let address = Some(SocketAddr::new(host.address, prepared.port));
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
            let facts = problem.facts.map(|facts| TlsFacts { address, ..*facts });
            cx.evidence(|evidence| evidence.tls = facts);
            problem.failure
        })
    };
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
    facts.address = address;
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
    let decided = |reply: Reply, after| {
        Ok(End::Replied {
            reply,
            after,
            final_reply: false,
        })
    };

    let mail = format!("MAIL FROM:<{}>{size}", prepared.sender.address);
    let mail = session.command(Phase::Mail, &mail, command).await?;
    if !mail.is_positive_completion() || prepared.stop_after == Some(StopAfter::Mail) {
        return decided(mail, "MAIL FROM");
    }
    let rcpt = format!("RCPT TO:<{}>", prepared.envelope_to);
    let rcpt = session.command(Phase::Rcpt, &rcpt, command).await?;
    if !rcpt.is_positive_completion() || prepared.stop_after == Some(StopAfter::Rcpt) {
        return decided(rcpt, "RCPT TO");
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
        return decided(data, "DATA");
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
    match cx.phase(Phase::Data, sent).await {
        // An invitation to go on is no success (RFC 5321 §4.2.1), and no refusal that could be relied on.
        Sent::Replied(reply) if reply.is_intermediate() => Ok(End::Unknown(smtp::refusal(
            Reason::SmtpUnexpectedReply,
            &reply,
            "after the final dot",
        ))),
        Sent::Replied(reply) => Ok(End::Replied {
            reply,
            after: "the final dot",
            final_reply: true,
        }),
        Sent::Not(problem) => Err(smtp::no_reply(problem, "DATA, before the final dot")),
        Sent::Unknown(problem) => Ok(End::Unknown(smtp::no_reply(problem, "the final dot"))),
    }
}
