//! How many connections one address may get at the same time. Filters count them and refuse above ten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to one address at the same time.
pub const PER_ADDRESS: usize = 2;

/// The slots of every address contacted so far.
#[derive(Debug, Default)]
pub struct Slots(Mutex<HashMap<IpAddr, Arc<Semaphore>>>);

impl Slots {
    /// Waits for a slot; it is free again when the permit is dropped. `None` never happens: the semaphore is not closed.
    pub async fn acquire(&self, address: IpAddr) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                slots
                    .entry(address)
                    .or_insert_with(|| Arc::new(Semaphore::new(PER_ADDRESS))),
            )
        };
        semaphore.acquire_owned().await.ok()
    }
}
