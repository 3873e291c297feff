//! Names, connections and TLS, against scripted peers.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod check;
mod cluster_kind;
mod connect;
mod dns_exchange;
mod dns_kind;
mod dns_proof;
mod mx;
mod mx_kind;
mod policy;
mod ptr_kind;
mod tls;
mod tlsa_kind;
