//! The session of an `imap` check: each part timed, judged and recorded.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Expect, Imap, Limit, Read};
use crate::account::{MailboxAccount, Security};
use crate::context::Context;
use crate::dialogue::imap::{Access, Direction, ImapError, Session, Transcript};
use crate::dialogue::open_imap::{self, Observer};
use crate::observation::What;
use crate::outcome::{Failure, Finding, Mark, Status, TlsFacts, TranscriptLine};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::span::Span;

/// LOGOUT, and no longer.
pub(super) const GOODBYE: Duration = Duration::from_secs(3);
/// Octets of a message that are read: a large attachment is not what is tested.
const MESSAGE: usize = 256 * 1024;

/// Holds the session and leaves everything in the context.
pub(super) async fn hold(imap: &Imap, cx: &Context<'_>) -> Result<(), Failure> {
    let name = &imap.r#in.value;
    let account =
        cx.around.mailboxes.get(name).ok_or_else(|| {
            Failure::new(Reason::Internal, format!("no mailbox is called `{name}`"))
        })?;
    let record = Record::begin(cx, account);
    let began = Instant::now();
    let command = imap.command_timeout();
    let mut session =
        open_imap::open(cx.around.net, account, command, &record.transcript, &record).await?;
    judge(imap, cx, "login", began.elapsed(), |expect| expect.login);
    let outcome = converse(imap, cx, &mut session).await;
    session.logout().await;
    outcome
}

async fn converse(imap: &Imap, cx: &Context<'_>, session: &mut Session) -> Result<(), Failure> {
    capabilities(imap, cx, session).await?;
    if !imap.folder.is_ascii() {
        // How the server spells the name: UTF-7 or UTF-8.
        session
            .folders()
            .await
            .map_err(|error| open_imap::failure(&error))?;
    }
    let began = Instant::now();
    let selected = cx
        .phase(
            Phase::ImapSelect,
            session.select(&imap.folder, Access::ReadOnly),
        )
        .await
        .map_err(|error| in_folder(&imap.folder, &error))?;
    judge(imap, cx, "opening the folder", began.elapsed(), |expect| {
        expect.select
    });
    let count = match selected.exists {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    };
    cx.note(format!("{}, {count}", imap.folder));
    if imap.read == Read::Newest && selected.exists > 0 {
        let began = Instant::now();
        cx.phase(Phase::ImapFetch, read_newest(session))
            .await
            .map_err(|error| in_folder(&imap.folder, &error))?;
        judge(
            imap,
            cx,
            "reading the newest message",
            began.elapsed(),
            |expect| expect.fetch,
        );
    }
    Ok(())
}

async fn read_newest(session: &mut Session) -> Result<(), ImapError> {
    let Some(newest) = session.newest().await? else {
        return Ok(());
    };
    match session.message(newest.uid, MESSAGE).await {
        // Somebody removed it between the two commands.
        Ok(_) | Err(ImapError::NoSuchMessage { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn capabilities(imap: &Imap, cx: &Context<'_>, session: &mut Session) -> Result<(), Failure> {
    let offered = session
        .capabilities()
        .await
        .map_err(|error| open_imap::failure(&error))?;
    let missing = |wanted: &Option<Expect>| {
        let names = wanted
            .iter()
            .filter_map(|expect| expect.capabilities.as_ref());
        let missing: Vec<&str> = names
            .flatten()
            .filter(|name| !offered.has(name))
            .map(String::as_str)
            .collect();
        let message = format!(
            "after login the server does not offer {}",
            missing.join(", ")
        );
        (!missing.is_empty()).then(|| Finding::new(Reason::ExtensionMissing, message))
    };
    if let Some(finding) = missing(&imap.expect) {
        cx.find(finding);
    }
    if let Some(finding) = missing(&imap.prefer) {
        cx.find(finding.as_preference());
    }
    Ok(())
}

/// Compares a time with the limits of `expect`, and then of `prefer`.
fn judge(
    imap: &Imap,
    cx: &Context<'_>,
    part: &str,
    took: Duration,
    limit: impl Fn(&Expect) -> Option<Limit>,
) {
    let over = |expect: &Option<Expect>| slow(part, took, limit(expect.as_ref()?)?);
    if let Some(finding) = over(&imap.expect) {
        cx.find(finding);
    } else if let Some(finding) = over(&imap.prefer) {
        cx.find(finding.as_preference());
    }
}

fn slow(part: &str, took: Duration, limit: Limit) -> Option<Finding> {
    let over = |limit: Duration, words: &str, status| Finding {
        status,
        reason: Reason::Slow,
        message: format!("{part} took {}, {words} {}", Span(took), Span(limit)),
    };
    match (limit.within, limit.warn_after) {
        (Some(within), _) if took > within.0 => Some(over(within.0, "allowed", Status::Fail)),
        (_, Some(warn)) if took > warn.0 => Some(over(warn.0, "warned after", Status::Degraded)),
        _ => None,
    }
}

fn in_folder(folder: &str, error: &ImapError) -> Failure {
    let mut failure = open_imap::failure(error);
    failure.message = format!("folder `{folder}`: {}", failure.message);
    failure
}

/// Writes the dialogue into the evidence when the check ends, in whatever way.
struct Record<'c, 'a> {
    cx: &'c Context<'a>,
    transcript: Transcript,
    since: Duration,
    /// Lines from here on were inside TLS.
    encrypted_from: AtomicUsize,
}

impl<'c, 'a> Record<'c, 'a> {
    fn begin(cx: &'c Context<'a>, account: &MailboxAccount) -> Self {
        let endpoint = account.imap.as_ref();
        let from_the_start = endpoint.is_some_and(|e| e.security == Security::Implicit);
        if endpoint.is_some_and(|e| e.security == Security::None) {
            cx.note("insecure: no TLS");
        }
        Self {
            cx,
            transcript: Transcript::new(),
            since: cx.elapsed(),
            encrypted_from: AtomicUsize::new(if from_the_start { 0 } else { usize::MAX }),
        }
    }
}

impl Observer for Record<'_, '_> {
    fn spent(&self, phase: Phase, time: Duration) {
        self.cx.spent(phase, time);
    }

    fn negotiated(&self, tls: &TlsFacts) {
        if tls.insecure {
            self.cx.note("insecure: certificate not checked");
        }
        self.encrypted_from
            .fetch_min(self.transcript.lines().len(), Ordering::Relaxed);
        if let Some(address) = tls.address {
            self.cx.observe_tls(address, tls);
        }
        self.cx
            .evidence(|evidence| evidence.tls = Some(tls.clone()));
    }

    fn greeted(&self, address: SocketAddr, text: &str) {
        self.cx.observe(What::Banner, address, [text]);
    }
}

impl Drop for Record<'_, '_> {
    fn drop(&mut self) {
        let encrypted_from = self.encrypted_from.load(Ordering::Relaxed);
        let lines = self.transcript.lines().into_iter().enumerate();
        self.cx.evidence(|evidence| {
            evidence
                .transcript
                .extend(lines.map(|(number, (at, direction, text))| {
                    let mark = match (direction, number >= encrypted_from) {
                        (Direction::Sent, false) => Mark::Sent,
                        (Direction::Sent, true) => Mark::SentTls,
                        (Direction::Received, false) => Mark::Received,
                        (Direction::Received, true) => Mark::ReceivedTls,
                        (Direction::Note, _) => Mark::Info,
                    };
                    TranscriptLine {
                        at: self.since + at,
                        mark,
                        text,
                    }
                }));
        });
    }
}
