//! How many connections one address may get at the same time. Filters count them and refuse above ten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to one address at the same time, unless the configuration says otherwise.
pub const PER_ADDRESS: usize = 2;
/// No configuration may say more: filters refuse what is above.
pub const MOST_PER_ADDRESS: usize = 10;
/// Addresses that are remembered; above, those without a connection are forgotten.
const REMEMBERED: usize = 4096;

/// The slots of every address contacted so far.
#[derive(Debug)]
pub struct Slots(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    addresses: HashMap<IpAddr, Arc<Address>>,
}

#[derive(Debug)]
struct Address {
    free: Arc<Semaphore>,
    /// Slots that are to vanish when they are given back, since the limit was lowered meanwhile.
    owed: Mutex<usize>,
}

/// One connection's slot; free again when it is dropped.
#[derive(Debug)]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    address: Arc<Address>,
}

impl Default for Slots {
    fn default() -> Self {
        Self::new(PER_ADDRESS)
    }
}

impl Slots {
    /// So many for each address; at least one, at most ten.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Mutex::new(Inner {
            limit: limit.clamp(1, MOST_PER_ADDRESS),
            addresses: HashMap::new(),
        }))
    }

    /// Another limit from now on. Connections that stand go on; above a lower limit nothing new is given until enough
    /// of them have ended.
    pub fn set_limit(&self, limit: usize) {
        let limit = limit.clamp(1, MOST_PER_ADDRESS);
        let mut inner = lock(&self.0);
        let before = std::mem::replace(&mut inner.limit, limit);
        for address in inner.addresses.values() {
            let mut owed = lock(&address.owed);
            if limit > before {
                let more = limit - before;
                let forgiven = more.min(*owed);
                *owed -= forgiven;
                address.free.add_permits(more - forgiven);
            } else {
                let less = before - limit;
                *owed += less - address.free.forget_permits(less);
            }
        }
    }

    /// Waits for a slot; it is free again when it is dropped. `None` never happens: the semaphore is not closed.
    pub async fn acquire(&self, address: IpAddr) -> Option<Slot> {
        let address = {
            let mut inner = lock(&self.0);
            if inner.addresses.len() >= REMEMBERED {
                // Whoever waits or has a slot holds the address, too.
                inner
                    .addresses
                    .retain(|_, known| Arc::strong_count(known) > 1);
            }
            let limit = inner.limit;
            let new = || {
                Arc::new(Address {
                    free: Arc::new(Semaphore::new(limit)),
                    owed: Mutex::new(0),
                })
            };
            Arc::clone(inner.addresses.entry(address).or_insert_with(new))
        };
        let permit = Arc::clone(&address.free).acquire_owned().await.ok()?;
        Some(Slot {
            permit: Some(permit),
            address,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut owed = lock(&self.address.owed);
        if *owed > 0
            && let Some(permit) = self.permit.take()
        {
            *owed -= 1;
            permit.forget();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn take(slots: &Slots) -> Option<Slot> {
        slots.acquire(HERE).now_or_never().flatten()
    }

    #[test]
    fn no_limit_is_above_ten_or_below_one() {
        let slots = Slots::new(50);
        let held: Vec<Slot> = std::iter::from_fn(|| take(&slots)).collect();
        assert_eq!(held.len(), 10);
        let slots = Slots::new(0);
        let held: Vec<Slot> = std::iter::from_fn(|| take(&slots)).collect();
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn lower_limit_holds_as_soon_as_connections_end() {
        let slots = Slots::new(4);
        let mut held: Vec<Slot> = std::iter::from_fn(|| take(&slots)).collect();
        assert_eq!(held.len(), 4);
        slots.set_limit(2);
        held.truncate(2);
        assert!(take(&slots).is_none());
        held.truncate(1);
        held.extend(take(&slots));
        assert_eq!(held.len(), 2);
        slots.set_limit(3);
        held.extend(std::iter::from_fn(|| take(&slots)));
        assert_eq!(held.len(), 3);
        held.clear();
        let held: Vec<Slot> = std::iter::from_fn(|| take(&slots)).collect();
        assert_eq!(held.len(), 3);
    }
}
