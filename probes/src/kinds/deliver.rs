//! `deliver`: one tagged mail on port 25, to a chosen address or as a sender would route it, followed into the mailbox.

mod arrival;
mod check;
mod duration;
mod judge;
mod prepare;
mod preview;
mod reply_pattern;
mod route;
mod settings;
mod transaction;

use std::time::Duration;

pub use reply_pattern::ReplyPattern;
pub use settings::{
    Accepted, Approach, Arrives, AuthenticationResults, Body, Certificate, Deliver, Expect, Family,
    MatchName, MessageDefaults, Route, StopAfter, Timeouts, TlsPolicy, TrustSettings,
};
use tokio::time::Instant;

use self::prepare::Prepared;
use self::transaction::{End, Transaction};
use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::outcome::{Failure, Finding};
use crate::post::Attempt;
use crate::reason::Reason;
use crate::setting::{Place, Problem};
use crate::target::Target;

impl Kind for Deliver {
    const NAME: &'static str = "deliver";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, message: &MessageDefaults) -> Duration {
        duration::longest(self, message)
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        duration::patience(self)
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
        let mut transaction = None;
        for host in &hosts {
            let mut tried = Transaction::hold(cx, &prepared, host).await;
            let settled = tried.end.is_settled();
            if !settled {
                tried.leave().await;
            }
            transaction = Some(tried);
            // A sender goes on to the next address as long as nobody has taken or refused the mail for good.
            if settled {
                break;
            }
        }
        // `hosts` is never empty: an empty route is a failure of its own.
        let Some(mut transaction) = transaction else {
            return Ok(());
        };
        let replied = transaction.ended;
        if let Some(draft) = &prepared.draft {
            cx.around
                .post
                .record(draft.id, transaction.end.attempt(), replied)
                .await?;
        }
        transaction.leave().await;
        let facts = judge::Facts::new(cx, &prepared, &transaction);
        judge::transaction(self, cx, &facts);
        self.follow(cx, &prepared, &transaction.end, replied).await;
        Ok(())
    }
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
