//! The order in which a sender tries the addresses (RFC 5321 §5.1).

use std::net::IpAddr;

use rand::Rng;
use rand::seq::SliceRandom as _;

use crate::mx::{MxHost, MxSet};

/// Lowest preference first, at random among equal ones, each address of a host in the resolver's order.
#[must_use]
pub fn sender_order<R: Rng + ?Sized>(set: &MxSet, rng: &mut R) -> Vec<(MxHost, IpAddr)> {
    let mut hosts: Vec<&MxHost> = set.hosts.iter().collect();
    // Shuffled as a whole and sorted stably: equal preferences stay shuffled.
    hosts.shuffle(rng);
    hosts.sort_by_key(|host| host.preference);
    hosts
        .into_iter()
        .flat_map(|host| {
            host.addresses
                .iter()
                .map(move |&address| (host.clone(), address))
        })
        .collect()
}
