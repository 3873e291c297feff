//! `wait`: lets time pass between steps.

use std::time::Duration;

use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::Failure;
use crate::setting::{Period, Place, Problem};
use crate::target::Target;

/// Waits, so that a later step finds what an earlier one started.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long.
    #[schemars(example = &"30s")]
    pub r#for: Period,
}

/// How much later than asked for a timer may fire on a busy machine.
const LATE: Duration = Duration::from_secs(5);

impl Kind for Wait {
    const NAME: &'static str = "wait";

    fn check(&self, _: &Names<'_>, _: Place, _: &mut Vec<Problem>) {}

    fn longest(&self, _: &MessageDefaults) -> Duration {
        // The limit runs from a moment earlier: with the same length the wait would sometimes be cut off at its end.
        self.r#for.0.saturating_add(LATE)
    }

    fn patience(&self, _: &MessageDefaults) -> Duration {
        self.r#for.0
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        Preview::reads(format!("wait {}", self.r#for))
    }

    async fn run(&self, _: &Context<'_>) -> Result<(), Failure> {
        tokio::time::sleep(self.r#for.0).await;
        Ok(())
    }
}
