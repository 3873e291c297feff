//! Who must not miss anything: told by the task itself, in order.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::EntryState;
use postrider_wire::message::tag::EntryId;

use crate::baseline::Change;
use crate::ledger::Balance;
use crate::ledger::entry::Entry;
use crate::ledger::fact::{Latency, Planned};
use crate::run::event::Event;

/// Is told what happens, by the pipeline's own task: a call must be short, and waits for nobody.
pub trait Witness: Send + Sync + std::fmt::Debug {
    /// The pipeline begins; so many mails are where.
    fn opened(&self, balance: &Balance);
    /// A run's event, after the attempt to write it. It is told even if that failed: whoever shows how checks stand must
    /// not show the last good result for as long as the disk is full.
    fn happened(&self, event: &Event);
    /// An entry changed, and that is on disk.
    fn changed(&self, change: &LedgerChange);
    /// Something that every client can see became another one, or was accepted, and that is on disk.
    fn noticed(&self, change: &Change);
    /// The store could not be written.
    fn write_failed(&self);
}

/// Nobody.
impl Witness for () {
    fn opened(&self, _: &Balance) {}
    fn happened(&self, _: &Event) {}
    fn changed(&self, _: &LedgerChange) {}
    fn noticed(&self, _: &Change) {}
    fn write_failed(&self) {}
}

/// What a fact changed of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerChange {
    /// The entry.
    pub entry: EntryId,
    /// When it happened, by the wall clock.
    pub at: Timestamp,
    /// The run that sent it.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// Its step.
    pub step: String,
    /// The MX host that it went to, when only one could take it.
    pub mx: Option<String>,
    /// The address that it went to, when only one could take it.
    pub address: Option<SocketAddr>,
    /// After this time since the final reply it is overdue.
    pub within: Option<Duration>,
    /// How it stood; `None` for a new entry.
    pub before: Option<Situation>,
    /// How it stands.
    pub after: Situation,
}

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Its state.
    pub state: EntryState,
    /// Copies seen.
    pub copies: usize,
    /// From the final reply to the first copy where it belongs.
    pub latency: Option<Latency>,
}

impl Situation {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            state: entry.state(),
            copies: entry.copies(),
            latency: entry.latency(),
        }
    }
}

impl LedgerChange {
    /// `None` when nothing changed, or when nobody knows what was planned.
    pub(super) fn of(
        id: EntryId,
        at: Timestamp,
        before: Option<Situation>,
        entry: &Entry,
    ) -> Option<Self> {
        let after = Situation::of(entry);
        if before == Some(after) {
            return None;
        }
        let Planned {
            draft,
            run,
            scenario,
            step,
        } = entry.planned()?.1;
        Some(Self {
            entry: id,
            at,
            run: run.clone(),
            scenario: scenario.clone(),
            step: step.clone(),
            mx: draft.mx.clone(),
            address: draft.address,
            within: entry.within(),
            before,
            after,
        })
    }
}
