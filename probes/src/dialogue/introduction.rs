//! What an SMTP server calls itself: in its greeting, in its reply to EHLO, in its certificate.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postrider_wire::address::EhloName;
use postrider_wire::text::RemoteText;
use tokio::time::timeout;

use crate::account::Trust;
use crate::context::Context;
use crate::dialogue::smtp::{self, Session};
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::net::connect_failure;
use crate::observation::What;
use crate::outcome::{Failure, Mark, SmtpFacts, TlsFacts};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::duration;
use crate::tls;

const CONNECT: Duration = Duration::from_secs(10);
const BANNER: Duration = Duration::from_secs(30);
const COMMAND: Duration = Duration::from_secs(15);
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The longest that [`hear`] takes, QUIT included.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 + 30 + 15 * 3 + 15 + 10);
/// Characters of a name that a server gives itself.
const NAME: usize = 120;

/// Whom to visit, and what to ask.
#[derive(Debug, Clone)]
pub(crate) struct Visit<'v> {
    pub(crate) server: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    /// What we say in EHLO; without it the greeting is all.
    pub(crate) helo: Option<&'v EhloName>,
    /// Begin TLS where it is offered, and look at the certificate as one for this name.
    pub(crate) certificate: Option<(&'v str, &'v Trust)>,
}

/// What the server said of itself, safe to print, names in small letters without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The first word of the greeting.
    pub(crate) banner: String,
    /// The first word of the reply to EHLO.
    pub(crate) ehlo: Option<String>,
    /// What TLS showed.
    pub(crate) tls: Option<TlsFacts>,
}

/// Connects, listens and leaves. Every part is timed as its phase.
///
/// # Errors
/// The reasons of an SMTP dialogue.
pub(crate) async fn hear(visit: Visit<'_>, cx: &Context<'_>) -> Result<Introduction, Failure> {
    let address = visit.server.ip();
    let what = format!("a free connection to {address}");
    let _slot = cx.queue(&what, cx.around.slots.acquire(address)).await;
    cx.say(
        Mark::Info,
        &format!("connecting to {address} port {}", visit.server.port()),
    );
    cx.evidence(|evidence| {
        evidence.smtp = Some(SmtpFacts {
            address: Some(address),
            ..SmtpFacts::default()
        });
    });
    let mut session = Session::new(cx, connect(&visit, cx).await?, false);
    let greeting = session.greeting(BANNER).await?;
    if !greeting.is_positive_completion() {
        session.quit().await;
        return Err(smtp::refusal(
            Reason::GreetingRejected,
            &greeting,
            "as greeting",
        ));
    }
    cx.observe(What::Banner, visit.server, [greeting.text()]);
    let mut introduction = Introduction {
        banner: first_word(greeting.first_line()),
        ehlo: None,
        tls: None,
    };
    let Some(helo) = visit.helo else {
        session.quit().await;
        return Ok(introduction);
    };
    let (reply, capabilities) = session.ehlo(&helo.to_string(), COMMAND).await?;
    if !reply.is_positive_completion() {
        session.quit().await;
        return Err(smtp::refusal(
            Reason::GreetingRejected,
            &reply,
            "after EHLO",
        ));
    }
    introduction.ehlo = Some(first_word(reply.first_line()));
    match visit.certificate {
        Some((name, trust)) if capabilities.has("STARTTLS") => {
            introduction.tls = Some(encrypt(session, name, trust, visit.server, cx).await?);
        }
        _ => session.quit().await,
    }
    Ok(introduction)
}

async fn connect(visit: &Visit<'_>, cx: &Context<'_>) -> Result<BoxStream, Failure> {
    let missing = format!("no answer on port {}", visit.server.port());
    let connecting = timeout(CONNECT, cx.around.net.connect(visit.server, visit.source));
    let connecting = cx.awaiting(
        Awaited::new(Reason::ConnectTimeout, missing.clone()),
        connecting,
    );
    cx.phase(Phase::Connect, connecting)
        .await
        .map_err(|_| {
            Failure::new(
                Reason::ConnectTimeout,
                format!("{missing} within {}", duration(CONNECT)),
            )
        })?
        .map_err(|error| connect_failure(&error, visit.server, CONNECT))
}

async fn encrypt(
    mut session: Session<'_, '_>,
    name: &str,
    trust: &Trust,
    server: SocketAddr,
    cx: &Context<'_>,
) -> Result<TlsFacts, Failure> {
    let work = async {
        let reply = session.starttls(COMMAND).await?;
        if !reply.is_positive_completion() {
            return Err(smtp::refusal(
                Reason::TlsHandshake,
                &reply,
                "after STARTTLS",
            ));
        }
        let stream = session.into_stream()?;
        timeout(
            HANDSHAKE,
            tls::client(stream, name, trust, tls::Verify::Record),
        )
        .await
        .map_err(|_| {
            Failure::new(
                Reason::TlsHandshake,
                format!("no TLS handshake within {}", duration(HANDSHAKE)),
            )
        })?
        .map_err(|problem| problem.into_failure(cx))
    };
    let owed = Awaited::new(Reason::TlsHandshake, "no TLS handshake");
    let (stream, facts) = cx.phase(Phase::Starttls, cx.awaiting(owed, work)).await?;
    let facts = TlsFacts {
        address: Some(server),
        ..facts
    };
    cx.say(
        Mark::Info,
        &format!(
            "TLS started: {} {}, certificate for {}",
            facts.version,
            facts.cipher,
            facts.names.join(", ")
        ),
    );
    cx.observe_tls(server, &facts);
    cx.evidence(|evidence| evidence.tls = Some(facts.clone()));
    Session::new(cx, stream, true).quit().await;
    Ok(facts)
}

/// RFC 5321 §4.2: a greeting and the reply to EHLO begin with the server's domain.
fn first_word(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    RemoteText::new(word.as_bytes(), NAME).to_string()
}
