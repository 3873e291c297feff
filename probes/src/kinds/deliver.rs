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

use postrider_wire::text::visible;
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
use crate::setting::{Place, Problem, Template};
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
        Some((to.value.clone(), self.folder().into()))
    }

    fn awaits_arrival(&self) -> bool {
        self.expected_arrival().is_some()
    }

    fn sender(&self, message: &MessageDefaults) -> Option<String> {
        let from = self.from.as_ref().or(message.from.as_ref());
        from.filter(|_| self.stop_after.is_none())
            .map(|from| from.value.clone())
    }

    fn contacts(&self) -> Vec<&Template> {
        let domain = self.route.as_ref().map(|route| &route.mx_of);
        let named = [self.to_address.as_ref(), self.server_name.as_ref(), domain];
        named
            .into_iter()
            .flatten()
            .map(|name| &name.value)
            .collect()
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
        let hosts = route::hosts(self, cx).await.inspect_err(nothing_sent)?;
        prepared.aim(cx, &hosts);
        if self.approach == Some(Approach::PrimaryFirst) {
            route::greet_primary(cx, &prepared).await;
        }
        // Planned is what is about to be sent: not what still waits for its turn.
        let mut slot = match hosts.first() {
            Some(first) => first.slot(cx).await,
            None => None,
        };
        // The intent is durable before anybody may have seen the tag.
        prepared.plan(cx).await.inspect_err(nothing_sent)?;
        let schedule = Schedule::new(self, cx.message);
        let mut attempts = Attempts::begin();
        let (mut transaction, replied, recorded) = loop {
            // `hosts` is never empty: an empty route is a failure of its own.
            let Some(mut transaction) = attempt(cx, &prepared, &hosts, slot.take()).await else {
                return Ok(());
            };
            let replied = transaction.ended;
            let Some(draft) = &prepared.draft else {
                break (transaction, replied, Ok(()));
            };
            let post = cx.around.post;
            // Both at once: neither a server that is slow to say goodbye nor a slow disk holds up the other, and the
            // connection is free for the next mail while the outcome is made durable.
            let outcome = transaction.end.attempt();
            let recording = post.record(draft.id, outcome, replied);
            let (recorded, ()) = tokio::join!(recording, transaction.leave());
            let wait = attempts.next(self, &schedule, &transaction.end, replied);
            let Some(wait) = wait.filter(|_| recorded.is_ok()) else {
                break (transaction, replied, recorded);
            };
            drop(transaction);
            let wait_in_words = duration(wait);
            cx.say(
                Mark::Info,
                &format!("refused for now; the next attempt follows in {wait_in_words}"),
            );
            sleep(wait).await;
            // As durable as the plan, and for the same reason: from now on somebody may have the mail.
            post.retry(draft.id).await?;
        };
        // Our own trouble is no reason to leave without a word, nor to keep to ourselves what the server did.
        transaction.leave().await;
        let facts = judge::Facts::new(cx, &transaction);
        judge::transaction(self, cx, &facts);
        attempts.tell(cx, &transaction.end);
        match recorded {
            Ok(()) => self.follow(cx, &prepared, &transaction.end, replied).await,
            Err(failure) => cx.find(not_booked(failure, &transaction.end)),
        }
        Ok(())
    }
}

/// One attempt, at one address after the other, as long as nobody has taken or refused the mail for good.
/// `slot`: the right to a connection to the first of them, if it was waited for already.
async fn attempt<'c, 'a>(
    cx: &'c Context<'a>,
    prepared: &Prepared<'_>,
    hosts: &[route::Host],
    mut slot: route::Slot,
) -> Option<Transaction<'c, 'a>> {
    let mut transaction = None;
    for host in hosts {
        let slot = match slot.take() {
            Some(slot) => Some(slot),
            None => host.slot(cx).await,
        };
        let mut tried = Transaction::hold(cx, prepared, host, slot).await;
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

/// The outcome is not in the ledger; what it was is told all the same.
fn not_booked(mut failure: Failure, end: &End) -> Failure {
    let outcome = match end {
        End::Replied { reply, when, .. } => {
            let text = visible(&reply.text());
            format!("the server said {} {text} {when}", reply.code)
        }
        End::Failed(failure) | End::Unknown(failure) => failure.line(),
    };
    failure.message = format!("{}; not booked: {outcome}", failure.message);
    failure
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
