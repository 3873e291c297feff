//! The mailboxes of a run, opened while everything else goes on: a check waits for one if it waits for its mail in there
//! (`arrives`), and no other does.
//!
//! A check waits because a sighting is measured, and judged, from the final reply on: the watch must be there first.
//! A delivery that nobody waits for needs none of that. Its mail is booked whenever the watch comes to it, in this run
//! or a later one: an entry on disk says that the mail is expected, and a watch that opens the folder reads from where
//! it ended last, or from the first message. So such a mail never waits for a mailbox, slow or dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::select::Selection;
use super::{Cancel, Engine};
use crate::config::plan::{Scenario, Step};

/// Where bounces lie. The junk folder is watched beside it.
const BOUNCES_IN: &str = "INBOX";
/// Before mail is sent to a mailbox, it gets this long to be opened.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// The mailboxes that a run sends mail to.
#[derive(Debug)]
pub(super) struct Opening {
    /// True as soon as there is nothing to wait for any more, whether the mailbox could be opened or not.
    decided: BTreeMap<String, watch::Receiver<bool>>,
    _tasks: JoinSet<()>,
}

impl Opening {
    /// Begins to watch every mailbox of the run. Ends with the value.
    pub(super) fn begin(
        engine: &Arc<Engine>,
        scenarios: &[&Scenario],
        selection: &Selection,
    ) -> Self {
        let wanted: BTreeSet<(String, String)> = scenarios
            .iter()
            .flat_map(|scenario| {
                let steps = scenario.steps.iter();
                let taken = steps.filter(|step| selection.takes_step(step));
                taken.filter_map(|step| step.probe.watches(&scenario.message))
            })
            .collect();
        let returning = scenarios.iter().flat_map(|scenario| {
            let taken = scenario
                .steps
                .iter()
                .filter(|step| selection.takes_step(step));
            taken.filter_map(|step| returns_to(engine, scenario, step))
        });
        let wanted: BTreeSet<(String, String)> = wanted
            .into_iter()
            .chain(returning.map(|mailbox| (mailbox, BOUNCES_IN.to_owned())))
            .collect();
        let mut mailboxes = BTreeSet::new();
        for (mailbox, folder) in wanted {
            engine.watches.add(&mailbox, &folder);
            mailboxes.insert(mailbox);
        }
        let mut tasks = JoinSet::new();
        let mut decided = BTreeMap::new();
        for mailbox in mailboxes {
            let (decide, decision) = watch::channel(false);
            decided.insert(mailbox.clone(), decision);
            let engine = Arc::clone(engine);
            tasks.spawn(async move {
                match timeout(READY_WITHIN, engine.watches.ready(&mailbox)).await {
                    Ok(Ok(())) => {}
                    // It does not stop the run: the checks that need the mailbox say `cannot-observe`.
                    Ok(Err(failure)) => {
                        tracing::warn!(%mailbox, reason = %failure.line(), "mailbox cannot be opened yet");
                    }
                    Err(_) => tracing::warn!(%mailbox, "mailbox is not open yet"),
                }
                decide.send_replace(true);
            });
        }
        Self {
            decided,
            _tasks: tasks,
        }
    }

    /// Waits until mail may be sent for this step: at once when no check of it waits for the arrival.
    pub(super) async fn of(
        &self,
        engine: &Engine,
        scenario: &Scenario,
        step: &Step,
        cancel: &Cancel,
    ) {
        if !step.probe.awaits_arrival() {
            return;
        }
        let expecting = step.probe.watches(&scenario.message);
        let mailboxes = expecting
            .map(|(mailbox, _)| mailbox)
            .into_iter()
            .chain(returns_to(engine, scenario, step));
        for mailbox in mailboxes {
            let Some(mut decided) = self.decided.get(&mailbox).cloned() else {
                continue;
            };
            let mut cancel = cancel.clone();
            tokio::select! {
                _ = decided.wait_for(|decided| *decided) => {}
                _ = cancel.wait_for(Option::is_some) => {}
            }
        }
    }
}

/// The mailbox that bounces of a step's mails come to.
fn returns_to(engine: &Engine, scenario: &Scenario, step: &Step) -> Option<String> {
    let sender = step.probe.sender(&scenario.message)?;
    engine.plan.senders.get(&sender)?.bounces_to.clone()
}
