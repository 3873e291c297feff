//! `deliver`: one tagged mail on port 25, to a chosen address or as a sender would route it, followed into the mailbox.

mod check;
mod reply_pattern;
mod settings;

use std::time::Duration;

pub use reply_pattern::ReplyPattern;
pub use settings::{
    Accepted, Approach, Arrives, AuthenticationResults, Body, Certificate, Deliver, Expect, Family,
    MatchName, MessageDefaults, Route, StopAfter, Timeouts, TlsPolicy, TrustSettings,
};

use crate::context::Context;
use crate::kind::{Kind, Names};
use crate::outcome::Failure;
use crate::setting::{Place, Problem};

impl Kind for Deliver {
    const NAME: &'static str = "deliver";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        check::longest(self)
    }

    async fn run(&self, _: &Context<'_>) -> Result<(), Failure> {
        Ok(())
    }
}
