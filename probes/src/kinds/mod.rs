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

pub mod deliver;
pub mod dns;
pub mod imap;
pub mod tls;
pub mod wait;

probe_kinds! {
    /// Delivers one tagged mail the way the world does (port 25): to an address, or by a domain's MX records.
    deliver::Deliver,
    /// Asks for a record set and compares it exactly.
    dns::Dns,
    /// Logs in to a mailbox, opens a folder and reads its newest message, each timed.
    imap::Imap,
    /// Looks at the certificate of a host, and at the versions and ciphers that it offers.
    tls::Tls,
    /// Waits.
    wait::Wait,
}
