//! From the ledger's changes to metrics. Counters count what was concluded and never take it back: a lost mail that
//! turns up is a late one and a delivered one besides.

use postrider_probes::post::EntryState;

use super::State;
use super::catalogue::Family;
use super::histogram::Exemplar;
use crate::pipeline::{LedgerChange, Situation};

impl State {
    pub(super) fn ledger(&mut self, change: &LedgerChange) {
        let before = change.before.map(|before| before.state);
        let after = change.after.state;
        self.in_flight += i64::from(under_way(after)) - i64::from(before.is_some_and(under_way));
        let in_flight = self.in_flight.max(0) as f64;
        self.table.set(Family::MessagesInFlight, &[], in_flight);

        let key = (change.scenario.clone(), change.step.clone());
        if !self.known.contains_key(&key) {
            return;
        }
        let mx = change.mx.as_deref().unwrap_or_default();
        let labels = [key.0.as_str(), key.1.as_str(), mx];
        let mut count = |family, number: usize| {
            if number > 0 {
                self.table.add(family, &labels, number as f64);
            }
        };
        let became = |is: fn(EntryState) -> bool| is(after) && !before.is_some_and(is);
        count(Family::MessagesSent, usize::from(became(handed_over)));
        count(Family::MessagesDelivered, usize::from(became(in_place)));
        count(
            Family::MessagesLost,
            usize::from(became(|state| state == EntryState::Lost)),
        );
        let late = became(seen) && is_late(change);
        count(Family::MessagesLate, usize::from(late));
        let extra = |situation: &Situation| situation.copies.saturating_sub(1);
        let known_extra = change.before.as_ref().map_or(0, extra);
        count(
            Family::MessagesDuplicated,
            extra(&change.after).saturating_sub(known_extra),
        );

        if change.before.as_ref().and_then(delivered_after).is_none()
            && let Some(seconds) = delivered_after(&change.after)
        {
            let address = change.address.map(|address| address.ip().to_string());
            let [scenario, step, mx] = labels;
            let labels = [scenario, step, mx, address.as_deref().unwrap_or_default()];
            let exemplar = Exemplar {
                run: change.run.clone(),
                value: seconds,
                at: change.at,
            };
            self.table
                .observe(Family::DeliveryDuration, &labels, seconds, Some(exemplar));
        }
    }
}

/// Accepted, and nothing more is known.
pub(super) fn under_way(state: EntryState) -> bool {
    matches!(state, EntryState::Accepted | EntryState::Overdue)
}

/// The server took it, or may have.
fn handed_over(state: EntryState) -> bool {
    !matches!(
        state,
        EntryState::Planned | EntryState::NotSent | EntryState::Refused | EntryState::Deferred
    )
}

fn in_place(state: EntryState) -> bool {
    state == EntryState::Delivered
}

fn seen(state: EntryState) -> bool {
    matches!(
        state,
        EntryState::Delivered | EntryState::Junked | EntryState::Held
    )
}

/// It had been called late or lost before, or took longer than it may.
fn is_late(change: &LedgerChange) -> bool {
    let given_up = change.before.is_some_and(|before| {
        matches!(
            before.state,
            EntryState::Overdue | EntryState::Lost | EntryState::Unverifiable
        )
    });
    let too_slow = change
        .after
        .latency
        .zip(change.within)
        .is_some_and(|(latency, within)| latency.after > within);
    given_up || too_slow
}

/// How long a delivered mail took, once that is known.
fn delivered_after(situation: &Situation) -> Option<f64> {
    let latency = situation.latency.filter(|_| in_place(situation.state))?;
    Some(latency.after.as_secs_f64())
}
