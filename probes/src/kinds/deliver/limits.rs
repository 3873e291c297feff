//! How long a delivery may take, by what is written and by what it waits for.

use std::time::Duration;

use super::prepare::Limits;
use super::retry::Schedule;
use super::settings::{Approach, Deliver, MessageDefaults};

/// A dialogue without a limit of its own counts for so long. Its time-outs add up to far more, but only a server that is
/// dying by inches uses them all.
const DIALOGUE: Duration = Duration::from_secs(60);
/// EHLO, STARTTLS, EHLO, MAIL, RCPT, DATA, QUIT.
const COMMANDS: u32 = 7;
/// Looking up the route, leaving the dialogue, and the last look into the mailbox.
const AROUND: Duration = Duration::from_secs(30);
/// Addresses of a route that are tried in vain before one answers.
const HOSTS: u32 = 8;

/// How long a check takes that still meets its limits: what `validate` adds up.
pub(super) fn patience(deliver: &Deliver, message: &MessageDefaults) -> Duration {
    let accepted = deliver
        .expect
        .as_ref()
        .and_then(|expect| expect.accepted)
        .and_then(|accepted| accepted.within);
    let again = Schedule::new(deliver, message);
    // What `accepted.within` says is the limit of all attempts together.
    let dialogues = accepted.map_or(
        DIALOGUE * (1 + again.attempts()) + again.longest(),
        |period| period.0,
    );
    dialogues + arrival(deliver)
}

/// How long a check may take by the time-outs of its dialogue and the wait for the arrival.
pub(super) fn longest(deliver: &Deliver, message: &MessageDefaults) -> Duration {
    let limits = Limits::new(deliver);
    let greeting = limits.connect + limits.banner;
    let dialogue =
        greeting + limits.command * COMMANDS + limits.handshake + limits.data + limits.final_reply;
    let routed = deliver.route.is_some()
        || (deliver.to_address.is_none() && message.route.is_some())
        || deliver.approach == Some(Approach::PrimaryFirst);
    let others = if routed {
        greeting * HOSTS
    } else {
        Duration::ZERO
    };
    let again = Schedule::new(deliver, message);
    (others + dialogue) * (1 + again.attempts()) + again.longest() + arrival(deliver) + AROUND
}

fn arrival(deliver: &Deliver) -> Duration {
    [&deliver.expect, &deliver.prefer]
        .into_iter()
        .flatten()
        .filter_map(|expect| expect.arrives.as_ref())
        .map(|arrives| {
            let copies = arrives
                .watch_copies_for
                .map_or(Duration::ZERO, |period| period.0);
            arrives.within.0 + copies
        })
        .max()
        .unwrap_or_default()
}
