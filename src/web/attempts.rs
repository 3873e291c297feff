//! How often an address may try to log in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Attempts of one address in [`WINDOW`].
pub(super) const MOST_ATTEMPTS: u32 = 10;
/// The time that attempts are counted over.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are counted at the same time.
const MOST_ADDRESSES: usize = 4096;

/// The attempts of the last minute, by address.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, (Instant, u32)>);

impl Attempts {
    /// Counts an attempt.
    ///
    /// # Errors
    /// How long to wait, when there were too many.
    pub(super) fn take(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network(from);
        if !self.0.contains_key(&from) && self.0.len() >= MOST_ADDRESSES {
            self.make_room(now);
        }
        let (since, count) = self.0.entry(from).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        if *count >= MOST_ATTEMPTS {
            return Err(WINDOW.saturating_sub(now.saturating_duration_since(*since)));
        }
        *count += 1;
        Ok(())
    }

    /// Takes back the last attempt: it was right.
    pub(super) fn forgive(&mut self, from: IpAddr) {
        if let Some((_, count)) = self.0.get_mut(&network(from)) {
            *count = count.saturating_sub(1);
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.0
            .retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        while self.0.len() >= MOST_ADDRESSES {
            let oldest = self.0.iter().min_by_key(|(_, (since, _))| *since);
            let Some(oldest) = oldest.map(|(address, _)| *address) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_attempts_a_minute_and_address() {
        let mut attempts = Attempts::default();
        let (mallory, alice) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..MOST_ATTEMPTS {
            attempts.take(mallory, Instant::now()).unwrap();
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(
            attempts.take(mallory, Instant::now()),
            Err(Duration::from_secs(40))
        );
        attempts.take(alice, Instant::now()).unwrap();
        tokio::time::advance(Duration::from_secs(40)).await;
        attempts.take(mallory, Instant::now()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_login_is_no_attempt() {
        let mut attempts = Attempts::default();
        for _ in 0..100 {
            attempts.take(address("192.0.2.1"), Instant::now()).unwrap();
            attempts.forgive(address("192.0.2.1"));
        }
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        assert_eq!(
            network(address("2001:db8:1:2:3:4:5:6")),
            network(address("2001:db8:1:2::1"))
        );
        assert_ne!(
            network(address("2001:db8:1:2::1")),
            network(address("2001:db8:1:3::1"))
        );
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..(MOST_ADDRESSES as u32 + 100) {
            let address = IpAddr::V4(number.into());
            attempts.take(address, Instant::now()).unwrap();
        }
        assert_eq!(attempts.0.len(), MOST_ADDRESSES);
    }
}
