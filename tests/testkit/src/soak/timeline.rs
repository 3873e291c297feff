//! What happens when.

use std::time::Duration;

use super::Soak;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGTERM, and a new start.
    Restart,
    /// A node goes away.
    StopNode,
    /// It is back.
    StartNode,
    /// Nobody can read the mailboxes, and nothing is put into them.
    StopMailboxes,
    /// They are back.
    StartMailboxes,
    /// The load ends.
    End,
}

/// Everything in order, from the beginning of the load to its end.
pub(super) fn timeline(soak: &Soak) -> Vec<(Duration, Act)> {
    let mut random = Random(soak.seed | 1);
    let at = |share: f64| soak.length.mul_f64(share);
    let mut acts: Vec<(Duration, Act)> = (0..soak.kills)
        .map(|_| (at(random.share()), Act::Kill))
        .collect();
    acts.extend((1..=soak.restarts).map(|number| {
        let share = f64::from(number) / f64::from(soak.restarts + 1);
        (at(share), Act::Restart)
    }));
    if soak.outages {
        acts.extend([
            (at(0.35), Act::StopNode),
            (at(0.45), Act::StartNode),
            (at(0.55), Act::StopMailboxes),
            (at(0.65), Act::StartMailboxes),
        ]);
    }
    acts.push((soak.length, Act::End));
    acts.sort_by_key(|(at, _)| *at);
    acts
}

/// Marsaglia's xorshift: the same times for the same seed.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_times_within_the_load() {
        let soak = Soak {
            length: Duration::from_secs(100),
            rate: 20,
            kills: 50,
            restarts: 3,
            outages: true,
            seed: 7,
        };
        let acts = timeline(&soak);
        assert_eq!(acts, timeline(&soak));
        assert_eq!(acts.len(), 50 + 3 + 4 + 1);
        assert!(acts.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(acts.last(), Some(&(soak.length, Act::End)));
        assert_ne!(acts, timeline(&Soak { seed: 8, ..soak }));
    }
}
