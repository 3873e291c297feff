//! One connection and one mail transaction on it.

use std::net::SocketAddr;

use postrider_wire::smtp::ehlo::Capabilities;
use postrider_wire::smtp::queue_id;
use postrider_wire::smtp::reply::Reply;
use postrider_wire::text::visible;
use tokio::time::{Instant, timeout};

use super::prepare::Prepared;
use super::route::Host;
use super::settings::{StopAfter, TlsPolicy};
use crate::context::Context;
use crate::dialogue::smtp::{self, Sent, Session};
use crate::net::connect_failure;
use crate::outcome::{Failure, Mark};
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
        /// Whether it is the final reply to the message.
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
                } else if *final_reply && reply.is_positive_completion() {
                    Attempt::Accepted {
                        reply: text,
                        queue_id: queue_id::from_reply(reply),
                    }
                } else if *final_reply {
                    Attempt::Uncertain {
                        why: format!("unexpected final reply {text}"),
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
pub(super) struct Transaction {
    pub(super) end: End,
    /// When the deciding reply was read; the clock of the delivery starts here.
    pub(super) ended: Instant,
    pub(super) host: Host,
}

impl Transaction {
    /// Holds it. Whatever happens is in `end`.
    pub(super) async fn hold(cx: &Context<'_>, prepared: &Prepared<'_>, host: &Host) -> Self {
        let _slot = cx.around.slots.acquire(host.address).await;
        cx.say(
            Mark::Info,
            &format!("connecting to {} port {}", host.label(), prepared.port),
        );
        let mut session = None;
        let end = match converse(cx, prepared, host, &mut session).await {
            Ok(end) => end,
            Err(failure) => End::Failed(failure),
        };
        let ended = Instant::now();
        match &end {
            End::Failed(failure) | End::Unknown(failure) => {
                cx.say(Mark::Unexpected, &failure.line())
            }
            End::Replied { reply, .. } => cx.evidence(|evidence| {
                let facts = evidence.smtp.get_or_insert_default();
                facts.final_reply = Some(format!("{} {}", reply.code, visible(&reply.text())));
                facts.queue_id = queue_id::from_reply(reply);
            }),
        }
        // A connection that still answers is left with QUIT.
        if let (Some(session), End::Replied { .. }) = (session, &end) {
            session.quit().await;
        }
        Self {
            end,
            ended,
            host: host.clone(),
        }
    }
}

async fn converse<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    host: &Host,
    kept: &mut Option<Session<'c, 'a>>,
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
            Failure::new(
                Reason::ConnectTimeout,
                format!(
                    "no answer on port {} within {}",
                    to.port(),
                    duration(limits.connect)
                ),
            )
        })?
        .map_err(|error| connect_failure(&error, to, limits.connect))?;
    let mut session = Session::new(cx, stream, false);
    let banner = session.greeting(limits.banner).await?;
    if prepared.stop_after == Some(StopAfter::Banner) {
        *kept = Some(session);
        return Ok(End::Replied {
            reply: banner,
            after: "connecting",
            final_reply: false,
        });
    }
    let helo = prepared.helo.to_string();
    let (mut greeted, mut capabilities) = session.ehlo(&helo, limits.command).await?;
    if wants_tls(prepared.tls, &capabilities)? {
        session = encrypt(cx, prepared, host, session).await?;
        (greeted, capabilities) = session.ehlo(&helo, limits.command).await?;
    }
    if prepared.stop_after == Some(StopAfter::Ehlo) {
        *kept = Some(session);
        return Ok(End::Replied {
            reply: greeted,
            after: "EHLO",
            final_reply: false,
        });
    }
    let (end, session) = transaction(prepared, session, &capabilities).await?;
    *kept = Some(session);
    Ok(end)
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

/// STARTTLS and the handshake, timed together: a server that offers one and fails the other fails the phase.
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
    let work = async {
        let stream = session.starttls(limits.command).await?;
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
            cx.evidence(|evidence| evidence.tls = problem.facts.map(|facts| *facts));
            problem.failure
        })
    };
    let (stream, facts) = cx.phase(Phase::Starttls, work).await?;
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
    cx.evidence(|evidence| evidence.tls = Some(facts));
    Ok(Session::new(cx, stream, true))
}

/// MAIL, RCPT, DATA, the message (RFC 5321 §3.3). One recipient a transaction.
async fn transaction<'c, 'a>(
    prepared: &Prepared<'_>,
    mut session: Session<'c, 'a>,
    capabilities: &Capabilities,
) -> Result<(End, Session<'c, 'a>), Failure> {
    let command = prepared.limits.command;
    let size = if capabilities.has("SIZE") && !prepared.message.is_empty() {
        format!(" SIZE={}", prepared.message.len())
    } else {
        String::new()
    };
    let decided = |reply: Reply, after, session| {
        Ok((
            End::Replied {
                reply,
                after,
                final_reply: false,
            },
            session,
        ))
    };

    let mail = session
        .command(
            Phase::Mail,
            &format!("MAIL FROM:<{}>{size}", prepared.sender.address),
            command,
        )
        .await?;
    if !mail.is_positive_completion() || prepared.stop_after == Some(StopAfter::Mail) {
        return decided(mail, "MAIL FROM", session);
    }
    let rcpt = session
        .command(
            Phase::Rcpt,
            &format!("RCPT TO:<{}>", prepared.envelope_to),
            command,
        )
        .await?;
    if !rcpt.is_positive_completion() || prepared.stop_after == Some(StopAfter::Rcpt) {
        return decided(rcpt, "RCPT TO", session);
    }
    let data = session.command(Phase::Data, "DATA", command).await?;
    if !data.is_intermediate() {
        // A 2yz to DATA is no refusal, but nothing can be sent either.
        return decided(data, "DATA", session);
    }
    let cx = session.context();
    let sent = cx
        .phase(
            Phase::Data,
            session.message(
                &prepared.message,
                prepared.limits.data,
                prepared.limits.final_reply,
            ),
        )
        .await;
    match sent {
        Sent::Replied(reply) => Ok((
            End::Replied {
                reply,
                after: "the final dot",
                final_reply: true,
            },
            session,
        )),
        Sent::Not(problem) => Err(smtp::no_reply(problem, "DATA, before the final dot")),
        Sent::Unknown(problem) => Ok((
            End::Unknown(smtp::no_reply(problem, "the final dot")),
            session,
        )),
    }
}
