//! Names, connections and TLS, against scripted peers.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod connect;
mod dns_exchange;
mod dns_kind;
mod mx;
mod tls;
mod tls_kind;
