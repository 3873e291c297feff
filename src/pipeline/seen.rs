//! A sighting with everything that was read from it, kept as long as somebody waits for the mail.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::outcome::{ArrivalFacts, HopFacts};
use postrider_wire::message::header::{all, fields};
use postrider_wire::message::received::{hop_times, hops, skew};
use postrider_wire::text::RemoteText;
use tokio::time::Instant;

use crate::ledger::fact::{CopyKey, Latency};
use crate::mailbox::news::Arrival;

/// `Authentication-Results` fields that are kept of one message.
const RESULTS_KEPT: usize = 16;
/// Characters that are kept of each.
const RESULTS_WIDTH: usize = 4000;

/// One copy.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) copy: CopyKey,
    pub(super) junk: bool,
    seen: Instant,
    pushed: Option<Instant>,
    internal_date: Option<Timestamp>,
    hops: Vec<HopFacts>,
    first_hop_at: Option<Timestamp>,
    authentication_results: Vec<String>,
}

/// When the final reply came, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) replied: Instant,
    pub(super) replied_at: Timestamp,
}

impl Seen {
    pub(super) fn of(arrival: &Arrival) -> Self {
        let stations = hops(&arrival.header);
        let fields = fields(&arrival.header);
        Self {
            copy: copy_of(arrival),
            junk: arrival.junk,
            seen: arrival.seen,
            pushed: arrival.pushed,
            internal_date: arrival.internal_date,
            first_hop_at: stations.first().and_then(|station| station.date),
            hops: hop_times(&stations)
                .into_iter()
                .map(|hop| HopFacts {
                    from: hop.from.as_deref().map(printable),
                    by: printable(&hop.by),
                    seconds: hop.seconds,
                    skewed: hop.skewed,
                })
                .collect(),
            authentication_results: all(&fields, "Authentication-Results")
                .into_iter()
                .take(RESULTS_KEPT)
                .map(|body| {
                    let words: Vec<&str> = body.split_whitespace().collect();
                    RemoteText::new(words.join(" ").as_bytes(), RESULTS_WIDTH).to_string()
                })
                .collect(),
        }
    }

    /// How long it took, by the monotonic clock. The sighting may have been made before the probe had read the
    /// final reply: that is 0, never less.
    pub(super) fn latency(&self, accepted: Accepted) -> Latency {
        let since = |moment: Instant| moment.saturating_duration_since(accepted.replied);
        Latency {
            on_wall_clock: false,
            after: since(self.seen),
            pushed_after: self.pushed.map(since),
        }
    }

    pub(super) fn facts(&self, accepted: Option<Accepted>) -> ArrivalFacts {
        let latency = accepted.map(|accepted| self.latency(accepted));
        ArrivalFacts {
            mailbox: self.copy.mailbox.clone(),
            folder: self.copy.message.folder.clone(),
            uid: self.copy.message.uid,
            after: latency.map(|latency| latency.after),
            pushed_after: latency.and_then(|latency| latency.pushed_after),
            internal_date: self.internal_date,
            hops: self.hops.clone(),
            skew_seconds: accepted
                .zip(self.first_hop_at)
                .map(|(accepted, first)| skew(first, accepted.replied_at).as_secs_f64()),
            authentication_results: self.authentication_results.clone(),
        }
    }
}

/// Which copy an arrival is.
pub(super) fn copy_of(arrival: &Arrival) -> CopyKey {
    CopyKey {
        mailbox: arrival.mailbox.clone(),
        message: arrival.key.clone(),
    }
}

/// How long it took by the wall clock: all that is left when the final reply was read in an earlier life.
pub(super) fn latency_on_wall_clock(replied_at: Timestamp, seen_at: Timestamp) -> Latency {
    Latency {
        on_wall_clock: true,
        after: Duration::try_from(seen_at.duration_since(replied_at)).unwrap_or_default(),
        pushed_after: None,
    }
}

fn printable(name: &str) -> String {
    RemoteText::new(name.as_bytes(), RemoteText::LINE).to_string()
}
