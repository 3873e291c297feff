//! Which versions and cipher suites a server offers. It is asked hello by hello, each on a connection of its own: it names
//! its choice, and the conversation ends before anything is encrypted. Old versions are found so, too, which no library of
//! today speaks.

use std::time::Duration;

use postrider_wire::tls::{
    Answer, AnswerReader, Hello, Version, alert_name, client_hello, of_version, suite_name,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::Enumerate;
use super::endpoints::Endpoint;
use super::inspect::Asked;
use crate::context::Context;
use crate::dialogue::stream::BoxStream;
use crate::limit::Awaited;
use crate::outcome::{Failure, Finding, Mark, Status, TlsOffer};
use crate::reason::Reason;
use crate::span::duration;

/// For all questions to one address.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// A warning alert `close_notify`: we leave.
const GOODBYE: [u8; 7] = [21, 3, 1, 0, 2, 1, 0];

/// What became of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    /// The version and the suite.
    Chosen(u16, u16),
    /// The server's words.
    Refused(String),
}

/// A version alone, and suites, that the server had an answer to.
type Known = Option<(Version, Vec<u16>)>;

/// Asks for every version, newest first. A failure that keeps us from the rest ends it. `spoken` is the version of a
/// session before, empty without one.
pub(super) async fn enumerate(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    spoken: &str,
) -> (Vec<TlsOffer>, Option<Finding>) {
    let until = Instant::now() + WITHIN;
    let mut known: Known = Version::ALL
        .into_iter()
        .find(|version| version.to_string() == spoken)
        .map(|version| (version, of_version(version)));
    let mut offers = Vec::new();
    for version in Version::ALL {
        let owed = Awaited::new(Reason::TlsHandshake, format!("no answer to {version}"));
        let asking = of_one(cx, asked, endpoint, version, until, &mut known);
        let (offer, failure) = cx.awaiting(owed, asking).await;
        if let Some(offer) = offer {
            cx.say(Mark::Info, &words(&offer));
            offers.push(offer);
        }
        if let Some(failure) = failure {
            let message = format!("{} (asking for {version})", failure.message);
            // The session worked: that we cannot learn more is not the platform's failure.
            let status = Status::Error;
            return (
                offers,
                Some(Finding {
                    status,
                    message,
                    ..failure
                }),
            );
        }
    }
    (offers, None)
}

fn words(offer: &TlsOffer) -> String {
    match &offer.refused {
        Some(how) => format!("{}: refused, {how}", offer.version),
        None => format!("{}: {}", offer.version, offer.ciphers.join(", ")),
    }
}

/// What is known of one version, and what kept us from knowing all of it.
async fn of_one(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    version: Version,
    until: Instant,
    known: &mut Known,
) -> (Option<TlsOffer>, Option<Failure>) {
    let every = asked.enumerate == Enumerate::Ciphers && version >= Version::Tls12;
    let mut suites = of_version(version);
    let mut chosen = Vec::new();
    let mut refused = None;
    let mut failure = None;
    // Each round takes one suite away, so there are never more rounds than suites.
    while !suites.is_empty() {
        let reply = match answer(cx, asked, endpoint, version, &suites, until, known).await {
            Ok(reply) => reply,
            Err(failed) => {
                failure = Some(failed);
                break;
            }
        };
        match reply {
            Reply::Chosen(number, suite)
                if number == version.number() && suites.contains(&suite) =>
            {
                suites.retain(|known| *known != suite);
                chosen.push(suite_name(suite));
            }
            Reply::Chosen(number, suite) => {
                let suite = suite_name(suite);
                let version = Version::from_number(number)
                    .map_or_else(|| format!("{number:#06x}"), |version| version.to_string());
                refused = Some(format!("the server chose {version} with {suite} instead"));
                break;
            }
            Reply::Refused(how) => {
                refused = Some(how);
                break;
            }
        }
        if !every {
            break;
        }
    }
    let is_known = !chosen.is_empty() || refused.is_some();
    let offer = TlsOffer {
        version: version.to_string(),
        refused: refused.filter(|_| chosen.is_empty()),
        ciphers: chosen,
        all_ciphers: every && failure.is_none(),
    };
    (is_known.then_some(offer), failure)
}

/// Some servers refuse by hanging up, as others do that limit connections: asked once more, one that limits them may
/// answer, and one that refuses still answers what it answered before.
async fn answer(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    version: Version,
    suites: &[u16],
    until: Instant,
    known: &mut Known,
) -> Result<Reply, Failure> {
    for _ in 0..2 {
        if let Some(reply) = ask(cx, asked, endpoint, version, suites, until).await? {
            known.get_or_insert_with(|| (version, suites.to_vec()));
            return Ok(reply);
        }
    }
    if let Some((version, suites)) = known
        && ask(cx, asked, endpoint, *version, suites, until)
            .await?
            .is_none()
    {
        let text = "the question could not be put: the server closes the connection, now even where it had answered \
                    before; it may limit connections";
        return Err(Failure::new(Reason::ConnectReset, text));
    }
    Ok(Reply::Refused(
        "the server closed the connection".to_owned(),
    ))
}

/// One hello on a connection of its own; `None` when the server hangs up.
async fn ask(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    version: Version,
    suites: &[u16],
    until: Instant,
) -> Result<Option<Reply>, Failure> {
    // Its times, its transcript and its replies are no part of the check's: they would be counted many times.
    let around = cx.around;
    let aside = Context::new(
        around,
        cx.message,
        cx.target,
        cx.variables,
        cx.run,
        cx.check,
    );
    let too_late = |_| {
        let text = format!(
            "not all questions were answered within {}",
            duration(WITHIN)
        );
        Failure::new(Reason::TlsHandshake, text)
    };
    let stream = timeout_at(until, asked.connect(&aside, endpoint))
        .await
        .map_err(too_late)??;
    let hello = client_hello(&Hello {
        version,
        suites,
        server_name: sni(&endpoint.name),
        random: rand::random(),
    });
    let deadline = until.min(Instant::now() + asked.within);
    timeout_at(deadline, exchange(stream, &hello))
        .await
        .map_err(|_| {
            let waited = duration(asked.within);
            let text = format!("no answer to the TLS hello within {waited}");
            Failure::new(Reason::TlsHandshake, text)
        })?
}

/// A host name, and no address (RFC 6066 §3).
fn sni(name: &str) -> Option<&str> {
    let name = name.trim_end_matches('.');
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    (!is_address && name.is_ascii()).then_some(name)
}

async fn exchange(mut stream: BoxStream, hello: &[u8]) -> Result<Option<Reply>, Failure> {
    if stream.write_all(hello).await.is_err() || stream.flush().await.is_err() {
        return Ok(None);
    }
    let mut reader = AnswerReader::default();
    let mut block = [0_u8; 2048];
    loop {
        let read = match stream.read(&mut block).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(read) => read,
        };
        let answer = reader.push(&block[..read]);
        let answer =
            answer.map_err(|problem| Failure::new(Reason::TlsHandshake, problem.to_string()))?;
        let reply = match answer {
            None => continue,
            Some(Answer::Refused { alert }) => Reply::Refused(alert_name(alert)),
            Some(Answer::Chosen { version, suite }) => Reply::Chosen(version, suite),
        };
        let _ = stream.write_all(&GOODBYE).await;
        let _ = stream.shutdown().await;
        return Ok(Some(reply));
    }
}
