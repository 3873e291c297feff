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
    /// The server's words, or that it hung up.
    Refused(String),
}

/// Asks for every version, newest first. A failure that keeps us from the rest ends it.
pub(super) async fn enumerate(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
) -> (Vec<TlsOffer>, Option<Finding>) {
    let until = Instant::now() + WITHIN;
    let mut offers = Vec::new();
    for version in Version::ALL {
        let owed = Awaited::new(Reason::TlsHandshake, format!("no answer to {version}"));
        match cx
            .awaiting(owed, of_one(cx, asked, endpoint, version, until))
            .await
        {
            Ok(offer) => {
                cx.say(Mark::Info, &words(&offer));
                offers.push(offer);
            }
            Err(failure) => {
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
    }
    (offers, None)
}

fn words(offer: &TlsOffer) -> String {
    match &offer.refused {
        Some(how) => format!("{}: refused, {how}", offer.version),
        None => format!("{}: {}", offer.version, offer.ciphers.join(", ")),
    }
}

async fn of_one(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    version: Version,
    until: Instant,
) -> Result<TlsOffer, Failure> {
    let every = asked.enumerate == Enumerate::Ciphers && version >= Version::Tls12;
    let mut suites = of_version(version);
    let mut chosen = Vec::new();
    let mut refused = None;
    // Each round takes one suite away, so there are never more rounds than suites.
    while !suites.is_empty() {
        match ask(cx, asked, endpoint, version, &suites, until).await? {
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
    Ok(TlsOffer {
        version: version.to_string(),
        refused: refused.filter(|_| chosen.is_empty()),
        ciphers: chosen,
        all_ciphers: every,
    })
}

/// One hello on a connection of its own.
async fn ask(
    cx: &Context<'_>,
    asked: &Asked,
    endpoint: &Endpoint,
    version: Version,
    suites: &[u16],
    until: Instant,
) -> Result<Reply, Failure> {
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

async fn exchange(mut stream: BoxStream, hello: &[u8]) -> Result<Reply, Failure> {
    let hung_up = || Reply::Refused("the server closed the connection".to_owned());
    if stream.write_all(hello).await.is_err() || stream.flush().await.is_err() {
        return Ok(hung_up());
    }
    let mut reader = AnswerReader::default();
    let mut block = [0_u8; 2048];
    loop {
        let read = match stream.read(&mut block).await {
            Ok(0) | Err(_) => return Ok(hung_up()),
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
        return Ok(reply);
    }
}
