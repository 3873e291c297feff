//! `deliver`: one tagged mail on port 25, to a chosen address or as a sender would route it, followed into the mailbox.

mod arrival;
mod check;
mod judge;
mod limits;
mod prepare;
mod preview;
mod reply_pattern;
mod retry;
mod route;
mod settings;
mod transaction;

use std::time::Duration;

pub use reply_pattern::ReplyPattern;
pub use settings::{
    Accepted, Approach, Arrives, AuthenticationResults, Body, Certificate, Deliver, Expect, Family,
    MatchName, MessageDefaults, Retry, Route, StopAfter, Timeouts, TlsPolicy, TrustSettings,
};
use tokio::time::{Instant, sleep};

use self::prepare::Prepared;
use self::retry::{Attempts, Schedule};
use self::transaction::{End, Transaction};
use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::outcome::{Failure, Finding, Mark};
use crate::post::Attempt;
use crate::reason::Reason;
use crate::setting::{Place, Problem};
use crate::span::duration;
use crate::target::Target;

impl Kind for Deliver {
    const NAME: &'static str = "deliver";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, message: &MessageDefaults) -> Duration {
        limits::longest(self, message)
    }

    fn patience(&self, message: &MessageDefaults) -> Duration {
        limits::patience(self, message)
    }

    fn watches(&self, message: &MessageDefaults) -> Option<(String, String)> {
        let to = self
            .to
            .as_ref()
            .or(message.to.as_ref())
            .filter(|_| self.stop_after.is_none())?;
        let folder = self
            .expected_arrival()
            .and_then(|arrives| arrives.folder.clone());
        Some((
            to.value.clone(),
            folder.unwrap_or_else(|| "INBOX".to_owned()),
        ))
    }

    fn sender(&self, message: &MessageDefaults) -> Option<String> {
        let from = self.from.as_ref().or(message.from.as_ref());
        from.filter(|_| self.stop_after.is_none())
            .map(|from| from.value.clone())
    }

    fn preview(&self, message: &MessageDefaults, target: Option<&Target>) -> Preview {
        preview::preview(self, message, target)
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let nothing_sent = |_: &Failure| self.note_not_sent(cx);
        let mut prepared = Prepared::new(self, cx).inspect_err(nothing_sent)?;
        let hosts = route::hosts(self, cx, &prepared)
            .await
            .inspect_err(nothing_sent)?;
        prepared.aim(&hosts);
        if self.approach == Some(Approach::PrimaryFirst) {
            route::greet_primary(self, cx, &prepared).await;
        }
        // The intent is durable before anybody may have seen the tag.
        prepared.plan(cx).await.inspect_err(nothing_sent)?;
        let schedule = Schedule::new(self, cx.message);
        let mut attempts = Attempts::begin();
        let (mut transaction, replied) = loop {
            // `hosts` is never empty: an empty route is a failure of its own.
            let Some(mut transaction) = attempt(cx, &prepared, &hosts).await else {
                return Ok(());
            };
            let replied = transaction.ended;
            let Some(draft) = &prepared.draft else {
                break (transaction, replied);
            };
            let post = cx.around.post;
            post.record(draft.id, transaction.end.attempt(), replied)
                .await?;
            let Some(wait) = attempts.next(self, &schedule, &transaction.end, replied) else {
                break (transaction, replied);
            };
            transaction.leave().await;
            drop(transaction);
            cx.say(
                Mark::Info,
                &format!(
                    "refused for now; the next attempt follows in {}",
                    duration(wait)
                ),
            );
            sleep(wait).await;
            // As durable as the plan, and for the same reason: from now on somebody may have the mail.
            post.retry(draft.id).await?;
        };
        transaction.leave().await;
        let facts = judge::Facts::new(cx, &prepared, &transaction);
        judge::transaction(self, cx, &facts);
        attempts.tell(cx, &transaction.end);
        self.follow(cx, &prepared, &transaction.end, replied).await;
        Ok(())
    }
}

/// One attempt, at one address after the other, as long as nobody has taken or refused the mail for good.
async fn attempt<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    hosts: &[route::Host],
) -> Option<Transaction<'c, 'a>> {
    let mut transaction = None;
    for host in hosts {
        let mut tried = Transaction::hold(cx, prepared, host).await;
        let settled = tried.end.is_settled();
        if !settled {
            tried.leave().await;
        }
        transaction = Some(tried);
        if settled {
            break;
        }
    }
    transaction
}

impl Deliver {
    /// Follows the mail into the mailbox, when it may be under way.
    async fn follow(&self, cx: &Context<'_>, prepared: &Prepared<'_>, end: &End, replied: Instant) {
        let Some(draft) = &prepared.draft else { return };
        match end.attempt() {
            Attempt::Accepted { .. } | Attempt::Uncertain { .. } => {
                arrival::follow(self, cx, prepared, draft, end, replied).await;
            }
            Attempt::NotSent { .. } | Attempt::Refused { .. } | Attempt::Deferred { .. } => {
                self.note_not_sent(cx);
            }
        }
    }

    /// Says of an expected arrival that there was nothing to look for. Why nothing was sent is told by itself.
    fn note_not_sent(&self, cx: &Context<'_>) {
        if self.expected_arrival().is_some() {
            cx.note("not sent");
            cx.find(Finding::new(
                Reason::NotSent,
                "nothing was sent, so nothing can arrive",
            ));
        }
    }
}
