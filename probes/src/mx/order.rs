//! The order in which a sender tries the addresses (RFC 5321 §5.1).

use std::net::IpAddr;

use rand::Rng;
use rand::seq::SliceRandom as _;

use crate::mx::{MxHost, MxSet};

/// Lowest preference first, at random among equal ones, each address of a host in the resolver's order.
#[must_use]
pub fn sender_order(set: &MxSet, rng: &mut impl Rng) -> Vec<(MxHost, IpAddr)> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn host(name: &str, preference: u16, addresses: &[&str]) -> MxHost {
        MxHost {
            name: name.to_owned(),
            preference,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            unusable: Vec::new(),
            cname: None,
            failure: None,
        }
    }

    #[test]
    fn equal_preferences_are_tried_in_any_order_and_unequal_ones_never() {
        let set = MxSet {
            hosts: vec![
                host("a", 10, &["192.0.2.1", "2001:db8::1"]),
                host("b", 10, &["192.0.2.2"]),
                host("dead", 10, &[]),
                host("c", 20, &["192.0.2.3"]),
            ],
            ..MxSet::default()
        };
        let orders: BTreeSet<Vec<String>> = (0..40)
            .map(|seed| {
                sender_order(&set, &mut StdRng::seed_from_u64(seed))
                    .into_iter()
                    .map(|(host, address)| format!("{} {address}", host.name))
                    .collect()
            })
            .collect();
        let order = |hosts: [&str; 4]| hosts.map(str::to_owned).to_vec();
        assert_eq!(
            orders,
            BTreeSet::from([
                order(["a 192.0.2.1", "a 2001:db8::1", "b 192.0.2.2", "c 192.0.2.3"]),
                order(["b 192.0.2.2", "a 192.0.2.1", "a 2001:db8::1", "c 192.0.2.3"]),
            ])
        );
    }
}
