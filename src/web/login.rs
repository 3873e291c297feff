//! Who asks: basic authentication against bcrypt hashes. A login that was proven is remembered by a keyed hash of all
//! that proved it, so that not every request costs the tenth of a second that bcrypt is meant to cost.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postrider_probes::setting::Secret;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::attempts::Attempts;
use crate::config::PasswordHash;

/// No `Authorization` header is longer, in bytes.
const LONGEST_HEADER: usize = 1024;
/// Logins that are remembered.
const REMEMBERED: usize = 64;
/// Logins that wait for their turn: one hash is computed at a time, the probes need the other cores.
const WAITING: usize = 16;

/// What a request is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// It is this user.
    User(String),
    /// Nothing was said.
    Nobody,
    /// It is not who it says.
    Wrong,
    /// This address has tried too often.
    TooOften(Duration),
    /// Too many are waiting for their turn.
    Busy,
}

/// Proves logins.
#[derive(Debug)]
pub(super) struct Logins {
    key: hmac::Key,
    proven: Mutex<VecDeque<Proof>>,
    attempts: Mutex<Attempts>,
    turn: Arc<Semaphore>,
    queue: Semaphore,
}

type Proof = [u8; 32];

impl Default for Logins {
    fn default() -> Self {
        let key: [u8; 32] = rand::random();
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            proven: Mutex::default(),
            attempts: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            queue: Semaphore::new(WAITING),
        }
    }
}

impl Logins {
    /// Looks at an `Authorization` header.
    pub(super) async fn check(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        from: IpAddr,
        header: Option<&[u8]>,
    ) -> Login {
        let Some(header) = header else {
            return Login::Nobody;
        };
        let Some((user, password)) = credentials(header) else {
            return match self.attempt(from) {
                Ok(()) => self.refuse(from, None),
                Err(wait) => Login::TooOften(wait),
            };
        };
        let hash = users.get(&user);
        let proof = hash.map(|hash| self.proof(&user, hash, &password));
        // A proven login is not held up by those who guess from the same address.
        if proof.is_some_and(|proof| self.is_proven(&proof)) {
            return Login::User(user);
        }
        if let Err(wait) = self.attempt(from) {
            return Login::TooOften(wait);
        }
        // An unknown name takes as long as a known one with the costliest hash.
        let Some(compared) = hash.or_else(|| users.values().max_by_key(|hash| hash.cost())) else {
            return self.refuse(from, None);
        };
        let Some(right) = self.compare(password, compared.clone()).await else {
            return Login::Busy;
        };
        match (right, proof) {
            (true, Some(proof)) => {
                self.attempts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .forgive(from);
                self.remember(proof);
                tracing::info!(%user, address = %from, "logged in");
                Login::User(user)
            }
            // A name that is not known may be a password in the wrong field.
            _ => self.refuse(from, hash.is_some().then_some(&user)),
        }
    }

    fn refuse(&self, from: IpAddr, user: Option<&String>) -> Login {
        let user = user.map_or("(unknown)", String::as_str);
        tracing::warn!(user, address = %from, "a login was refused");
        Login::Wrong
    }

    fn attempt(&self, from: IpAddr) -> Result<(), Duration> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.take(from, Instant::now())
    }

    /// Compares, in its turn, on a thread where it holds up nobody; `None` when too many wait.
    async fn compare(&self, password: Secret, hash: PasswordHash) -> Option<bool> {
        let _place = self.queue.try_acquire().ok()?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let compared = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, even if nobody waits for it any more.
            let _turn = turn;
            bcrypt::verify(password.expose(), hash.expose()).unwrap_or(false)
        });
        compared.await.ok()
    }

    /// The hash is part of it: a changed password is a login of its own.
    fn proof(&self, user: &str, hash: &PasswordHash, password: &Secret) -> Proof {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, hash.expose(), password.expose()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut proof = Proof::default();
        proof.copy_from_slice(context.sign().as_ref());
        proof
    }

    fn is_proven(&self, proof: &Proof) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.contains(proof)
    }

    fn remember(&self, proof: Proof) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if !proven.contains(&proof) {
            proven.truncate(REMEMBERED - 1);
            proven.push_front(proof);
        }
    }
}

/// Name and password of `Basic …`.
fn credentials(header: &[u8]) -> Option<(String, Secret)> {
    if header.len() > LONGEST_HEADER {
        return None;
    }
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let pair = Secret::new(String::from_utf8(decoded).ok()?);
    let (user, password) = pair.expose().split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}
