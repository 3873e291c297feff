//! Names, connections and TLS, against scripted peers.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod check;
mod cluster_kind;
mod connect;
mod dns_exchange;
mod dns_kind;
mod dns_proof;
mod dnsbl_kind;
mod mx;
mod mx_kind;
mod policy;
mod ptr_kind;
mod tls;
mod tls_kind;
mod tlsa_kind;
