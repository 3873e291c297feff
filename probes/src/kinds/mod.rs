//! The catalogue of probe kinds, one file each. To add one: its file, its `mod` line, its line in the list below.

use std::future::Future;
use std::time::Duration;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview, probe_kinds};
use crate::kinds::deliver::MessageDefaults;
use crate::limit::{Limits, cut_off};
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::setting::{Place, Problem, Template};
use crate::target::Target;

pub mod cluster;
pub mod deliver;
pub mod dkim;
pub mod dmarc;
pub mod dns;
pub mod dnsbl;
pub mod imap;
pub mod mta_sts;
pub mod mx;
pub mod ptr;
pub mod spf;
pub mod tls;
pub mod tls_rpt;
pub mod tlsa;
pub mod wait;

probe_kinds! {
    /// Compares the inventory with DNS and with what the servers say of themselves: the layout of a cluster of filters.
    cluster::Cluster,
    /// Delivers one tagged mail the way the world does (port 25): to an address, or by a domain's MX records.
    deliver::Deliver,
    /// Reads the record that holds the public key of a DKIM selector, and judges the key.
    dkim::Dkim,
    /// Finds the DMARC policy of a domain as a receiver does, and judges it and its report addresses.
    dmarc::Dmarc,
    /// Asks for a record set and compares it exactly.
    dns::Dns,
    /// Asks DNS block lists for addresses, after their test entries.
    dnsbl::Dnsbl,
    /// Logs in to a mailbox, opens a folder and reads its newest message, each timed.
    imap::Imap,
    /// Fetches the MTA-STS policy of a domain over HTTPS, and holds the MX hosts against it.
    mta_sts::MtaSts,
    /// Looks at a domain's MX records: the exact set, agreement of all name servers, hosts that mail can reach.
    mx::Mx,
    /// Looks at the reverse names of addresses, whether they lead back, and whether the server calls itself so.
    ptr::Ptr,
    /// Evaluates a domain's SPF record for a client, as a receiver does (RFC 7208).
    spf::Spf,
    /// Looks at the certificate of a host, and at the versions and ciphers that it offers.
    tls::Tls,
    /// Reads the record that says where reports about TLS go to.
    tls_rpt::TlsRpt,
    /// Holds the certificate of a server against the TLSA records that a signed zone publishes (DANE).
    tlsa::Tlsa,
    /// Waits.
    wait::Wait,
}
