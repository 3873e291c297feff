//! How many connections there are, in all and of one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::attempts::network;

/// The open connections.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place among the connections; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    network: IpAddr,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            present: Mutex::default(),
        }
    }

    /// A place, unless all are taken, or half of them by the same network: the rest is for the others.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let network = network(from);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = present.by_network.get(&network).copied().unwrap_or(0);
        if present.all >= self.most || of_network >= self.most.div_ceil(2) {
            return None;
        }
        present.all += 1;
        present.by_network.insert(network, of_network + 1);
        Some(Place {
            crowd: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self
            .crowd
            .present
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        present.all = present.all.saturating_sub(1);
        match present.by_network.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                present.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_takes_half_and_all_take_the_whole() {
        let crowd = Arc::new(Crowd::new(4));
        let [a, b, c] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|ip| ip.parse().unwrap());
        let first = crowd.enter(a).unwrap();
        let _second = crowd.enter(a).unwrap();
        assert!(crowd.enter(a).is_none());
        let _third = crowd.enter(b).unwrap();
        let _fourth = crowd.enter(c).unwrap();
        assert!(crowd.enter(b).is_none(), "all places are taken");
        drop(first);
        assert!(crowd.enter(b).is_some());
        assert_eq!(crowd.present.lock().unwrap().by_network.len(), 3);
    }
}
