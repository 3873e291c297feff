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
    pub(super) async fn of(&self, scenario: &Scenario, step: &Step, cancel: &Cancel) {
        if !step.probe.awaits_arrival() {
            return;
        }
        let mailbox = step.probe.watches(&scenario.message);
        let decided = mailbox.and_then(|(mailbox, _)| self.decided.get(&mailbox));
        let Some(mut decided) = decided.cloned() else {
            return;
        };
        let mut cancel = cancel.clone();
        tokio::select! {
            _ = decided.wait_for(|decided| *decided) => {}
            _ = cancel.wait_for(Option::is_some) => {}
        }
    }
}
